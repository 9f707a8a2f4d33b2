-- title: Sizes of torrents
-- question: How big are torrents? Bins are powers of two; padding files do not count.
-- needs: torrents(total_bytes, metadata_ok)
-- plot: bars x=from_size y=torrents
WITH binned AS (
    SELECT CASE WHEN total_bytes > 0 THEN CAST(floor(log2(CAST(total_bytes AS DOUBLE))) AS BIGINT) ELSE -1 END AS bin, total_bytes
    FROM torrents WHERE metadata_ok
)
SELECT CASE WHEN bin < 0 THEN '0 B'
            WHEN bin < 10 THEN concat(CAST(CAST(power(2, bin) AS BIGINT) AS VARCHAR), ' B')
            WHEN bin < 20 THEN concat(CAST(CAST(power(2, bin - 10) AS BIGINT) AS VARCHAR), ' KiB')
            WHEN bin < 30 THEN concat(CAST(CAST(power(2, bin - 20) AS BIGINT) AS VARCHAR), ' MiB')
            WHEN bin < 40 THEN concat(CAST(CAST(power(2, bin - 30) AS BIGINT) AS VARCHAR), ' GiB')
            ELSE concat(CAST(CAST(power(2, bin - 40) AS BIGINT) AS VARCHAR), ' TiB') END AS from_size,
       count(*) AS torrents,
       round(100.0 * count(*) / sum(count(*)) OVER (), 2) AS percent,
       CAST(sum(total_bytes) AS BIGINT) AS bytes
FROM binned GROUP BY bin ORDER BY bin
