-- title: Coverage of the key space
-- question: Was every part of the key space looked at? Nodes and infohashes of samples by the first four bits; a fair survey is flat.
-- needs: sightings(infohash, source, node_id)
-- plot: bars x=prefix y=infohashes
WITH zones AS (
    SELECT substr(infohash, 1, 1) AS prefix, count(DISTINCT infohash) AS infohashes, count(*) AS showings FROM sightings WHERE source = 'sample' GROUP BY 1
), readers AS (
    SELECT substr(node_id, 1, 1) AS prefix, count(DISTINCT node_id) AS nodes FROM sightings WHERE source = 'sample' GROUP BY 1
)
SELECT zones.prefix AS prefix, infohashes, showings, coalesce(nodes, 0) AS nodes_read
FROM zones LEFT JOIN readers ON zones.prefix = readers.prefix ORDER BY prefix
