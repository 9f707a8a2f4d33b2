//! The two ways to list files: the flat list of v1 and the tree of v2.

use crate::bencode::{BencodeError, Kind, Limits, Reader, Value};

use super::error::{Fault, Field, Notes};
use super::files::{Attr, Entry, Files, Segment};
use super::keys::Keys;

/// Files as v1 lists them: one `length`, or `files` with paths (BEP 3).
pub(super) fn v1(keys: &Keys<'_>, name: &[u8], notes: &mut Notes) -> Files {
    let mut files = Files::default();
    match (keys.length, keys.files) {
        (None, None) => notes.add(Field::Length, Fault::Missing),
        (Some(length), None) => {
            let last = (!name.is_empty()).then(|| files.segment(None, name));
            let entry = Entry {
                length: size(Some(length), Field::Length, notes),
                ..Entry::default()
            };
            files.push(last, entry);
        }
        (length, Some(list)) => {
            if length.is_some() {
                notes.add(Field::Length, Fault::Conflict);
            }
            if v1_list(list, &mut files, notes).is_err() {
                notes.add(Field::Files, Fault::Kind);
            }
            if files.is_empty() {
                notes.add(Field::Files, Fault::Missing);
            }
        }
    }
    files
}

/// One pass over the list: views would read each file three times.
fn v1_list(list: Value<'_>, files: &mut Files, notes: &mut Notes) -> Result<(), BencodeError> {
    let mut reader = Reader::new(list.raw(), &Limits::METAINFO);
    reader.begin_list()?;
    while reader.more()? {
        if reader.kind()? == Kind::Dict {
            v1_file(&mut reader, files, notes)?;
        } else {
            notes.add(Field::Files, Fault::Kind);
            reader.skip()?;
        }
    }
    Ok(())
}

fn v1_file(reader: &mut Reader<'_>, files: &mut Files, notes: &mut Notes) -> Result<(), BencodeError> {
    let (mut length, mut path, mut path_utf8, mut attr, mut target) = (None, None, None, None, None);
    reader.begin_dict()?;
    while let Some(key) = reader.key()? {
        let value = reader.value()?;
        match key {
            b"attr" => attr = value.as_bytes(),
            b"length" => length = Some(value),
            b"path" => path = Some(value),
            b"path.utf-8" => path_utf8 = Some(value),
            b"symlink path" => target = Some(value),
            _ => {}
        }
    }
    if length.is_none() && path.is_none() && path_utf8.is_none() {
        // No file: a hostile list could have one such in every two bytes.
        notes.add(Field::FileLength, Fault::Missing);
        return Ok(());
    }
    let attr = Attr::read(attr);
    // A symbolic link has a target in place of a length (BEP 47).
    let length = match length {
        None if attr.link => 0,
        length => size(length, Field::FileLength, notes),
    };
    let mut last = None;
    match path_utf8
        .filter(|path| is_utf8_path(*path))
        .or(path)
        .map(Value::as_list)
    {
        None => notes.add(Field::FilePath, Fault::Missing),
        Some(None) => notes.add(Field::FilePath, Fault::Kind),
        Some(Some(path)) => {
            for segment in path {
                match segment.as_bytes() {
                    // Names nothing; some programs write one for a doubled slash.
                    Some(b"") => {}
                    Some(segment) => last = Some(files.segment(last, segment)),
                    None => notes.add(Field::FilePath, Fault::Kind),
                }
            }
            if last.is_none() {
                notes.add(Field::FilePath, Fault::Missing);
            }
        }
    }
    let entry = Entry {
        length,
        attr,
        target: attr.link.then(|| target_path(target, files)).flatten(),
        pieces_root: None,
    };
    if !files.push(last, entry) {
        notes.add(Field::FileLength, Fault::Range);
    }
    Ok(())
}

/// Where a symbolic link points; nothing if that makes no sense.
fn target_path(target: Option<Value<'_>>, files: &mut Files) -> Option<Segment> {
    let mut last = None;
    for segment in target?.as_list()? {
        match segment.as_bytes()? {
            b"" => {}
            segment => last = Some(files.segment(last, segment)),
        }
    }
    last
}

fn is_utf8_path(path: Value<'_>) -> bool {
    let valid = |segment: Value<'_>| segment.as_bytes().is_some_and(|text| str::from_utf8(text).is_ok());
    path.as_list()
        .is_some_and(|path| !path.is_empty() && path.into_iter().all(valid))
}

