//! Trackers: URLs as servers read them, answers as servers write them.

use proptest::prelude::*;

use super::http::{HttpError, announce_reply, announce_url, scrape_reply, scrape_url};
use super::udp::{self, Reply};
use super::*;
use crate::bencode::Encoder;
use crate::compact;

const NAME: InfoHash = InfoHash::new(*b"\x00\x12&=%aZ~-_. +/\xff\xfe1234");

fn ask() -> Announce<'static> {
    Announce {
        info_hash: NAME,
        peer_id: PeerId::new(*b"-ES0100-abcdefghijkl"),
        port: 6881,
        uploaded: 0,
        downloaded: 7,
        left: 2_147_483_648,
        event: Event::Started,
        key: 0xAB,
        num_want: Some(200),
        ip: None,
        tracker_id: None,
        supports_crypto: false,
    }
}

fn url(base: &str, ask: &Announce<'_>) -> String {
    let mut out = Vec::new();
    announce_url(base, None, ask, &mut out);
    String::from_utf8(out).unwrap()
}

fn scrape(base: &str) -> Option<String> {
    let mut out = Vec::new();
    scrape_url(base, None, &InfoHash::new([b'x'; 20]), &mut out).then(|| String::from_utf8(out).unwrap())
}

fn peers(text: &[&str]) -> Vec<SocketAddr> {
    text.iter().map(|peer| peer.parse().unwrap()).collect()
}

#[test]
fn an_announce_has_every_parameter() {
    assert_eq!(
        url("http://t.example/announce", &ask()),
        "http://t.example/announce?info_hash=%00%12%26%3D%25aZ~-_.%20%2B%2F%FF%FE1234&peer_id=-ES0100-abcdefghijkl\
         &port=6881&uploaded=0&downloaded=7&left=2147483648&compact=1&no_peer_id=1&event=started&numwant=200&key=000000AB"
    );
}

#[test]
fn what_is_not_set_is_not_sent() {
    let some = Announce {
        event: Event::None,
        num_want: None,
        ip: Some("2001:db8::1".parse().unwrap()),
        tracker_id: Some(b"a b"),
        supports_crypto: true,
        ..ask()
    };
    let said = url("http://t.example/", &some);
    assert!(said.ends_with("&key=000000AB&ip=2001%3Adb8%3A%3A1&trackerid=a%20b&supportcrypto=1"));
    assert!(!said.contains("event=") && !said.contains("numwant="));
    let none = url("http://t.example/", &ask());
    assert!(
        !["ip=", "trackerid", "supportcrypto"]
            .iter()
            .any(|name| none.contains(name))
    );
}

#[test]
fn a_query_that_is_there_stays() {
    for (base, begins) in [
        (
            "http://t.example/a?passkey=1",
            "http://t.example/a?passkey=1&info_hash=",
        ),
        (
            "http://t.example/a?passkey=1&",
            "http://t.example/a?passkey=1&info_hash=",
        ),
        ("http://t.example?", "http://t.example?info_hash="),
        ("https://t.example/a#part", "https://t.example/a?info_hash="),
    ] {
        assert!(url(base, &ask()).starts_with(begins), "{base}");
    }
}

#[test]
fn a_login_stands_before_the_host_unless_one_is_there() {
    let with = |base: &str| {
        let mut out = Vec::new();
        announce_url(base, Some(("me", "p@ss:/")), &ask(), &mut out);
        String::from_utf8(out).unwrap()
    };
    assert!(with("http://t.example/a").starts_with("http://me:p%40ss%3A%2F@t.example/a?info_hash="));
    assert!(with("http://you:x@t.example/a").starts_with("http://you:x@t.example/a?info_hash="));
    assert!(with("http://t.example/a@b").starts_with("http://me:p%40ss%3A%2F@t.example/a@b?info_hash="));
}

