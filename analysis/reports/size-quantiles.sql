-- title: Quantiles of size, files and pieces
-- question: What is a usual torrent, and what an unusual one?
-- needs: torrents(total_bytes, file_count, piece_length, metadata_ok)
-- plot: none
WITH ranked AS (
    SELECT total_bytes, file_count, piece_length,
           row_number() OVER (ORDER BY total_bytes) AS by_bytes,
           row_number() OVER (ORDER BY file_count) AS by_files,
           row_number() OVER (ORDER BY piece_length) AS by_piece
    FROM torrents WHERE metadata_ok
), places AS (
    SELECT q.percent AS percent, greatest(CAST(ceil(q.percent / 100.0 * n.n) AS BIGINT), 1) AS place
    FROM (VALUES (1), (5), (10), (25), (50), (75), (90), (95), (99)) AS q(percent)
    CROSS JOIN (SELECT count(*) AS n FROM torrents WHERE metadata_ok) AS n
)
SELECT places.percent AS percentile,
       max(CASE WHEN by_bytes = place THEN total_bytes END) AS total_bytes,
       max(CASE WHEN by_files = place THEN file_count END) AS files,
       max(CASE WHEN by_piece = place THEN piece_length END) AS piece_length
FROM places JOIN ranked ON by_bytes = place OR by_files = place OR by_piece = place
GROUP BY places.percent ORDER BY places.percent
