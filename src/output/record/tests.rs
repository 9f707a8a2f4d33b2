use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;
use crawler::{Contact, Sighting, Source};
use wire::{InfoHash, NodeId};

use super::*;
use crate::args::{Anonymize, Cli, Command};
use crate::job::harvest::Origin;

/// What a user asks for with these flags.
fn args(flags: &[&str]) -> RecordArgs {
    match Cli::parse_from(["estudely", "crawl"].iter().chain(flags)).command {
        Command::Crawl(args) => args.out.record,
        other => panic!("not a crawl: {other:?}"),
    }
}

fn attempt() -> Attempt {
    Attempt {
        info_hash: InfoHash::new([7; 20]),
        peer: "192.0.2.7:6881".parse().unwrap(),
        origin: Origin::Dht,
        via: None,
        reached: fetcher::Stage::Dialled,
        result: Err(fetcher::Failure::Refused),
        took: Duration::from_millis(30),
        opened_after: None,
        size: None,
        received: 0,
        round: 1,
    }
}

fn announced(name: &[u8]) -> DhtEvent {
    let addr: SocketAddr = "192.0.2.9:6881".parse().unwrap();
    let id = NodeId::new([0xab; 20]);
    DhtEvent::Announced {
        sighting: Sighting {
            info_hash: InfoHash::new([7; 20]),
            from: Contact { id, addr },
            source: Source::Announce,
        },
        peer: "192.0.2.9:7000".parse().unwrap(),
        seed: true,
        name: Some(name.into()),
    }
}

/// The one file of a table, and its text.
fn table(dir: &Path, name: &str) -> (PathBuf, String) {
    let files = fs::read_dir(dir.join(FOLDER)).unwrap();
    let mut files = files.map(|entry| entry.unwrap().path());
    let is_of = |path: &PathBuf| path.file_name().unwrap().to_str().unwrap().starts_with(name);
    let path = files.find(is_of).unwrap();
    let (_, mut plain) = store::unpack(std::io::BufReader::new(fs::File::open(&path).unwrap())).unwrap();
    let mut text = String::new();
    plain.read_to_string(&mut text).unwrap();
    (path, text)
}

#[test]
fn a_torn_end_is_cut_and_there_is_one_header() {
    for flags in [&["--record", "fetches"][..], &["--record", "fetches", "--record-zstd"]] {
        let dir = tempfile::tempdir().unwrap();
        // Twice the hour may change under our feet, and three times it does not.
        for _ in 0..3 {
            let mut recorder = Recorder::open(&args(flags), dir.path(), Veil::None).unwrap();
            recorder.fetch(&attempt());
            let written = recorder.finish();
            assert_eq!((written.rows, written.failed), (1, 0), "{written:?}");
            let (path, _) = table(dir.path(), "fetches-");
            let mut bytes = fs::read(&path).unwrap();
            let torn = bytes[bytes.len() - 20..].to_vec();
            bytes.extend_from_slice(&torn[..10]);
            fs::write(&path, bytes).unwrap();
        }
        let mut recorder = Recorder::open(&args(flags), dir.path(), Veil::None).unwrap();
        recorder.fetch(&attempt());
        recorder.finish();
        let (_, text) = table(dir.path(), "fetches-");
        let rows: Vec<_> = fetches::rows(text.as_bytes()).collect::<Result<_, _>>().unwrap();
        assert_eq!(text.lines().count(), rows.len() + 1, "{text}");
        assert!(rows.len() == 4 && rows.iter().all(|row| row.row().result == "refused"));
    }
}

#[test]
fn an_announce_is_a_sighting_of_its_own_kind_with_a_cleaned_hint_and_a_peer() {
    let dir = tempfile::tempdir().unwrap();
    let args = args(&["--record", "sightings,peers"]);
    let mut recorder = Recorder::open(&args, dir.path(), Veil::None).unwrap();
    recorder.dht(&announced(b"a,\n\xff"));
    recorder.finish();
    let (hash, id) = ("07".repeat(20), "ab".repeat(20));
    let (path, sightings) = table(dir.path(), "sightings-");
    let (_, row) = sightings.split_once('\n').unwrap();
    let (time, row) = row.split_once(',').unwrap();
    assert_eq!(
        row,
        format!("{hash},announce,{id},192.0.2.9,6881,,,,,,\"a,\u{fffd}\u{fffd}\"\n")
    );
    let (_, peers) = table(dir.path(), "peers-");
    assert!(peers.ends_with(&format!("{hash},192.0.2.9,7000,announce,{id},192.0.2.9,6881,True\n")));
    // A file an hour, named by the hour of its rows.
    let hour = utc(time.parse::<i64>().unwrap() / 1000);
    let name = format!("sightings-{}.csv", &hour[..13]);
    assert_eq!(path.file_name().unwrap().to_str().unwrap(), name);
}

#[test]
fn addresses_and_ids_are_veiled_in_tables() {
    for (how, peer) in [("truncate", "192.0.2.0,7000"), ("hash", "fd")] {
        let args = args(&["--record", "peers", "--anonymize-ips", how]);
        assert!(args.anonymize_ips != Anonymize::None);
        let veil = if how == "hash" {
            Veil::Hash([1; 16])
        } else {
            Veil::Truncate([1; 16])
        };
        let dir = tempfile::tempdir().unwrap();
        let mut recorder = Recorder::open(&args, dir.path(), veil).unwrap();
        recorder.dht(&announced(b""));
        recorder.finish();
        let (_, text) = table(dir.path(), "peers-");
        assert!(text.contains(&format!("{},{peer}", "07".repeat(20))), "{text}");
        assert!(!text.contains("192.0.2.9") && !text.contains("abab"), "{text}");
    }
}

#[test]
fn what_is_not_asked_for_is_no_file() {
    let dir = tempfile::tempdir().unwrap();
    let mut recorder = Recorder::open(&args(&[]), dir.path(), Veil::None).unwrap();
    recorder.fetch(&attempt());
    recorder.dht(&announced(b""));
    assert_eq!((recorder.written(), recorder.finish()), (None, Written::default()));
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
}
