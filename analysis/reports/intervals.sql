-- title: Intervals of samples
-- question: How long do nodes ask to be left alone until their sample changes (BEP 51)?
-- needs: nodes(node_id, num, interval)
-- plot: rows x=seconds y=nodes
WITH each AS (
    SELECT node_id, max("interval") AS seconds FROM nodes WHERE num IS NOT NULL AND node_id IS NOT NULL GROUP BY node_id
)
SELECT coalesce(CAST(seconds AS VARCHAR), '(does not say)') AS seconds, count(*) AS nodes, round(100.0 * count(*) / sum(count(*)) OVER (), 2) AS percent
FROM each GROUP BY 1 ORDER BY nodes DESC, seconds LIMIT 30
