-- title: Files of a torrent
-- question: How many files has a torrent?
-- needs: torrents(file_count, metadata_ok)
-- plot: bars x=files y=torrents
SELECT CASE WHEN file_count <= 1 THEN '1' WHEN file_count <= 2 THEN '2' WHEN file_count <= 5 THEN '3-5' WHEN file_count <= 10 THEN '6-10'
            WHEN file_count <= 20 THEN '11-20' WHEN file_count <= 50 THEN '21-50' WHEN file_count <= 100 THEN '51-100'
            WHEN file_count <= 1000 THEN '101-1000' ELSE 'over 1000' END AS files,
       count(*) AS torrents,
       round(100.0 * count(*) / sum(count(*)) OVER (), 2) AS percent
FROM torrents WHERE metadata_ok
GROUP BY 1 ORDER BY min(file_count)
