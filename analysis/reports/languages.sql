-- title: Scripts of names
-- question: In which scripts are names written? As near to a language as letters come: of names in Latin letters it is not known. A name counts for the first of these scripts that it has a letter of.
-- needs: torrents(name, metadata_ok)
-- plot: rows x=script y=torrents
WITH named AS (
    SELECT CASE WHEN regexp_like(name, '[\x{3040}-\x{30FF}]') THEN 'Japanese (kana)'
                WHEN regexp_like(name, '[\x{AC00}-\x{D7AF}]') THEN 'Korean (hangul)'
                WHEN regexp_like(name, '[\x{4E00}-\x{9FFF}]') THEN 'Chinese or Japanese (han)'
                WHEN regexp_like(name, '[\x{0400}-\x{04FF}]') THEN 'Cyrillic'
                WHEN regexp_like(name, '[\x{0600}-\x{06FF}]') THEN 'Arabic'
                WHEN regexp_like(name, '[\x{0590}-\x{05FF}]') THEN 'Hebrew'
                WHEN regexp_like(name, '[\x{0370}-\x{03FF}]') THEN 'Greek'
                WHEN regexp_like(name, '[\x{0E00}-\x{0E7F}]') THEN 'Thai'
                WHEN regexp_like(name, '[\x{0900}-\x{0DFF}]') THEN 'Indic'
                WHEN regexp_like(name, '[\x{00C0}-\x{024F}]') THEN 'Latin with accents'
                WHEN regexp_like(name, '[A-Za-z]') THEN 'Latin'
                ELSE 'no letters' END AS script
    FROM torrents WHERE metadata_ok
)
SELECT script, count(*) AS torrents, round(100.0 * count(*) / sum(count(*)) OVER (), 2) AS percent
FROM named GROUP BY script ORDER BY torrents DESC, script
