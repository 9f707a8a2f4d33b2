//! Torrents with content: info dictionaries of every version over patterns, and the same files on a simulated disk.

use std::collections::BTreeMap;
use std::sync::Arc;

use engine::layout::Kind;
use engine::{Add, Hashes, JournalPlace, Layout, NameRules, Verify};
use sim::disk::{Content, Disk};
use wire::InfoHash;
use wire::bencode::{Encoder, Entry};
use wire::merkle::{self, Hash};
use wire::metainfo::{Info, Version, info_hash_v1};
use world::Seed;

const BLOCK: usize = 16 << 10;

/// The file of a torrent's journal, in the folder `/journal`.
const JOURNAL: &str = "it.journal";

/// A torrent and its content. Copies share it.
#[derive(Clone)]
pub(crate) struct Made {
    raw: Arc<[u8]>,
    info: Arc<Info>,
    /// The content of each file that has some, or is empty, in the torrent's order.
    contents: Vec<Content>,
    /// Piece layers, by root.
    layers: Vec<(Hash, Vec<Hash>)>,
}

impl Made {
    /// A torrent of these files, paths with `/` and lengths, in the order of a tree. Seeds give other content.
    pub(crate) fn new(version: Version, piece_length: usize, files: &[(&str, u64)], seed: u64) -> Self {
        let seed = Seed::from_number(seed);
        let content = |(number, (_, len)): (usize, &(&str, u64))| {
            Content::pattern(seed.derive_number("file", number as u64), *len)
        };
        let contents: Vec<Content> = files.iter().enumerate().map(content).collect();
        let mut layers = Vec::new();
        let trees: Vec<Hash> = contents
            .iter()
            .map(|content| {
                let (root, layer) = tree(&content.to_vec(), piece_length);
                layers.extend((layer.len() > 1).then_some((root, layer)));
                root
            })
            .collect();
        let mut raw = Vec::new();
        let mut to = Encoder::new(&mut raw);
        to.begin_dict();
        if version.has_v2() {
            let mut out = Vec::new();
            file_tree(files, &trees).encode(&mut out);
            to.key(b"file tree").raw(&out);
        }
        let mut bytes = Vec::new();
        if version.has_v1() {
            to.key(b"files").begin_list();
            for (number, ((path, len), content)) in files.iter().zip(&contents).enumerate() {
                v1_file(&mut to, path, *len, false);
                bytes.extend(content.to_vec());
                let pad = bytes.len().next_multiple_of(piece_length) - bytes.len();
                if version == Version::Hybrid && pad > 0 && number + 1 < files.len() {
                    v1_file(&mut to, &format!(".pad/{pad}"), pad as u64, true);
                    bytes.resize(bytes.len() + pad, 0);
                }
            }
            to.end();
        }
        if version.has_v2() {
            to.key(b"meta version").int(2);
        }
        to.key(b"name").bytes(b"made");
        to.key(b"piece length").int(i64::try_from(piece_length).unwrap());
        if version.has_v1() {
            // The name of a v1 torrent is a SHA-1, as that of a piece.
            let hashes = bytes.chunks(piece_length).map(|piece| *info_hash_v1(piece).as_bytes());
            to.key(b"pieces").bytes(hashes.collect::<Vec<_>>().as_flattened());
        }
        to.end();
        Self {
            info: Arc::new(Info::parse(&raw).unwrap()),
            raw: raw.into(),
            contents,
            layers,
        }
    }

    /// One file of so many bytes, v1.
    pub(crate) fn plain(piece_length: usize, len: u64, seed: u64) -> Self {
        Self::new(Version::V1, piece_length, &[("file", len)], seed)
    }

    pub(crate) fn layout(&self) -> Layout {
        Layout::new(Arc::clone(&self.info), Arc::clone(&self.raw), NameRules::Exact).unwrap()
    }

    pub(crate) fn pieces(&self) -> u32 {
        self.layout().pieces()
    }

    /// Bytes of all files.
    pub(crate) fn len(&self) -> u64 {
        self.contents.iter().map(Content::len).sum()
    }

    pub(crate) fn info_hash(&self) -> InfoHash {
        self.add("/").info_hash
    }

    /// Ready for an engine, with nothing at hand, as from a .torrent file: piece layers are known.
    pub(crate) fn add(&self, folder: &str) -> Add {
        let mut add = self.add_from_roots(folder);
        if let Some(hashes) = &mut add.hashes {
            for (root, layer) in &self.layers {
                hashes.add_layer(&add.layout, root, layer).unwrap();
            }
        }
        add
    }

    /// As from a magnet link: of hash trees only the roots are known.
    pub(crate) fn add_from_roots(&self, folder: &str) -> Add {
        let layout = self.layout();
        let hashes = layout.has_v2().then(|| Hashes::new(&layout));
        let mut add = Add::new(layout, hashes, folder.to_owned());
        add.journal = Some(JournalPlace {
            folder: "/journal".to_owned(),
            file: JOURNAL.to_owned(),
        });
        add.verify = Verify::Trust;
        add
    }

