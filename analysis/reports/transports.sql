-- title: Transports
-- question: Over what are peers reached, and how many of those reached deliver?
-- needs: fetches(via, result, opened_ms)
-- plot: rows x=via y=peers
SELECT coalesce(via, '(never opened)') AS via, count(*) AS peers, count(CASE WHEN result = 'ok' THEN 1 END) AS delivered,
       round(100.0 * count(CASE WHEN result = 'ok' THEN 1 END) / count(*), 2) AS delivered_percent,
       CAST(round(avg(opened_ms)) AS BIGINT) AS mean_ms_to_open
FROM fetches GROUP BY 1 ORDER BY peers DESC, via
