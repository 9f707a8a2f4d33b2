//! Which files are meant: those named, those of directories, those of patterns; and which crawl each is of.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use super::error::{BadInput, unreadable};
use super::source::{Source, What};
use crate::read::Form;

/// What was found.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct Found {
    /// Files with something in them, each once, in the order of their paths within what was named.
    pub sources: Vec<Source>,
    /// Files that have not even a header.
    pub empty: Vec<PathBuf>,
}

/// Directories below directories.
const DEPTH: usize = 8;

/// Finds the tables that `named` means: files of any name; directories, of which the files count that runs leave there
/// (`metadata.txt`, `metadata.csv`, `peers.csv`, observation tables, Parquet), packed or not; patterns with `*`, `?` and `[...]`, for shells that
/// leave them as they are.
///
/// The crawl of a file is the directory that has `metadata.txt` or `peers.csv`, of its own and the two above, or else the one
/// above `data/observed`. A named `metadata.txt` of another name is a crawl of its own.
///
/// # Errors
///
/// [`BadInput`] for what is not there, cannot be read or is no table.
pub fn find<P: AsRef<Path>>(named: &[P]) -> anyhow::Result<Found> {
    let mut paths = Vec::new();
    for path in named {
        let path = path.as_ref();
        let before = paths.len();
        for path in expand(path)? {
            match fs::metadata(&path) {
                Ok(metadata) if metadata.is_dir() => walk(&path, DEPTH, &mut paths)?,
                Ok(_) => paths.push(path),
                Err(error) => return Err(unreadable(&path, error)),
            }
        }
        if paths.len() == before {
            let what = "no table in it: no metadata.txt, metadata.csv, peers.csv, observation table or Parquet file";
            return Err(BadInput::at(path, None, what).into());
        }
    }
    let mut found = Found::default();
    let mut seen = std::collections::BTreeSet::new();
    let mut crawls = Crawls::default();
    for path in paths {
        let real = fs::canonicalize(&path).map_err(|error| unreadable(&path, error))?;
        if !seen.insert(real.clone()) {
            continue;
        }
        let mut source = Source::look(&path)?;
        if source.what == What::Nothing {
            found.empty.push(path);
            continue;
        }
        source.try_rows()?;
        source.crawl = crawls.of(&real, source.form());
        found.sources.push(source);
    }
    Ok(found)
}

/// The paths that match, if it is a pattern.
fn expand(path: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let Some(pattern) = path.to_str().filter(|text| text.contains(['*', '?', '['])) else {
        return Ok(vec![path.to_owned()]);
    };
    if path.exists() {
        return Ok(vec![path.to_owned()]);
    }
    let paths = glob::glob(pattern).map_err(|error| BadInput::at(path, None, &format!("not a pattern: {error}")))?;
    let paths: Vec<PathBuf> = paths.collect::<Result<_, _>>().map_err(|error: glob::GlobError| {
        let path = error.path().to_owned();
        unreadable(&path, error.into())
    })?;
    if paths.is_empty() {
        return Err(BadInput::at(path, None, "no file matches").into());
    }
    Ok(paths)
}

fn walk(dir: &Path, depth: usize, paths: &mut Vec<PathBuf>) -> anyhow::Result<()> {
    let fault = |error| unreadable(dir, error);
    let entries = fs::read_dir(dir).map_err(fault)?;
    let mut entries = entries.collect::<Result<Vec<_>, _>>().map_err(fault)?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let path = entry.path();
        let name = entry.file_name();
        let Some(name) = name.to_str().filter(|name| !name.starts_with('.')) else {
            continue;
        };
        let kind = entry.file_type().map_err(|error| unreadable(&path, error))?;
        if kind.is_dir() {
            if depth > 0 {
                walk(&path, depth - 1, paths)?;
            }
        } else if is_table(name) {
            paths.push(path);
        }
    }
    Ok(())
}

/// The name without what says how it is packed.
fn unpacked(name: &str) -> &str {
    name.strip_suffix(".gz")
        .or_else(|| name.strip_suffix(".zst"))
        .unwrap_or(name)
}

/// Names that runs give to tables.
fn is_table(name: &str) -> bool {
    const OBSERVED: [&str; 5] = ["nodes", "sightings", "peers", "files", "fetches"];
    if name.ends_with(".parquet") || is_rows(name) {
        return true;
    }
    let Some(stem) = unpacked(name).strip_suffix(".csv") else {
        return false;
    };
    OBSERVED.iter().any(|table| {
        stem.strip_prefix(table)
            .is_some_and(|hour| hour.is_empty() || hour.starts_with('-'))
    })
}

/// The rows of a run, which say where its crawl is.
fn is_rows(name: &str) -> bool {
    matches!(unpacked(name), "metadata.txt" | "metadata.csv" | "peers.csv")
}

/// Names of crawls: those of their directories, with as much of the path as tells them apart.
#[derive(Default)]
struct Crawls {
    names: BTreeMap<String, PathBuf>,
}

