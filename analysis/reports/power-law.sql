-- title: Power law of peers per infohash
-- question: If the number of peers of an infohash goes as a power of it, with which exponent, and from how many peers on? About 2 was measured elsewhere (network-model G4); of fewer than 50 infohashes there is no answer.
-- needs: peers(infohash, peer_ip, peer_port)
-- plot: none
WITH counted AS (
    SELECT infohash, count(*) AS peers FROM (SELECT DISTINCT infohash, peer_ip, peer_port FROM peers WHERE peer_ip IS NOT NULL) AS p GROUP BY infohash
), often AS (
    SELECT peers, count(*) AS infohashes FROM counted GROUP BY peers
), fitted AS (
    SELECT power_law(array_agg(peers), array_agg(infohashes)) AS fit FROM often
)
SELECT round(fit['exponent'], 3) AS exponent, round(fit['low'], 3) AS low, round(fit['high'], 3) AS high,
       fit['from'] AS from_peers, fit['tail'] AS infohashes_in_tail, fit['all'] AS infohashes, round(fit['distance'], 4) AS greatest_distance
FROM fitted WHERE fit['exponent'] IS NOT NULL
