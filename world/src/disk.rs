//! What a mind may ask of a disk, and what it may be told.
//!
//! A *store* is a folder with numbered files: those of one torrent, or one journal. Everything asked is answered exactly
//! once, by [`Input::Disk`](crate::Input::Disk) with the number of the job; answers of one store may come in another order
//! than the questions. Lists travel in the payload, in the form of this file.
//!
//! What is done in which order: writes, and what changes the files ([`DiskOp::Open`], [`DiskOp::Allocate`],
//! [`DiskOp::Rename`], [`DiskOp::Move`], [`DiskOp::Delete`], [`DiskOp::Release`]), as asked, so that of writes that overlap
//! the last stays. Reading ([`DiskOp::Read`], [`DiskOp::Hash`]) comes after all changes that were asked before it, and sees
//! all writes that were answered; those that were not, perhaps.
//!
//! Nothing is ever read, written or deleted through a link below a store's folder, nor anything that is no file: that is
//! [`DiskFault::InTheWay`].

/// A store, by a number that the machine gives.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct StoreId(pub u32);

/// What an answer is for, by a number that the machine gives. Several writes may share one: each is answered by itself, or
/// together with others of the same number.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct JobId(pub u64);

/// Where the bytes of a write are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Source {
    /// In the bytes of the [`Input::Received`](crate::Input::Received) or [`HttpPart::Body`](crate::HttpPart::Body) that was
    /// handled last: valid only in the polls that directly follow it. So content goes from the socket's buffer to the disk
    /// without a copy (what came in handfuls is copied together). What is not there is lost: [`DiskFault::Device`].
    Input {
        /// Offset in these bytes.
        start: usize,
        /// How many.
        len: usize,
    },
    /// Appended to the lent buffer by this poll.
    Payload {
        /// How many.
        len: usize,
    },
}

/// How room is made for a file (STO-03, STO-07).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Allocation {
    /// The length is set; blocks come as they are written.
    Sparse,
    /// Zeros are written.
    Full,
    /// Blocks are reserved; where the file system cannot, as [`Allocation::Full`].
    Fallocate,
}

/// What is made of the bytes of a range.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Digest {
    /// One SHA-1 over all (BEP 3).
    Sha1,
    /// A SHA-256 of each 16 KiB, counted from the first slice's beginning; the last may be shorter (BEP 52). Padding is in no
    /// leaf.
    Leaves,
    /// Both.
    Both,
}

/// Something asked of a store.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum DiskOp {
    /// Names the store's folder and files; makes nothing. A [`Folder`] is in the payload. Answered by
    /// [`Done::Opened`]. Must come first, or all else is [`DiskFault::Gone`]; again, it names them anew. Refused if a path
    /// leads out of the folder ([`DiskFault::Unfit`]) or is there twice ([`DiskFault::InTheWay`]).
    Open {
        /// Bytes appended to the lent buffer by this poll.
        len: usize,
    },
    /// Makes a file of `size` bytes, with the folders on its way; one that is there is grown or cut to that size. If there
    /// is no room for it, it is as before.
    Allocate {
        /// Which file.
        file: u32,
        /// Its size, bytes.
        size: u64,
        /// How.
        how: Allocation,
    },
    /// Writes a range, and makes the file if it is not there (no bytes at all make an empty one). Answered by
    /// [`Done::Wrote`]; a long one perhaps in parts.
    Write {
        /// Which file.
        file: u32,
        /// Offset in it, bytes.
        at: u64,
        /// What.
        source: Source,
    },
    /// Reads a range. Answered by [`Done::Read`] with all of it; if it is not all there, by [`DiskFault::Gone`].
    Read {
        /// Which file.
        file: u32,
        /// Offset in it, bytes.
        at: u64,
        /// How many bytes; at most 16 MiB, or it is [`DiskFault::Unfit`].
        len: u32,
    },
    /// Hashes slices, in order, as one range. [`Slices`] are in the payload. Answered by [`Done::Hashed`] or [`Done::Hole`];
    /// if a part is there and another is not, by [`DiskFault::Gone`].
    Hash {
        /// What to make of them.
        digest: Digest,
        /// Bytes appended to the lent buffer by this poll.
        len: usize,
    },
    /// All writes asked before, and all that was hashed before, whoever wrote it, are on stable storage when this is answered,
    /// with what their files need to be found again (fdatasync, and the folder of a new file). Once it fails, everything that was written since the sync before is in
    /// doubt, and stays so: a system forgets what it could not write, and the next sync does not know of it. A file that
    /// somebody deleted while it was written is [`DiskFault::Gone`].
    Sync,
    /// Gives a file another path below the folder; the payload is the path. Refused if something is there. One that is not
    /// on the disk gets the name only.
    Rename {
        /// Which file.
        file: u32,
        /// Bytes appended to the lent buffer by this poll.
        len: usize,
    },
    /// Moves all files to another folder, or none if one cannot be; the payload is its path. Where the file system is
    /// another they are copied, and deleted when the copies are on stable storage.
    Move {
        /// Bytes appended to the lent buffer by this poll.
        len: usize,
    },
    /// Deletes the store's files, and the folders below its own that are empty then; the store must be opened anew.
    Delete,
    /// Closes what is open. The store can be used again.
    Release,
}

/// How a file stands on the disk.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FileStat {
    /// Length, bytes.
    pub size: u64,
    /// When it was changed, nanoseconds since 1970.
    pub mtime_ns: i64,
}

