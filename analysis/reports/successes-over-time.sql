-- title: Metadata over time
-- question: How fast does metadata come in? An infohash counts when the last piece of it was verified.
-- needs: fetches(time_ms, infohash, result)
-- plot: line x=hours y=infohashes by=crawl
WITH first AS (
    SELECT crawl, infohash, min(time_ms) AS met FROM fetches WHERE result = 'ok' GROUP BY crawl, infohash
), span AS (
    SELECT crawl, min(met) AS began, greatest(floor((max(met) - min(met)) / 60.0), 1) AS step FROM first GROUP BY crawl
), binned AS (
    SELECT first.crawl AS crawl, floor((met - began) / step) AS bin, min(step) AS step, count(*) AS fresh
    FROM first JOIN span ON first.crawl = span.crawl
    GROUP BY first.crawl, floor((met - began) / step)
)
SELECT crawl, round((bin + 1) * step / 3600000.0, 6) AS hours, fresh AS new_infohashes,
       sum(fresh) OVER (PARTITION BY crawl ORDER BY bin) AS infohashes
FROM binned ORDER BY crawl, bin
