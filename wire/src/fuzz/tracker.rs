//! What trackers answer, and URLs of trackers as torrents and people name them.

use std::net::IpAddr;

use crate::tracker::udp::{self, Reply};
use crate::tracker::{Announce, Event, MAX_TEXT, MAX_URL, TrackerUrl, http};
use crate::{InfoHash, PeerId};

/// An infohash with every kind of byte that a URL cares about.
const INFO_HASH: InfoHash = InfoHash::new(*b"\x00&=%+ ?#/\xffabcdefghi~");

/// Answers over HTTP: no more peers than asked for, the same ones first; texts can be shown; nothing is both an answer
/// and a refusal.
pub fn tracker_http(body: &[u8]) {
    let answers = [usize::MAX, 2].map(|most| http::announce_reply(body, most));
    let fit = |text: &str| assert!(text.chars().count() <= MAX_TEXT && !text.contains(char::is_control));
    match answers {
        [Ok(all), Ok(few)] => {
            assert_eq!(
                few.peers.as_slice(),
                all.peers.get(..all.peers.len().min(2)).unwrap_or_default()
            );
            // A compact peer has six bytes; one in a list no fewer.
            assert!(all.peers.len() * 6 <= body.len());
            all.warning.as_deref().into_iter().for_each(fit);
        }
        [Err(all), Err(few)] => {
            assert_eq!(all, few);
            if let http::HttpError::Refused { reason, .. } = &all {
                fit(reason);
                assert_eq!(http::scrape_reply(body, &INFO_HASH), Err(all));
            }
        }
        _ => unreachable!("how many peers are wanted decides nothing else"),
    }
    let _ = http::scrape_reply(body, &INFO_HASH);
}

/// Answers over UDP: what is one begins as one, names its transaction, and has no more peers than bytes for them.
pub fn tracker_udp(datagram: &[u8]) {
    for (v6, entry) in [(false, 6), (true, 18)] {
        let Ok((transaction, reply)) = Reply::decode(datagram, v6) else {
            continue;
        };
        assert!(udp::begins(datagram) && !crate::utp::begins(datagram));
        assert_eq!(datagram.get(4..8), Some(transaction.to_be_bytes().as_slice()));
        match reply {
            Reply::Announced { peers, .. } => assert_eq!(peers.iter().count(), (datagram.len() - 20) / entry),
            Reply::Scraped(swarms) => assert_eq!(swarms.iter().count(), (datagram.len() - 8) / 12),
            Reply::Refused(said) => assert!(Reply::reason(said).chars().count() <= MAX_TEXT),
            Reply::Connected(_) => assert!(datagram.len() >= 16),
        }
    }
}

/// URLs: what is built on one goes to the same host, and says which torrent is meant.
pub fn tracker_url(text: &str) {
    let Ok(base) = TrackerUrl::parse(text) else {
        return;
    };
    let ask = Announce {
        info_hash: INFO_HASH,
        peer_id: PeerId::new(*INFO_HASH.as_bytes()),
        port: 6881,
        uploaded: 0,
        downloaded: u64::MAX,
        left: 1,
        event: Event::Started,
        key: 7,
        num_want: Some(200),
        ip: Some(IpAddr::from([0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1])),
        tracker_id: Some(b"a&b=\n"),
        supports_crypto: true,
    };
    let mut out = Vec::new();
    udp::announce(1, 2, &ask, base.tail, &mut out);
    assert!(out.len() <= udp::MAX_LEN);
    for login in [None, Some(("na:me", "p@ss/"))] {
        out.clear();
        http::announce_url(text, login, &ask, &mut out);
        leads_to(&out, &base, login.is_some());
        out.clear();
        match http::scrape_url(text, login, &INFO_HASH, &mut out) {
            true => leads_to(&out, &base, login.is_some()),
            false => assert!(out.is_empty()),
        }
    }
}

/// That `url` has the host of `base`, and a query which says `INFO_HASH` after whatever query `base` has.
fn leads_to(url: &[u8], base: &TrackerUrl<'_>, login: bool) {
    let url = str::from_utf8(url).unwrap_or_default();
    let (place, query) = url.split_once('?').unwrap_or_default();
    if place.len() > MAX_URL {
        return;
    }
    let read = TrackerUrl::parse(place).ok();
    assert_eq!(read.as_ref().map(|read| &read.host), Some(&base.host));
    assert_eq!(
        read.and_then(|read| read.login).is_some(),
        login || base.login.is_some()
    );
    let own = base.tail.split_once('?').map_or("", |(_, query)| query);
    assert!(query.starts_with(own));
    let said = query.get(own.len()..).unwrap_or_default().trim_start_matches('&');
    let said = said.split('&').next().unwrap_or_default();
    assert_eq!(said, "info_hash=%00%26%3D%25%2B%20%3F%23%2F%FFabcdefghi~");
}
