//! Torrents that exist only as numbers: an info dictionary is made from the seed when somebody wants to see it, and
//! really hashes to its infohash. Shapes follow table H of `network-model.md`.

use rand::rngs::ChaCha8Rng;
use rand::{Rng, RngExt};
use sha1::{Digest, Sha1};
use wire::bencode::Encoder;
use wire::{InfoHash, metainfo};
use world::Seed;

use crate::abuse::Trap;
use crate::name::{self, Name};
use crate::profile::Meta;

/// The layout of an info dictionary.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Format {
    /// BEP 3.
    V1,
    /// BEP 52 alone: the DHT knows it by the first 20 bytes of its SHA-256.
    V2,
    /// Both in one dictionary.
    Hybrid,
}

/// What a torrent is; from it the whole info dictionary follows.
#[derive(Clone, Debug)]
pub(crate) struct Torrent {
    pub(crate) name: Name,
    pub(crate) format: Format,
    /// Files, without padding.
    pub(crate) files: u64,
    /// Whether it is laid out as several files, even if it has but one.
    multi: bool,
    /// Bytes of all files, without padding.
    pub(crate) total_bytes: u64,
    pub(crate) piece_length: u64,
    /// How it trips its readers, if it does.
    trap: Option<Trap>,
    /// Which of the torrents that are alike but for this number; the first has none.
    serial: u32,
    /// Where file names, lengths and hashes come from.
    body: Seed,
}

/// The smallest honest info dictionary (H2), bytes.
const SIZE_MIN: f64 = 91.0;
/// The largest that libtorrent accepts (H2), bytes.
const SIZE_MAX: f64 = 31_457_280.0;
/// What one file adds to a v1 dictionary, bytes, about.
const FILE_ENTRY: u64 = 70;
/// What a v1 dictionary has besides files and pieces, bytes, about.
const FRAME: u64 = 110;
/// Torrents of a shape of their own, names, files and pieces included; 2 GB of info dictionaries.
const SHAPES: u32 = 1 << 16;
/// Lists inside one another in a trap: an honest dictionary has at most a handful.
const NESTING: usize = 10_000;
/// Files of a v2 torrent are few enough to keep the dictionary in the range of v1.
const V2_FILES_MAX: u64 = 2000;

/// Total size of a torrent: LN(median 900 MB, sigma 1.9) within 1 kB and 20 TB (H7).
const TOTAL: (f64, f64, f64, f64) = (900e6, 1.9, 1e3, 20e12);

fn lognormal(rng: &mut ChaCha8Rng, median: f64, sigma: f64) -> f64 {
    let radius = (-2.0 * (1.0 - rng.random::<f64>()).ln()).sqrt();
    let angle = std::f64::consts::TAU * rng.random::<f64>();
    median * (sigma * radius * angle.cos()).exp()
}

/// Size of an info dictionary: the two-lognormal mixture H2.
fn info_size(rng: &mut ChaCha8Rng) -> u64 {
    let size = if rng.random_bool(0.877) {
        lognormal(rng, 18_643.0, 0.542)
    } else {
        lognormal(rng, 24_247.0, 1.578)
    };
    size.clamp(SIZE_MIN, SIZE_MAX) as u64
}

/// Draws from a stream of its own: what a world without traps is like does not depend on them.
fn trap(meta: &Meta, seed: Seed, number: u32) -> Option<Trap> {
    let mut at: f64 = seed.derive_number("trap", u64::from(number)).rng().random();
    meta.traps.iter().find_map(|&(trap, share)| {
        at -= share;
        (at < 0.0).then_some(trap)
    })
}

/// Piece length by the habits of torrent makers (H8).
fn piece_length(rng: &mut ChaCha8Rng, total: u64) -> u64 {
    match rng.random_range(0..10) {
        0..7 => 1 << total.max(1).ilog2().saturating_sub(9).clamp(15, 24),
        7..9 => 1 << rng.random_range(18..=20),
        _ => 1 << rng.random_range(14..=26),
    }
}

