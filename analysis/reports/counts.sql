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
SELECT figure, CASE place WHEN 1 THEN entries WHEN 2 THEN successes WHEN 3 THEN with_peer
                          WHEN 4 THEN infohashes WHEN 5 THEN with_metadata ELSE with_peers END AS value
FROM whole CROSS JOIN (
    VALUES (1, 'entries'), (2, 'entries with metadata (successes)'), (3, 'entries with a peer'),
           (4, 'infohashes'), (5, 'infohashes with metadata'), (6, 'infohashes with a peer')
) AS figures(place, figure) ORDER BY place
