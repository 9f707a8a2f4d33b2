//! Who gave us bytes that were not the torrent's.
//!
//! The hash of a v1 piece says that one of its givers lied, not which. So of each block of a piece that failed a short
//! digest is kept, and when the piece passes later, whoever gave a block with another digest is the liar, and nobody
//! else. Until then its givers are on parole: each should be given whole pieces, which then speak for it or against it.
//! Nobody is banned for having been in bad company, however often. A v2 leaf hash names the liar at once.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use sha1::{Digest as _, Sha1};

/// What blame is told.
#[derive(Clone, Copy, Debug)]
pub struct Config {
    /// Failed pieces that are remembered. When full, the one that failed longest ago is forgotten. Recommended: 64.
    pub pieces: usize,
    /// Digests that are kept of them all, 48 bytes each. When full, pieces are forgotten in the same order; of a piece
    /// that fills it alone, the further ones are not kept. Recommended: 65,536.
    pub notes: usize,
    /// Peers that are remembered to be on parole or to have lied. When full, the one suspected longest ago is forgotten.
    /// Recommended: 1,000.
    pub suspects: usize,
    /// Proven lies that ban; 0 counts as 1. Recommended: 1.
    pub lies: u32,
}

/// What tells two contents of a block apart: the first 8 bytes of its SHA-1. A liar cannot find another content with
/// the digest of the right one, as it could with a checksum.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Digest([u8; 8]);

impl Digest {
    /// The digest of a block.
    pub fn of(block: &[u8]) -> Self {
        let hash: [u8; 20] = Sha1::digest(block).into();
        Self::of_hash(&hash)
    }

    /// The digest of a block whose SHA-1 is known.
    pub const fn of_hash(hash: &[u8; 20]) -> Self {
        let [a, b, c, d, e, f, g, h, ..] = *hash;
        Self([a, b, c, d, e, f, g, h])
    }
}

/// What to do about a peer.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Verdict {
    /// It lied: close it, and never talk to its address again.
    Ban(SocketAddr),
    /// It may have lied: from now on give it whole pieces only.
    Parole(SocketAddr),
}

/// The memory of failed pieces of one torrent. Holds no content.
#[derive(Debug)]
pub struct Blame {
    config: Config,
    failed: BTreeMap<u32, Failure>,
    suspects: BTreeMap<SocketAddr, Suspect>,
    /// Notes of all failures.
    notes: usize,
    /// Counts changes, to know what is oldest.
    stamp: u64,
}

#[derive(Debug, Default)]
struct Failure {
    stamp: u64,
    /// Of this attempt.
    fresh: Vec<Note>,
    /// Of earlier attempts, sorted, each once.
    old: Vec<Note>,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
struct Note {
    block: u32,
    giver: SocketAddr,
    digest: Digest,
}

#[derive(Clone, Copy, Debug, Default)]
struct Suspect {
    stamp: u64,
    on_parole: bool,
    lies: u32,
}

impl Blame {
    /// Blames nobody yet.
    pub const fn new(config: Config) -> Self {
        Self {
            config,
            failed: BTreeMap::new(),
            suspects: BTreeMap::new(),
            notes: 0,
            stamp: 0,
        }
    }

    /// A block of a piece whose hash was wrong, and who gave it. Note all that are known, then call [`Self::failed`];
    /// a block whose giver is not known (it was on disk before) is not noted.
    pub fn note(&mut self, piece: u32, block: u32, giver: SocketAddr, digest: Digest) {
        if !self.failed.contains_key(&piece) {
            while self.failed.len() >= self.config.pieces.max(1) && self.forget_oldest(piece) {}
        }
        while self.notes >= self.config.notes && self.forget_oldest(piece) {}
        if self.notes >= self.config.notes {
            return;
        }
        let stamp = self.next_stamp();
        let failure = self.failed.entry(piece).or_default();
        failure.stamp = stamp;
        failure.fresh.push(Note { block, giver, digest });
        self.notes += 1;
    }

