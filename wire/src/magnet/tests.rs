//! Links as people paste them.

use proptest::prelude::*;

use super::*;

const HEX: &str = "0123456789abcdef0123456789abcdef01234567";
const BASE32: &str = "AERUKZ4JVPG66AJDIVTYTK6N54ASGRLH";

fn with(parameters: &str) -> Result<Magnet, MagnetError> {
    format!("magnet:?xt=urn:btih:{HEX}{parameters}").parse()
}

#[test]
fn hex_and_base32_name_the_same_torrent() {
    let hex = with("").unwrap();
    let base32: Magnet = format!("magnet:?xt=urn:btih:{BASE32}").parse().unwrap();
    assert_eq!(hex, base32);
    assert_eq!(hex.info_hash.unwrap().to_string(), HEX);
    assert_eq!(hex.to_base32_link(), format!("magnet:?xt=urn:btih:{BASE32}"));
}

#[test]
fn a_v2_hash_is_looked_up_by_its_first_20_bytes() {
    let magnet: Magnet = format!("magnet:?xt=urn:btmh:1220{}", "ab".repeat(32)).parse().unwrap();
    assert_eq!(magnet.info_hash, None);
    assert_eq!(magnet.swarm_hashes().collect::<Vec<_>>(), [InfoHash::new([0xab; 20])]);
}

#[test]
fn a_hybrid_is_looked_up_under_both_names() {
    let magnet = with(&format!("&xt=urn:btmh:1220{}", "ab".repeat(32))).unwrap();
    assert_eq!(magnet.swarm_hashes().count(), 2);
}

#[test]
fn repeated_parameters_keep_their_order() {
    let magnet = with("&tr=http%3A%2F%2Fb.example%2Fa&tr.1=udp://a.example:80&ws=http://w.example/x").unwrap();
    assert_eq!(magnet.trackers, ["http://b.example/a", "udp://a.example:80"]);
    assert_eq!(magnet.web_seeds, ["http://w.example/x"]);
}

#[test]
fn a_name_is_unescaped() {
    assert_eq!(with("&dn=a+b%20%C3%A4%2B").unwrap().name.unwrap(), "a b ä+");
    assert_eq!(with("&dn=100%&tr=x").unwrap().name.unwrap(), "100%");
    assert_eq!(with("&dn=%ff%e").unwrap().name.unwrap(), "\u{fffd}%e");
}

#[test]
fn only_a_name_reads_plus_as_a_space() {
    assert_eq!(
        with("&tr=http://a.example/x+y").unwrap().trackers,
        ["http://a.example/x+y"]
    );
}

#[test]
fn peers_are_addresses_or_names() {
    let magnet = with("&x.pe=1.2.3.4:6881&x.pe=[2001:db8::1]:6882&x.pe=peer.example:6883").unwrap();
    let peers: Vec<String> = magnet.peers.iter().map(ToString::to_string).collect();
    assert_eq!(peers, ["1.2.3.4:6881", "[2001:db8::1]:6882", "peer.example:6883"]);
}

#[test]
fn priorities_in_the_key_of_peers_are_told_apart() {
    let magnet = with("&x.pe=0:4,3-5:3&x.pe=1.2.3.4:6881").unwrap();
    assert_eq!(magnet.peers.len(), 1);
    assert_eq!(select::Priorities(&magnet.priorities).to_string(), "0:4,3-5:3");
    assert!(magnet.to_string().ends_with("&x.pe=1.2.3.4:6881&x.fp=0:4,3-5:3"));
}

#[test]
fn selected_files_are_sorted_and_unique() {
    let select = with("&so=8, 3-5 ,0,4").unwrap().select.unwrap();
    let selected: Vec<u32> = (0..20).filter(|&index| select.contains(index)).collect();
    assert_eq!(selected, [0, 3, 4, 5, 8]);
    assert_eq!(select.to_string(), "0,3-5,8");
}

#[test]
fn a_selection_of_everything_costs_nothing() {
    let select = with("&so=0-4294967295,7").unwrap().select.unwrap();
    assert_eq!(select.ranges().len(), 1);
    assert!(select.contains(u32::MAX));
}

#[test]
fn a_bad_selection_is_an_error() {
    for list in ["-1", "5-3", "a", "1,,2", "", "1-2-3", "4294967296"] {
        let read = with(&format!("&so={list}"));
        assert_eq!(read, Err(MagnetError::BadSelection(list.into())));
    }
}

