//! Lists as people and programs write them, and as accidents leave them.

use proptest::prelude::*;

use super::*;

fn read(text: &str, kind: Kind) -> (Vec<Asked>, Vec<String>) {
    let (mut asked, mut faults) = (Vec::new(), Vec::new());
    for item in Wants::new(text.as_bytes(), Place::default(), kind, 3) {
        match item {
            Ok(item) => asked.push(item),
            Err(error) => faults.push(error.to_string()),
        }
    }
    (asked, faults)
}

fn hash(byte: u8) -> InfoHash {
    InfoHash::new([byte; 20])
}

#[test]
fn consecutive_rows_of_an_infohash_are_one() {
    let (a, b) = (hash(1), hash(2));
    let text = format!(
        "infohash,peer_ip,peer_port\n{a},1.2.3.4,1\n{a},1.2.3.4,2\n{a},1.2.3.4,1\n{b},::1,3\n{b},,\n{a},1.2.3.4,4\n"
    );
    let (asked, faults) = read(&text, Kind::Table);
    assert!(faults.is_empty(), "{faults:?}");
    let seen: Vec<_> = asked
        .iter()
        .map(|asked| (asked.info_hash, asked.peers.len(), asked.place.line))
        .collect();
    assert_eq!(seen, [(a, 2, 1), (b, 1, 4), (a, 1, 6)]);
    assert_eq!(asked[1].place.byte, 27 + 3 * 51);
}

#[test]
fn bare_infohashes_have_no_peers_and_surplus_is_counted() {
    let text = format!("{}\n{},\n", hash(1), hash(2));
    let (asked, faults) = read(&text, Kind::Table);
    assert_eq!((asked.len(), asked[0].peers.len()), (1, 0));
    assert_eq!(faults, ["line 2: 2 columns instead of 3"]);
    let rows: String = (1..=5).map(|port| format!("{},1.2.3.4,{port}\n", hash(1))).collect();
    let (asked, _) = read(&rows, Kind::Table);
    assert_eq!((asked[0].peers.len(), asked[0].surplus), (3, 2));
}

#[test]
fn a_bad_line_within_a_run_of_rows_does_not_split_it() {
    let text = format!("{0},1.2.3.4,1\nnonsense\n{0},1.2.3.4,2\n", hash(1));
    let (asked, faults) = read(&text, Kind::Table);
    assert_eq!((asked.len(), asked[0].peers.len()), (1, 2));
    assert_eq!(faults, ["line 2: the infohash is not 40 hex digits"]);
}

#[test]
fn links_have_comments_peers_and_two_names_if_hybrid() {
    let v2 = "ab".repeat(32);
    let text = format!(
        "# mine\n\n{0}  # bare\nmagnet:?xt=urn:btih:{0}&xt=urn:btmh:1220{v2}&x.pe=1.2.3.4:5\nmagnet:?x=1\n  # end\n",
        hash(1)
    );
    let (asked, faults) = read(&text, Kind::Links);
    let seen: Vec<_> = asked.iter().map(|asked| (asked.info_hash, asked.peers.len())).collect();
    // The bare line and the first name of the link are one run.
    assert_eq!(seen, [(hash(1), 1), (hash(0xab), 1)]);
    assert_eq!(faults.len(), 1, "{faults:?}");
    assert!(faults[0].starts_with("line 5: "), "{faults:?}");
}

#[test]
fn a_source_that_fails_gives_what_it_has_first() {
    struct Torn(&'static [u8]);
    impl io::Read for Torn {
        fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
            match self.0.read(out) {
                Ok(0) => Err(io::ErrorKind::UnexpectedEof.into()),
                read => read,
            }
        }
    }
    let text: &'static str = Box::leak(format!("{},1.2.3.4,1\n", hash(1)).into_boxed_str());
    let torn = io::BufReader::new(Torn(text.as_bytes()));
    let all: Vec<_> = Wants::new(torn, Place::default(), Kind::Table, 3).collect();
    assert!(matches!(&all[..], [Ok(_), Err(ReadError::Io(_))]), "{all:?}");
}

proptest! {
    #[test]
    fn reading_on_from_any_place_gives_the_rest(groups in proptest::collection::vec((0u8..4, 1usize..4), 1..20), from in 0usize..20) {
        let text: String = groups
            .iter()
            .map(|&(byte, rows)| (1..=rows).map(|port| format!("{},1.2.3.4,{port}\n", hash(byte))).collect::<String>())
            .collect();
        let (all, _) = read(&text, Kind::Table);
        let from = from.min(all.len() - 1);
        let place = all[from].place;
        let rest = &text[usize::try_from(place.byte).unwrap()..];
        let again: Vec<_> = Wants::new(rest.as_bytes(), place, Kind::Table, 3).collect::<Result<_, _>>().unwrap();
        prop_assert_eq!(&again[..], &all[from..]);
    }

    #[test]
    fn any_bytes_end(bytes: Vec<u8>, links: bool) {
        let kind = if links { Kind::Links } else { Kind::Table };
        let count = Wants::new(&bytes[..], Place::default(), kind, 3).count();
        prop_assert!(count <= bytes.len() + 1);
    }
}
