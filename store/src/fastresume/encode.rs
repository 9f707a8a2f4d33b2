//! Writing.

use std::net::SocketAddr;

use wire::bencode::Encoder;
use wire::compact;

use super::{Allocation, FastResume};

/// "No limit", for libtorrent.
const UNLIMITED: i64 = -1;

pub(super) fn encode(resume: &FastResume, out: &mut Vec<u8>) {
    let mut to = Encoder::new(out);
    to.begin_dict();
    // In the order of the keys.
    to.key(b"active_time").int(integer(resume.active_secs));
    to.key(b"added_time").int(resume.added);
    to.key(b"allocation").bytes(match resume.allocation {
        Allocation::Sparse => b"sparse",
        Allocation::Full => b"full",
        Allocation::Compact => b"compact",
    });
    to.key(b"auto_managed").int(resume.auto_managed.into());
    put_peers(&mut to, [b"banned_peers", b"banned_peers6"], &resume.banned);
    if let Some(count) = resume.blocks_per_piece {
        to.key(b"blocks per piece").int(count.into());
    }
    to.key(b"completed_time").int(resume.completed);
    to.key(b"download_rate_limit").int(limit(resume.download_limit));
    to.key(b"file sizes").begin_list();
    for file in &resume.files {
        to.begin_list().int(integer(file.length)).int(file.modified).end();
    }
    to.end();
    to.key(b"file-format").bytes(b"libtorrent resume file");
    to.key(b"file-version").int(1);
    if !resume.file_priority.is_empty() {
        to.key(b"file_priority").begin_list();
        for &priority in &resume.file_priority {
            to.int(priority.into());
        }
        to.end();
    }
    to.key(b"finished_time").int(integer(resume.finished_secs));
    if !resume.http_seeds.is_empty() {
        to.key(b"httpseeds");
        put_texts(&mut to, &resume.http_seeds);
    }
    if let Some(info) = &resume.info {
        to.key(b"info").raw(info);
    }
    let info_hash = resume.info_hash.map_or([0; 20], |hash| *hash.as_bytes());
    to.key(b"info-hash").bytes(&info_hash);
    if let Some(hash) = &resume.info_hash_v2 {
        to.key(b"info-hash2").bytes(hash.as_bytes());
    }
    if !resume.mapped_files.is_empty() {
        to.key(b"mapped_files");
        put_texts(&mut to, &resume.mapped_files);
    }
    to.key(b"max_connections").int(limit(resume.connections));
    to.key(b"max_uploads").int(limit(resume.uploads));
    if let Some(name) = &resume.name {
        to.key(b"name").bytes(name);
    }
    put_rest(resume, &mut to);
    to.end();
}

/// The keys after `name`.
fn put_rest(resume: &FastResume, to: &mut Encoder<'_>) {
    // Newer versions read the first pair, older ones the second.
    let (seeds, leechers) = (resume.seeds.map(integer), resume.leechers.map(integer));
    if let Some(seeds) = seeds {
        to.key(b"num_complete").int(seeds);
    }
    if let Some(leechers) = leechers {
        to.key(b"num_downloaders").int(leechers);
        to.key(b"num_incomplete").int(leechers);
    }
    if let Some(seeds) = seeds {
        to.key(b"num_seeds").int(seeds);
    }
    to.key(b"paused").int(resume.paused.into());
    put_peers(to, [b"peers", b"peers6"], &resume.peers);
    if !resume.piece_priority.is_empty() {
        to.key(b"piece_priority").bytes(&resume.piece_priority);
    }
    let verified = |at| resume.verified.get(at).copied().unwrap_or_default();
    let pieces = resume.have.iter().enumerate();
    let pieces: Vec<u8> = pieces
        .map(|(at, &have)| u8::from(have) | u8::from(verified(at)) << 1)
        .collect();
    to.key(b"pieces").bytes(&pieces);
    if let Some(path) = &resume.save_path {
        to.key(b"save_path").bytes(path);
    }
    to.key(b"seed_mode").int(resume.seed_mode.into());
    to.key(b"seeding_time").int(integer(resume.seeding_secs));
    to.key(b"sequential_download").int(resume.sequential.into());
    if !resume.slots.is_empty() {
        to.key(b"slots").begin_list();
        for &slot in &resume.slots {
            to.int(slot);
        }
        to.end();
    }
    to.key(b"total_downloaded").int(integer(resume.downloaded));
    to.key(b"total_uploaded").int(integer(resume.uploaded));
    if let Some(tiers) = &resume.trackers {
        to.key(b"trackers").begin_list();
        for tier in tiers {
            put_texts(to, tier);
        }
        to.end();
    }
    if !resume.trees.is_empty() {
        put_trees(resume, to);
    }
    put_unfinished(resume, to);
    to.key(b"upload_rate_limit").int(limit(resume.upload_limit));
    if let Some(urls) = &resume.web_seeds {
        to.key(b"url-list");
        put_texts(to, urls);
    }
}

fn put_trees(resume: &FastResume, to: &mut Encoder<'_>) {
    let digits = |marks: &[bool]| -> Vec<u8> { marks.iter().map(|&mark| if mark { b'1' } else { b'0' }).collect() };
    to.key(b"trees").begin_list();
    for tree in &resume.trees {
        to.begin_dict();
        to.key(b"hashes").bytes(tree.hashes.as_flattened());
        if !tree.mask.is_empty() {
            to.key(b"mask").bytes(&digits(&tree.mask));
        }
        if !tree.verified.is_empty() {
            to.key(b"verified").bytes(&digits(&tree.verified));
        }
        to.end();
    }
    to.end();
}

fn put_unfinished(resume: &FastResume, to: &mut Encoder<'_>) {
    to.key(b"unfinished").begin_list();
    for piece in &resume.unfinished {
        to.begin_dict();
        if let Some(sum) = piece.adler32 {
            to.key(b"adler32").int(sum.into());
        }
        let byte = |bits: &[bool]| {
            let bits = bits.iter().zip(0u32..);
            bits.fold(0, |byte, (&bit, at)| byte | u8::from(bit) << (7 - at))
        };
        let mask: Vec<u8> = piece.blocks.chunks(8).map(byte).collect();
        to.key(b"bitmask").bytes(&mask);
        to.key(b"piece").int(piece.piece.into());
        to.end();
    }
    to.end();
}

/// Both keys always: that they are strings says which form this is.
fn put_peers(to: &mut Encoder<'_>, [four, six]: [&[u8]; 2], peers: &[SocketAddr]) {
    for (key, is_six) in [(four, false), (six, true)] {
        let mut packed = Vec::new();
        let family = peers.iter().filter(|peer| peer.is_ipv6() == is_six);
        family.for_each(|peer| compact::put_addr(peer, &mut packed));
        to.key(key).bytes(&packed);
    }
}

fn put_texts(to: &mut Encoder<'_>, texts: &[Vec<u8>]) {
    to.begin_list();
    for text in texts {
        to.bytes(text);
    }
    to.end();
}

fn integer(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

fn limit(limit: Option<u64>) -> i64 {
    limit.map_or(UNLIMITED, integer)
}
