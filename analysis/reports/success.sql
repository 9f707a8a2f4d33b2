-- title: Success by number of peers
-- question: Is the metadata of an infohash with more known peers more often had?
-- needs: torrents(infohash, metadata_ok, peers)
-- plot: bars x=peers y=success_percent
SELECT CASE WHEN peers = 0 THEN '0' WHEN peers = 1 THEN '1' WHEN peers <= 3 THEN '2-3' WHEN peers <= 7 THEN '4-7' WHEN peers <= 15 THEN '8-15' ELSE '16 and more' END AS peers,
       count(*) AS infohashes,
       count(CASE WHEN metadata_ok THEN 1 END) AS with_metadata,
       round(100.0 * count(CASE WHEN metadata_ok THEN 1 END) / count(*), 2) AS success_percent
FROM torrents
GROUP BY 1
ORDER BY min(torrents.peers)
