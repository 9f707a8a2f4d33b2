-- title: Words of names
-- question: Which words do names have? Cut at everything that is neither letter nor digit, in lower case, two characters and more; each counts once for a torrent.
-- needs: torrents(infohash, name, metadata_ok)
-- plot: rows x=word y=torrents
WITH names AS (
    SELECT infohash, max(name) AS name FROM torrents WHERE metadata_ok GROUP BY infohash
), words AS (
    SELECT infohash, unnest(array_distinct(string_to_array(regexp_replace(lower(name), '[^\p{L}\p{N}]+', ' ', 'g'), ' '))) AS word FROM names
)
SELECT word, count(*) AS torrents, round(100.0 * count(*) / (SELECT count(*) FROM names), 2) AS percent
FROM words WHERE length(word) >= 2 GROUP BY word ORDER BY torrents DESC, word LIMIT 50
