//! Where the files of a torrent are on this disk.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use engine::layout::Kind;
use engine::{Layout, NameRules};
use wire::metainfo::Torrent;

use crate::bad_input;
use crate::report::plain;

/// A file of the torrent, padding left out.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Place {
    /// As the torrent names it, made safe.
    pub(super) name: String,
    /// Where it is or ought to be.
    pub(super) path: PathBuf,
    /// Bytes that it must have.
    pub(super) length: u64,
    /// What stands there.
    pub(super) stands: Stands,
}

/// What stands in the place of a file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Stands {
    /// A file of so many bytes.
    File(u64),
    /// Nothing.
    Nothing,
    /// A directory, or something else that is no file.
    Other,
    /// The torrent has a symbolic link here, of which there is nothing to check (BEP 47).
    Link,
}

/// The places of all files below `data`: in it, or, if it is the torrent's own directory or file, that itself.
///
/// # Errors
///
/// [`BadInput`](crate::exit::BadInput) for a torrent that makes no sense, or where there is nothing at all at `data`.
pub(super) fn places(torrent: &Torrent, data: &Path) -> anyhow::Result<Vec<Place>> {
    let layout = |rules| Layout::new(Arc::new(torrent.info.clone()), torrent.raw_info().into(), rules);
    let (exact, portable) = match (layout(NameRules::Exact), layout(NameRules::Portable)) {
        (Ok(exact), Ok(portable)) => (exact, portable),
        (Err(error), _) | (_, Err(error)) => bad_input!("the torrent makes no sense: {error}"),
    };
    let Ok(metadata) = fs::metadata(data) else {
        let shown = plain(data.as_os_str().as_encoded_bytes());
        bad_input!("--data {shown}: no such file or directory");
    };
    let single = torrent.info.is_single_file();
    // A folder of the torrent's name in `data` goes before `data` itself.
    let named = |file: engine::layout::File<'_>| {
        let first = file.path.split('/').next().filter(|first| !first.is_empty());
        first.map(|first| data.join(first))
    };
    let inside = [&exact, &portable]
        .into_iter()
        .any(|layout| layout.files().find_map(named).is_some_and(|dir| dir.exists()));
    let path = |name: &str| match name.split_once('/') {
        _ if single && metadata.is_file() => data.to_owned(),
        Some((_, below)) if !single && !inside => data.join(below),
        _ => data.join(name),
    };
    let place = |(file, portable): (engine::layout::File<'_>, engine::layout::File<'_>)| {
        let mut place = path(file.path);
        let mut stands = look(&place);
        if stands == Stands::Nothing && portable.path != file.path {
            place = path(portable.path);
            stands = look(&place);
        }
        if matches!(file.kind, Kind::Link(_)) {
            stands = Stands::Link;
        }
        Place {
            name: file.path.to_owned(),
            path: place,
            length: file.len,
            stands,
        }
    };
    let files = exact.files().zip(portable.files());
    Ok(files
        .filter(|(file, _)| file.kind != Kind::Padding)
        .map(place)
        .collect())
}

fn look(path: &Path) -> Stands {
    match fs::metadata(path) {
        Ok(metadata) if metadata.is_file() => Stands::File(metadata.len()),
        Ok(_) => Stands::Other,
        Err(_) => Stands::Nothing,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MULTI: &[u8] = include_bytes!("../../../wire/tests/fixtures/v1-multi.torrent");
    const SINGLE: &[u8] = include_bytes!("../../../wire/tests/fixtures/v1-single.torrent");

    fn standing(torrent: &[u8], data: &Path) -> Vec<(String, Stands)> {
        let places = places(&Torrent::parse(torrent).unwrap(), data).unwrap();
        let short = |place: Place| {
            let below = place.path.strip_prefix(data).unwrap();
            (below.display().to_string(), place.stands)
        };
        places.into_iter().map(short).collect()
    }

    #[test]
    fn data_is_the_directory_around_the_torrents_or_that_itself() {
        let dir = tempfile::tempdir().unwrap();
        let torrent = Torrent::parse(MULTI).unwrap();
        let name = torrent.info.name_lossy().into_owned();
        let own = dir.path().join(&name);
        fs::create_dir_all(own.join("docs/b.txt")).unwrap();
        fs::write(own.join("a.txt"), "12345").unwrap();
        for (data, prefix) in [(dir.path(), format!("{name}/")), (&own, String::new())] {
            let expected = [
                (format!("{prefix}a.txt"), Stands::File(5)),
                (format!("{prefix}docs/b.txt"), Stands::Other),
                (format!("{prefix}docs/deep/ü.txt"), Stands::Nothing),
            ];
            assert_eq!(standing(MULTI, data), expected);
        }
    }

    #[test]
    fn data_can_be_the_one_file_under_another_name() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("renamed");
        fs::write(&file, "123").unwrap();
        assert_eq!(standing(SINGLE, &file), [(String::new(), Stands::File(3))]);
        assert_eq!(standing(SINGLE, dir.path()), [("one.bin".to_owned(), Stands::Nothing)]);
    }
}
