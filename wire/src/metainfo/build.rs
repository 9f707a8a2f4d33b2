//! New .torrent files: a description of files becomes a [`Draft`], which says what to hash, and with the hashes of its
//! pieces the bytes of the file, in canonical bencode.

use thiserror::Error;

use crate::HostPort;
use crate::bencode::Encoder;
use crate::merkle::{self, Hash, LEAF_LEN};

use super::content::Content;
use super::hasher::PieceHashes;
use super::info::Version;

/// Largest piece: programs call more unreasonable, for nothing of a piece can be shared before all of it is there.
pub const MAX_PIECE_LENGTH: u64 = 128 << 20;

/// Most pieces: more than the largest torrents in the wild have, and as many as the programs that load them allow.
pub const MAX_PIECES: u64 = 1 << 21;

/// Most bytes of all files: 256 TiB.
const MAX_TOTAL: u64 = MAX_PIECES * MAX_PIECE_LENGTH;

/// Most pieces when the length is ours to choose: a list of 20 bytes for each stays below 400 KiB.
const GOOD_PIECES: u64 = 20_000;

/// Most segments in a path: readers, ours among them, bound how deep a tree may nest.
const MAX_DEPTH: usize = 64;

/// A piece length for so many bytes: a power of two, and 20,000 pieces or fewer if [`MAX_PIECE_LENGTH`] allows.
pub fn piece_length_for(total: u64) -> u64 {
    let mut length: u64 = match total {
        0..0x0100_0000 => 16 << 10,
        0x0100_0000..0x2000_0000 => 256 << 10,
        _ => 1 << 20,
    };
    while total.div_ceil(length) > GOOD_PIECES && length < MAX_PIECE_LENGTH {
        length *= 2;
    }
    length
}

/// A file of a new torrent.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NewFile {
    /// The path below the torrent's directory, outermost first; of a torrent that is one file its name alone.
    pub path: Vec<String>,
    /// Bytes.
    pub length: u64,
    /// It may be run: attribute `x` (BEP 47).
    pub executable: bool,
}

/// What a new torrent is to say.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Description {
    /// v1, v2, or both in one.
    pub version: Version,
    /// The file, or the directory of all files.
    pub name: String,
    /// Whether the content is one file and not a directory.
    pub single: bool,
    /// The files, sorted by path, segment by segment and byte by byte: the order that v2 prescribes.
    pub files: Vec<NewFile>,
    /// Bytes of a piece, a power of two from 16 KiB to [`MAX_PIECE_LENGTH`].
    pub piece_length: u64,
    /// Only the trackers may tell of it (BEP 27).
    pub private: bool,
    /// Who it is from: makes the infohash another one.
    pub source: Option<String>,
    /// Tiers of trackers (BEP 12).
    pub trackers: Vec<Vec<String>>,
    /// Web seeds (BEP 19).
    pub web_seeds: Vec<String>,
    /// DHT nodes to start from (BEP 5).
    pub nodes: Vec<HostPort>,
    /// Free text.
    pub comment: Option<String>,
    /// The program that made it.
    pub created_by: Option<String>,
    /// Unix seconds.
    pub creation_date: Option<i64>,
}

/// Why a description is none of a torrent.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum BuildError {
    /// Neither a file nor a byte.
    #[error("there are no bytes to share: every file is empty, or there is none")]
    Empty,
    /// Not a power of two in the range.
    #[error("a piece length of {0} is no power of two from 16 KiB to 128 MiB")]
    PieceLength(u64),
    /// Sizes that do not fit.
    #[error("the files are larger than a torrent can tell")]
    TooLarge,
    /// More than [`MAX_PIECES`].
    #[error("{0} pieces are more than the 2,097,152 that programs take: choose a larger piece length")]
    TooManyPieces(u64),
    /// A name that is no name of a file, or one that means something else to programs.
    #[error("`{0}` cannot be a name in a torrent")]
    Name(String),
    /// Below too many directories.
    #[error("`{0}` lies deeper than 64 directories")]
    TooDeep(String),
    /// Not sorted, twice the same path, or a file that is a directory, too.
    #[error("`{0}` is out of order, or stands in the place of another file")]
    Order(String),
    /// Hashes that are not of this content.
    #[error("the hashes are not those of the pieces")]
    Hashes,
}

/// An entry of the v1 list.
#[derive(Clone, Copy, Debug)]
enum Listed<'a> {
    File(&'a NewFile),
    Pad(u64),
}

/// A sound description: all but the hashes.
#[derive(Clone, Debug)]
pub struct Draft {
    about: Description,
    content: Content,
}

