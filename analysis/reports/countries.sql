-- title: Countries of peers
-- question: In which countries are peers, as the MaxMind file of --geoip says?
-- needs: peers(infohash, peer_ip), geoip(country)
-- plot: rows x=country y=addresses
WITH placed AS (
    SELECT DISTINCT peer_ip, country(peer_ip) AS country FROM peers WHERE peer_ip IS NOT NULL
)
SELECT coalesce(country, '(unknown)') AS country, count(*) AS addresses, round(100.0 * count(*) / sum(count(*)) OVER (), 2) AS percent
FROM placed GROUP BY 1 ORDER BY addresses DESC, country LIMIT 50