#[test]
fn only_a_url_whose_last_part_begins_with_announce_can_be_scraped() {
    let hash = "info_hash=xxxxxxxxxxxxxxxxxxxx";
    for (base, expected) in [
        ("http://t.example/announce", "http://t.example/scrape?"),
        ("http://t.example/x/announce", "http://t.example/x/scrape?"),
        ("http://t.example/announce.php", "http://t.example/scrape.php?"),
        ("http://t.example/announce?x=2/4", "http://t.example/scrape?x=2/4&"),
        ("http://t.example/announce#a/announce", "http://t.example/scrape?"),
    ] {
        assert_eq!(scrape(base), Some(format!("{expected}{hash}")), "{base}");
    }
    for base in [
        "http://t.example/a",
        "http://t.example/announce/x",
        "http://announce",
        "http://t.example/x?p=/announce",
        "udp://t.example:1/announce",
    ] {
        assert_eq!(scrape(base), None, "{base}");
    }
}

#[test]
fn a_compact_answer_reads_whole() {
    let body = b"d8:completei3e10:downloadedi9e11:external ip4:\x05\x06\x07\x0810:incompletei4e8:intervali1800e\
        12:min intervali900e5:peers12:\x01\x02\x03\x04\x1a\xe1\x05\x06\x07\x08\x00\x01\
        6:peers618:\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01\x00\x02\
        10:tracker id2:id15:warning message4:slowe\n";
    let counts = Counts {
        complete: Some(3),
        incomplete: Some(4),
        downloaded: Some(9),
        downloaders: None,
    };
    let expected = AnnounceReply {
        interval: Some(1800),
        min_interval: Some(900),
        counts,
        tracker_id: Some(b"id".to_vec()),
        warning: Some("slow".into()),
        external_ip: Some("5.6.7.8".parse().unwrap()),
        peers: peers(&["1.2.3.4:6881", "5.6.7.8:1", "[2001:db8::1]:2"]),
    };
    assert_eq!(announce_reply(body, 100), Ok(expected));
    assert_eq!(announce_reply(body, 1).unwrap().peers, peers(&["1.2.3.4:6881"]));
}

#[test]
fn peers_as_dictionaries_are_read_and_names_passed_over() {
    let body = b"d8:intervali60e5:peersld2:ip7:1.2.3.47:peer id20:aaaaaaaaaaaaaaaaaaaa4:porti5eed2:ip3:::14:porti6ee\
        d2:ip9:a.example4:porti7eed2:ip7:1.2.3.44:porti65536eei5eee";
    assert_eq!(
        announce_reply(body, 100).unwrap().peers,
        peers(&["1.2.3.4:5", "[::1]:6"])
    );
}

#[test]
fn a_refusal_says_why_and_when_to_ask_again() {
    let refused = |body: &[u8]| match announce_reply(body, 1) {
        Err(HttpError::Refused { reason, retry }) => (reason, retry),
        other => panic!("{other:?}"),
    };
    assert_eq!(
        refused(b"d14:failure reason4:no\x01!8:intervali5ee"),
        ("no\u{fffd}!".into(), None)
    );
    let retry = |value: &str| refused(format!("d14:failure reason2:no8:retry in{value}e").as_bytes()).1;
    assert_eq!(retry("1:5"), Some(Retry::Minutes(5)));
    assert_eq!(retry("i7e"), Some(Retry::Minutes(7)));
    assert_eq!(retry("5:never"), Some(Retry::Never));
    assert_eq!(retry("2:-1"), None);
}

#[test]
fn what_is_no_answer_is_an_error() {
    assert_eq!(announce_reply(b"le", 1), Err(HttpError::Shape));
    assert_eq!(announce_reply(b"de", 1), Err(HttpError::Shape));
    assert!(matches!(announce_reply(b"<html>", 1), Err(HttpError::Bencode(_))));
    assert_eq!(scrape_reply(b"de", &NAME), Err(HttpError::Shape));
}

#[test]
fn a_count_that_makes_no_sense_is_none() {
    let body = b"d8:completei-1e10:incomplete1:x8:intervali-5e5:peers0:e";
    let reply = announce_reply(body, 1).unwrap();
    assert_eq!((reply.interval, reply.counts), (None, Counts::default()));
}

