//! What others than the machine do to the files, and see of them.

use super::file::File;
use super::{Content, Disk, mtime};
use world::Time;

impl Disk {
    /// Puts a file at a path, in the place of what is there, as if it had always been there. It takes no memory until it is
    /// written to.
    pub fn plant(&mut self, path: &str, content: Content) {
        self.remove(path);
        self.next_file += 1;
        let file = File::planted(path.to_owned(), content, mtime(Time::ZERO));
        self.used += file.used();
        self.files.insert(self.next_file, file);
        self.names.insert(path.to_owned(), self.next_file);
    }

    /// Somebody else deletes a file, durably; whether it was there. If it was not synced, the next sync of who wrote it says
    /// [`world::DiskFault::Gone`].
    pub fn remove(&mut self, path: &str) -> bool {
        let Some(file) = self.names.remove(path).and_then(|number| self.files.remove(&number)) else {
            return false;
        };
        self.used -= file.used();
        self.deleted.extend(file.store.filter(|_| file.is_unsynced()));
        true
    }

    /// Somebody else cuts or grows a file at the time `now`, durably; whether it was there.
    pub fn truncate(&mut self, now: Time, path: &str, size: u64) -> bool {
        let there = self.names.get(path);
        let Some(file) = there.and_then(|number| self.files.get_mut(&number)) else {
            return false;
        };
        self.used -= file.used();
        file.resize(self.asked, size, mtime(now), &self.pages);
        file.settle();
        self.used += file.used();
        true
    }

    /// Somebody else writes into a file at the time `now`, durably; whether it was there.
    pub fn overwrite(&mut self, now: Time, path: &str, at: u64, bytes: &[u8]) -> bool {
        let there = self.names.get(path);
        let Some(file) = there.and_then(|number| self.files.get_mut(&number)) else {
            return false;
        };
        self.used -= file.used();
        file.write(self.asked, at, bytes, mtime(now), u64::MAX, &self.pages);
        file.settle();
        self.used += file.used();
        true
    }

    /// All files, by path, and their lengths.
    pub fn paths(&self) -> impl Iterator<Item = (&str, u64)> {
        self.names
            .paths()
            .map(|(path, number)| (path, self.files.get(&number).map_or(0, File::size)))
    }

    /// Reads a part of a file as everybody sees it now, zeros beyond its end; whether it is there.
    pub fn read_at(&self, path: &str, at: u64, out: &mut [u8]) -> bool {
        let there = self.names.get(path);
        let Some(file) = there.and_then(|number| self.files.get(&number)) else {
            return false;
        };
        file.read(at, out);
        true
    }

    /// A whole file as everybody sees it now.
    pub fn file(&self, path: &str) -> Option<Vec<u8>> {
        let file = self.files.get(&self.names.get(path)?)?;
        let mut bytes = vec![0; file.size() as usize];
        file.read(0, &mut bytes);
        Some(bytes)
    }

    /// Whether a file is there and holds exactly this.
    pub fn holds(&self, path: &str, content: &Content) -> bool {
        const STRIDE: usize = 1 << 16;
        let there = self.names.get(path);
        let Some(file) = there.and_then(|number| self.files.get(&number)) else {
            return false;
        };
        let (mut here, mut should) = (vec![0; STRIDE], vec![0; STRIDE]);
        file.size() == content.len()
            && (0..content.len()).step_by(STRIDE).all(|at| {
                let len = STRIDE.min((content.len() - at) as usize);
                file.read(at, &mut here[..len]);
                content.read(at, &mut should[..len]);
                here[..len] == should[..len]
            })
    }

    /// Bytes that all files take, in pages.
    pub const fn used(&self) -> u64 {
        self.used
    }
}
