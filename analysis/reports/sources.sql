-- title: Where infohashes come from
-- question: How many infohashes were met in samples, in questions to us, in announces to us?
-- needs: sightings(infohash, source)
-- plot: rows x=source y=infohashes
SELECT source, count(*) AS sightings, count(DISTINCT infohash) AS infohashes, count(DISTINCT node_ip) AS hosts
FROM sightings GROUP BY source ORDER BY infohashes DESC, source
