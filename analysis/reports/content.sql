-- title: Kinds of content, by the largest kind of file
-- question: What are torrents made of? Each file counts for the kind of its extension; a torrent is of the kind that most of its bytes are of.
-- needs: files(infohash, index, length, path)
-- plot: rows x=kind y=torrents
WITH one AS (
    SELECT infohash, "index", max(length) AS length, lower(max(path)) AS path FROM files GROUP BY infohash, "index"
), ended AS (
    SELECT infohash, length, CASE WHEN strpos(path, '.') > 0 THEN regexp_replace(path, '^.*[.]', '') ELSE '' END AS ext FROM one
), kinds AS (
    SELECT infohash, length,
           CASE WHEN ext IN ('mkv', 'mp4', 'avi', 'wmv', 'mov', 'mpg', 'mpeg', 'ts', 'm2ts', 'm4v', 'flv', 'webm', 'vob', 'rmvb', '3gp') THEN 'video'
                WHEN ext IN ('mp3', 'flac', 'm4a', 'wav', 'ogg', 'opus', 'ape', 'aac', 'wma', 'alac', 'dsf', 'm4b') THEN 'audio'
                WHEN ext IN ('jpg', 'jpeg', 'png', 'gif', 'webp', 'bmp', 'tif', 'tiff', 'heic', 'psd') THEN 'image'
                WHEN ext IN ('pdf', 'epub', 'mobi', 'azw3', 'djvu', 'doc', 'docx', 'txt', 'cbr', 'cbz', 'fb2', 'rtf', 'chm') THEN 'text and books'
                WHEN ext IN ('zip', 'rar', '7z', 'gz', 'bz2', 'xz', 'zst', 'tar', 'tgz', 'cab') OR regexp_like(ext, '^(r|z)[0-9][0-9]$') THEN 'archive'
                WHEN ext IN ('iso', 'img', 'bin', 'nrg', 'mdf', 'vmdk', 'vdi', 'qcow2', 'dmg', 'nsp', 'xci', 'pkg') THEN 'disk image'
                WHEN ext IN ('exe', 'msi', 'apk', 'dll', 'jar', 'deb', 'rpm', 'appimage', 'bat', 'sh', 'ipa') THEN 'program'
                WHEN ext IN ('srt', 'sub', 'idx', 'ass', 'ssa', 'vtt', 'sup') THEN 'subtitles'
                WHEN ext IN ('nfo', 'sfv', 'md5', 'url', 'log', 'm3u', 'cue', 'torrent', 'html', 'htm') THEN 'notes'
                WHEN ext IN ('csv', 'json', 'xml', 'sql', 'parquet', 'h5', 'npz', 'db', 'sqlite', 'dat') THEN 'data'
                ELSE 'other' END AS kind
    FROM ended
), weighed AS (
    SELECT infohash, kind, count(*) AS files, sum(length) AS bytes FROM kinds GROUP BY infohash, kind
), ranked AS (
    SELECT infohash, kind, files, bytes, row_number() OVER (PARTITION BY infohash ORDER BY bytes DESC, kind) AS place FROM weighed
)
SELECT kind,
       count(CASE WHEN place = 1 THEN 1 END) AS torrents,
       count(*) AS torrents_with_any,
       CAST(sum(files) AS BIGINT) AS files,
       CAST(sum(bytes) AS BIGINT) AS bytes,
       round(100.0 * sum(bytes) / sum(sum(bytes)) OVER (), 2) AS percent_of_bytes
FROM ranked GROUP BY kind ORDER BY torrents DESC, kind
