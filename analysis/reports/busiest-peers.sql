-- title: Peers with the most torrents
-- question: Which peers are named for the most torrents?
-- needs: peers(infohash, peer_ip, peer_port)
-- plot: none
SELECT peer_ip, peer_port, count(DISTINCT infohash) AS torrents
FROM peers WHERE peer_ip IS NOT NULL GROUP BY peer_ip, peer_port ORDER BY torrents DESC, peer_ip, peer_port LIMIT 20