#[test]
fn each_mistake_has_its_own_error() {
    let err = |text: &str| text.parse::<Magnet>().unwrap_err();
    assert_eq!(err("http://example.org"), MagnetError::NotMagnet);
    assert_eq!(err("magnet:?dn=x"), MagnetError::NoHash);
    assert_eq!(err("magnet:?xt=urn:ed2k:354B15E6"), MagnetError::NoHash);
    assert_eq!(err("magnet:?xt=urn:btih:0123"), MagnetError::BadHash("0123".into()));
    assert_eq!(
        err("magnet:?xt=urn:btmh:1114ab"),
        MagnetError::BadHashV2("1114ab".into())
    );
    assert!(matches!(
        with(&format!("&xt=urn:btih:{}", "f".repeat(40))),
        Err(MagnetError::TwoTorrents(..))
    ));
    assert_eq!(
        with("&x.pe=nowhere"),
        Err(MagnetError::BadPeer("nowhere".into(), HostPortError::NoPort))
    );
    assert_eq!(with("&x.fp=0:5"), Err(MagnetError::BadPriorities("0:5".into())));
}

#[test]
fn errors_quote_little_and_nothing_that_moves_the_cursor() {
    let text = format!("magnet:?xt=urn:btih:\u{1b}[2J{}", "x".repeat(1_000));
    let error = text.parse::<Magnet>().unwrap_err().to_string();
    assert!(error.len() < 200);
    assert!(!error.contains('\u{1b}'));
}

#[test]
fn links_as_people_paste_them_are_read() {
    let expected = with("&dn=foo").unwrap();
    for text in [
        format!(" magnet:?xt=urn:btih:{HEX}&amp;dn=foo\n"),
        format!("MAGNET:?XT=urn:BTIH:{}&dn=foo", HEX.to_uppercase()),
        format!("magnet:?dn=foo&xt.1=urn%3Abtih%3A{HEX}&xl=5&&kt"),
    ] {
        assert_eq!(text.parse(), Ok(expected.clone()), "{text}");
    }
}

#[test]
fn a_bare_hash_is_a_torrent_too() {
    let read = |text: &str| Magnet::from_link_or_hash(text).unwrap();
    assert_eq!(read(HEX), with("").unwrap());
    assert_eq!(read(BASE32), with("").unwrap());
    assert_eq!(read(&format!(" magnet:?xt=urn:btih:{HEX} ")), with("").unwrap());
    let v2 = Some(InfoHashV2::new([0x12; 32]));
    assert_eq!(read(&"12".repeat(32)).info_hash_v2, v2);
    assert_eq!(read(&format!("1220{}", "12".repeat(32))).info_hash_v2, v2);
    assert!(matches!(
        Magnet::from_link_or_hash("x.torrent"),
        Err(MagnetError::NotTarget(_))
    ));
}

fn any_range() -> impl Strategy<Value = FileRange> {
    (any::<u32>(), any::<u32>()).prop_map(|(a, b)| FileRange::new(a.min(b), a.max(b)).unwrap())
}

fn any_peer() -> impl Strategy<Value = HostPort> {
    let host = prop_oneof![
        "[a-z][a-z0-9-]{0,20}(\\.[a-z]{2,5})?",
        any::<std::net::Ipv4Addr>().prop_map(|ip| ip.to_string()),
        any::<std::net::Ipv6Addr>().prop_map(|ip| ip.to_string()),
    ];
    (host, 1..=u16::MAX).prop_map(|(host, port)| HostPort::new(&host, port).unwrap())
}

prop_compose! {
    fn any_magnet()(
        hash: [u8; 20],
        v2: Option<[u8; 32]>,
        name in proptest::option::of(".{1,20}"),
        trackers in proptest::collection::btree_set(".{1,20}", 0..3),
        peers in proptest::collection::vec(any_peer(), 0..3),
        select in proptest::option::of(proptest::collection::vec(any_range(), 1..5)),
        priorities in proptest::collection::vec((any_range(), 0u8..=4), 0..3),
    ) -> Magnet {
        Magnet {
            info_hash: Some(InfoHash::new(hash)),
            info_hash_v2: v2.map(InfoHashV2::new),
            name,
            web_seeds: trackers.iter().rev().cloned().collect(),
            trackers: trackers.into_iter().collect(),
            peers,
            select: select.map(Selection::from_iter),
            priorities: priorities.into_iter().map(|(files, priority)| FilePriority { files, priority }).collect(),
        }
    }
}

proptest! {
    #[test]
    fn every_magnet_round_trips(magnet in any_magnet()) {
        prop_assert_eq!(magnet.to_string().parse(), Ok(magnet.clone()));
        prop_assert_eq!(magnet.to_base32_link().parse(), Ok(magnet));
    }

    #[test]
    fn any_text_is_read_or_refused(text in "(magnet:\\?)?(&?(xt|dn|tr|so|x.pe|x.fp)=[0-9a-f:,%-]{0,44}){0,4}") {
        crate::fuzz::magnet(&text);
    }
}