impl Draft {
    /// Checks a description.
    ///
    /// # Errors
    ///
    /// Any [`BuildError`] but [`BuildError::Hashes`].
    pub fn new(about: Description) -> Result<Self, BuildError> {
        let length = about.piece_length;
        if !length.is_power_of_two() || !(LEAF_LEN as u64..=MAX_PIECE_LENGTH).contains(&length) {
            return Err(BuildError::PieceLength(length));
        }
        let mut total = 0u64;
        for file in &about.files {
            total = total.checked_add(file.length).ok_or(BuildError::TooLarge)?;
        }
        if total > MAX_TOTAL {
            return Err(BuildError::TooLarge);
        }
        if total == 0 {
            return Err(BuildError::Empty);
        }
        check_names(&about)?;
        let listed = listed(&about);
        let sizes = listed.iter().map(|entry| match entry {
            Listed::File(file) => (file.length, false),
            Listed::Pad(length) => (*length, true),
        });
        let content = Content::new(about.version, length, sizes);
        let count = content.piece_count();
        if count > MAX_PIECES {
            return Err(BuildError::TooManyPieces(count));
        }
        Ok(Self { about, content })
    }

    /// Where the pieces lie, to be hashed. Files count as in the description.
    pub const fn content(&self) -> &Content {
        &self.content
    }

    /// The bytes of the .torrent file.
    ///
    /// # Errors
    ///
    /// [`BuildError::Hashes`] if `pieces` are not the hashes of all pieces, in order.
    pub fn finish(&self, pieces: &[PieceHashes]) -> Result<Vec<u8>, BuildError> {
        if u64::try_from(pieces.len()) != Ok(self.content.piece_count()) {
            return Err(BuildError::Hashes);
        }
        let has_v2 = self.about.version.has_v2();
        let trees = if has_v2 { self.trees(pieces)? } else { Vec::new() };
        let mut out = Vec::new();
        let mut to = Encoder::new(&mut out);
        to.begin_dict();
        self.put_finding(&mut to);
        to.key(b"info");
        self.put_info(&mut to, pieces, &trees)?;
        if !self.about.nodes.is_empty() {
            to.key(b"nodes").begin_list();
            for node in &self.about.nodes {
                let (host, port) = (node.host().as_bytes(), node.port());
                to.begin_list().bytes(host).int(port.into()).end();
            }
            to.end();
        }
        if has_v2 {
            put_layers(&mut to, &trees);
        }
        match &*self.about.web_seeds {
            [] => {}
            [one] => {
                to.key(b"url-list").bytes(one.as_bytes());
            }
            many => {
                to.key(b"url-list");
                put_texts(&mut to, many);
            }
        }
        to.end();
        Ok(out)
    }

    /// What stands beside the info dictionary and before it.
    fn put_finding(&self, to: &mut Encoder<'_>) {
        let about = &self.about;
        let mut urls = about.trackers.iter().flatten();
        if let Some(first) = urls.next() {
            to.key(b"announce").bytes(first.as_bytes());
            if urls.next().is_some() {
                to.key(b"announce-list").begin_list();
                for tier in about.trackers.iter().filter(|tier| !tier.is_empty()) {
                    put_texts(to, tier);
                }
                to.end();
            }
        }
        if let Some(comment) = &about.comment {
            to.key(b"comment").bytes(comment.as_bytes());
        }
        if let Some(program) = &about.created_by {
            to.key(b"created by").bytes(program.as_bytes());
        }
        if let Some(date) = about.creation_date {
            to.key(b"creation date").int(date);
        }
    }

    fn put_info(&self, to: &mut Encoder<'_>, pieces: &[PieceHashes], trees: &[Tree]) -> Result<(), BuildError> {
        let about = &self.about;
        let (has_v1, has_v2) = (about.version.has_v1(), about.version.has_v2());
        let alone = about.files.first().filter(|_| about.single);
        to.begin_dict();
        if let (Some(file), true) = (alone, has_v1) {
            put_attr(to, file);
        }
        if has_v2 {
            to.key(b"file tree");
            put_tree(to, &about.files, trees);
        }
        match alone {
            Some(file) if has_v1 => {
                to.key(b"length").int(integer(file.length));
            }
            None if has_v1 => {
                to.key(b"files");
                put_list(to, &listed(about));
            }
            _ => {}
        }
        if has_v2 {
            to.key(b"meta version").int(2);
        }
        to.key(b"name").bytes(about.name.as_bytes());
        to.key(b"piece length").int(integer(about.piece_length));
        if has_v1 {
            let hashes: Option<Vec<[u8; 20]>> = pieces.iter().map(|piece| piece.v1).collect();
            to.key(b"pieces")
                .bytes(hashes.ok_or(BuildError::Hashes)?.as_flattened());
        }
        if about.private {
            to.key(b"private").int(1);
        }
        if let Some(source) = &about.source {
            to.key(b"source").bytes(source.as_bytes());
        }
        to.end();
        Ok(())
    }

    /// The hash tree of every file.
    fn trees(&self, pieces: &[PieceHashes]) -> Result<Vec<Tree>, BuildError> {
        let layer = self.about.piece_length.ilog2() - LEAF_LEN.ilog2();
        let tree = |file| {
            let range = self.content.pieces_of(file);
            let hashes = pieces.iter().skip(usize::try_from(range.start).unwrap_or(usize::MAX));
            let count = usize::try_from(range.end - range.start).unwrap_or(usize::MAX);
            let hashes: Option<Vec<Hash>> = hashes.take(count).map(|piece| piece.v2).collect();
            let hashes = hashes.ok_or(BuildError::Hashes)?;
            Ok(match &*hashes {
                [] => Tree::default(),
                &[root] => Tree {
                    root: Some(root),
                    layer: Vec::new(),
                },
                _ => Tree {
                    root: Some(merkle::root_of_layer(&hashes, layer)),
                    layer: hashes,
                },
            })
        };
        (0..self.about.files.len()).map(tree).collect()
    }
}