impl Crawls {
    fn of(&mut self, path: &Path, form: Option<Form>) -> String {
        let place = place_of(path, form);
        let parts: Vec<&str> = place
            .components()
            .filter_map(|part| match part {
                std::path::Component::Normal(name) => name.to_str(),
                _ => None,
            })
            .collect();
        for count in 1..=parts.len() {
            let name = parts.get(parts.len() - count..).unwrap_or_default().join("/");
            if self.names.get(&name).is_none_or(|other| *other == place) {
                self.names.insert(name.clone(), place);
                return name;
            }
        }
        place.display().to_string()
    }
}

/// The directory of a crawl, or a path that stands for it.
fn place_of(path: &Path, form: Option<Form>) -> PathBuf {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let dir = path.parent().unwrap_or(Path::new("/"));
    if form.is_some_and(|form| form == Form::Metadata) && !is_rows(name) {
        // Beside others of its kind: its own name tells them apart.
        let stem = unpacked(name);
        let stem = stem
            .strip_suffix(".txt")
            .or_else(|| stem.strip_suffix(".csv"))
            .unwrap_or(stem);
        return dir.join(stem);
    }
    let has_rows = |dir: &&Path| {
        let names = ["metadata.txt", "metadata.csv", "peers.csv"].iter();
        let mut names = names.flat_map(|name| [(*name).to_owned(), format!("{name}.gz"), format!("{name}.zst")]);
        names.any(|name| dir.join(name).is_file())
    };
    if let Some(dir) = dir.ancestors().take(3).find(has_rows) {
        return dir.to_owned();
    }
    let mut dir = dir;
    for kept in ["observed", "data"] {
        if dir.ends_with(kept)
            && let Some(above) = dir.parent()
        {
            dir = above;
        }
    }
    dir.to_owned()
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "makes the files that are found")]
mod tests {
    use super::*;

    fn put(dir: &Path, name: &str, text: &str) {
        let path = dir.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn names(found: &Found) -> Vec<(String, String)> {
        let name = |source: &Source| source.path.file_name().unwrap().to_str().unwrap().to_owned();
        found
            .sources
            .iter()
            .map(|source| (source.crawl.clone(), name(source)))
            .collect()
    }

    fn expected(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs
            .iter()
            .map(|(crawl, name)| ((*crawl).to_owned(), (*name).to_owned()))
            .collect()
    }

    #[test]
    fn directories_patterns_and_files_are_crawls_by_their_directory() {
        let dir = tempfile::tempdir().unwrap();
        let header = |form: Form| format!("{}\n", form.header());
        for crawl in ["one", "two"] {
            put(dir.path(), &format!("{crawl}/metadata.txt"), &header(Form::Metadata));
            put(
                dir.path(),
                &format!("{crawl}/state/observed/nodes-2026-11-28T10.csv"),
                &header(Form::Nodes),
            );
        }
        put(dir.path(), "one/metadata.txt.1", &header(Form::Metadata));
        put(dir.path(), "one/data/retries.csv", "infohash,next\n");
        put(dir.path(), "one/empty/peers.csv", "");
        put(dir.path(), "monday.txt", &header(Form::Metadata));

        let all = find(&[dir.path()]).unwrap();
        let of_crawls = [
            ("one", "metadata.txt"),
            ("one", "nodes-2026-11-28T10.csv"),
            ("two", "metadata.txt"),
            ("two", "nodes-2026-11-28T10.csv"),
        ];
        assert_eq!(names(&all), expected(&of_crawls));
        assert_eq!(all.empty, [dir.path().join("one/empty/peers.csv")]);
        let pattern = find(&[dir.path().join("*/metadata.txt"), dir.path().join("one/metadata.txt")]).unwrap();
        assert_eq!(
            names(&pattern),
            expected(&[("one", "metadata.txt"), ("two", "metadata.txt")])
        );
        let monday = find(&[dir.path().join("monday.txt")]).unwrap();
        assert_eq!(names(&monday), expected(&[("monday", "monday.txt")]));
    }

    #[test]
    fn crawls_of_one_name_are_told_apart_by_what_is_above() {
        let dir = tempfile::tempdir().unwrap();
        for place in ["a/run", "b/run"] {
            put(
                dir.path(),
                &format!("{place}/peers.csv"),
                "infohash,peer_ip,peer_port\n",
            );
        }
        let found = find(&[dir.path()]).unwrap();
        assert_eq!(names(&found), expected(&[("run", "peers.csv"), ("b/run", "peers.csv")]));
    }

    #[test]
    fn what_cannot_be_used_is_told_in_one_line() {
        let dir = tempfile::tempdir().unwrap();
        put(dir.path(), "bad/metadata.txt", "infohash,name\n");
        put(dir.path(), "bare/notes.md", "");
        put(dir.path(), "binary", "\u{0}\u{1}\n");
        let told = |name: &str| {
            let path = dir.path().join(name);
            let error = find(&[&path]).unwrap_err();
            assert!(error.is::<BadInput>());
            error.to_string().replace(&format!("{}/", dir.path().display()), "")
        };
        assert_eq!(
            told("bad"),
            "bad/metadata.txt:1: no column file_count, total_bytes, piece_length, which metadata.csv has"
        );
        assert_eq!(told("binary"), "binary: a binary file, not a table");
        assert_eq!(told("nothing"), "nothing: no such file or directory");
        assert_eq!(told("no*"), "no*: no file matches");
        assert!(told("bare").starts_with("bare: no table in it"));
    }
}
