-- title: Peers across torrents
-- question: Of how many torrents is one peer (address and port)? Many mean seedboxes, other crawlers, or a lab.
-- needs: peers(infohash, peer_ip, peer_port)
-- plot: bars x=torrents y=peers
WITH counted AS (
    SELECT peer_ip, peer_port, count(DISTINCT infohash) AS torrents FROM peers WHERE peer_ip IS NOT NULL GROUP BY peer_ip, peer_port
)
SELECT CASE WHEN torrents = 1 THEN '1' WHEN torrents = 2 THEN '2' WHEN torrents <= 5 THEN '3-5' WHEN torrents <= 10 THEN '6-10'
            WHEN torrents <= 100 THEN '11-100' ELSE 'over 100' END AS torrents,
       count(*) AS peers, round(100.0 * count(*) / sum(count(*)) OVER (), 2) AS percent
FROM counted GROUP BY 1 ORDER BY min(counted.torrents)
