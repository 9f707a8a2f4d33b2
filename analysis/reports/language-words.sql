-- title: Languages that names mention
-- question: Which languages do names say they are in? Words and tags that are common in names; a name may mention several, most mention none.
-- needs: torrents(infohash, name, metadata_ok)
-- plot: rows x=language y=torrents
WITH tags(word, language) AS (
    VALUES ('english', 'English'), ('eng', 'English'), ('german', 'German'), ('deutsch', 'German'), ('ger', 'German'), ('french', 'French'), ('truefrench', 'French'),
           ('vostfr', 'French'), ('vff', 'French'), ('spanish', 'Spanish'), ('castellano', 'Spanish'), ('latino', 'Spanish'), ('esp', 'Spanish'), ('italian', 'Italian'),
           ('ita', 'Italian'), ('russian', 'Russian'), ('rus', 'Russian'), ('portuguese', 'Portuguese'), ('dublado', 'Portuguese'), ('legendado', 'Portuguese'),
           ('polish', 'Polish'), ('lektor', 'Polish'), ('dutch', 'Dutch'), ('swedish', 'Swedish'), ('nordic', 'Nordic'), ('hindi', 'Hindi'), ('tamil', 'Tamil'),
           ('telugu', 'Telugu'), ('japanese', 'Japanese'), ('jpn', 'Japanese'), ('korean', 'Korean'), ('kor', 'Korean'), ('chinese', 'Chinese'), ('chs', 'Chinese'),
           ('cht', 'Chinese'), ('arabic', 'Arabic'), ('turkish', 'Turkish'), ('ukr', 'Ukrainian'), ('hun', 'Hungarian'), ('cze', 'Czech'), ('multi', 'several')
), names AS (
    SELECT infohash, max(name) AS name FROM torrents WHERE metadata_ok GROUP BY infohash
), words AS (
    SELECT infohash, unnest(string_to_array(regexp_replace(lower(name), '[^\p{L}\p{N}]+', ' ', 'g'), ' ')) AS word FROM names
)
SELECT language, count(DISTINCT infohash) AS torrents
FROM tags JOIN words ON tags.word = words.word GROUP BY language ORDER BY torrents DESC, language
