-- title: Why peers did not deliver
-- question: What is the reason where a peer had no share in verified metadata? The shares add up to 100.
-- needs: fetches(result, stage)
-- plot: rows x=result y=peers
SELECT result, count(*) AS peers, round(100.0 * count(*) / sum(count(*)) OVER (), 2) AS percent, CAST(round(avg(took_ms)) AS BIGINT) AS mean_ms
FROM fetches WHERE result <> 'ok' GROUP BY result ORDER BY peers DESC, result
