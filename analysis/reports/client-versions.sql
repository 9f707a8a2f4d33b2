-- title: Versions of programs
-- question: Which versions do nodes run?
-- needs: nodes(node_id, v, outcome)
-- plot: none
WITH each AS (
    SELECT node_id, max(v) AS v FROM nodes WHERE outcome IN ('answer', 'late', 'error') AND node_id IS NOT NULL GROUP BY node_id
)
SELECT coalesce(v, '(does not say)') AS version, count(*) AS nodes, round(100.0 * count(*) / sum(count(*)) OVER (), 2) AS percent
FROM each GROUP BY 1 ORDER BY nodes DESC, version LIMIT 30