/// Files as v2 lists them: dictionaries in dictionaries, a file's properties under the empty name (BEP 52).
pub(super) fn v2(tree: Option<Value<'_>>, notes: &mut Notes) -> Files {
    let mut files = Files::default();
    match tree {
        None => notes.add(Field::FileTree, Fault::Missing),
        Some(tree) => {
            if walk(tree, &mut files, notes).is_err() || files.is_empty() {
                notes.add(Field::FileTree, Fault::Kind);
            }
        }
    }
    files
}

/// One pass over the tree, however deep: a view would read each subtree again at every level.
fn walk(tree: Value<'_>, files: &mut Files, notes: &mut Notes) -> Result<(), BencodeError> {
    let mut reader = Reader::new(tree.raw(), &Limits::METAINFO);
    reader.begin_dict()?;
    // The names that led here, and whether the innermost was a file. Bounded by the reader's depth.
    let mut open = Vec::new();
    let mut is_file = false;
    loop {
        let Some(name) = reader.key()? else {
            is_file = false;
            if open.pop().is_none() {
                return Ok(());
            }
            continue;
        };
        let here = open.last().copied();
        if is_file || (name.is_empty() && here.is_none()) {
            // A file that is a directory too, or a root that is a file.
            notes.add(Field::FileTree, Fault::Conflict);
        }
        if name.is_empty() {
            let entry = v2_file(reader.value()?, files, notes);
            if !files.push(here, entry) {
                notes.add(Field::TreeLength, Fault::Range);
            }
            is_file = true;
        } else if reader.kind()? == Kind::Dict {
            reader.begin_dict()?;
            open.push(files.segment(here, name));
            is_file = false;
        } else {
            notes.add(Field::FileTree, Fault::Kind);
            reader.skip()?;
        }
    }
}

fn v2_file(file: Value<'_>, files: &mut Files, notes: &mut Notes) -> Entry {
    let Some(file) = file.as_dict() else {
        notes.add(Field::FileTree, Fault::Kind);
        return Entry::default();
    };
    let (mut length, mut root, mut attr, mut target) = (None, None, None, None);
    for (key, value) in file {
        match key {
            b"attr" => attr = value.as_bytes(),
            b"length" => length = Some(value),
            b"pieces root" => root = Some(value),
            b"symlink path" => target = Some(value),
            _ => {}
        }
    }
    let attr = Attr::read(attr);
    let length = match length {
        None if attr.link => 0,
        length => size(length, Field::TreeLength, notes),
    };
    let pieces_root = root.and_then(Value::as_bytes).and_then(|root| root.try_into().ok());
    match (root, pieces_root) {
        (None, _) if length > 0 => notes.add(Field::PiecesRoot, Fault::Missing),
        (Some(_), None) => notes.add(Field::PiecesRoot, Fault::Kind),
        _ => {}
    }
    Entry {
        length,
        attr,
        target: attr.link.then(|| target_path(target, files)).flatten(),
        pieces_root,
    }
}

/// A size in bytes, 0 if there is none that makes sense.
fn size(length: Option<Value<'_>>, field: Field, notes: &mut Notes) -> u64 {
    match length.map(Value::as_int) {
        None => notes.add(field, Fault::Missing),
        Some(None) => notes.add(field, Fault::Kind),
        Some(Some(length)) => match u64::try_from(length) {
            Ok(length) => return length,
            Err(_) => notes.add(field, Fault::Range),
        },
    }
    0
}

/// Whether the two lists of a hybrid name the same files, in the same pieces (BEP 52).
pub(super) fn agree(v1: &Files, v2: &Files, piece_length: u64) -> bool {
    let mut real = v1.iter(1).filter(|file| !file.pad);
    let mut tree = v2.iter(piece_length);
    let mut pieces = 0;
    loop {
        match (real.next(), tree.next()) {
            // Padding behind the last file may fill its piece, not make more of them.
            (None, None) => return v1.span.div_ceil(piece_length) == pieces,
            (Some(a), Some(b)) => {
                let placed = a.length == 0 || a.offset == b.offset;
                if !placed || a.length != b.length || !a.segments_upwards().eq(b.segments_upwards()) {
                    return false;
                }
                pieces = b.offset.saturating_add(b.length).div_ceil(piece_length);
            }
            _ => return false,
        }
    }
}
