-- title: Changes between two crawls
-- question: Which infohashes were born, gone, stayed between the first and the last of the crawls, by name? If both are random halves of one population, recapture says how large it is (Chapman).
-- needs: torrents(infohash, metadata_ok), crawls(2)
-- plot: rows x=figure y=infohashes
WITH ends AS (
    SELECT min(crawl) AS a, max(crawl) AS b FROM torrents
), told AS (
    SELECT infohash, max(CASE WHEN crawl = a THEN 1 ELSE 0 END) AS before, max(CASE WHEN crawl = b THEN 1 ELSE 0 END) AS after
    FROM torrents CROSS JOIN ends WHERE crawl = a OR crawl = b GROUP BY infohash
), sums AS (
    SELECT CAST(sum(before) AS BIGINT) AS n1, CAST(sum(after) AS BIGINT) AS n2, CAST(sum(before * after) AS BIGINT) AS m FROM told
)
SELECT figure, infohashes FROM (
    SELECT 1 AS place, concat('in ', a) AS figure, n1 AS infohashes FROM sums CROSS JOIN ends
    UNION ALL SELECT 2, concat('in ', b), n2 FROM sums CROSS JOIN ends
    UNION ALL SELECT 3, 'stayed', m FROM sums
    UNION ALL SELECT 4, 'gone', n1 - m FROM sums
    UNION ALL SELECT 5, 'born', n2 - m FROM sums
    UNION ALL SELECT 6, 'in all, by recapture', CAST(round((n1 + 1.0) * (n2 + 1.0) / (m + 1.0) - 1.0) AS BIGINT) FROM sums
) AS figures ORDER BY place
