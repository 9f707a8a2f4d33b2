//! A .torrent file: an info dictionary, and what helps to find its peers.

use std::ops::Range;

use crate::bencode::{self, Limits, Reader, Value};
use crate::magnet::Magnet;
use crate::merkle::Hash;
use crate::{HostPort, InfoHash, InfoHashV2};

use super::error::{Fault, Field, MetainfoError};
use super::info::Info;
use super::keys::{Keys, preferred};

/// Bytes of a v2 hash.
const SHA256_LEN: usize = 32;

/// The keys of a .torrent file that [`Torrent`] has a field for, sorted.
const KNOWN: [&[u8]; 12] = [
    b"announce",
    b"announce-list",
    b"comment",
    b"comment.utf-8",
    b"created by",
    b"creation date",
    b"encoding",
    b"httpseeds",
    b"info",
    b"nodes",
    b"piece layers",
    b"url-list",
];

/// A .torrent file, read. Only the info dictionary and the piece layers are strict: what is beside them is not covered
/// by a hash, differs between programs, and counts as absent if it makes no sense. Text that is not UTF-8 has U+FFFD.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Torrent {
    /// The info dictionary.
    pub info: Info,
    /// The tracker (BEP 3).
    pub announce: Option<String>,
    /// Tiers of trackers, the first to be tried first (BEP 12). None of them is empty.
    pub announce_list: Vec<Vec<String>>,
    /// Web seeds (`url-list`, BEP 19).
    pub url_list: Vec<String>,
    /// Web seeds of another kind (`httpseeds`, BEP 17).
    pub http_seeds: Vec<String>,
    /// DHT nodes to start from (BEP 5).
    pub nodes: Vec<HostPort>,
    /// Free text.
    pub comment: Option<String>,
    /// The program that made the file.
    pub created_by: Option<String>,
    /// When the file was made, Unix seconds, as claimed.
    pub creation_date: Option<i64>,
    /// The encoding of text that is not marked as UTF-8, as claimed.
    pub encoding: Option<String>,
    /// Files that have their layer of piece hashes here (`piece layers`, BEP 52).
    pub piece_layers: usize,
    raw: Vec<u8>,
    /// Where the info dictionary lies in `raw`.
    info_at: Range<usize>,
}

impl Torrent {
    /// Reads a .torrent file. Bytes after its dictionary are ignored.
    ///
    /// # Errors
    ///
    /// What is wrong with the info dictionary or the piece layers, or that there is no info dictionary.
    pub fn parse(raw: &[u8]) -> Result<Self, MetainfoError> {
        let mut reader = Reader::new(raw, &Limits::METAINFO);
        reader.begin_dict()?;
        let mut beside = Beside::default();
        let mut info = None;
        while let Some(key) = reader.key()? {
            let start = reader.offset();
            let value = reader.value()?;
            if key == b"info" {
                info.get_or_insert((value, start..reader.offset()));
            } else {
                beside.take(key, value);
            }
        }
        let (info, info_at) = info.ok_or(MetainfoError::Field {
            field: Field::Info,
            fault: Fault::Missing,
        })?;
        Ok(Self {
            info: Info::parse(info.raw())?,
            announce: text(beside.announce),
            announce_list: tiers(beside.announce_list),
            url_list: texts(beside.url_list),
            http_seeds: texts(beside.http_seeds),
            nodes: nodes(beside.nodes),
            comment: preferred(beside.comment_utf8, beside.comment).and_then(lossy),
            created_by: text(beside.created_by),
            creation_date: beside.creation_date.and_then(Value::as_int),
            encoding: text(beside.encoding),
            piece_layers: piece_layers(beside.piece_layers)?,
            raw: raw.get(..reader.offset()).unwrap_or_default().to_vec(),
            info_at,
        })
    }

    /// The info dictionary's exact bytes, over which the torrent's name is computed.
    pub fn raw_info(&self) -> &[u8] {
        self.raw.get(self.info_at.clone()).unwrap_or_default()
    }

    /// The v1 name, unless the torrent is v2 only.
    pub fn info_hash_v1(&self) -> Option<InfoHash> {
        let v1 = self.info.version.has_v1();
        v1.then(|| super::info_hash_v1(self.raw_info()))
    }

    /// The v2 name, unless the torrent is v1 only.
    pub fn info_hash_v2(&self) -> Option<InfoHashV2> {
        let v2 = self.info.version.has_v2();
        v2.then(|| super::info_hash_v2(self.raw_info()))
    }

    /// The tiers of trackers to try: `announce-list` if there is one, else `announce` alone (BEP 12).
    pub fn tiers(&self) -> Vec<Vec<&str>> {
        if self.announce_list.is_empty() {
            return self.announce.iter().map(|url| vec![url.as_str()]).collect();
        }
        let tiers = self.announce_list.iter();
        tiers.map(|tier| tier.iter().map(String::as_str).collect()).collect()
    }

    /// A magnet link to the same torrent.
    pub fn magnet(&self) -> Magnet {
        let name = self.info.name_lossy().into_owned();
        Magnet {
            info_hash: self.info_hash_v1(),
            info_hash_v2: self.info_hash_v2(),
            name: Some(name).filter(|name| !name.is_empty()),
            trackers: self.tiers().concat().into_iter().map(str::to_owned).collect(),
            web_seeds: self.url_list.clone(),
            ..Magnet::default()
        }
    }

