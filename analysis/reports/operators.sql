-- title: Operators of peers' networks
-- question: In whose networks (autonomous systems) are peers, as the MaxMind file of --geoip says?
-- needs: peers(infohash, peer_ip), geoip(asn)
-- plot: rows x=operator y=addresses
WITH placed AS (
    SELECT DISTINCT peer_ip, asn(peer_ip) AS asn, as_name(peer_ip) AS name FROM peers WHERE peer_ip IS NOT NULL
)
SELECT asn, coalesce(name, '(unknown)') AS operator, count(*) AS addresses, round(100.0 * count(*) / sum(count(*)) OVER (), 2) AS percent
FROM placed GROUP BY asn, coalesce(name, '(unknown)') ORDER BY addresses DESC, operator LIMIT 50
