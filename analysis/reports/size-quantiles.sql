-- title: Quantiles of size, files and pieces
-- question: What is a usual torrent, and what an unusual one?
-- needs: torrents(total_bytes, file_count, piece_length, metadata_ok)
-- plot: none
WITH places AS (
    SELECT percent, greatest(CAST(ceil(percent / 100.0 * n) AS BIGINT), 1) AS place
    FROM (VALUES (1), (5), (10), (25), (50), (75), (90), (95), (99)) AS q(percent)
    CROSS JOIN (SELECT count(*) AS n FROM torrents WHERE metadata_ok) AS n
), by_bytes AS (
    SELECT total_bytes, row_number() OVER (ORDER BY total_bytes) AS place FROM torrents WHERE metadata_ok
), by_files AS (
    SELECT file_count, row_number() OVER (ORDER BY file_count) AS place FROM torrents WHERE metadata_ok
), by_piece AS (
    SELECT piece_length, row_number() OVER (ORDER BY piece_length) AS place FROM torrents WHERE metadata_ok
)
SELECT percent AS percentile, total_bytes, file_count AS files, piece_length
FROM places JOIN by_bytes ON places.place = by_bytes.place JOIN by_files ON places.place = by_files.place JOIN by_piece ON places.place = by_piece.place
ORDER BY percent