#[test]
fn a_scrape_gives_the_counts_of_the_torrent() {
    let mut body = Vec::new();
    let mut to = Encoder::new(&mut body);
    to.begin_dict().key(b"files").begin_dict();
    to.key(NAME.as_bytes()).begin_dict();
    to.key(b"complete").int(5).key(b"downloaded").int(50);
    to.key(b"downloaders").int(8).key(b"incomplete").int(10).end();
    to.end().end();
    let expected = Counts {
        complete: Some(5),
        incomplete: Some(10),
        downloaded: Some(50),
        downloaders: Some(8),
    };
    assert_eq!(scrape_reply(&body, &NAME), Ok(expected));
    assert_eq!(scrape_reply(&body, &InfoHash::new([1; 20])), Ok(Counts::default()));
}

#[test]
fn questions_over_udp_stand_where_bep_15_has_them() {
    let mut out = Vec::new();
    udp::connect(0x0102_0304, &mut out);
    assert_eq!(out, [0, 0, 4, 0x17, 0x27, 0x10, 0x19, 0x80, 0, 0, 0, 0, 1, 2, 3, 4]);
    out.clear();
    let ask = Announce {
        ip: Some("1.2.3.4".parse().unwrap()),
        uploaded: 5,
        ..ask()
    };
    udp::announce(9, 8, &ask, "/announce?k=1", &mut out);
    assert_eq!(out[..16], [0, 0, 0, 0, 0, 0, 0, 9, 0, 0, 0, 1, 0, 0, 0, 8]);
    assert_eq!(
        (&out[16..36], &out[36..56]),
        (&NAME.as_bytes()[..], &b"-ES0100-abcdefghijkl"[..])
    );
    assert_eq!(
        out[56..80],
        [
            0, 0, 0, 0, 0, 0, 0, 7, 0, 0, 0, 0, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 5
        ]
    );
    assert_eq!(
        out[80..98],
        [0, 0, 0, 2, 1, 2, 3, 4, 0, 0, 0, 0xAB, 0, 0, 0, 200, 0x1A, 0xE1]
    );
    assert_eq!(out[98..], *b"\x02\x0d/announce?k=1");
    out.clear();
    udp::scrape(9, 8, &[NAME, NAME], &mut out);
    assert_eq!(
        (out.len(), &out[..16]),
        (56, &[0, 0, 0, 0, 0, 0, 0, 9, 0, 0, 0, 2, 0, 0, 0, 8][..])
    );
}

#[test]
fn a_long_tail_is_several_options() {
    let mut out = Vec::new();
    udp::announce(1, 2, &ask(), &"a".repeat(300), &mut out);
    assert_eq!((out[98], out[99], out[355], out[356]), (2, 255, 2, 45));
    assert_eq!(out.len(), 98 + 300 + 4);
    out.clear();
    udp::announce(1, 2, &ask(), "", &mut out);
    assert_eq!(out.len(), 98);
}

#[test]
fn answers_over_udp_read_back() {
    let connected = b"\0\0\0\0\0\0\0\x09\x01\x02\x03\x04\x05\x06\x07\x08";
    assert_eq!(
        Reply::decode(connected, false),
        Ok((9, Reply::Connected(0x0102_0304_0506_0708)))
    );
    let announced = b"\0\0\0\x01\0\0\0\x09\0\0\x07\x08\0\0\0\x02\xff\xff\xff\xff\x01\x02\x03\x04\x1a\xe1\x05";
    let Ok((
        9,
        Reply::Announced {
            interval,
            counts,
            peers: given,
        },
    )) = Reply::decode(announced, false)
    else {
        panic!("an announce");
    };
    assert_eq!(
        (interval, counts.incomplete, counts.complete),
        (Some(1800), Some(2), None)
    );
    assert_eq!(given.iter().collect::<Vec<_>>(), peers(&["1.2.3.4:6881"]));
    let mut six = announced[..20].to_vec();
    compact::put_addr(&"[2001:db8::1]:2".parse().unwrap(), &mut six);
    let Ok((_, Reply::Announced { peers: given, .. })) = Reply::decode(&six, true) else {
        panic!("an announce");
    };
    assert_eq!(given.iter().collect::<Vec<_>>(), peers(&["[2001:db8::1]:2"]));
    let Ok((_, Reply::Scraped(swarms))) = Reply::decode(b"\0\0\0\x02\0\0\0\x09\0\0\0\x01\0\0\0\x02\0\0\0\x03", false)
    else {
        panic!("a scrape");
    };
    let all: Vec<_> = swarms.iter().collect();
    assert_eq!(
        (all[0].complete, all[0].downloaded, all[0].incomplete),
        (Some(1), Some(2), Some(3))
    );
    assert_eq!(
        Reply::decode(b"\0\0\0\x03\0\0\0\x09no", false),
        Ok((9, Reply::Refused(b"no")))
    );
    assert_eq!(Reply::reason(b"no\0"), "no\u{fffd}");
}

