-- title: Peers of an infohash
-- question: How many different peers were named for an infohash? On axes of powers a power law is a straight line.
-- needs: peers(infohash, peer_ip, peer_port)
-- plot: points x=peers y=infohashes
WITH counted AS (
    SELECT infohash, count(*) AS peers FROM (SELECT DISTINCT infohash, peer_ip, peer_port FROM peers WHERE peer_ip IS NOT NULL) AS p GROUP BY infohash
)
SELECT peers, count(*) AS infohashes, round(100.0 * count(*) / sum(count(*)) OVER (), 3) AS percent
FROM counted GROUP BY peers ORDER BY peers
