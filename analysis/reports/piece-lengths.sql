-- title: Piece lengths
-- question: How long are pieces, and how many has a torrent with pieces of that length?
-- needs: torrents(piece_length, total_bytes, metadata_ok)
-- plot: bars x=piece_kib y=torrents
SELECT CAST(CAST(piece_length / 1024 AS BIGINT) AS VARCHAR) AS piece_kib,
       count(*) AS torrents,
       round(100.0 * count(*) / sum(count(*)) OVER (), 2) AS percent,
       CAST(round(avg(ceil(CAST(total_bytes AS DOUBLE) / piece_length))) AS BIGINT) AS mean_pieces,
       CAST(max(CAST(ceil(CAST(total_bytes AS DOUBLE) / piece_length) AS BIGINT)) AS BIGINT) AS most_pieces
FROM torrents WHERE metadata_ok AND piece_length > 0
GROUP BY piece_length ORDER BY piece_length
