-- title: Entries, successes, infohashes
-- question: How much is there, and of how much of it is the metadata known? Entries, successes and infohashes are what the shell recipes count (a row per peer, so the first two are not numbers of torrents).
-- needs: torrents(infohash, entries, successes, peers, metadata_ok)
-- plot: none
WITH each AS (
    SELECT infohash, sum(entries) AS entries, sum(successes) AS successes, sum(peers) AS peers FROM torrents GROUP BY infohash
), whole AS (
    SELECT CAST(sum(entries) AS BIGINT) AS entries, CAST(sum(successes) AS BIGINT) AS successes, CAST(sum(peers) AS BIGINT) AS with_peer,
           count(*) AS infohashes, count(CASE WHEN successes > 0 THEN 1 END) AS with_metadata, count(CASE WHEN peers > 0 THEN 1 END) AS with_peers
    FROM each
)
SELECT figure, value FROM (
    SELECT 1 AS place, 'entries' AS figure, entries AS value FROM whole
    UNION ALL SELECT 2, 'entries with metadata (successes)', successes FROM whole
    UNION ALL SELECT 3, 'entries with a peer', with_peer FROM whole
    UNION ALL SELECT 4, 'infohashes', infohashes FROM whole
    UNION ALL SELECT 5, 'infohashes with metadata', with_metadata FROM whole
    UNION ALL SELECT 6, 'infohashes with a peer', with_peers FROM whole
) AS figures ORDER BY place
