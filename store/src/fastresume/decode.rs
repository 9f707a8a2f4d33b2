//! Reading, whatever form it has.

use std::net::{IpAddr, SocketAddr};

use wire::bencode::{self, Limits, Value};
use wire::compact;
use wire::{InfoHash, InfoHashV2};

use super::{Allocation, BYTES_MAX, FastResume, PEERS_MAX, ResumeError, Stamp, Tree, Unfinished};

/// An info dictionary may lie within, one deeper than in a .torrent file of its own.
const LIMITS: Limits = Limits::METAINFO;

/// What libtorrent writes for "no limit", besides 0 and what is negative.
const UNLIMITED: i64 = 0x00ff_ffff;

/// The keys by which the forms are told apart, and the dictionary.
struct Form<'a> {
    dict: Value<'a>,
    /// A bit for each piece and each leaf, from the highest of a byte on, instead of a byte.
    bits: bool,
    /// Blocks of unfinished pieces count from the lowest bit of a byte.
    low_first: bool,
}

pub(super) fn decode(bytes: &[u8]) -> Result<FastResume, ResumeError> {
    if bytes.len() > BYTES_MAX {
        return Err(ResumeError::TooLong(bytes.len()));
    }
    let dict = bencode::decode(bytes, &LIMITS)?;
    let text = |key: &[u8]| dict.get(key).and_then(Value::as_bytes);
    if text(b"file-format") != Some(b"libtorrent resume file") {
        return Err(ResumeError::NotResume);
    }
    let version = dict.get(b"file-version").map_or(Some(1), Value::as_int);
    let version = version.ok_or(ResumeError::Entry("file-version"))?;
    if !matches!(version, 1 | 2) {
        return Err(ResumeError::Version(version));
    }
    // All zeros are no hash but the lack of one.
    let info_hash = text(b"info-hash").and_then(|hash| Some(InfoHash::new(hash.try_into().ok()?)));
    let info_hash = info_hash.filter(|hash| *hash.as_bytes() != [0; 20]);
    let info_hash_v2 = text(b"info-hash2").and_then(|hash| Some(InfoHashV2::new(hash.try_into().ok()?)));
    let info_hash_v2 = info_hash_v2.filter(|hash| *hash.as_bytes() != [0; 32]);
    if info_hash.is_none() && info_hash_v2.is_none() {
        return Err(ResumeError::NoInfoHash);
    }
    let form = Form {
        dict,
        bits: version == 2,
        low_first: is_before_1_2(text(b"libtorrent-version"), dict.get(b"peers")),
    };
    let mut resume = FastResume {
        info_hash,
        info_hash_v2,
        info: dict
            .get(b"info")
            .filter(|info| info.as_dict().is_some())
            .map(|info| info.raw().to_vec()),
        allocation: match text(b"allocation") {
            Some(b"full" | b"allocate") => Allocation::Full,
            Some(b"compact") => Allocation::Compact,
            _ => Allocation::Sparse,
        },
        ..FastResume::default()
    };
    form.storage(&mut resume)?;
    form.peers(&mut resume);
    form.counters(&mut resume);
    form.wishes(&mut resume);
    Ok(resume)
}

/// libtorrent before 1.2 counted blocks from the lowest bit. It is told by its version, where the file has one, else by
/// peers that are no string of bytes.
fn is_before_1_2(version: Option<&[u8]>, peers: Option<Value<'_>>) -> bool {
    let version = version.and_then(|version| str::from_utf8(version).ok());
    let mut numbers = version
        .into_iter()
        .flat_map(|version| version.split('.'))
        .map(str::parse::<u32>);
    match (numbers.next(), numbers.next()) {
        (Some(Ok(major)), Some(Ok(minor))) => (major, minor) < (1, 2),
        _ => peers.and_then(Value::as_bytes).is_none(),
    }
}

