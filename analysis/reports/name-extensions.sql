-- title: Extensions of names
-- question: What are torrents of one file, as their names tell? All that a metadata.txt says of content; names of folders have none.
-- needs: torrents(name, file_count, total_bytes, metadata_ok)
-- plot: rows x=extension y=torrents
WITH named AS (
    SELECT CASE WHEN regexp_like(name, '[.][A-Za-z][A-Za-z0-9]{0,5}$') THEN lower(regexp_replace(name, '^.*[.]', '')) ELSE '(none)' END AS extension, total_bytes
    FROM torrents WHERE metadata_ok AND file_count = 1
)
SELECT extension, count(*) AS torrents, round(100.0 * count(*) / sum(count(*)) OVER (), 2) AS percent, CAST(sum(total_bytes) AS BIGINT) AS bytes
FROM named GROUP BY extension ORDER BY torrents DESC, extension LIMIT 30
