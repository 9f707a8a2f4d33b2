-- title: Ports of peers
-- question: On which ports are peers? 6881 to 6889 are those of old; one port for very many addresses is a carrier's NAT, a crawler or a lab.
-- needs: peers(peer_ip, peer_port)
-- plot: rows x=port y=addresses
SELECT CAST(peer_port AS VARCHAR) AS port, count(DISTINCT peer_ip) AS addresses
FROM peers WHERE peer_ip IS NOT NULL GROUP BY peer_port ORDER BY addresses DESC, peer_port LIMIT 20