    /// The piece of `blocks` blocks failed, and those noted since it was last begun are what it was made of. Adds to
    /// `out`: a ban for the giver of the whole piece, or for who gave one block with two contents; else parole for all.
    pub fn failed(&mut self, piece: u32, blocks: u32, out: &mut Vec<Verdict>) {
        let Some(failure) = self.failed.get_mut(&piece) else {
            return;
        };
        let mut fresh = std::mem::take(&mut failure.fresh);
        fresh.sort_unstable();
        fresh.dedup();
        let covered = (0..blocks).eq(fresh.iter().map(|note| note.block));
        let mut givers: Vec<SocketAddr> = fresh.iter().map(|note| note.giver).collect();
        givers.sort_unstable();
        givers.dedup();
        let before = failure.old.len();
        let noted = fresh.len();
        failure.old.append(&mut fresh);
        failure.old.sort_unstable();
        failure.old.dedup();
        let pairs = failure.old.iter().zip(failure.old.iter().skip(1));
        let twice = pairs.filter(|(a, b)| a.block == b.block && a.giver == b.giver);
        let mut liars: Vec<SocketAddr> = twice.map(|(note, _)| note.giver).collect();
        // What was noted twice is one note now.
        self.notes = self.notes.saturating_sub(before + noted - failure.old.len());
        if let ([giver], true) = (givers.as_slice(), covered) {
            liars.push(*giver);
        }
        liars.sort_unstable();
        liars.dedup();
        for giver in givers.into_iter().filter(|giver| liars.binary_search(giver).is_err()) {
            out.push(self.suspect(giver));
        }
        for liar in liars {
            out.push(self.lied(liar));
        }
    }

    /// Whether [`Self::passed`] has something to compare if this piece passes. Else the digests need not be made.
    pub fn concerns(&self, piece: u32) -> bool {
        self.failed.contains_key(&piece)
    }

    /// The piece passed, and this is the digest of each of its blocks. Adds the verdicts on those that gave another
    /// content for one of them, and ends the parole of those that did not and are not suspected for another piece.
    pub fn passed(&mut self, piece: u32, mut digest: impl FnMut(u32) -> Option<Digest>, out: &mut Vec<Verdict>) {
        let Some(failure) = self.failed.remove(&piece) else {
            return;
        };
        self.notes = self.notes.saturating_sub(failure.old.len() + failure.fresh.len());
        let mut right = None;
        let mut judged: BTreeMap<SocketAddr, bool> = BTreeMap::new();
        for note in &failure.old {
            if right.is_none_or(|(block, _)| block != note.block) {
                right = Some((note.block, digest(note.block)));
            }
            if let Some((_, Some(right))) = right {
                *judged.entry(note.giver).or_default() |= note.digest != right;
            }
        }
        for (giver, lied) in judged {
            if lied {
                out.push(self.lied(giver));
            } else if !self
                .failed
                .values()
                .any(|other| other.old.iter().any(|note| note.giver == giver))
            {
                self.vouch(giver);
            }
        }
    }

    /// A whole piece from this peer passed: its parole is over.
    pub fn vouch(&mut self, giver: SocketAddr) {
        if let Some(suspect) = self.suspects.get_mut(&giver) {
            suspect.on_parole = false;
            if suspect.lies == 0 {
                self.suspects.remove(&giver);
            }
        }
    }

    /// The peer was proven to have lied: by a leaf hash (v2), or in another way. A ban after as many lies as are told.
    pub fn lied(&mut self, giver: SocketAddr) -> Verdict {
        let lies = self.suspected(giver, |suspect| suspect.lies = suspect.lies.saturating_add(1));
        if lies < self.config.lies.max(1) {
            return self.suspect(giver);
        }
        self.suspects.remove(&giver);
        Verdict::Ban(giver)
    }

    /// Whether the peer should be given whole pieces only (flag 0x200 of SES-17).
    pub fn is_on_parole(&self, giver: SocketAddr) -> bool {
        self.suspects.get(&giver).is_some_and(|suspect| suspect.on_parole)
    }

    fn suspect(&mut self, giver: SocketAddr) -> Verdict {
        self.suspected(giver, |suspect| suspect.on_parole = true);
        Verdict::Parole(giver)
    }

    /// Changes what is known of a suspect; how often it lied.
    fn suspected(&mut self, giver: SocketAddr, change: impl FnOnce(&mut Suspect)) -> u32 {
        let stamp = self.next_stamp();
        if !self.suspects.contains_key(&giver)
            && self.suspects.len() >= self.config.suspects.max(1)
            && let Some((&oldest, _)) = self.suspects.iter().min_by_key(|(_, suspect)| suspect.stamp)
        {
            self.suspects.remove(&oldest);
        }
        let suspect = self.suspects.entry(giver).or_default();
        suspect.stamp = stamp;
        change(suspect);
        suspect.lies
    }

