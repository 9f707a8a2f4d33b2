-- title: Programs of nodes
-- question: What do nodes run, by the v of their answers? Peer ids are in no table, so this is of nodes, not of peers.
-- needs: nodes(node_id, v, outcome)
-- plot: rows x=client y=nodes
WITH each AS (
    SELECT node_id, coalesce(max(v), '') AS v FROM nodes WHERE outcome IN ('answer', 'late', 'error') AND node_id IS NOT NULL GROUP BY node_id
), named AS (
    SELECT CASE split_part(v, ' ', 1) WHEN 'LT' THEN 'libtorrent (LT)' WHEN 'UT' THEN 'uTorrent, BitTorrent (UT)' WHEN 'TR' THEN 'Transmission (TR)'
                WHEN 'lt' THEN 'rTorrent (lt)' WHEN 'MO' THEN 'mldht (MO)' WHEN 'ml' THEN 'mldht (ml)' WHEN 'ML' THEN 'mldht (ML)' WHEN 'AN' THEN 'anacrolix (AN)'
                WHEN '' THEN '(does not say)' ELSE split_part(v, ' ', 1) END AS client
    FROM each
)
SELECT client, count(*) AS nodes, round(100.0 * count(*) / sum(count(*)) OVER (), 2) AS percent
FROM named GROUP BY client ORDER BY nodes DESC, client LIMIT 30