/// An answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Done<'a> {
    /// The store is named; how each of its files stands, `None` if it is not there (or is no file).
    Opened(&'a [Option<FileStat>]),
    /// So many bytes of this job's writes are with the system (not yet on stable storage).
    Wrote(usize),
    /// The range that was asked for.
    Read(&'a [u8]),
    /// What the range came to: 20 bytes of SHA-1 if asked for, then 32 bytes for each leaf if asked for.
    Hashed(&'a [u8]),
    /// All of the range that is of files is in holes, or beyond their ends, or in files that are not there: it reads as
    /// zeros, or not at all. Found out without reading it. (A piece of zeros may be right and yet be a hole.)
    Hole,
    /// Done.
    Ok,
    /// It cannot be done. For writes, `bytes` of this job's are lost by it.
    Failed {
        /// Why.
        fault: DiskFault,
        /// Bytes that were to be written.
        bytes: usize,
    },
}

crate::closed_list! {
    /// Why a disk does not do what is asked.
    DiskFault {
        /// No space left, or a quota is used up.
        Full => "disk full",
        /// A file or folder is not there, or shorter than it was.
        Gone => "file gone",
        /// No permission, or a read-only file system.
        Denied => "permission denied",
        /// Something else is at that path.
        InTheWay => "something else is at that path",
        /// A name or size that this file system cannot have.
        Unfit => "the file system cannot have such a file",
        /// Reading or writing failed in the device.
        Device => "device error",
    }
}

/// The folder and files of a store, as they travel in a payload.
///
/// Form: a little-endian `u32` length and the folder's path, then for each file its `u64` size and a `u32` length and the
/// path below the folder, `/` between its names. A file without a path is never on the disk (padding).
#[derive(Clone, Copy, Debug)]
pub struct Folder<'a>(&'a [u8]);

impl<'a> Folder<'a> {
    /// Writes the form.
    pub fn encode<S: AsRef<str>>(out: &mut Vec<u8>, folder: &str, files: impl IntoIterator<Item = (S, u64)>) {
        put_text(out, folder);
        for (path, size) in files {
            out.extend(size.to_le_bytes());
            put_text(out, path.as_ref());
        }
    }

    /// Reads the form that [`encode`](Self::encode) wrote.
    pub const fn of(payload: &'a [u8]) -> Self {
        Self(payload)
    }

    /// The folder's path, and the path and size of each file.
    pub fn read(self) -> Option<(&'a str, Vec<(&'a str, u64)>)> {
        let (folder, mut rest) = take_text(self.0)?;
        let mut files = Vec::new();
        while let Some((size, behind)) = rest.split_first_chunk() {
            let (path, behind) = take_text(behind)?;
            files.push((path, u64::from_le_bytes(*size)));
            rest = behind;
        }
        rest.is_empty().then_some((folder, files))
    }
}

fn put_text(out: &mut Vec<u8>, text: &str) {
    out.extend(u32::try_from(text.len()).unwrap_or(0).to_le_bytes());
    out.extend(text.as_bytes());
}

fn take_text(bytes: &[u8]) -> Option<(&str, &[u8])> {
    let (len, rest) = bytes.split_first_chunk()?;
    let (text, rest) = rest.split_at_checked(usize::try_from(u32::from_le_bytes(*len)).ok()?)?;
    Some((std::str::from_utf8(text).ok()?, rest))
}

/// A part of a file, or zeros that are in none (padding).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Slice {
    /// Which file; `None` for padding.
    pub file: Option<u32>,
    /// Offset in it, bytes.
    pub at: u64,
    /// How many bytes.
    pub len: u32,
}

/// Slices, as they travel in a payload: for each a little-endian `u32` file (all ones for padding), `u64` offset and `u32` length.
#[derive(Clone, Copy, Debug)]
pub struct Slices;

impl Slices {
    /// Writes the form.
    pub fn encode(out: &mut Vec<u8>, slices: impl IntoIterator<Item = Slice>) {
        for slice in slices {
            out.extend(slice.file.unwrap_or(u32::MAX).to_le_bytes());
            out.extend(slice.at.to_le_bytes());
            out.extend(slice.len.to_le_bytes());
        }
    }

    /// Reads the form.
    pub fn read(payload: &[u8]) -> impl Iterator<Item = Slice> + '_ {
        payload.chunks_exact(16).filter_map(|chunk| {
            let (file, rest) = chunk.split_first_chunk()?;
            let (at, rest) = rest.split_first_chunk()?;
            let (len, _) = rest.split_first_chunk()?;
            Some(Slice {
                file: Some(u32::from_le_bytes(*file)).filter(|&file| file != u32::MAX),
                at: u64::from_le_bytes(*at),
                len: u32::from_le_bytes(*len),
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_reads_as_it_was_written() {
        let mut bytes = Vec::new();
        let files = [("a/ü.bin", 7), ("", 0), ("b", u64::MAX)];
        Folder::encode(&mut bytes, "/tmp/x", files);
        assert_eq!(Folder::of(&bytes).read(), Some(("/tmp/x", files.to_vec())));
        bytes.pop();
        assert_eq!(Folder::of(&bytes).read(), None, "cut short");
    }

    #[test]
    fn slices_read_as_they_were_written() {
        let slices = [
            Slice {
                file: Some(3),
                at: 1 << 40,
                len: 16_384,
            },
            Slice {
                file: None,
                at: 0,
                len: 5,
            },
        ];
        let mut bytes = Vec::new();
        Slices::encode(&mut bytes, slices);
        assert!(Slices::read(&bytes).eq(slices));
    }
}
