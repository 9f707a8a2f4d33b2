-- title: Rounds
-- question: What do further rounds bring?
-- needs: fetches(infohash, round, result)
-- plot: bars x=nth y=infohashes
SELECT CAST("round" AS VARCHAR) AS nth, count(DISTINCT infohash) AS infohashes, count(*) AS dials,
       count(DISTINCT CASE WHEN result = 'ok' THEN infohash END) AS with_metadata
FROM fetches GROUP BY "round" ORDER BY "round"
