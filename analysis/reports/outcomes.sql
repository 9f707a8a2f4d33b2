-- title: What became of questions to nodes
-- question: How often does a node answer, by what it was asked?
-- needs: nodes(asked, outcome)
-- plot: none
SELECT asked, count(*) AS questions,
       count(CASE WHEN outcome = 'answer' THEN 1 END) AS answered,
       count(CASE WHEN outcome = 'timeout' THEN 1 END) AS silent,
       count(CASE WHEN outcome = 'late' THEN 1 END) AS late,
       count(CASE WHEN outcome = 'error' THEN 1 END) AS refused,
       count(CASE WHEN outcome = 'wrong_id' THEN 1 END) AS under_another_id,
       round(100.0 * count(CASE WHEN outcome = 'answer' THEN 1 END) / count(*), 2) AS answered_percent
FROM nodes GROUP BY asked ORDER BY questions DESC, asked
