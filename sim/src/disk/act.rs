//! What each operation does to the files.

use std::cmp::Reverse;
use std::collections::BTreeSet;

use world::disk::{Allocation, Digest, FileStat, Folder, Slices};
use world::{DiskFault, DiskOp, StoreId, Time};

use super::digest::Found;
use super::file::File;
use super::names::stays_below;
use super::{Answer, Asked, Disk, Kind, Pages, Reply, Store, mtime};

/// Bytes of one read.
const READ_MAX: u32 = 16 << 20;

type Outcome = Result<Reply, DiskFault>;

impl Disk {
    /// When [`Disk::take`] has something.
    pub fn deadline(&self) -> Option<Time> {
        if self.is_stopped() {
            return None;
        }
        if self.ready.is_some() {
            return Some(Time::ZERO);
        }
        self.queue.peek().map(|Reverse(asked)| asked.at)
    }

    /// Carries out what is due; gives the next answer.
    pub fn take(&mut self, now: Time) -> Option<Answer> {
        loop {
            if self.is_stopped() {
                return None;
            }
            if let Some(answer) = self.ready.take() {
                self.points += 1;
                return (!self.is_stopped()).then_some(answer);
            }
            if self.queue.peek().is_none_or(|Reverse(asked)| asked.at > now) {
                return None;
            }
            let Reverse(asked) = self.queue.pop()?;
            let reply = self.carry_out(&asked);
            let answer = self.answer(&asked, reply);
            let Some(answer) = answer else { continue };
            self.points += 1;
            return (!self.is_stopped()).then_some(answer);
        }
    }

    /// The answer, or `None` if it comes with that of another write of the same job.
    fn answer(&mut self, asked: &Asked, mut reply: Reply) -> Option<Answer> {
        let job = asked.job;
        if matches!(asked.op, DiskOp::Write { .. })
            && let Some(shared) = self.shared.get_mut(&(asked.store, job))
        {
            shared.open -= 1;
            if let Reply::Wrote(bytes) = &mut reply {
                *bytes += std::mem::take(&mut shared.held);
                if shared.open > 0 && self.draws.merge.happens(asked.number, 0, 0.5) {
                    shared.held = *bytes;
                    return None;
                }
            }
            if shared.open == 0 {
                let held = shared.held;
                self.shared.remove(&(asked.store, job));
                if held > 0 {
                    self.ready = Some(Answer {
                        job,
                        reply: Reply::Wrote(held),
                    });
                }
            }
        }
        Some(Answer { job, reply })
    }

    pub(super) fn carry_out(&mut self, asked: &Asked) -> Reply {
        let kind = Kind::of(&asked.op);
        self.counts.done.count(kind);
        let outcome = match self.faults.strikes(kind, self.counts.done[kind]) {
            Some(fault) => {
                self.half_done(asked, fault);
                Err(fault)
            }
            None => self.act(asked),
        };
        outcome.unwrap_or_else(|fault| {
            self.counts.faults.count(fault);
            let bytes = if kind == Kind::Write { asked.bytes.len() } else { 0 };
            Reply::Failed(fault, bytes)
        })
    }

    /// What an operation that fails leaves behind.
    fn half_done(&mut self, asked: &Asked, fault: DiskFault) {
        match asked.op {
            DiskOp::Write { file, at, .. } if fault != DiskFault::Denied => {
                let half = &asked.bytes[..asked.bytes.len() / 2];
                // It has failed already: that of the half adds nothing.
                let _ = self.write(asked, file, at, half);
            }
            DiskOp::Sync => self.each_of(asked.store, |file| file.spoil(asked.number)),
            _ => {}
        }
    }

    fn act(&mut self, asked: &Asked) -> Outcome {
        let text = || std::str::from_utf8(&asked.bytes).map_err(|_| DiskFault::Unfit);
        match asked.op {
            DiskOp::Open { .. } => self.open(asked),
            DiskOp::Allocate { file, size, how } => self.allocate(asked, file, size, how),
            DiskOp::Write { file, at, .. } => self.write(asked, file, at, &asked.bytes),
            DiskOp::Read { file, at, len } => self.read(asked, file, at, len),
            DiskOp::Hash { digest, .. } => self.hash(asked, digest),
            DiskOp::Sync => {
                self.each_of(asked.store, |file| file.sync(asked.number));
                self.files.retain(|_, file| file.can_be_found());
                if self.deleted.remove(&asked.store) {
                    return Err(DiskFault::Gone);
                }
                Ok(Reply::Ok)
            }
            DiskOp::Rename { file, .. } => self.rename(asked, file, text()?),
            DiskOp::Move { .. } => self.move_all(asked, text()?),
            DiskOp::Delete => {
                let Store { folder, files, .. } = self.store(asked.store)?.clone();
                for path in files {
                    self.delete(asked, &format!("{folder}/{path}"));
                }
                self.store(asked.store)?.is_named = false;
                Ok(Reply::Ok)
            }
            DiskOp::Release => Ok(Reply::Ok),
        }
    }