    /// The layers of piece hashes (`piece layers`, BEP 52): for each file of more than one piece the root of its tree, and
    /// the hashes. Nothing says that they belong together.
    pub fn layers(&self) -> impl Iterator<Item = (&Hash, &[Hash])> {
        let layers = entries(&self.raw).find(|(key, _)| *key == b"piece layers");
        let layers = layers.and_then(|(_, layers)| layers.as_dict());
        layers.into_iter().flatten().filter_map(|(root, layer)| {
            let (hashes, _) = layer.as_bytes()?.as_chunks();
            Some((root.try_into().ok()?, hashes))
        })
    }

    /// Entries beside the info dictionary that have no field here, in the order of the file.
    pub fn other_entries(&self) -> impl Iterator<Item = (&[u8], Value<'_>)> {
        entries(&self.raw).filter(|(key, _)| !KNOWN.contains(key))
    }

    /// Entries of the info dictionary that [`Info`] does not read, such as `source`, in the order of the file.
    pub fn other_info_entries(&self) -> impl Iterator<Item = (&[u8], Value<'_>)> {
        entries(self.raw_info()).filter(|(key, _)| !Keys::knows(key))
    }
}

/// What stands beside the info dictionary; of a repeated key the first counts.
#[derive(Debug, Default)]
struct Beside<'a> {
    announce: Option<Value<'a>>,
    announce_list: Option<Value<'a>>,
    comment: Option<Value<'a>>,
    comment_utf8: Option<Value<'a>>,
    created_by: Option<Value<'a>>,
    creation_date: Option<Value<'a>>,
    encoding: Option<Value<'a>>,
    http_seeds: Option<Value<'a>>,
    nodes: Option<Value<'a>>,
    piece_layers: Option<Value<'a>>,
    url_list: Option<Value<'a>>,
}

impl<'a> Beside<'a> {
    fn take(&mut self, key: &[u8], value: Value<'a>) {
        let slot = match key {
            b"announce" => &mut self.announce,
            b"announce-list" => &mut self.announce_list,
            b"comment" => &mut self.comment,
            b"comment.utf-8" => &mut self.comment_utf8,
            b"created by" => &mut self.created_by,
            b"creation date" => &mut self.creation_date,
            b"encoding" => &mut self.encoding,
            b"httpseeds" => &mut self.http_seeds,
            b"nodes" => &mut self.nodes,
            b"piece layers" => &mut self.piece_layers,
            b"url-list" => &mut self.url_list,
            _ => return,
        };
        slot.get_or_insert(value);
    }
}

fn entries(raw: &[u8]) -> impl Iterator<Item = (&[u8], Value<'_>)> {
    let dict = bencode::decode(raw, &Limits::METAINFO).ok().and_then(Value::as_dict);
    dict.into_iter().flatten()
}

fn text(value: Option<Value<'_>>) -> Option<String> {
    value.and_then(Value::as_bytes).and_then(lossy)
}

/// Text without the blanks around it, or nothing if nothing is left.
fn lossy(bytes: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(bytes);
    Some(text.trim().to_owned()).filter(|text| !text.is_empty())
}

/// One text, or a list of them: `url-list` is written either way.
fn texts(value: Option<Value<'_>>) -> Vec<String> {
    let list = value.and_then(Value::as_list).into_iter().flatten();
    let list = list.filter_map(|item| text(Some(item)));
    text(value).into_iter().chain(list).collect()
}

/// A list of lists; some programs write a flat list, each of which is then a tier.
fn tiers(value: Option<Value<'_>>) -> Vec<Vec<String>> {
    let list = value.and_then(Value::as_list).into_iter().flatten();
    let tiers = list.map(|tier| texts(Some(tier)));
    tiers.filter(|tier| !tier.is_empty()).collect()
}

fn nodes(value: Option<Value<'_>>) -> Vec<HostPort> {
    let node = |node: Value<'_>| {
        let mut pair = node.as_list()?.into_iter();
        let host = str::from_utf8(pair.next()?.as_bytes()?).ok()?;
        let port = u16::try_from(pair.next()?.as_int()?).ok()?;
        HostPort::new(host, port).ok()
    };
    let list = value.and_then(Value::as_list).into_iter().flatten();
    list.filter_map(node).collect()
}

/// Counts the layers, if each has a root for its name and whole hashes in it.
fn piece_layers(value: Option<Value<'_>>) -> Result<usize, MetainfoError> {
    let Some(value) = value else {
        return Ok(0);
    };
    let bad = MetainfoError::Field {
        field: Field::PieceLayers,
        fault: Fault::Kind,
    };
    let mut count = 0;
    for (root, layer) in value.as_dict().ok_or(bad)? {
        let hashes = layer.as_bytes().ok_or(bad)?;
        if root.len() != SHA256_LEN || hashes.is_empty() || !hashes.len().is_multiple_of(SHA256_LEN) {
            return Err(bad);
        }
        count += 1;
    }
    Ok(count)
}
