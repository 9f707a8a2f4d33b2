//! Whether resume data may be trusted.

use thiserror::Error;
use wire::{InfoHash, InfoHashV2};

use super::{Allocation, FastResume, Stamp};

/// What is so now, to be compared.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// The torrent's v1 name.
    pub info_hash: Option<InfoHash>,
    /// Its v2 name.
    pub info_hash_v2: Option<InfoHashV2>,
    /// Its pieces.
    pub pieces: u32,
    /// The files on the disk, in the torrent's order; `None` is one that is not there.
    pub files: &'a [Option<Stamp>],
}

/// Why resume data are not trusted: one line for a person.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum Rejected {
    /// Another infohash.
    #[error("the resume data are of another torrent")]
    OtherTorrent,
    /// Not as many pieces.
    #[error("the resume data tell of {found} pieces, and the torrent has {pieces}")]
    Pieces {
        /// In the resume data.
        found: usize,
        /// In the torrent.
        pieces: u32,
    },
    /// An unfinished piece that the torrent does not have.
    #[error("the resume data name piece {0}, which the torrent does not have")]
    NoSuchPiece(u32),
    /// A file that is not there, or, where pieces may have moved, is not as it was.
    #[error("file {0} is not what it was when the resume data were saved")]
    File(usize),
    /// Pieces that are not where the torrent has them.
    #[error("the pieces lie in slots out of order, as compact allocation leaves them")]
    Slots,
}

pub(super) fn accept(resume: &FastResume, facts: &Facts<'_>) -> Result<(), Rejected> {
    let differs =
        |ours: Option<&[u8]>, theirs: Option<&[u8]>| ours.zip(theirs).is_some_and(|(ours, theirs)| ours != theirs);
    let v1 = [&facts.info_hash, &resume.info_hash].map(|hash| hash.as_ref().map(|hash| &hash.as_bytes()[..]));
    let v2 = [&facts.info_hash_v2, &resume.info_hash_v2].map(|hash| hash.as_ref().map(|hash| &hash.as_bytes()[..]));
    let same = |[ours, theirs]: [Option<&[u8]>; 2]| ours.is_some() && ours == theirs;
    if differs(v1[0], v1[1]) || differs(v2[0], v2[1]) || !(same(v1) || same(v2)) {
        return Err(Rejected::OtherTorrent);
    }
    check_pieces(resume, facts.pieces)?;
    if resume.allocation == Allocation::Compact {
        // Each slot holds the piece of its number, or none.
        let in_order = (0..).zip(&resume.slots).all(|(at, &slot)| slot < 0 || slot == at);
        if !in_order {
            return Err(Rejected::Slots);
        }
        let then = resume.files.iter().copied().map(Some);
        let same = then.clone().zip(facts.files).position(|(then, now)| then != *now);
        let counts = resume.files.len() == facts.files.len();
        return match same {
            Some(file) => Err(Rejected::File(file)),
            None if !counts => Err(Rejected::File(resume.files.len().min(facts.files.len()))),
            None => Ok(()),
        };
    }
    Ok(())
}

/// Forms with a bit for each piece fill up a byte with zeros.
fn check_pieces(resume: &FastResume, pieces: u32) -> Result<(), Rejected> {
    let found = resume.have.len();
    let count = usize::try_from(pieces).unwrap_or(usize::MAX);
    let rest = resume.have.get(count..).unwrap_or_default();
    if found < count || rest.len() > 7 || rest.contains(&true) {
        return Err(Rejected::Pieces { found, pieces });
    }
    match resume.unfinished.iter().find(|unfinished| unfinished.piece >= pieces) {
        Some(unfinished) => Err(Rejected::NoSuchPiece(unfinished.piece)),
        None => Ok(()),
    }
}
