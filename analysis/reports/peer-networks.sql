-- title: Networks of peers
-- question: In which parts of the address space are peers? IPv4 by its first two numbers, IPv6 by its first two groups; no file is needed for it.
-- needs: peers(peer_ip)
-- plot: rows x=network y=addresses
SELECT CASE WHEN strpos(peer_ip, ':') > 0 THEN concat(split_part(peer_ip, ':', 1), ':', split_part(peer_ip, ':', 2), '::/32')
            ELSE concat(split_part(peer_ip, '.', 1), '.', split_part(peer_ip, '.', 2), '.0.0/16') END AS network,
       count(*) AS addresses
FROM (SELECT DISTINCT peer_ip FROM peers WHERE peer_ip IS NOT NULL) AS p GROUP BY 1 ORDER BY addresses DESC, network LIMIT 30
