//! Observation tables beside [`fetches`](crate::fetches): one row per fact, appended as it happens (DESIGN section 2).
//!
//! | table | a row is |
//! |---|---|
//! | [`NODES`] | a question of ours to a node, and what came of it |
//! | [`SIGHTINGS`] | an infohash that somebody showed us, asked us for or announced to us |
//! | [`PEERS`] | a peer, as a node named it or as it announced itself |
//! | [`FILES`] | a file of a torrent whose metadata was fetched |

use std::io::Write;
use std::net::SocketAddr;

use wire::InfoHash;

use crate::line::put_field;
use crate::metadata::put_peer;
use crate::name::clean;

/// The first line of `nodes`, without its newline.
pub const NODES: &str = "time_ms,node_id,ip,port,asked,purpose,outcome,code,rtt_ms,v,num,shown,interval,far_fetched";

/// The first line of `sightings`.
pub const SIGHTINGS: &str =
    "time_ms,infohash,source,node_id,node_ip,node_port,num,shown,rank,interval,weight,name_hint";

/// The first line of `peers`.
pub const PEERS: &str = "time_ms,infohash,peer_ip,peer_port,source,node_id,node_ip,node_port,seed";

/// The first line of `files`.
pub const FILES: &str = "time_ms,infohash,index,length,path";

/// Files of one torrent that have a row; `file_count` in `metadata.txt` says how many there are.
pub const FILES_MAX: usize = 10_000;

/// Bytes of a path in `files`: as many as a name has in `metadata.txt`.
const PATH_MAX: usize = crate::NAME_MAX;

/// A question of ours to a node, and what came of it. Words are those of the lists that they come from, without commas or quotes.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Node<'a> {
    /// When it ended, Unix milliseconds.
    pub time_ms: u64,
    /// The id as text; empty if none is known.
    pub id: &'a str,
    /// Where it went.
    pub addr: SocketAddr,
    /// What was asked.
    pub asked: &'a str,
    /// What for.
    pub purpose: &'a str,
    /// How it ended.
    pub outcome: &'a str,
    /// The code of a refusal.
    pub code: Option<i64>,
    /// From question to answer, milliseconds.
    pub rtt_ms: Option<f64>,
    /// What the node runs, as text.
    pub version: &'a str,
    /// Infohashes that it says it stores.
    pub num: Option<i64>,
    /// Infohashes shown.
    pub shown: Option<u16>,
    /// Seconds until its sample changes, as it says.
    pub interval: Option<i64>,
    /// What it showed lies too far from its id to be what it stores.
    pub far_fetched: Option<bool>,
}

/// An infohash that somebody showed us.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Sighting<'a> {
    /// When, Unix milliseconds.
    pub time_ms: u64,
    /// What.
    pub info_hash: InfoHash,
    /// How.
    pub source: &'a str,
    /// The id of who showed it, as text.
    pub id: &'a str,
    /// Where that is.
    pub addr: SocketAddr,
    /// Of a sample: what it says.
    pub sample: Option<Sample>,
    /// Of an announce: what it says that the torrent is called.
    pub name_hint: &'a str,
}

/// What a sample says besides its infohashes, and what follows for the weight of one of them.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Sample {
    /// Infohashes that the node says it stores; -1 if it did not say.
    pub num: i64,
    /// Infohashes shown.
    pub shown: u16,
    /// Place of this one among them, sorted, from 0.
    pub rank: u16,
    /// Seconds until the sample changes, as it says.
    pub interval: u32,
    /// The inverse of the chance that this place of the store was shown, given that the node was read.
    pub weight: f64,
}

/// A peer that was named.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Peer<'a> {
    /// When, Unix milliseconds.
    pub time_ms: u64,
    /// Of which torrent.
    pub info_hash: InfoHash,
    /// Where.
    pub peer: SocketAddr,
    /// How.
    pub source: &'a str,
    /// The id of the node that named it, as text.
    pub id: &'a str,
    /// Where that is.
    pub addr: SocketAddr,
    /// It says that it has the whole torrent; unknown of peers that a node named.
    pub seed: Option<bool>,
}

/// Appends a row of `nodes`.
pub fn put_node(row: &Node<'_>, out: &mut Vec<u8>) {
    // Writing to a Vec cannot fail, here and below.
    let _ = write!(out, "{},{},", row.time_ms, row.id);
    put_peer(&row.addr, out);
    let _ = write!(out, ",{},{},{},", row.asked, row.purpose, row.outcome);
    put_some(row.code, out);
    if let Some(rtt) = row.rtt_ms {
        let _ = write!(out, "{rtt:.1}");
    }
    out.push(b',');
    put_field(&clean(row.version), out);
    out.push(b',');
    put_some(row.num, out);
    put_some(row.shown, out);
    put_some(row.interval, out);
    let _ = writeln!(out, "{}", flag(row.far_fetched));
}

/// Appends a row of `sightings`.
pub fn put_sighting(row: &Sighting<'_>, out: &mut Vec<u8>) {
    let _ = write!(out, "{},{},{},{},", row.time_ms, row.info_hash, row.source, row.id);
    put_peer(&row.addr, out);
    match row.sample {
        Some(sample) => {
            let Sample {
                num,
                shown,
                rank,
                interval,
                weight,
            } = sample;
            let _ = write!(out, ",{num},{shown},{rank},{interval},{weight:.4},");
        }
        None => out.extend_from_slice(b",,,,,,"),
    }
    put_field(&clean(row.name_hint), out);
    out.push(b'\n');
}