impl Form<'_> {
    /// What is on the disk.
    fn storage(&self, resume: &mut FastResume) -> Result<(), ResumeError> {
        let bad = ResumeError::Entry;
        if let Some(pieces) = self.dict.get(b"pieces") {
            let pieces = pieces.as_bytes().ok_or(bad("pieces"))?;
            if self.bits {
                resume.have = bits(pieces, false);
                resume.verified = self.text(b"verified").map_or_else(Vec::new, |mask| bits(mask, false));
            } else {
                resume.have = pieces.iter().map(|piece| piece & 1 != 0).collect();
                if pieces.iter().any(|piece| piece & 2 != 0) {
                    resume.verified = pieces.iter().map(|piece| piece & 2 != 0).collect();
                }
            }
        }
        for piece in self.list(b"unfinished", "unfinished")? {
            resume.unfinished.push(self.unfinished(piece).ok_or(bad("unfinished"))?);
        }
        if let Some(count) = self.dict.get(b"blocks per piece") {
            let count = count.as_int().and_then(|count| u32::try_from(count).ok());
            let count = count.filter(|count| (1..=256).contains(count));
            resume.blocks_per_piece = Some(count.ok_or(bad("blocks per piece"))?);
        }
        for slot in self.list(b"slots", "slots")? {
            let slot = slot.as_int().filter(|slot| *slot >= -2);
            resume.slots.push(slot.ok_or(bad("slots"))?);
        }
        for file in self.list(b"file sizes", "file sizes")? {
            let mut pair = file.as_list().ok_or(bad("file sizes"))?.into_iter().map(Value::as_int);
            let (length, modified) = (pair.next().flatten(), pair.next().flatten());
            let length = length.and_then(|length| u64::try_from(length).ok());
            let stamp = length
                .zip(modified)
                .map(|(length, modified)| Stamp { length, modified });
            resume.files.push(stamp.ok_or(bad("file sizes"))?);
        }
        for tree in self.list(b"trees", "trees")? {
            resume.trees.push(self.tree(tree).ok_or(bad("trees"))?);
        }
        Ok(())
    }

    fn unfinished(&self, piece: Value<'_>) -> Option<Unfinished> {
        let adler32 = piece.get(b"adler32").and_then(Value::as_int);
        // Some versions write it as a signed number.
        let adler32 = adler32.and_then(|sum| {
            let signed = || i32::try_from(sum).ok().map(i32::cast_unsigned);
            u32::try_from(sum).ok().or_else(signed)
        });
        Some(Unfinished {
            piece: u32::try_from(piece.get(b"piece")?.as_int()?).ok()?,
            blocks: bits(piece.get(b"bitmask")?.as_bytes()?, self.low_first),
            adler32,
        })
    }

    fn tree(&self, tree: Value<'_>) -> Option<Tree> {
        let (hashes, rest) = tree.get(b"hashes")?.as_bytes()?.as_chunks();
        // 2.0 writes a digit for each node, 2.1 a bit.
        let marks = |key: &[u8]| {
            let marks = tree.get(key).and_then(Value::as_bytes).unwrap_or_default();
            if self.bits {
                bits(marks, false)
            } else {
                marks.iter().map(|&mark| mark == b'1').collect()
            }
        };
        rest.is_empty().then(|| Tree {
            hashes: hashes.to_vec(),
            verified: marks(b"verified"),
            mask: marks(b"mask"),
        })
    }

    fn peers(&self, resume: &mut FastResume) {
        let read = |four: &[u8], six: &[u8]| {
            let listed = self
                .dict
                .get(four)
                .and_then(Value::as_list)
                .into_iter()
                .flatten()
                .filter_map(named_peer);
            let (four, six) = (self.text(four).unwrap_or_default(), self.text(six).unwrap_or_default());
            let packed = compact::peers4(four).chain(compact::peers6(six));
            listed.chain(packed).take(PEERS_MAX).collect()
        };
        resume.peers = read(b"peers", b"peers6");
        resume.banned = read(b"banned_peers", b"banned_peers6");
    }

    fn counters(&self, resume: &mut FastResume) {
        let count = |key: &[u8]| self.number(key).and_then(|count| u64::try_from(count).ok());
        let limit = |key: &[u8]| count(key).filter(|&limit| limit > 0 && limit != UNLIMITED.cast_unsigned());
        resume.uploaded = count(b"total_uploaded").unwrap_or_default();
        resume.downloaded = count(b"total_downloaded").unwrap_or_default();
        resume.active_secs = count(b"active_time").unwrap_or_default();
        resume.finished_secs = count(b"finished_time").unwrap_or_default();
        resume.seeding_secs = count(b"seeding_time").unwrap_or_default();
        resume.added = self.number(b"added_time").unwrap_or_default();
        resume.completed = self.number(b"completed_time").unwrap_or_default();
        let told = |new: &[u8], old: &[u8]| {
            let told = count(new).or_else(|| count(old));
            told.filter(|&told| told != UNLIMITED.cast_unsigned())
        };
        resume.seeds = told(b"num_complete", b"num_seeds");
        resume.leechers = told(b"num_incomplete", b"num_downloaders");
        resume.upload_limit = limit(b"upload_rate_limit");
        resume.download_limit = limit(b"download_rate_limit");
        resume.connections = limit(b"max_connections");
        resume.uploads = limit(b"max_uploads");
    }

    /// What the user wants of it.
    fn wishes(&self, resume: &mut FastResume) {
        let flag = |key: &[u8]| self.number(key).is_some_and(|flag| flag != 0);
        resume.name = self.text(b"name").map(<[u8]>::to_vec);
        resume.save_path = self.text(b"save_path").map(<[u8]>::to_vec);
        resume.paused = flag(b"paused");
        resume.auto_managed = flag(b"auto_managed");
        resume.sequential = flag(b"sequential_download");
        resume.seed_mode = flag(b"seed_mode");
        let tiers = self.dict.get(b"trackers").and_then(Value::as_list);
        resume.trackers = tiers.map(|tiers| {
            let tiers = tiers.into_iter().map(|tier| texts(Some(tier)));
            tiers.filter(|tier| !tier.is_empty()).collect()
        });
        let web_seeds = self.dict.get(b"url-list").filter(|list| list.as_list().is_some());
        resume.web_seeds = web_seeds.map(|list| texts(Some(list)));
        resume.http_seeds = texts(self.dict.get(b"httpseeds"));
        let priorities = self.text(b"piece_priority").unwrap_or_default();
        resume.piece_priority = priorities.iter().map(|&priority| priority.min(7)).collect();
        let priorities = self.dict.get(b"file_priority").and_then(Value::as_list);
        let priority = |priority: Value<'_>| {
            let number = priority.as_int().unwrap_or(4);
            u8::try_from(number.clamp(0, 7)).unwrap_or(4)
        };
        resume.file_priority = priorities.into_iter().flatten().map(priority).collect();
        let mapped = self.dict.get(b"mapped_files").and_then(Value::as_list);
        let mapped = mapped
            .into_iter()
            .flatten()
            .map(|name| name.as_bytes().unwrap_or_default().to_vec());
        resume.mapped_files = mapped.collect();
    }

    fn text(&self, key: &[u8]) -> Option<&[u8]> {
        self.dict.get(key).and_then(Value::as_bytes)
    }

    fn number(&self, key: &[u8]) -> Option<i64> {
        self.dict.get(key).and_then(Value::as_int)
    }

    /// The items of a list, which may be absent but nothing else.
    fn list(&self, key: &[u8], name: &'static str) -> Result<impl Iterator<Item = Value<'_>>, ResumeError> {
        let list = match self.dict.get(key) {
            None => None,
            Some(list) => Some(list.as_list().ok_or(ResumeError::Entry(name))?),
        };
        Ok(list.into_iter().flatten())
    }
}

/// Bits of bytes, from the lowest of each or from the highest.
fn bits(bytes: &[u8], low_first: bool) -> Vec<bool> {
    let bit =
        |byte: u8, at: u32| byte & (if low_first { 1 } else { 0x80 >> at }) << (if low_first { at } else { 0 }) != 0;
    bytes
        .iter()
        .flat_map(|&byte| (0..8).map(move |at| bit(byte, at)))
        .collect()
}

/// `ip` as text and `port`.
fn named_peer(peer: Value<'_>) -> Option<SocketAddr> {
    let ip = str::from_utf8(peer.get(b"ip")?.as_bytes()?).ok()?;
    let ip: IpAddr = ip.parse().ok()?;
    let port = u16::try_from(peer.get(b"port")?.as_int()?).ok()?;
    Some(SocketAddr::new(ip, port))
}

/// The strings of a list, without the empty ones.
fn texts(list: Option<Value<'_>>) -> Vec<Vec<u8>> {
    let list = list.and_then(Value::as_list).into_iter().flatten();
    let texts = list.filter_map(Value::as_bytes).filter(|text| !text.is_empty());
    texts.map(<[u8]>::to_vec).collect()
}