impl Torrent {
    /// Draws the shape of the torrent with this number. Beyond [`SHAPES`] shapes come again, each time with another serial.
    pub(crate) fn draw(meta: &Meta, seed: Seed, number: u32) -> Self {
        let (number, serial) = (number % SHAPES, number / SHAPES);
        let mut rng = seed.derive_number("content", u64::from(number)).rng();
        let name = if meta.templated {
            name::minted(&mut rng)
        } else {
            name::draw(&mut rng, meta.odd_names)
        };
        let kind: f64 = rng.random();
        let format = match kind {
            kind if kind < meta.v2 => Format::V2,
            kind if kind < meta.v2 + meta.hybrid => Format::Hybrid,
            _ => Format::V1,
        };
        let size = info_size(&mut rng);
        let multi = rng.random_bool(meta.multi_file);
        // One more than LN(median 6, sigma 2.06) files (H6), as far as they leave half of the size to the hashes.
        let wanted = if multi {
            1 + lognormal(&mut rng, 6.0, 2.06) as u64
        } else {
            1
        };
        let rough = lognormal(&mut rng, TOTAL.0, TOTAL.1).clamp(TOTAL.2, TOTAL.3) as u64;
        let piece_length = piece_length(&mut rng, rough);
        let (files, total_bytes) = if format == Format::V1 {
            let files = wanted.min(size / (2 * FILE_ENTRY)).max(1);
            // The size of the dictionary decides how many pieces there are, and so the size of the torrent.
            let pieces = (size.saturating_sub(FRAME + FILE_ENTRY * (files - u64::from(!multi))) / 20).max(1);
            (files, pieces * piece_length - rng.random_range(0..piece_length))
        } else {
            (wanted.min(V2_FILES_MAX), rough)
        };
        Self {
            name,
            format,
            files,
            multi,
            total_bytes,
            piece_length,
            trap: trap(meta, seed, number),
            serial,
            body: seed.derive_number("content body", u64::from(number)),
        }
    }

    /// Appends the info dictionary.
    pub(crate) fn info(&self, out: &mut Vec<u8>) {
        self.begin(out);
        self.finish(out);
    }

    /// Appends what all torrents of this shape begin with: nearly all of it.
    fn begin(&self, out: &mut Vec<u8>) {
        let mut rng = self.body.rng();
        let files = self.draw_files(&mut rng);
        let mut encoder = Encoder::new(out);
        encoder.begin_dict();
        if self.format != Format::V1 {
            file_tree(&mut encoder, &files, &mut rng);
        }
        let padded = match self.format {
            Format::V2 => None,
            Format::V1 => Some(self.file_list(&mut encoder, &files, false)),
            Format::Hybrid => Some(self.file_list(&mut encoder, &files, true)),
        };
        if self.format != Format::V1 {
            encoder.key(b"meta version").int(2);
        }
        encoder.key(b"name").bytes(&self.name.bytes);
        if let Some(utf8) = &self.name.utf8 {
            encoder.key(b"name.utf-8").bytes(utf8);
        }
        encoder.key(b"piece length").int(self.piece_length.cast_signed());
        if let Some(padded) = padded {
            let mut pieces = vec![0; 20 * padded.div_ceil(self.piece_length) as usize];
            rng.fill_bytes(&mut pieces);
            if self.trap == Some(Trap::Pieces) {
                pieces.resize(pieces.len() + (1 << 20), 0);
            }
            encoder.key(b"pieces").bytes(&pieces);
        }
    }

    /// Appends what follows, which tells torrents of one shape apart: bencode sorts `source` behind all of the above.
    fn finish(&self, out: &mut Vec<u8>) {
        if self.serial > 0 {
            let serial = self.serial.to_string();
            out.extend_from_slice(format!("6:source{}:{serial}", serial.len()).as_bytes());
        }
        if self.trap == Some(Trap::Nesting) {
            out.extend_from_slice(b"1:x");
            out.extend_from_slice(&[[b'l'; NESTING], [b'e'; NESTING]].concat());
        }
        out.push(b'e');
    }

