//! What must hold of a torrent before it is laid out.

use super::names::Paths;
use super::*;

/// Largest offset: sums of sizes stay far from where they would wrap.
const MAX_OFFSET: u64 = 1 << 62;

/// See [`Layout::new`].
pub(super) fn layout(info: Arc<Info>, raw: Arc<[u8]>, rules: NameRules) -> Result<Layout, LayoutError> {
    let piece_length = piece_length(&info)?;
    let mut layout = Layout {
        hashes: hashes(&info, &raw),
        info,
        raw,
        piece_length,
        pieces: 0,
        total: 0,
        content: 0,
        files: Box::default(),
        paths: String::new(),
        links: Vec::new(),
        roots: Vec::new(),
        by_root: Vec::new(),
    };
    let info = Arc::clone(&layout.info);
    files(&mut layout, &info, rules)?;
    pieces(&mut layout)?;
    if info.version.has_v2() {
        trees(&mut layout, &info)?;
    }
    links(&mut layout, &info, rules);
    Ok(layout)
}

fn piece_length(info: &Info) -> Result<u32, LayoutError> {
    let length = u32::try_from(info.piece_length).ok();
    let length = length.filter(|length| (1..=MAX_PIECE_LENGTH).contains(length));
    let length = length.ok_or(LayoutError::PieceLength(info.piece_length))?;
    if info.version.has_v2() && !(length.is_power_of_two() && length >= BLOCK) {
        return Err(LayoutError::TreePieceLength(info.piece_length));
    }
    Ok(length)
}

fn hashes(info: &Info, raw: &[u8]) -> Range<usize> {
    let hashes = info.version.has_v1().then(|| Info::hashes_at(raw)).flatten();
    hashes.unwrap_or_default()
}

/// Places and paths of all files.
fn files(layout: &mut Layout, info: &Info, rules: NameRules) -> Result<(), LayoutError> {
    if u32::try_from(info.files().count()).map_or(true, |count| count > MAX_FILES) {
        return Err(LayoutError::Files);
    }
    let folder = (!info.is_single_file()).then(|| folder(info, rules));
    let mut paths = Paths::new(rules);
    let mut entries = Vec::new();
    for (file, at) in info.files().zip(0_u32..) {
        let end = file.offset.checked_add(file.length).filter(|end| *end <= MAX_OFFSET);
        end.ok_or(LayoutError::Size)?;
        // In v2 nothing needs padding: what is called so is content like any other.
        let pad = file.pad && info.version != Version::V2;
        let path = layout.paths.len();
        if !pad {
            let names: Vec<&[u8]> = folder.into_iter().chain(file.path()).collect();
            paths.place(&names, &mut layout.paths);
        }
        let path_len = layout.paths.len() - path;
        if path_len > MAX_PATH {
            return Err(LayoutError::LongPath(at));
        }
        if layout.paths.len() > MAX_PATHS {
            return Err(LayoutError::Paths);
        }
        entries.push(Entry {
            offset: file.offset,
            len: file.length,
            path: u32::try_from(path).unwrap_or(u32::MAX),
            path_len: u16::try_from(path_len).unwrap_or(0),
            pad,
            // What has bytes is no link, whatever it is called.
            link: file.link && file.length == 0 && !pad,
            executable: file.executable,
            hidden: file.hidden,
        });
        if !pad {
            layout.content += file.length;
        }
        layout.total += file.length;
    }
    layout.files = entries.into();
    layout.paths.shrink_to_fit();
    Ok(())
}

/// The name of the folder around several files.
fn folder(info: &Info, rules: NameRules) -> &[u8] {
    rules.name(&info.name).map_or(b"_", |_| &info.name)
}

/// How many pieces there are, and that each has its hash.
fn pieces(layout: &mut Layout) -> Result<(), LayoutError> {
    let last = layout.files.iter().rev().find(|entry| entry.len > 0);
    let end = last.map_or(0, Entry::end);
    let pieces = end.div_ceil(layout.piece_length.into());
    let fits = u32::try_from(pieces).ok().filter(|pieces| *pieces <= MAX_PIECES);
    layout.pieces = fits.ok_or(LayoutError::Pieces(pieces))?;
    let hashes = layout.hashes.len();
    if layout.info.version.has_v1() && u64::try_from(hashes).ok() != pieces.checked_mul(20) {
        return Err(LayoutError::Hashes {
            hashes: u64::try_from(hashes.div_ceil(20)).unwrap_or(u64::MAX),
            pieces,
        });
    }
    Ok(())
}

