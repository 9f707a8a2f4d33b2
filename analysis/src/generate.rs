//! A `metadata.txt` of any size from a seed, to measure with: invented names, addresses at which nobody is (only with the feature `cli`).
//!
//! Peers of a torrent are many with a chance that falls by a power, as in real swarms: at least `k` with the chance `k^-1.2`, 2,000 at the most. A
//! fifth of the torrents has none, a third has metadata, one in ten of these is like one before. Hosts differ: some have
//! many torrents.

use std::io::{self, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use rand::RngExt;
use rand::rngs::ChaCha8Rng;
use store::metadata::{self, Entry, HEADER, Torrent};
use wire::InfoHash;

/// Hosts that there are. Each has one address, below 10.0.0.0/8 (RFC 1918) or 2001:db8::/32 (RFC 3849), and one port.
const HOSTS: f64 = 3_000_000.0;

/// Peers of a torrent at the most.
const PEERS_MAX: usize = 2_000;

/// Torrents that may come again under another infohash.
const KEPT: usize = 1_000;

/// Bytes that are written at once.
const WRITE: usize = 256 << 10;

/// Writes a header and so many rows.
///
/// # Errors
///
/// Those of `out`.
pub fn metadata(rows: u64, rng: &mut ChaCha8Rng, out: &mut impl Write) -> io::Result<()> {
    let mut text = format!("{HEADER}\n").into_bytes();
    let mut kept = Vec::new();
    let mut peers = Vec::new();
    let mut left = rows;
    while left > 0 {
        let info_hash = InfoHash::new(rng.random());
        let torrent = rng.random_bool(1.0 / 3.0).then(|| torrent(&mut kept, rng));
        peers.clear();
        if rng.random_bool(0.8) {
            let most = usize::try_from(left).unwrap_or(PEERS_MAX).min(PEERS_MAX);
            // Of a chance c, the inverse of the chance of at least k.
            let chance: f64 = 1.0 - rng.random::<f64>();
            let count = (chance.powf(-1.0 / 1.2) as usize).clamp(1, most);
            peers.extend((0..count).map(|_| peer(rng)));
        }
        left -= peers.len().max(1) as u64;
        metadata::put_block(
            &Entry {
                info_hash,
                torrent: torrent.as_ref().map(Made::torrent),
                peers: &peers,
            },
            &mut text,
        );
        if text.len() > WRITE {
            out.write_all(&text)?;
            text.clear();
        }
    }
    out.write_all(&text)?;
    out.flush()
}

fn peer(rng: &mut ChaCha8Rng) -> SocketAddr {
    let place: f64 = rng.random();
    let host = (HOSTS * place.powf(2.5)) as u32;
    let [_, b, c, d] = host.to_be_bytes();
    let ip: IpAddr = if host % 12 == 5 {
        Ipv6Addr::new(0x2001, 0xdb8, u16::from(b), u16::from_be_bytes([c, d]), 0, 0, 0, 1).into()
    } else {
        Ipv4Addr::new(10, b, c, d).into()
    };
    let port = 1024 + host.wrapping_mul(2_654_435_761) % 64_000;
    SocketAddr::new(ip, u16::try_from(port).unwrap_or(6881))
}

/// A torrent as it may come again.
#[derive(Clone, Debug)]
struct Made {
    name: String,
    file_count: u64,
    total_bytes: u64,
    piece_length: u64,
}

impl Made {
    fn torrent(&self) -> Torrent<'_> {
        Torrent {
            name: &self.name,
            file_count: self.file_count,
            total_bytes: self.total_bytes,
            piece_length: self.piece_length,
        }
    }
}

fn torrent(kept: &mut Vec<Made>, rng: &mut ChaCha8Rng) -> Made {
    if !kept.is_empty() && rng.random_bool(0.1) {
        let at = rng.random_range(0..kept.len());
        if let Some(before) = kept.get(at) {
            return before.clone();
        }
    }
    let content = *pick(&CONTENTS, rng);
    let file_count = if rng.random_bool(0.5) {
        1
    } else {
        let chance: f64 = 1.0 - rng.random::<f64>();
        (1.0 / chance).min(5_000.0) as u64 + 1
    };
    // Sizes spread by about ten times up and down.
    let spread: f64 = (0..4).map(|_| rng.random::<f64>()).sum::<f64>() - 2.0;
    let total_bytes = (content.bytes * 20f64.powf(spread)) as u64 + 1;
    // About 1,500 pieces, as programs choose.
    let piece_length = (total_bytes / 1_500).next_power_of_two().clamp(16 << 10, 16 << 20);
    let made = Made {
        name: name(content, file_count, rng),
        file_count,
        total_bytes,
        piece_length,
    };
    if kept.len() < KEPT {
        kept.push(made.clone());
    } else {
        let at = rng.random_range(0..KEPT);
        if let Some(slot) = kept.get_mut(at) {
            slot.clone_from(&made);
        }
    }
    made
}

