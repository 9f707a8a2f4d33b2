-- title: Infohashes that nodes say they store
-- question: How many infohashes does a node store, as it says itself (num of BEP 51, unchecked)? Samples that their node cannot store are left out.
-- needs: nodes(node_id, num, shown, far_fetched)
-- plot: bars x=stored y=nodes
WITH each AS (
    SELECT node_id, max(num) AS num, max(shown) AS shown FROM nodes WHERE num IS NOT NULL AND node_id IS NOT NULL AND coalesce(far_fetched, false) = false GROUP BY node_id
)
SELECT CASE WHEN num < 0 THEN '(does not say)' WHEN num = 0 THEN '0' WHEN num <= 20 THEN '1-20' WHEN num <= 50 THEN '21-50' WHEN num <= 100 THEN '51-100'
            WHEN num <= 200 THEN '101-200' WHEN num <= 500 THEN '201-500' WHEN num <= 2000 THEN '501-2000' ELSE 'over 2000' END AS stored,
       count(*) AS nodes, round(100.0 * count(*) / sum(count(*)) OVER (), 2) AS percent, round(avg(shown), 2) AS mean_shown
FROM each GROUP BY 1 ORDER BY min(num)
