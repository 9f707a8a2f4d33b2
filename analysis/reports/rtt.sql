-- title: Round trips of answers
-- question: How long do nodes take to answer?
-- needs: nodes(rtt_ms)
-- plot: bars x=up_to_ms y=answers
WITH binned AS (
    SELECT CASE WHEN rtt_ms < 10 THEN 10 WHEN rtt_ms < 25 THEN 25 WHEN rtt_ms < 50 THEN 50 WHEN rtt_ms < 75 THEN 75 WHEN rtt_ms < 100 THEN 100
                WHEN rtt_ms < 150 THEN 150 WHEN rtt_ms < 200 THEN 200 WHEN rtt_ms < 300 THEN 300 WHEN rtt_ms < 500 THEN 500 WHEN rtt_ms < 1000 THEN 1000
                WHEN rtt_ms < 2000 THEN 2000 ELSE 999999 END AS bin
    FROM nodes WHERE rtt_ms IS NOT NULL
)
SELECT CASE WHEN bin = 999999 THEN 'more' ELSE CAST(bin AS VARCHAR) END AS up_to_ms, count(*) AS answers,
       round(100.0 * count(*) / sum(count(*)) OVER (), 2) AS percent,
       round(100.0 * sum(count(*)) OVER (ORDER BY bin) / sum(count(*)) OVER (), 2) AS percent_so_far
FROM binned GROUP BY bin ORDER BY bin