/// The roots of all trees, and that each file begins the piece that the trees say.
fn trees(layout: &mut Layout, info: &Info) -> Result<(), LayoutError> {
    let mut next = 0;
    for (at, (entry, file)) in (0..).zip(layout.files.iter().zip(info.files())) {
        if entry.len == 0 || entry.pad {
            continue;
        }
        if entry.offset != next {
            return Err(LayoutError::Numbering(at));
        }
        next = entry.end().next_multiple_of(layout.piece_length.into());
        let root = file.pieces_root.ok_or(LayoutError::NoRoot(at))?;
        layout.roots.push((at, *root));
    }
    if next.div_ceil(layout.piece_length.into()) != u64::from(layout.pieces) {
        // Padding makes pieces of its own at the end.
        return Err(LayoutError::Numbering(layout.roots.last().map_or(0, |(file, _)| *file)));
    }
    let count = u32::try_from(layout.roots.len()).unwrap_or(u32::MAX);
    let mut by_root: Vec<u32> = (0..count).collect();
    // Stable: of files with one root the first stays first.
    by_root.sort_by_key(|&at| layout.root_at(at).1);
    let len = |file: u32| layout.entry(file).map_or(0, |entry| entry.len);
    for pair in by_root.windows(2) {
        if let &[a, b] = pair {
            let ((a, root_a), (b, root_b)) = (layout.root_at(a), layout.root_at(b));
            if root_a == root_b && len(a) != len(b) {
                return Err(LayoutError::SameRoot(a, b));
            }
        }
    }
    by_root.dedup_by_key(|at| layout.root_at(*at).1);
    layout.by_root = by_root;
    Ok(())
}

/// Where links point, if that is a file of this torrent.
fn links(layout: &mut Layout, info: &Info, rules: NameRules) {
    if !layout.files.iter().any(|entry| entry.link) {
        return;
    }
    let mut by_path: Vec<(&str, u32)> = (0..)
        .zip(&layout.files)
        .filter(|(_, entry)| !entry.pad && !entry.link)
        .map(|(at, entry)| (layout.path(entry), at))
        .collect();
    by_path.sort_unstable();
    let mut links = Vec::new();
    for (at, (entry, file)) in (0..).zip(layout.files.iter().zip(info.files())) {
        if !entry.link {
            continue;
        }
        let names = [folder(info, rules)].into_iter().chain(file.target());
        let path: Vec<String> = names.filter_map(|name| rules.name(name)).collect();
        let path = path.join("/");
        if let Ok(found) = by_path.binary_search_by_key(&path.as_str(), |(path, _)| path) {
            links.extend(by_path.get(found).map(|(_, to)| (at, *to)));
        }
    }
    layout.links = links;
}

/// See [`Layout::rename`].
pub(super) fn rename(layout: &mut Layout, file: u32, to: &str) -> Result<(), LayoutError> {
    if layout.entry(file).is_none_or(|entry| entry.pad) {
        return Err(LayoutError::NoSuchFile(file));
    }
    if to.len() > MAX_PATH {
        return Err(LayoutError::LongPath(file));
    }
    let stays = |name: &str| NameRules::Portable.name(name.as_bytes()).as_deref() == Some(name);
    if !to.split('/').all(stays) {
        return Err(LayoutError::BadPath);
    }
    let folded = to.to_lowercase();
    let through = |path: &str, folder: &str| path.strip_prefix(folder).is_some_and(|rest| rest.starts_with('/'));
    for (other, at) in layout.files.iter().zip(0..) {
        let path = layout.path(other).to_lowercase();
        let meets = path == folded || through(&path, &folded) || through(&folded, &path);
        if at != file && !other.pad && meets {
            return Err(LayoutError::Taken(at));
        }
    }
    // The old path stays among the others, unused, until the torrent is laid out anew.
    let start = layout.paths.len();
    if start + to.len() > MAX_PATHS {
        return Err(LayoutError::Paths);
    }
    layout.paths.push_str(to);
    let entry = usize::try_from(file).ok().and_then(|file| layout.files.get_mut(file));
    if let Some(entry) = entry {
        entry.path = u32::try_from(start).unwrap_or(u32::MAX);
        entry.path_len = u16::try_from(to.len()).unwrap_or(0);
    }
    Ok(())
}