    fn each_of(&mut self, store: StoreId, act: impl Fn(&mut File)) {
        let touched = self.files.values_mut().filter(|file| file.store == Some(store));
        touched.for_each(act);
    }

    fn store(&mut self, store: StoreId) -> Result<&mut Store, DiskFault> {
        match self.stores.get_mut(&store) {
            Some(store) if store.is_named => Ok(store),
            _ => {
                self.counts.misused += 1;
                Err(DiskFault::Gone)
            }
        }
    }

    /// Where a file is or would be.
    fn path(&mut self, store: StoreId, file: u32) -> Result<String, DiskFault> {
        let store = self.store(store)?;
        let Some(path) = store.files.get(file as usize) else {
            self.counts.misused += 1;
            return Err(DiskFault::Gone);
        };
        if path.is_empty() {
            return Err(DiskFault::Unfit);
        }
        Ok(format!("{}/{path}", store.folder))
    }

    /// The file, if it is there.
    fn there(&mut self, store: StoreId, file: u32) -> Result<Option<u64>, DiskFault> {
        let path = self.path(store, file)?;
        Ok(self.names.get(&path))
    }

    /// The file, made if it is not there.
    fn made(&mut self, asked: &Asked, file: u32) -> Result<u64, DiskFault> {
        let path = self.path(asked.store, file)?;
        if let Some(file) = self.names.get(&path) {
            return Ok(file);
        }
        self.names.is_free(&path)?;
        self.next_file += 1;
        let made = File::new(asked.number, path.clone(), mtime(asked.at));
        self.files.insert(self.next_file, made);
        self.names.insert(path, self.next_file);
        Ok(self.next_file)
    }

    /// Does something to a file, and keeps account of the space.
    fn change<T>(&mut self, asked: &Asked, file: u64, act: impl FnOnce(&mut File, u64, &Pages) -> T) -> Option<T> {
        let file = self.files.get_mut(&file)?;
        let room = self.faults.space.unwrap_or(u64::MAX).saturating_sub(self.used);
        self.used -= file.used();
        file.store = Some(asked.store);
        let out = act(file, room, &self.pages);
        self.used += file.used();
        Some(out)
    }

    fn open(&mut self, asked: &Asked) -> Outcome {
        let Some((folder, files)) = Folder::of(&asked.bytes).read() else {
            self.counts.misused += 1;
            return Err(DiskFault::Unfit);
        };
        let mut paths = BTreeSet::new();
        // Padding has no path.
        for &(path, _) in files.iter().filter(|(path, _)| !path.is_empty()) {
            if !stays_below(path) {
                self.counts.escapes += 1;
                return Err(DiskFault::Unfit);
            }
            if !paths.insert(path) {
                return Err(DiskFault::InTheWay);
            }
        }
        let store = self.stores.entry(asked.store).or_default();
        store.is_named = true;
        folder.clone_into(&mut store.folder);
        store.files = files.iter().map(|(path, _)| (*path).to_owned()).collect();
        let stats = (0..files.len() as u32).map(|file| {
            let there = self.there(asked.store, file).ok().flatten();
            there.and_then(|file| self.files.get(&file)).map(|file| FileStat {
                size: file.size(),
                mtime_ns: file.meta.live().mtime_ns,
            })
        });
        Ok(Reply::Opened(stats.collect()))
    }

    fn allocate(&mut self, asked: &Asked, file: u32, size: u64, how: Allocation) -> Outcome {
        if size > i64::MAX.cast_unsigned() {
            return Err(DiskFault::Unfit);
        }
        let file = self.made(asked, file)?;
        let now = mtime(asked.at);
        let fits = self.change(asked, file, |file, room, pages| {
            let held = file.used();
            match how {
                Allocation::Sparse => {}
                Allocation::Fallocate if size.saturating_sub(held) > room => return false,
                Allocation::Fallocate => file.reserve(size),
                Allocation::Full => {
                    if !file.fill_holes(asked.number, size, room, pages) {
                        return false;
                    }
                }
            }
            file.resize(asked.number, size, now, pages);
            true
        });
        if fits == Some(false) {
            Err(DiskFault::Full)
        } else {
            Ok(Reply::Ok)
        }
    }