#[test]
fn a_short_answer_is_none() {
    for (action, least) in [(0, 16), (1, 20), (2, 8), (3, 8)] {
        let mut datagram = vec![0; least];
        datagram[3] = action;
        assert!(Reply::decode(&datagram, false).is_ok());
        datagram.pop();
        assert_eq!(Reply::decode(&datagram, false), Err(udp::Malformed::Short(least - 1)));
    }
    assert_eq!(
        Reply::decode(&[0, 0, 0, 4, 0, 0, 0, 0], false),
        Err(udp::Malformed::Action(4))
    );
}

#[test]
fn a_trackers_answer_is_neither_krpc_nor_utp() {
    assert!(udp::begins(&[0, 0, 0, 3, 0, 0, 0, 0]));
    for other in [
        &b"d1:rd2:id"[..],
        &[0x01, 0, 0, 0, 0, 0, 0, 0],
        &[0, 0, 0, 4, 0, 0, 0, 0],
        &[0, 0, 0, 1, 0, 0, 0],
    ] {
        assert!(!udp::begins(other));
    }
}

proptest! {
    #[test]
    fn any_infohash_reads_back_from_its_escapes(hash in any::<[u8; 20]>()) {
        let said = url("http://t.example/a", &Announce { info_hash: InfoHash::new(hash), ..ask() });
        let value = said.split(['=', '&']).nth(1).unwrap().as_bytes();
        let mut read = Vec::new();
        let mut at = 0;
        while at < value.len() {
            let escaped = value[at] == b'%';
            read.push(match escaped {
                true => u8::from_str_radix(str::from_utf8(&value[at + 1..at + 3]).unwrap(), 16).unwrap(),
                false => value[at],
            });
            at += if escaped { 3 } else { 1 };
        }
        prop_assert_eq!(read, hash);
    }

    #[test]
    fn any_bytes_over_http(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
        crate::fuzz::tracker_http(&bytes);
    }

    #[test]
    fn any_value_of_a_known_key(key in 0..12_usize, value in "(i-?[0-9]{1,12}e|[0-9]:.{0,9}|l[0-9]:.{0,4}e|d2:ip3:::14:porti5ee|le)") {
        let key = ["interval", "min interval", "complete", "incomplete", "peers", "peers6", "tracker id",
            "warning message", "failure reason", "external ip", "retry in", "files"][key];
        crate::fuzz::tracker_http(format!("d{}:{key}{value}8:intervali1ee", key.len()).as_bytes());
    }

    #[test]
    fn any_bytes_over_udp(action in 0_u8..5, bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
        crate::fuzz::tracker_udp(&bytes);
        let framed: Vec<u8> = [0, 0, 0, action].into_iter().chain(bytes).collect();
        crate::fuzz::tracker_udp(&framed);
    }

    #[test]
    fn any_url(text in "(http|https|udp|HTTP)://(a@)?(t.example|\\[::1\\]|1.2.3.4)(:[0-9]{1,5})?(/|/announce|/x/announce[a-z./]{0,5})?(\\?[a-z=&/?]{0,9})?(#.{0,4})?", any in ".{0,40}") {
        crate::fuzz::tracker_url(&text);
        crate::fuzz::tracker_url(&any);
    }
}
