//! Files that are open.

use std::collections::HashMap;
use std::os::fd::OwnedFd;
use std::sync::Arc;

/// Names a file of a store as it was opened: one that is opened again has other keys.
pub(super) type FileKey = (u64, u32);

/// Open files, at most so many (STO-10): the one not used for longest is closed for another.
///
/// One that is in use when it leaves is closed when its user is done, so there may be one more for each worker.
pub(super) struct Handles {
    most: usize,
    uses: u64,
    open: HashMap<FileKey, Open>,
}

struct Open {
    fd: Arc<OwnedFd>,
    writable: bool,
    used: u64,
}

impl Handles {
    pub(super) fn new(most: usize) -> Self {
        Self {
            most: most.max(1),
            uses: 0,
            open: HashMap::new(),
        }
    }

    /// The file, if it is open for that.
    pub(super) fn get(&mut self, key: FileKey, to_write: bool) -> Option<Arc<OwnedFd>> {
        let open = self.open.get_mut(&key).filter(|open| open.writable || !to_write)?;
        self.uses += 1;
        open.used = self.uses;
        Some(Arc::clone(&open.fd))
    }

    /// Keeps a file open. Room must have been [made](Self::make_room).
    pub(super) fn put(&mut self, key: FileKey, fd: OwnedFd, writable: bool) -> Arc<OwnedFd> {
        self.uses += 1;
        let (fd, used) = (Arc::new(fd), self.uses);
        let kept = Arc::clone(&fd);
        self.open.insert(key, Open { fd, writable, used });
        kept
    }

    /// Closes files until one more may be opened.
    pub(super) fn make_room(&mut self) {
        while self.open.len() >= self.most && self.close_one() {}
    }

    /// Closes the one not used for longest; false if none is open.
    pub(super) fn close_one(&mut self) -> bool {
        let oldest = self.open.iter().min_by_key(|(_, open)| open.used);
        let oldest = oldest.map(|(&key, _)| key);
        oldest.is_some_and(|key| self.open.remove(&key).is_some())
    }

    pub(super) fn close(&mut self, key: FileKey) {
        self.open.remove(&key);
    }

    pub(super) fn close_store(&mut self, store: u64) {
        self.open.retain(|key, _| key.0 != store);
    }

    #[cfg(test)]
    fn len(&self) -> usize {
        self.open.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn null() -> OwnedFd {
        std::fs::File::open("/dev/null").unwrap().into()
    }

    #[test]
    fn the_file_not_used_for_longest_is_closed_for_another() {
        let mut handles = Handles::new(2);
        let key = |file| (1, file);
        for file in [0, 1] {
            handles.make_room();
            handles.put(key(file), null(), false);
        }
        assert!(handles.get(key(0), true).is_none(), "it is open for reading");
        assert!(handles.get(key(0), false).is_some());
        handles.make_room();
        handles.put(key(2), null(), true);
        assert_eq!(handles.len(), 2);
        assert!(handles.get(key(1), false).is_none());
        assert!(handles.get(key(0), false).is_some() && handles.get(key(2), true).is_some());
        handles.close_store(1);
        assert_eq!(handles.len(), 0);
    }
}
