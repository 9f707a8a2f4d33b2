-- title: Near-duplicates: nearly one name
-- question: Which torrents differ from another in punctuation, case or size only? Names are compared by their letters and digits.
-- needs: torrents(infohash, name, total_bytes, metadata_ok)
-- plot: none
WITH each AS (
    SELECT DISTINCT infohash, name, total_bytes, regexp_replace(lower(name), '[^\p{L}\p{N}]+', ' ', 'g') AS words
    FROM torrents WHERE metadata_ok AND length(name) > 0
)
SELECT words, count(*) AS infohashes, min(total_bytes) AS least_bytes, max(total_bytes) AS most_bytes, min(name) AS one_spelling, max(name) AS another
FROM each
GROUP BY words
HAVING count(*) > 1 AND (min(name) < max(name) OR min(total_bytes) < max(total_bytes))
ORDER BY infohashes DESC, words LIMIT 50