    /// The files that are on a disk, with their contents.
    pub(crate) fn files(&self, folder: &str) -> Vec<(String, Content)> {
        let layout = self.layout();
        let files = layout.files().filter(|file| file.kind == Kind::Content);
        let paths = files.map(|file| format!("{folder}/{}", file.path));
        paths.zip(self.contents.iter().cloned()).collect()
    }

    /// Puts the files on a disk.
    pub(crate) fn plant(&self, disk: &mut Disk, folder: &str) {
        for (path, content) in self.files(folder) {
            disk.plant(&path, content);
        }
    }

    /// Panics if a file is missing or differs.
    pub(crate) fn assert_there(&self, disk: &Disk, folder: &str) {
        for (path, content) in self.files(folder) {
            assert!(disk.holds(&path, &content), "{path} is not what it should be");
        }
    }

    /// Whether a piece on a disk is what it should be.
    pub(crate) fn piece_is_there(&self, disk: &Disk, folder: &str, piece: u32) -> bool {
        let layout = self.layout();
        let numbered = layout
            .files()
            .enumerate()
            .filter(|(_, file)| file.kind == Kind::Content);
        let contents: BTreeMap<usize, &Content> = numbered.map(|(number, _)| number).zip(&self.contents).collect();
        layout.map_block(piece, 0, layout.piece_len(piece)).all(|slice| {
            let Some(file) = slice.file else { return true };
            let (mut is, mut should) = (vec![0; slice.len as usize], vec![0; slice.len as usize]);
            let path = format!("{folder}/{}", layout.file(file).unwrap().path);
            contents[&(file as usize)].read(slice.at, &mut should);
            disk.read_at(&path, slice.at, &mut is) && is == should
        })
    }

    /// A block, for scripted peers.
    pub(crate) fn block(&self, piece: u32, begin: u32, len: u32) -> Vec<u8> {
        let layout = self.layout();
        let mut out = Vec::new();
        let numbered = layout
            .files()
            .enumerate()
            .filter(|(_, file)| file.kind == Kind::Content);
        let contents: BTreeMap<usize, &Content> = numbered.map(|(number, _)| number).zip(&self.contents).collect();
        for slice in layout.map_block(piece, begin, len) {
            let mut bytes = vec![0; slice.len as usize];
            if let Some(file) = slice.file {
                contents[&(file as usize)].read(slice.at, &mut bytes);
            }
            out.extend(bytes);
        }
        out
    }
}

/// The bytes of the journal of a torrent that was added by [`Made::add`].
pub(crate) fn journal(disk: &Disk) -> Option<Vec<u8>> {
    disk.file(&format!("/journal/{JOURNAL}"))
}

/// Puts another journal in its place, as the door does when it begins.
pub(crate) fn plant_journal(disk: &mut Disk, bytes: Vec<u8>) {
    disk.plant(&format!("/journal/{JOURNAL}"), Content::bytes(bytes));
}

/// The root of a file's tree, and its piece layer.
fn tree(bytes: &[u8], piece_length: usize) -> (Hash, Vec<Hash>) {
    let leaves: Vec<Hash> = bytes.chunks(BLOCK).map(merkle::leaf).collect();
    let in_piece = (piece_length / BLOCK).max(1);
    if leaves.len() <= in_piece {
        return (merkle::root(&leaves), Vec::new());
    }
    let piece = |leaves: &[Hash]| {
        let mut leaves = leaves.to_vec();
        leaves.resize(in_piece, [0; 32]);
        merkle::root(&leaves)
    };
    let layer: Vec<Hash> = leaves.chunks(in_piece).map(piece).collect();
    (merkle::root_of_layer(&layer, in_piece.ilog2()), layer)
}

fn v1_file(to: &mut Encoder<'_>, path: &str, len: u64, is_pad: bool) {
    to.begin_dict();
    if is_pad {
        to.key(b"attr").bytes(b"p");
    }
    to.key(b"length").int(i64::try_from(len).unwrap());
    to.key(b"path").begin_list();
    for name in path.split('/') {
        to.bytes(name.as_bytes());
    }
    to.end().end();
}

type Dict = BTreeMap<Vec<u8>, Entry>;

fn file_tree(files: &[(&str, u64)], roots: &[Hash]) -> Entry {
    let mut tree = Dict::new();
    for ((path, len), root) in files.iter().zip(roots) {
        let mut at = &mut tree;
        for name in path.split('/') {
            let below = at.entry(name.into()).or_insert_with(|| Entry::Dict(Dict::new()));
            let Entry::Dict(below) = below else { unreachable!() };
            at = below;
        }
        let mut file = Dict::new();
        file.insert(b"length".to_vec(), Entry::Int(i64::try_from(*len).unwrap()));
        if *len > 0 {
            file.insert(b"pieces root".to_vec(), Entry::Bytes(root.to_vec()));
        }
        at.insert(Vec::new(), Entry::Dict(file));
    }
    Entry::Dict(tree)
}
