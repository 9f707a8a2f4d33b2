//! The files of a torrent in memory that is linear in the bytes that named them.
//!
//! A tree can name a directory once and have a million files in it. Paths are therefore kept as the tree has them, each
//! segment with its parent, and are joined only when asked for.

/// How BitComet and others name padding files that carry no `attr`.
const OLD_PAD_NAME: &[u8] = b"_____padding_file";

/// A path segment, by number.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Segment(u32);

/// One segment of a path. Offsets fit in 32 bits, since longer info dictionaries are refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Node {
    parent: Option<Segment>,
    start: u32,
    end: u32,
}

/// What a list or a tree says of one file.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Entry {
    pub(super) length: u64,
    pub(super) attr: Attr,
    /// Where a symbolic link points.
    pub(super) target: Option<Segment>,
    pub(super) pieces_root: Option<[u8; 32]>,
}

/// The attributes of a file (BEP 47), as flags of its `attr`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Attr {
    pub(super) pad: bool,
    pub(super) executable: bool,
    pub(super) hidden: bool,
    pub(super) link: bool,
}

impl Attr {
    /// Unknown letters are ignored.
    pub(super) fn read(attr: Option<&[u8]>) -> Self {
        let has = |flag| attr.is_some_and(|attr| attr.contains(&flag));
        Self {
            pad: has(b'p'),
            executable: has(b'x'),
            hidden: has(b'h'),
            link: has(b'l'),
        }
    }
}

/// What is kept of one file: small, for a hostile list has millions in it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Record {
    length: u64,
    last: Option<Segment>,
    attr: Attr,
}

/// Files in the torrent's order, padding included.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Files {
    names: Vec<u8>,
    nodes: Vec<Node>,
    records: Vec<Record>,
    /// Roots of the hash trees of the files that have one, in order, each with the file's place in `records`.
    roots: Vec<(u32, [u8; 32])>,
    /// Targets of the symbolic links that have one, in the same way.
    targets: Vec<(u32, Segment)>,
    /// Files that are no padding.
    pub(super) count: u64,
    /// Bytes of files that are no padding; saturates.
    pub(super) bytes: u64,
    /// Bytes of all files; saturates.
    pub(super) span: u64,
}

impl Files {
    /// A segment below `parent`, or below the torrent's root.
    pub(super) fn segment(&mut self, parent: Option<Segment>, name: &[u8]) -> Segment {
        let segment = Segment(index(self.nodes.len()));
        let start = index(self.names.len());
        self.names.extend_from_slice(name);
        let end = index(self.names.len());
        self.nodes.push(Node { parent, start, end });
        segment
    }

    /// Adds the file whose path ends with `last`; false if the sizes no longer fit in 64 bits.
    pub(super) fn push(&mut self, last: Option<Segment>, entry: Entry) -> bool {
        let mut attr = entry.attr;
        attr.pad |= last.is_some_and(|last| self.name(last).starts_with(OLD_PAD_NAME));
        let at = index(self.records.len());
        if let Some(root) = entry.pieces_root {
            self.roots.push((at, root));
        }
        if let Some(target) = entry.target {
            self.targets.push((at, target));
        }
        let length = entry.length;
        self.records.push(Record { length, last, attr });
        let fits = self.span.checked_add(length).is_some();
        self.span = self.span.saturating_add(length);
        if !attr.pad {
            self.count += 1;
            self.bytes = self.bytes.saturating_add(length);
        }
        fits
    }

    /// Whether there is no file at all, not even padding.
    pub(super) fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// The files in order. `align` is the piece length if every file starts a piece of its own (v2), else 1.
    pub(super) fn iter(&self, align: u64) -> impl Iterator<Item = File<'_>> {
        let mut end = 0u64;
        let mut roots = self.roots.iter().peekable();
        let mut targets = self.targets.iter().peekable();
        self.records.iter().zip(0u32..).map(move |(record, at)| {
            let offset = end.checked_next_multiple_of(align).unwrap_or(end);
            end = offset.saturating_add(record.length);
            File {
                length: record.length,
                offset,
                pad: record.attr.pad,
                executable: record.attr.executable,
                hidden: record.attr.hidden,
                link: record.attr.link,
                pieces_root: roots.next_if(|(of, _)| *of == at).map(|(_, root)| root),
                last: record.last,
                target: targets.next_if(|(of, _)| *of == at).map(|(_, target)| *target),
                files: self,
            }
        })
    }

    /// Takes the roots of the same files from `tree`, where no padding stands between them.
    pub(super) fn set_roots(&mut self, tree: &Self) {
        let real = self.records.iter().zip(0u32..).filter(|(record, _)| !record.attr.pad);
        let rooted = real.zip(tree.iter(1));
        let roots = rooted.filter_map(|((_, at), file)| Some((at, *file.pieces_root?)));
        self.roots = roots.collect();
    }

    fn node(&self, segment: Segment) -> Option<&Node> {
        usize::try_from(segment.0).ok().and_then(|at| self.nodes.get(at))
    }

    fn name(&self, segment: Segment) -> &[u8] {
        let name = self.node(segment).and_then(|node| {
            let range = usize::try_from(node.start).ok()?..usize::try_from(node.end).ok()?;
            self.names.get(range)
        });
        name.unwrap_or_default()
    }
}

/// A count of names or bytes, which is below the length of the info dictionary and so below 2^32.
fn index(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}

/// One file of a torrent.
#[derive(Clone, Copy, Debug)]
pub struct File<'a> {
    /// Bytes.
    pub length: u64,
    /// Where it begins in the torrent's content, bytes. Padding counts; in a v2 torrent each file begins a piece.
    pub offset: u64,
    /// Zeros that only move the next file to a piece of its own (BEP 47).
    pub pad: bool,
    /// It may be run as a program, or so the torrent says (BEP 47).
    pub executable: bool,
    /// It should not be shown by default (BEP 47).
    pub hidden: bool,
    /// A symbolic link, as claimed (BEP 47); one should have no bytes.
    pub link: bool,
    /// Root of the file's hash tree (v2 and hybrid); an empty file has none.
    pub pieces_root: Option<&'a [u8; 32]>,
    last: Option<Segment>,
    target: Option<Segment>,
    files: &'a Files,
}

impl<'a> File<'a> {
    /// The path below the torrent's directory, outermost first; of a single file its name. Exact bytes as a stranger
    /// chose them: `..`, `/` and NUL can be among them.
    pub fn path(&self) -> Vec<&'a [u8]> {
        let mut path: Vec<&[u8]> = self.segments_upwards().collect();
        path.reverse();
        path
    }

    /// Where a symbolic link points: a path below the torrent's directory, outermost first, as a stranger chose it. Empty
    /// if there is none.
    pub fn target(&self) -> Vec<&'a [u8]> {
        let mut path: Vec<&[u8]> = self.upwards(self.target).collect();
        path.reverse();
        path
    }

    /// The path to show, segments joined by `/`, what is not UTF-8 replaced by U+FFFD. Control characters stay.
    pub fn path_lossy(&self) -> String {
        let path: Vec<_> = self.path().into_iter().map(String::from_utf8_lossy).collect();
        path.join("/")
    }

    /// The path's segments, innermost first.
    pub(super) fn segments_upwards(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        self.upwards(self.last)
    }

    fn upwards(&self, last: Option<Segment>) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        let files = self.files;
        let up = move |&segment: &Segment| files.node(segment)?.parent;
        std::iter::successors(last, up).map(move |segment| files.name(segment))
    }
}