    /// The infohashes of the torrents with the numbers below `count`, in that order. Each shape is made and hashed once:
    /// SHA-1 goes on from there for each serial, so that millions take seconds.
    pub(crate) fn infohashes(meta: &Meta, seed: Seed, count: u32) -> Vec<InfoHash> {
        let mut all = vec![InfoHash::new([0; 20]); count as usize];
        let (mut begun, mut rest) = (Vec::new(), Vec::new());
        for shape in 0..count.min(SHAPES) {
            let mut torrent = Self::draw(meta, seed, shape);
            begun.clear();
            torrent.begin(&mut begun);
            let hasher = (torrent.format != Format::V2).then(|| Sha1::new_with_prefix(&begun));
            for number in (shape..count).step_by(SHAPES as usize) {
                torrent.serial = number / SHAPES;
                rest.clear();
                torrent.finish(&mut rest);
                all[number as usize] = match &hasher {
                    Some(hasher) => InfoHash::new(hasher.clone().chain_update(&rest).finalize().into()),
                    None => torrent.infohash(&[&begun[..], &rest].concat()),
                };
            }
        }
        all
    }

    /// What the DHT calls an info dictionary of this format.
    pub(crate) fn infohash(&self, info: &[u8]) -> InfoHash {
        match self.format {
            Format::V2 => metainfo::info_hash_v2(info).truncated(),
            Format::V1 | Format::Hybrid => metainfo::info_hash_v1(info),
        }
    }

    /// Names and lengths of the files, which add up to `total_bytes`.
    fn draw_files(&self, rng: &mut ChaCha8Rng) -> Vec<(Vec<u8>, u64)> {
        if !self.multi {
            return vec![(self.name.bytes.clone(), self.total_bytes)];
        }
        let weights: Vec<f64> = (0..self.files).map(|_| lognormal(rng, 1.0, 1.5)).collect();
        let sum: f64 = weights.iter().sum();
        let mut rest = self.total_bytes;
        let last = weights.len() - 1;
        (0..)
            .zip(&weights)
            .map(|(number, weight)| {
                let share = (self.total_bytes as f64 * weight / sum) as u64;
                let length = if number == last { rest } else { share.min(rest) };
                rest -= length;
                let mut path = name::file(rng, number);
                if self.trap == Some(Trap::Paths) {
                    path.splice(..0, *b"../../../tmp/");
                }
                (path, length)
            })
            .collect()
    }

    /// The v1 keys `files` or `length`. Gives the bytes that pieces run over, padding included.
    fn file_list(&self, encoder: &mut Encoder<'_>, files: &[(Vec<u8>, u64)], aligned: bool) -> u64 {
        if !self.multi {
            encoder.key(b"length").int(self.total_bytes.cast_signed());
            return self.total_bytes;
        }
        encoder.key(b"files").begin_list();
        let (mut total, mut left) = (0, files.len());
        for (path, length) in files {
            encoder.begin_dict().key(b"length").int(length.cast_signed());
            encoder.key(b"path").begin_list().bytes(path).end().end();
            total += length;
            left -= 1;
            let pad = total.next_multiple_of(self.piece_length) - total;
            if aligned && left > 0 && pad > 0 {
                // BEP 47: hybrid torrents align files to pieces.
                encoder.begin_dict().key(b"attr").bytes(b"p");
                encoder.key(b"length").int(pad.cast_signed());
                encoder.key(b"path").begin_list().bytes(b".pad");
                encoder.bytes(pad.to_string().as_bytes()).end().end();
                total += pad;
            }
        }
        encoder.end();
        total
    }
}