/// The hash tree of one file, as a .torrent file has it.
#[derive(Clone, Debug, Default)]
struct Tree {
    /// None for an empty file.
    root: Option<Hash>,
    /// The nodes of its pieces, if they are more than one.
    layer: Vec<Hash>,
}

/// The v1 list: of a hybrid every file with bytes begins a piece, padding before it; after the last comes none (BEP 47).
fn listed(about: &Description) -> Vec<Listed<'_>> {
    let mut list = Vec::with_capacity(about.files.len());
    let mut end = 0u64;
    for file in &about.files {
        if about.version == Version::Hybrid && file.length > 0 {
            let gap = end.next_multiple_of(about.piece_length) - end;
            if gap > 0 {
                list.push(Listed::Pad(gap));
                end += gap;
            }
        }
        list.push(Listed::File(file));
        end += file.length;
    }
    list
}

fn check_names(about: &Description) -> Result<(), BuildError> {
    check_name(&about.name)?;
    if about.single && !matches!(&*about.files, [file] if file.path == [about.name.as_str()]) {
        return Err(BuildError::Order(about.name.clone()));
    }
    let mut last: Option<&NewFile> = None;
    for file in &about.files {
        let shown = || file.path.join("/");
        if file.path.is_empty() {
            return Err(BuildError::Name(String::new()));
        }
        if file.path.len() > MAX_DEPTH {
            return Err(BuildError::TooDeep(shown()));
        }
        file.path.iter().try_for_each(|name| check_name(name))?;
        if last.is_some_and(|last| file.path <= last.path || file.path.starts_with(&last.path)) {
            return Err(BuildError::Order(shown()));
        }
        last = Some(file);
    }
    Ok(())
}

fn check_name(name: &str) -> Result<(), BuildError> {
    // Some programs, ours among them, know old padding files by their name.
    let is_bad = matches!(name, "" | "." | "..") || name.contains(['/', '\0']) || name.starts_with("_____padding_file");
    if is_bad {
        return Err(BuildError::Name(name.to_owned()));
    }
    Ok(())
}

/// A size, which is at most [`MAX_TOTAL`].
fn integer(size: u64) -> i64 {
    i64::try_from(size).unwrap_or(i64::MAX)
}

fn put_texts(to: &mut Encoder<'_>, texts: &[String]) {
    to.begin_list();
    for text in texts {
        to.bytes(text.as_bytes());
    }
    to.end();
}

fn put_attr(to: &mut Encoder<'_>, file: &NewFile) {
    if file.executable {
        to.key(b"attr").bytes(b"x");
    }
}

fn put_list(to: &mut Encoder<'_>, list: &[Listed<'_>]) {
    to.begin_list();
    for entry in list {
        to.begin_dict();
        match entry {
            Listed::File(file) => {
                put_attr(to, file);
                to.key(b"length").int(integer(file.length));
                to.key(b"path");
                put_texts(to, &file.path);
            }
            Listed::Pad(length) => {
                to.key(b"attr").bytes(b"p");
                to.key(b"length").int(integer(*length));
                to.key(b"path").begin_list();
                to.bytes(b".pad").bytes(length.to_string().as_bytes()).end();
            }
        }
        to.end();
    }
    to.end();
}

/// Dictionaries in dictionaries: of each file those are opened that the file before was not in.
fn put_tree(to: &mut Encoder<'_>, files: &[NewFile], trees: &[Tree]) {
    let mut open: &[String] = &[];
    to.begin_dict();
    for (file, tree) in files.iter().zip(trees) {
        let common = open.iter().zip(&file.path).take_while(|(a, b)| a == b).count();
        open.iter().skip(common).for_each(|_| {
            to.end();
        });
        for segment in file.path.iter().skip(common) {
            to.key(segment.as_bytes()).begin_dict();
        }
        to.key(b"").begin_dict();
        put_attr(to, file);
        to.key(b"length").int(integer(file.length));
        if let Some(root) = &tree.root {
            to.key(b"pieces root").bytes(root);
        }
        to.end();
        open = &file.path;
    }
    open.iter().for_each(|_| {
        to.end();
    });
    to.end();
}

/// The layers of all files of several pieces, by root; equal files have one.
fn put_layers(to: &mut Encoder<'_>, trees: &[Tree]) {
    let layered = trees.iter().filter(|tree| !tree.layer.is_empty());
    let mut layers: Vec<_> = layered.filter_map(|tree| Some((tree.root?, &tree.layer))).collect();
    layers.sort_unstable_by_key(|(root, _)| *root);
    layers.dedup_by_key(|(root, _)| *root);
    to.key(b"piece layers").begin_dict();
    for (root, layer) in layers {
        to.key(&root).bytes(layer.as_flattened());
    }
    to.end();
}

#[cfg(test)]
mod tests;