/// Appends a row of `peers`.
pub fn put_named(row: &Peer<'_>, out: &mut Vec<u8>) {
    let _ = write!(out, "{},{},", row.time_ms, row.info_hash);
    put_peer(&row.peer, out);
    let _ = write!(out, ",{},{},", row.source, row.id);
    put_peer(&row.addr, out);
    let _ = writeln!(out, ",{}", flag(row.seed));
}

/// Appends a row of `files`: the `index`th file of a torrent, from 0. A path is cut as a name is in `metadata.txt`.
pub fn put_file(time_ms: u64, info_hash: InfoHash, (index, length, path): (usize, u64, &str), out: &mut Vec<u8>) {
    let _ = write!(out, "{time_ms},{info_hash},{index},{length},");
    let mut end = path.len().min(PATH_MAX);
    while !path.is_char_boundary(end) {
        end -= 1;
    }
    put_field(&clean(path.get(..end).unwrap_or_default()), out);
    out.push(b'\n');
}

const fn flag(flag: Option<bool>) -> &'static str {
    match flag {
        Some(true) => "True",
        Some(false) => "False",
        None => "",
    }
}

fn put_some(number: Option<impl std::fmt::Display>, out: &mut Vec<u8>) {
    if let Some(number) = number {
        let _ = write!(out, "{number}");
    }
    out.push(b',');
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn addr() -> SocketAddr {
        "192.0.2.7:6881".parse().unwrap()
    }

    const HASH: InfoHash = InfoHash::new([7; 20]);

    fn node() -> Node<'static> {
        Node {
            time_ms: 1_700_000_000_123,
            id: "0a",
            addr: addr(),
            asked: "sample_infohashes",
            purpose: "sampler",
            outcome: "answer",
            code: None,
            rtt_ms: Some(81.26),
            version: "LT 2.11",
            num: Some(135),
            shown: Some(20),
            interval: Some(21_600),
            far_fetched: Some(false),
        }
    }

    fn sighting() -> Sighting<'static> {
        Sighting {
            time_ms: 5,
            info_hash: HASH,
            source: "sample",
            id: "0a",
            addr: addr(),
            sample: Some(Sample {
                num: 135,
                shown: 20,
                rank: 3,
                interval: 21_600,
                weight: 6.75,
            }),
            name_hint: "",
        }
    }

    fn text(put: impl Fn(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        put(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn rows_read_as_their_headers_say() {
        let hash = "07".repeat(20);
        let silent = Node {
            outcome: "timeout",
            rtt_ms: None,
            version: "",
            num: None,
            shown: None,
            interval: None,
            far_fetched: None,
            ..node()
        };
        let asked = Sighting {
            source: "get_peers",
            sample: None,
            ..sighting()
        };
        let peer = Peer {
            time_ms: 5,
            info_hash: HASH,
            peer: "[2001:db8::1]:80".parse().unwrap(),
            source: "announce",
            id: "0a",
            addr: addr(),
            seed: Some(true),
        };
        for (header, row, want) in [
            (
                NODES,
                text(|out| put_node(&node(), out)),
                "1700000000123,0a,192.0.2.7,6881,sample_infohashes,sampler,answer,,81.3,LT 2.11,135,20,21600,False\n"
                    .to_owned(),
            ),
            (
                NODES,
                text(|out| put_node(&silent, out)),
                "1700000000123,0a,192.0.2.7,6881,sample_infohashes,sampler,timeout,,,,,,,\n".to_owned(),
            ),
            (
                SIGHTINGS,
                text(|out| put_sighting(&sighting(), out)),
                format!("5,{hash},sample,0a,192.0.2.7,6881,135,20,3,21600,6.7500,\n"),
            ),
            (
                SIGHTINGS,
                text(|out| put_sighting(&asked, out)),
                format!("5,{hash},get_peers,0a,192.0.2.7,6881,,,,,,\n"),
            ),
            (
                PEERS,
                text(|out| put_named(&peer, out)),
                format!("5,{hash},2001:db8::1,80,announce,0a,192.0.2.7,6881,True\n"),
            ),
            (
                FILES,
                text(|out| put_file(5, HASH, (2, 99, "a/b"), out)),
                format!("5,{hash},2,99,a/b\n"),
            ),
        ] {
            assert_eq!(row, want);
            assert_eq!(row.split(',').count(), header.split(',').count(), "{row}");
        }
    }

    proptest! {
        #[test]
        fn a_row_is_one_line_whatever_strangers_call_things(name in any::<String>(), version in any::<String>()) {
            for row in [
                text(|out| put_sighting(&Sighting { name_hint: &name, ..sighting() }, out)),
                text(|out| put_file(1, HASH, (0, 1, &name), out)),
                text(|out| put_node(&Node { version: &version, ..node() }, out)),
            ] {
                prop_assert_eq!(row.lines().count(), 1);
                let mut reader = csv::ReaderBuilder::new().has_headers(false).from_reader(row.as_bytes());
                prop_assert_eq!(reader.records().filter(Result::is_ok).count(), 1);
            }
        }
    }
}
