//! Which file is where: paths, and the folders that they imply.

use std::collections::BTreeMap;

use world::DiskFault;

/// Bytes of one name between slashes, as ext4 has it.
const NAME_MAX: usize = 255;

/// Files by path, as everybody sees them while the machine is up.
#[derive(Clone, Default, Debug)]
pub(crate) struct Names(BTreeMap<String, u64>);

impl Names {
    pub(crate) fn get(&self, path: &str) -> Option<u64> {
        self.0.get(path).copied()
    }

    pub(crate) fn insert(&mut self, path: String, file: u64) {
        self.0.insert(path, file);
    }

    pub(crate) fn remove(&mut self, path: &str) -> Option<u64> {
        self.0.remove(path)
    }

    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }

    pub(crate) fn paths(&self) -> impl Iterator<Item = (&str, u64)> {
        self.0.iter().map(|(path, &file)| (path.as_str(), file))
    }

    /// Whether a new file may have this path.
    pub(crate) fn is_free(&self, path: &str) -> Result<(), DiskFault> {
        if path.split('/').any(|name| name.len() > NAME_MAX) || path.contains('\0') {
            return Err(DiskFault::Unfit);
        }
        let mut above = path.char_indices().filter(|&(_, char)| char == '/');
        let is_folder = || {
            let below = format!("{path}/");
            let mut next = self.0.range(below.clone()..);
            next.next().is_some_and(|(path, _)| path.starts_with(&below))
        };
        let taken = self.0.contains_key(path) || above.any(|(end, _)| self.0.contains_key(&path[..end])) || is_folder();
        if taken { Err(DiskFault::InTheWay) } else { Ok(()) }
    }
}

/// Whether a path below a store's folder stays there.
pub(crate) fn stays_below(path: &str) -> bool {
    path.split('/').all(|name| !matches!(name, "" | "." | ".."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_no_folder_and_a_folder_no_file() {
        let mut names = Names::default();
        names.insert("a/b/c".to_owned(), 1);
        for taken in ["a/b/c", "a/b", "a", "a/b/c/d"] {
            assert_eq!(names.is_free(taken), Err(DiskFault::InTheWay), "{taken}");
        }
        for free in ["a/b/d", "a/bb", "a/b.", "b"] {
            assert_eq!(names.is_free(free), Ok(()), "{free}");
        }
        assert_eq!(names.is_free(&"x".repeat(256)), Err(DiskFault::Unfit));
    }

    #[test]
    fn paths_out_of_the_folder_are_seen() {
        for out in ["../x", "a/../x", "/etc/x", "a//b", "a/.", ""] {
            assert!(!stays_below(out), "{out}");
        }
        assert!(stays_below("a/..b/c...") && stays_below("ü"));
    }
}