/// The v2 key `file tree` (BEP 52). File names ascend as they are drawn.
fn file_tree(encoder: &mut Encoder<'_>, files: &[(Vec<u8>, u64)], rng: &mut ChaCha8Rng) {
    encoder.key(b"file tree").begin_dict();
    for (path, length) in files {
        encoder.key(path).begin_dict().key(b"").begin_dict();
        encoder.key(b"length").int(length.cast_signed());
        if *length > 0 {
            let mut root = [0; 32];
            rng.fill_bytes(&mut root);
            encoder.key(b"pieces root").bytes(&root);
        }
        encoder.end().end();
    }
    encoder.end();
}

#[cfg(test)]
mod tests {
    use wire::metainfo::Info;

    use super::*;
    use crate::profile::Profile;

    fn torrents(count: u32) -> impl Iterator<Item = Torrent> {
        let meta = Profile::realistic().meta;
        (0..count).map(move |number| Torrent::draw(&meta, Seed::from_number(4), number))
    }

    fn info(torrent: &Torrent) -> Vec<u8> {
        let mut info = Vec::new();
        torrent.info(&mut info);
        info
    }

    #[test]
    fn info_dictionaries_repeat() {
        for (one, two) in torrents(20).zip(torrents(20)) {
            assert_eq!(info(&one), info(&two));
            assert_eq!(one.infohash(&info(&one)), two.infohash(&info(&two)));
        }
    }

    #[test]
    fn info_dictionaries_say_what_the_truth_says() {
        for torrent in torrents(600) {
            let info = info(&torrent);
            let read = Info::parse(&info).unwrap();
            assert!(metainfo::matches(&info, &torrent.infohash(&info)));
            assert_eq!(read.name_lossy(), torrent.name.text());
            assert_eq!(read.file_count(), torrent.files);
            assert_eq!(read.total_bytes(), torrent.total_bytes);
            assert_eq!(read.piece_length, torrent.piece_length);
            assert_eq!(read.version.has_v1(), torrent.format != Format::V2);
            assert_eq!(read.version.has_v2(), torrent.format != Format::V1);
        }
    }

    #[test]
    fn shapes_come_again_with_another_infohash() {
        let meta = Profile::hostile().meta;
        let seed = Seed::from_number(4);
        let mut hashes = std::collections::BTreeSet::new();
        for number in (0..400).chain(SHAPES..SHAPES + 400) {
            let torrent = Torrent::draw(&meta, seed, number);
            let info = info(&torrent);
            assert!(torrent.trap.is_some() || Info::parse(&info).is_ok());
            assert!(hashes.insert(torrent.infohash(&info)));
        }
        let fast = Torrent::infohashes(&meta, seed, 400);
        assert!((0..400).all(|number| {
            let torrent = Torrent::draw(&meta, seed, number);
            fast[number as usize] == torrent.infohash(&info(&torrent))
        }));
    }

    #[test]
    fn sizes_follow_the_model() {
        let mut sizes: Vec<usize> = torrents(1500)
            .filter(|torrent| torrent.format == Format::V1)
            .map(|torrent| info(&torrent).len())
            .collect();
        sizes.sort_unstable();
        let quantile = |share: f64| sizes[(sizes.len() as f64 * share) as usize];
        // H2: P25 12.7k, P50 18.9k, P75 28.3k, P95 58.9k.
        assert!((11_000..14_500).contains(&quantile(0.25)), "{}", quantile(0.25));
        assert!((17_000..21_000).contains(&quantile(0.5)), "{}", quantile(0.5));
        assert!((25_500..31_500).contains(&quantile(0.75)), "{}", quantile(0.75));
        assert!((48_000..70_000).contains(&quantile(0.95)), "{}", quantile(0.95));
    }

    #[test]
    fn all_formats_occur() {
        let count = |format| torrents(1500).filter(|torrent| torrent.format == format).count();
        assert!((5..30).contains(&count(Format::V2)));
        assert!((5..30).contains(&count(Format::Hybrid)));
        let multi = torrents(1500).filter(|torrent| torrent.multi).count();
        assert!((1000..1160).contains(&multi)); // H5: 0.72
    }
}
