//! Torrents made for tests: info dictionaries of every version over the same files.

use std::collections::BTreeMap;
use std::sync::Arc;

use wire::bencode::{Encoder, Entry};
use wire::merkle::Hash;
use wire::metainfo::{Info, Version};

use super::{Layout, LayoutError, NameRules};

/// A torrent to be made.
#[derive(Clone, Debug)]
pub(crate) struct Made {
    pub(crate) version: Version,
    pub(crate) piece_length: u64,
    /// Paths, `/` between names, and sizes; in a tree's order where there is a tree.
    pub(crate) files: Vec<(String, u64)>,
    /// The root of each.
    pub(crate) roots: Vec<Hash>,
    /// Whether a hybrid's last piece is filled too, as libtorrent does.
    pub(crate) tail: bool,
}

impl Made {
    /// Roots are numbers; no content is behind them.
    pub(crate) fn new(version: Version, piece_length: u64, files: &[(&str, u64)]) -> Self {
        Self {
            version,
            piece_length,
            files: files.iter().map(|(path, len)| ((*path).to_owned(), *len)).collect(),
            roots: (1..=files.len()).map(|at| [u8::try_from(at).unwrap(); 32]).collect(),
            tail: false,
        }
    }

    /// The info dictionary.
    pub(crate) fn raw(&self) -> Vec<u8> {
        let mut out = Vec::new();
        let mut to = Encoder::new(&mut out);
        to.begin_dict();
        if self.version.has_v2() {
            self.tree().encode_into(to.key(b"file tree"));
        }
        let mut span = 0;
        if self.version.has_v1() {
            to.key(b"files").begin_list();
            for (at, (path, len)) in self.files.iter().enumerate() {
                span += self.file(&mut to, path, *len);
                let last = at + 1 == self.files.len();
                let pad = span.next_multiple_of(self.piece_length) - span;
                if self.version == Version::Hybrid && pad > 0 && (!last || self.tail) {
                    to.begin_dict().key(b"attr").bytes(b"p");
                    to.key(b"length").int(i64::try_from(pad).unwrap());
                    to.key(b"path").begin_list().bytes(b".pad").bytes(b"x").end().end();
                    span += pad;
                }
            }
            to.end();
        }
        if self.version.has_v2() {
            to.key(b"meta version").int(2);
        }
        to.key(b"name").bytes(b"made");
        to.key(b"piece length").int(i64::try_from(self.piece_length).unwrap());
        if self.version.has_v1() {
            let pieces = span.div_ceil(self.piece_length);
            let hashes: Vec<u8> = (0..pieces).flat_map(|piece| [piece as u8; 20]).collect();
            to.key(b"pieces").bytes(&hashes);
        }
        to.end();
        out
    }

    pub(crate) fn layout(&self) -> Result<Layout, LayoutError> {
        laid_out(&self.raw(), NameRules::Portable)
    }

    fn file(&self, to: &mut Encoder<'_>, path: &str, len: u64) -> u64 {
        to.begin_dict().key(b"length").int(i64::try_from(len).unwrap());
        to.key(b"path").begin_list();
        for name in path.split('/') {
            to.bytes(name.as_bytes());
        }
        to.end().end();
        len
    }

    fn tree(&self) -> Tree {
        let mut root = Tree::default();
        for ((path, len), hash) in self.files.iter().zip(&self.roots) {
            let mut at = &mut root;
            for name in path.split('/') {
                at = at.below.entry(name.to_owned()).or_default();
            }
            at.file = Some((*len, *hash));
        }
        root
    }
}

/// Reads and lays out an info dictionary, which must be one.
pub(crate) fn laid_out(raw: &[u8], rules: NameRules) -> Result<Layout, LayoutError> {
    let info = Info::parse(raw).unwrap();
    Layout::new(Arc::new(info), raw.into(), rules)
}

#[derive(Default)]
struct Tree {
    file: Option<(u64, Hash)>,
    below: BTreeMap<String, Self>,
}

impl Tree {
    fn encode_into(&self, to: &mut Encoder<'_>) {
        let mut out = Vec::new();
        self.entry().encode(&mut out);
        to.raw(&out);
    }

    fn entry(&self) -> Entry {
        let mut dict: BTreeMap<Vec<u8>, Entry> = BTreeMap::new();
        if let Some((len, root)) = self.file {
            let mut file: BTreeMap<Vec<u8>, Entry> = BTreeMap::new();
            file.insert(b"length".to_vec(), Entry::Int(i64::try_from(len).unwrap()));
            if len > 0 {
                file.insert(b"pieces root".to_vec(), Entry::Bytes(root.to_vec()));
            }
            dict.insert(Vec::new(), Entry::Dict(file));
        }
        for (name, below) in &self.below {
            dict.insert(name.clone().into_bytes(), below.entry());
        }
        Entry::Dict(dict)
    }
}
