-- title: The way of peers
-- question: How far do dialled peers come, and where do they stay behind?
-- needs: fetches(direction, stage)
-- plot: rows x=stage y=peers
WITH stages(place, stage) AS (
    VALUES (1, 'dialled'), (2, 'connected'), (3, 'handshaken'), (4, 'extended'), (5, 'requested'), (6, 'received'), (7, 'verified')
), reached AS (
    SELECT stages.place AS place, count(*) AS peers FROM fetches JOIN stages ON fetches.stage = stages.stage WHERE direction = 'out' GROUP BY stages.place
), summed AS (
    SELECT stages.place AS place, stages.stage AS stage, coalesce(sum(reached.peers), 0) AS peers
    FROM stages LEFT JOIN reached ON reached.place >= stages.place GROUP BY stages.place, stages.stage
)
SELECT stage, CAST(peers AS BIGINT) AS peers,
       round(100.0 * peers / nullif(max(peers) OVER (), 0), 2) AS percent_of_dialled,
       round(100.0 * peers / nullif(lag(peers) OVER (ORDER BY place), 0), 2) AS percent_of_stage_before
FROM summed ORDER BY place