    /// Forgets the piece that failed longest ago, but not `except`. False if there is none.
    fn forget_oldest(&mut self, except: u32) -> bool {
        let others = self.failed.iter().filter(|(piece, _)| **piece != except);
        let Some((&oldest, _)) = others.min_by_key(|(_, failure)| failure.stamp) else {
            return false;
        };
        if let Some(failure) = self.failed.remove(&oldest) {
            self.notes = self.notes.saturating_sub(failure.old.len() + failure.fresh.len());
        }
        true
    }

    fn next_stamp(&mut self) -> u64 {
        self.stamp += 1;
        self.stamp
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    const CONFIG: Config = Config {
        pieces: 64,
        notes: 65_536,
        suspects: 1_000,
        lies: 1,
    };

    fn peer(number: u16) -> SocketAddr {
        SocketAddr::from(([192, 0, 2, 1], number))
    }

    /// The right content of a block, or what a peer makes up.
    fn digest(piece: u32, block: u32, made_up: Option<u16>) -> Digest {
        Digest::of(format!("{piece} {block} {made_up:?}").as_bytes())
    }

    /// A piece arrives: each block from a giver, that lies or not. What it leads to.
    fn piece(blame: &mut Blame, piece: u32, blocks: &[(u16, bool)]) -> Vec<Verdict> {
        let mut out = Vec::new();
        let numbered = (0u32..).zip(blocks);
        if blocks.iter().any(|(_, lies)| *lies) {
            for (block, (giver, lies)) in numbered {
                blame.note(piece, block, peer(*giver), digest(piece, block, lies.then_some(*giver)));
            }
            blame.failed(piece, u32::try_from(blocks.len()).unwrap(), &mut out);
        } else if blame.concerns(piece) {
            blame.passed(piece, |block| Some(digest(piece, block, None)), &mut out);
        }
        out.sort_unstable();
        out
    }

    #[test]
    fn of_three_givers_only_the_liar_is_banned_when_the_piece_passes() {
        let mut blame = Blame::new(CONFIG);
        let first = piece(&mut blame, 7, &[(1, false), (2, true), (3, false), (1, false)]);
        assert_eq!(first, [1, 2, 3].map(|number| Verdict::Parole(peer(number))));
        assert!(blame.is_on_parole(peer(1)));
        let then = piece(&mut blame, 7, &[(4, false), (1, false), (4, false), (4, false)]);
        assert_eq!(then, [Verdict::Ban(peer(2))]);
        // The others are cleared by the same comparison.
        assert!(!blame.is_on_parole(peer(1)) && !blame.is_on_parole(peer(3)));
        assert!(!blame.concerns(7));
        assert_eq!(blame.notes, 0);
    }

    #[test]
    fn who_gave_all_of_a_bad_piece_is_banned_at_once() {
        let mut blame = Blame::new(CONFIG);
        let verdicts = piece(&mut blame, 0, &[(1, false), (1, true)]);
        assert_eq!(verdicts, [Verdict::Ban(peer(1))]);
    }

    #[test]
    fn a_piece_with_a_block_of_unknown_origin_bans_nobody() {
        let mut blame = Blame::new(CONFIG);
        let mut out = Vec::new();
        blame.note(0, 1, peer(1), digest(0, 1, None));
        blame.failed(0, 2, &mut out);
        assert_eq!(out, [Verdict::Parole(peer(1))]);
    }

    #[test]
    fn one_block_with_two_contents_is_a_lie() {
        let mut blame = Blame::new(CONFIG);
        piece(&mut blame, 0, &[(1, true), (2, false)]);
        let verdicts = piece(&mut blame, 0, &[(1, false), (2, true)]);
        assert_eq!(verdicts, [Verdict::Ban(peer(1)), Verdict::Ban(peer(2))]);
    }

    #[test]
    fn a_piece_of_its_own_that_passes_ends_parole() {
        let mut blame = Blame::new(CONFIG);
        piece(&mut blame, 0, &[(1, false), (2, true)]);
        blame.vouch(peer(1));
        assert!(!blame.is_on_parole(peer(1)) && blame.is_on_parole(peer(2)));
    }

    #[test]
    fn who_is_suspected_for_another_piece_stays_on_parole() {
        let mut blame = Blame::new(CONFIG);
        piece(&mut blame, 0, &[(1, false), (2, true)]);
        piece(&mut blame, 1, &[(1, false), (3, true)]);
        piece(&mut blame, 0, &[(4, false), (4, false)]);
        assert!(blame.is_on_parole(peer(1)));
        piece(&mut blame, 1, &[(4, false), (4, false)]);
        assert!(!blame.is_on_parole(peer(1)));
    }

    #[test]
    fn a_leaf_hash_convicts_at_once_or_after_as_many_lies_as_are_told() {
        let mut blame = Blame::new(CONFIG);
        assert_eq!(blame.lied(peer(1)), Verdict::Ban(peer(1)));
        let mut blame = Blame::new(Config { lies: 2, ..CONFIG });
        assert_eq!(blame.lied(peer(1)), Verdict::Parole(peer(1)));
        blame.vouch(peer(1));
        assert!(!blame.is_on_parole(peer(1)));
        assert_eq!(blame.lied(peer(1)), Verdict::Ban(peer(1)));
    }

    #[test]
    fn when_full_the_oldest_failure_is_forgotten() {
        let mut blame = Blame::new(Config { pieces: 2, ..CONFIG });
        for number in 0..3 {
            piece(&mut blame, number, &[(1, true), (2, false)]);
        }
        assert_eq!([0, 1, 2].map(|number| blame.concerns(number)), [false, true, true]);
        let mut blame = Blame::new(Config { notes: 5, ..CONFIG });
        piece(&mut blame, 0, &[(1, true), (2, false), (3, false)]);
        piece(&mut blame, 1, &[(1, true), (2, false), (3, false)]);
        assert_eq!((blame.concerns(0), blame.concerns(1), blame.notes), (false, true, 3));
        // One that is too large alone is judged by what was kept, and never as if that were all.
        assert_eq!(piece(&mut blame, 2, &[(9, true); 6]), [Verdict::Parole(peer(9))]);
        assert_eq!(blame.notes, 5);
    }

    #[test]
    fn when_full_the_oldest_suspect_is_forgotten() {
        let mut blame = Blame::new(Config { suspects: 2, ..CONFIG });
        piece(&mut blame, 0, &[(1, true), (2, false), (3, false)]);
        let on_parole = [1, 2, 3].map(|number| blame.is_on_parole(peer(number)));
        assert_eq!(on_parole, [false, true, true]);
    }

    #[test]
    fn a_digest_is_the_beginning_of_sha_1() {
        assert_eq!(
            Digest::of(b"abc"),
            Digest([0xa9, 0x99, 0x3e, 0x36, 0x47, 0x06, 0x81, 0x6a])
        );
    }

    proptest! {
        /// Givers below 3 lie now and then. Pieces are tried until they pass.
        #[test]
        fn every_liar_is_banned_and_nobody_else(
            attempts in prop::collection::vec((0u32..6, prop::collection::vec((0u16..12, 0u8..4), 4)), 1..60),
        ) {
            let mut blame = Blame::new(CONFIG);
            let mut banned = BTreeSet::new();
            let mut lied = BTreeSet::new();
            let mut open: BTreeSet<u32> = BTreeSet::new();
            let honest = [(20u16, false), (21, false), (22, false), (23, false)];
            let attempts = attempts.into_iter().map(|(number, blocks)| {
                (number, blocks.into_iter().map(|(giver, dice)| (giver, giver < 3 && dice == 0)).collect::<Vec<_>>())
            });
            // In the end everything is fetched from honest peers.
            for (number, blocks) in attempts.chain((0..6).map(|number| (number, honest.to_vec()))) {
                lied.extend(blocks.iter().filter(|(_, lies)| *lies).map(|(giver, _)| peer(*giver)));
                open.insert(number);
                for verdict in piece(&mut blame, number, &blocks) {
                    if let Verdict::Ban(giver) = verdict {
                        banned.insert(giver);
                    }
                }
            }
            prop_assert_eq!(banned, lied);
            prop_assert_eq!(blame.notes, 0);
            prop_assert!(open.iter().all(|number| !blame.concerns(*number)));
            prop_assert!(blame.suspects.values().all(|suspect| !suspect.on_parole));
        }
    }
}
