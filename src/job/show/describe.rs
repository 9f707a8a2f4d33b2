//! What a torrent or a link says, line by line.

use std::io::{self, Write};

use wire::bencode::{Kind, Value};
use wire::magnet::Magnet;
use wire::metainfo::{Expected, Info, Torrent, Version};
use wire::{InfoHash, InfoHashV2};

use super::sheet::{Sheet, exact_size};
use super::subject::Remains;
use crate::report::{plain, thousands, utc};

/// Longest text that is shown of an entry without a meaning here, bytes. Longer text is as good as binary to a reader.
const MAX_OTHER_TEXT: usize = 200;

/// A .torrent file, or an info dictionary alone.
pub(super) fn torrent(torrent: &Torrent, files: usize, sheet: &mut Sheet<impl Write>) -> io::Result<()> {
    sheet.maybe("problem", Expected::of(torrent).err())?;
    info(&torrent.info, torrent.info_hash_v1(), torrent.info_hash_v2(), sheet)?;
    sheet.maybe("announce", torrent.announce.as_ref())?;
    for (tier, urls) in (1..).zip(&torrent.announce_list) {
        sheet.each(&format!("tier {tier}"), urls)?;
    }
    sheet.each("web seed", &torrent.url_list)?;
    sheet.each("http seed", &torrent.http_seeds)?;
    sheet.each("dht node", &torrent.nodes)?;
    sheet.maybe("comment", torrent.comment.as_ref())?;
    sheet.maybe("created by", torrent.created_by.as_ref())?;
    sheet.maybe("creation date", torrent.creation_date.map(utc))?;
    sheet.maybe("encoding", torrent.encoding.as_ref())?;
    sheet.maybe(
        "piece layers",
        (torrent.piece_layers > 0).then_some(torrent.piece_layers),
    )?;
    sheet.each("other info key", torrent.other_info_entries().map(other))?;
    sheet.each("other key", torrent.other_entries().map(other))?;
    sheet.files(&torrent.info, files)?;
    sheet.row("magnet", torrent.magnet())
}

/// An info dictionary in which something is wrong, and what that is.
pub(super) fn salvaged(remains: &Remains, files: usize, sheet: &mut Sheet<impl Write>) -> io::Result<()> {
    sheet.row("problem", remains.problem)?;
    info(&remains.info, remains.info_hash, remains.info_hash_v2, sheet)?;
    sheet.files(&remains.info, files)?;
    let name = remains.info.name_lossy().into_owned();
    let magnet = Magnet {
        info_hash: remains.info_hash,
        info_hash_v2: remains.info_hash_v2,
        name: Some(name).filter(|name| !name.is_empty()),
        ..Magnet::default()
    };
    let named = magnet.swarm_hashes().next().is_some();
    sheet.maybe("magnet", named.then_some(magnet))
}

/// A link, or an infohash alone.
pub(super) fn magnet(magnet: &Magnet, sheet: &mut Sheet<impl Write>) -> io::Result<()> {
    sheet.maybe("name", magnet.name.as_ref())?;
    sheet.maybe("info hash v1", magnet.info_hash)?;
    sheet.maybe("info hash v2", magnet.info_hash_v2)?;
    sheet.each("tracker", &magnet.trackers)?;
    sheet.each("web seed", &magnet.web_seeds)?;
    sheet.each("peer", &magnet.peers)?;
    sheet.maybe("selected files", magnet.select.as_ref())?;
    sheet.each("file priority", &magnet.priorities)?;
    sheet.row("magnet", magnet)
}

/// What the hash covers, but for the files themselves.
fn info(
    info: &Info,
    info_hash: Option<InfoHash>,
    info_hash_v2: Option<InfoHashV2>,
    sheet: &mut Sheet<impl Write>,
) -> io::Result<()> {
    sheet.row("name", info.name_lossy())?;
    sheet.maybe("info hash v1", info_hash)?;
    sheet.maybe("info hash v2", info_hash_v2)?;
    let version = match info.version {
        Version::V1 => "v1",
        Version::V2 => "v2",
        Version::Hybrid => "hybrid",
    };
    sheet.row("version", version)?;
    sheet.row("piece length", exact_size(info.piece_length))?;
    sheet.row("pieces", thousands(info.piece_count))?;
    sheet.row("total size", exact_size(info.total_bytes()))?;
    sheet.row("files", thousands(info.file_count()))?;
    let padding = info.files().filter(|file| file.pad);
    let (count, bytes) = padding.fold((0u64, 0u64), |(count, bytes), pad| {
        (count + 1, bytes.saturating_add(pad.length))
    });
    let padding = (count > 0).then(|| format!("{}, {}", thousands(count), exact_size(bytes)));
    sheet.maybe("padding files", padding)?;
    sheet.row("private", if info.private { "yes" } else { "no" })
}

/// An entry that has no meaning here: its name, and what kind of thing it is.
fn other((key, value): (&[u8], Value<'_>)) -> String {
    let key = text(key).unwrap_or_else(|| format!("(name of {})", exact_size(length(key))));
    let all = exact_size(length(value.raw()));
    match value.kind() {
        Kind::Int => format!("{key}, integer: {}", value.as_int().unwrap_or_default()),
        Kind::List => format!("{key}, list of {}, {all}", count(value.as_list())),
        Kind::Dict => format!("{key}, dictionary of {}, {all}", count(value.as_dict())),
        Kind::Bytes | Kind::End => {
            let bytes = value.as_bytes().unwrap_or_default();
            let size = exact_size(length(bytes));
            match text(bytes) {
                Some(text) => format!("{key}, text, {size}: {text}"),
                None => format!("{key}, binary, {size}"),
            }
        }
    }
}

/// Bytes that are short, printable text.
fn text(bytes: &[u8]) -> Option<String> {
    let shown = (bytes.len() <= MAX_OTHER_TEXT).then(|| plain(bytes))?;
    (shown.as_bytes() == bytes).then_some(shown)
}

fn count(items: Option<impl IntoIterator>) -> String {
    thousands(items.map_or(0, |items| length_of(items.into_iter().count())))
}

fn length(bytes: &[u8]) -> u64 {
    length_of(bytes.len())
}

/// No machine has memory for more than 2^64 of anything.
fn length_of(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}
