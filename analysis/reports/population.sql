-- title: How much is there beyond what was seen?
-- question: How many infohashes do nodes hold in all, and what share of showings is known? Estimates from samples with 95% intervals; analysis/README.md says how far they can be trusted.
-- needs: sightings(infohash, source, node_id, num, shown)
-- plot: none
WITH pairs AS (
    -- What a node shows twice counts once. What it says it stores is believed as far as the crawl believes it.
    SELECT crawl, node_id, infohash, CASE WHEN substr(md5(node_id), 1, 1) < '8' THEN 1 ELSE 0 END AS half,
           max(CASE WHEN shown >= 20 AND num BETWEEN shown AND 16384 THEN num ELSE shown END) AS stored
    FROM sightings WHERE source = 'sample' AND node_id IS NOT NULL GROUP BY crawl, node_id, infohash
), read AS (
    SELECT crawl, count(*) AS nodes, sum(stored) AS stored FROM (SELECT crawl, node_id, max(stored) AS stored FROM pairs GROUP BY crawl, node_id) AS n GROUP BY crawl
), shown AS (
    SELECT crawl, infohash, count(*) AS nodes, max(half) AS one, max(1 - half) AS other FROM pairs GROUP BY crawl, infohash
), counted AS (
    SELECT crawl, count(*) AS infohashes, count(CASE WHEN nodes = 1 THEN 1 END) AS once, count(CASE WHEN nodes = 2 THEN 1 END) AS twice,
           sum(nodes) AS pairs, sum(one) AS one, sum(other) AS other, sum(one * other) AS in_both
    FROM shown GROUP BY crawl
), estimated AS (
    SELECT counted.crawl AS crawl, unnest(keys_estimated(read.nodes, read.stored, infohashes, once, twice, pairs, one, other, in_both)) AS e
    FROM counted JOIN read ON counted.crawl = read.crawl
)
SELECT crawl, e['method'] AS method, round(e['value'], 4) AS value, round(e['low'], 4) AS low, round(e['high'], 4) AS high,
       e['counts'] AS counts, e['assumes'] AS assumes
FROM estimated ORDER BY crawl, method