    fn write(&mut self, asked: &Asked, file: u32, at: u64, bytes: &[u8]) -> Outcome {
        if at.saturating_add(bytes.len() as u64) > i64::MAX.cast_unsigned() {
            return Err(DiskFault::Unfit);
        }
        let file = self.made(asked, file)?;
        let written = self.change(asked, file, |file, room, pages| {
            file.write(asked.number, at, bytes, mtime(asked.at), room, pages)
        });
        let written = written.unwrap_or(0);
        self.counts.written += written as u64;
        if written < bytes.len() {
            Err(DiskFault::Full)
        } else {
            Ok(Reply::Wrote(written))
        }
    }

    fn read(&mut self, asked: &Asked, file: u32, at: u64, len: u32) -> Outcome {
        let there = self.there(asked.store, file)?;
        let Some(file) = there.and_then(|file| self.files.get(&file)) else {
            return Err(DiskFault::Gone);
        };
        if len > READ_MAX {
            return Err(DiskFault::Unfit);
        }
        if at.saturating_add(u64::from(len)) > file.size() {
            return Err(DiskFault::Gone);
        }
        let mut bytes = vec![0; len as usize];
        file.read(at, &mut bytes);
        self.counts.read += u64::from(len);
        let dice = self.draws.garble;
        if len > 0 && dice.happens(asked.number, 0, self.faults.garbled_reads) {
            bytes[dice.below(asked.number, 1, u64::from(len)) as usize] ^= 0x55;
            self.counts.garbled += 1;
        }
        Ok(Reply::Read(bytes))
    }

    fn hash(&mut self, asked: &Asked, digest: Digest) -> Outcome {
        let mut found = Found::new(digest);
        for slice in Slices::read(&asked.bytes) {
            let there = match slice.file {
                Some(file) => self.there(asked.store, file)?,
                None => None,
            };
            found.slice(there.and_then(|file| self.files.get(&file)), slice);
        }
        self.counts.hashed += found.bytes();
        found.end()
    }

    /// Gives a file that is there another path.
    fn place(&mut self, asked: &Asked, from: &str, to: String) {
        if let Some(file) = self.names.remove(from) {
            self.names.insert(to.clone(), file);
            self.change(asked, file, |file, _, _| file.path.put(asked.number, Some(to)));
        }
    }

    fn rename(&mut self, asked: &Asked, file: u32, to: &str) -> Outcome {
        let from = self.path(asked.store, file)?;
        if !stays_below(to) {
            self.counts.escapes += 1;
            return Err(DiskFault::Unfit);
        }
        let store = self.store(asked.store)?;
        if store.files[file as usize] == to {
            return Ok(Reply::Ok);
        }
        if store.files.iter().any(|path| path == to) {
            return Err(DiskFault::InTheWay);
        }
        let target = format!("{}/{to}", store.folder);
        self.names.is_free(&target)?;
        self.store(asked.store)?.files[file as usize] = to.to_owned();
        self.place(asked, &from, target);
        Ok(Reply::Ok)
    }

    fn move_all(&mut self, asked: &Asked, to: &str) -> Outcome {
        let store = self.store(asked.store)?;
        if store.folder == to {
            return Ok(Reply::Ok);
        }
        let mut moves = Vec::new();
        let (folder, files) = (store.folder.clone(), store.files.clone());
        for path in files.iter().filter(|path| !path.is_empty()) {
            let target = format!("{to}/{path}");
            // What is there would become the store's, of a file that is not there yet, too.
            self.names.is_free(&target)?;
            moves.push((format!("{folder}/{path}"), target));
        }
        for (from, target) in moves {
            self.place(asked, &from, target);
        }
        to.clone_into(&mut self.store(asked.store)?.folder);
        Ok(Reply::Ok)
    }

    fn delete(&mut self, asked: &Asked, path: &str) {
        if let Some(file) = self.names.remove(path) {
            self.change(asked, file, |file, _, _| file.path.put(asked.number, None));
        }
    }
}