/// What torrents are of.
#[derive(Clone, Copy)]
struct Content {
    end: &'static str,
    tags: &'static [&'static str],
    bytes: f64,
}

const CONTENTS: [Content; 6] = [
    Content {
        end: "mkv",
        tags: &["1080p", "720p", "2160p", "x264", "x265", "WEB-DL", "BluRay"],
        bytes: 2e9,
    },
    Content {
        end: "mp4",
        tags: &["1080p", "HDTV", "AAC"],
        bytes: 8e8,
    },
    Content {
        end: "mp3",
        tags: &["320kbps", "FLAC", "Live"],
        bytes: 1e8,
    },
    Content {
        end: "pdf",
        tags: &["2nd Edition", "ePub", "Notes"],
        bytes: 2e7,
    },
    Content {
        end: "iso",
        tags: &["amd64", "arm64", "Desktop", "Server"],
        bytes: 1.5e9,
    },
    Content {
        end: "zip",
        tags: &["v1.2", "Setup", "Source"],
        bytes: 2e8,
    },
];

/// Words of several languages; with commas and quotes, which a reader must know what to do with.
const WORDS: [&str; 40] = [
    "The",
    "of",
    "and",
    "River",
    "Light",
    "Atlas",
    "Garden",
    "Northern",
    "History",
    "Sea",
    "Kernel",
    "Open",
    "der",
    "und",
    "Die",
    "Berge",
    "le",
    "la",
    "Ville",
    "de",
    "los",
    "Caminos",
    "una",
    "noche",
    "il",
    "mare",
    "O",
    "Tempo",
    "и",
    "Город",
    "Зима",
    "на",
    "世界",
    "音楽集",
    "한국어",
    "كتاب",
    "नमस्ते",
    "Red, Blue",
    "\"Live\"",
    "№ 5",
];

fn name(content: Content, file_count: u64, rng: &mut ChaCha8Rng) -> String {
    let gap = *pick(&[" ", ".", "_"], rng);
    let mut words: Vec<String> = (0..rng.random_range(2..6))
        .map(|_| (*pick(&WORDS, rng)).to_owned())
        .collect();
    if rng.random_bool(0.4) {
        words.push(rng.random_range(1960..2027).to_string());
    }
    for _ in 0..rng.random_range(0..3) {
        words.push((*pick(content.tags, rng)).to_owned());
    }
    let mut name = words.join(gap);
    if file_count == 1 {
        name.push('.');
        name.push_str(content.end);
    }
    name
}

/// One of some; there is at least one.
fn pick<'a, T>(some: &'a [T], rng: &mut ChaCha8Rng) -> &'a T {
    &some[rng.random_range(0..some.len())]
}

#[cfg(test)]
mod tests {
    use world::Seed;

    use super::*;
    use crate::read::{Form, Layout, Scan, Share, Value};

    fn made(rows: u64, seed: u64) -> Vec<u8> {
        let mut text = Vec::new();
        metadata(rows, &mut Seed::from_number(seed).rng(), &mut text).unwrap();
        text
    }

    #[test]
    fn it_has_as_many_rows_as_asked_and_repeats_from_its_seed() {
        for rows in [0, 1, 7, 5_000] {
            let text = made(rows, 3);
            let mut scan = Scan::new(&text[..], Layout::own(Form::Metadata), Share::default());
            let mut named = 0;
            let whole = scan.rows(usize::MAX, |row| {
                let Value::Text(ip) = row.values[5] else { return };
                named += 1;
                assert!(ip.starts_with("10.") || ip.starts_with("2001:db8:"), "{ip}");
            });
            assert!(!whole.unwrap());
            assert_eq!((scan.count(), scan.rejects().count), (rows, 0));
            assert!(rows < 100 || named > rows / 2);
            assert!(text == made(rows, 3));
        }
        assert!(made(100, 3) != made(100, 4));
    }

    #[test]
    fn peers_of_a_torrent_fall_by_a_power() {
        let text = made(100_000, 1);
        let mut scan = Scan::new(&text[..], Layout::own(Form::Metadata), Share::default());
        let mut peers: Vec<u32> = Vec::new();
        scan.rows(usize::MAX, |row| match peers.last_mut() {
            Some(count) if row.again => *count += 1,
            _ => peers.push(u32::from(row.values[5] != Value::Null)),
        })
        .unwrap();
        let share = |least| peers.iter().filter(|count| **count >= least).count() as f64 / peers.len() as f64;
        for (least, want) in [(1, 0.8), (10, 0.8 * 10f64.powf(-1.2)), (100, 0.8 * 100f64.powf(-1.2))] {
            let found = share(least);
            assert!(
                (found / want - 1.0).abs() < 0.2,
                "at least {least}: {found} instead of {want}"
            );
        }
    }
}
