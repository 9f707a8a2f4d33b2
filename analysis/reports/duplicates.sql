-- title: Duplicates: one content under several infohashes
-- question: Which torrents have the same name, size and number of files as another one, but another infohash (other piece length, other tool, other source tag)?
-- needs: torrents(infohash, name, total_bytes, file_count, piece_length, metadata_ok)
-- plot: none
WITH each AS (
    SELECT DISTINCT infohash, name, total_bytes, file_count, piece_length FROM torrents WHERE metadata_ok
)
SELECT name, total_bytes, file_count, count(*) AS infohashes, min(piece_length) AS least_piece_length, max(piece_length) AS most_piece_length,
       min(infohash) AS one_of_them
FROM each
GROUP BY name, total_bytes, file_count
HAVING count(*) > 1
ORDER BY infohashes DESC, total_bytes DESC, name LIMIT 50
