-- title: Extensions of files
-- question: Which extensions have the files, in number and in bytes?
-- needs: files(infohash, index, length, path)
-- plot: rows x=extension y=files
WITH one AS (
    SELECT infohash, "index", max(length) AS length, lower(max(path)) AS path FROM files GROUP BY infohash, "index"
), ended AS (
    SELECT infohash, length, CASE WHEN strpos(path, '.') > 0 THEN substr(regexp_replace(path, '^.*[.]', ''), 1, 12) ELSE '(none)' END AS extension FROM one
)
SELECT extension, count(*) AS files, count(DISTINCT infohash) AS torrents, CAST(sum(length) AS BIGINT) AS bytes
FROM ended GROUP BY extension ORDER BY files DESC, extension LIMIT 30
