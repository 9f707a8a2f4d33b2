//! Who gave wrong bytes (PWP-18, PWP-19): the blocks of a wrong piece are hashed one by one, and again when it is right.

use std::net::SocketAddr;

use world::disk::{Digest, Slices};
use world::{DiskOp, Time};

use super::{Job, Torrent};
use crate::PeerKey;
use crate::blame::{self, Verdict};
use crate::desk::Desk;
use crate::picker::Slot;

impl Torrent {
    /// Has the blocks of a wrong piece hashed whose givers are known: whether there are any.
    pub(super) fn note_givers(&mut self, desk: &mut Desk, piece: u32) -> bool {
        let givers: Vec<(u32, PeerKey)> = self.picker.givers(piece).collect();
        let known: Vec<(u32, SocketAddr)> = givers
            .iter()
            .filter_map(|(block, key)| Some((*block, self.peer(*key)?.addr)))
            .collect();
        let Some(begun) = self.begun.get_mut(&piece) else {
            return false;
        };
        begun.progress.release(&mut desk.held);
        for (block, addr) in &known {
            let slot = Slot { piece, block: *block };
            self.hash_block(desk, slot, Some(*addr));
        }
        for (_, key) in givers {
            if let Some(peer) = self.peer_mut(key) {
                peer.hash_fails += 1;
            }
        }
        !known.is_empty()
    }

    fn hash_block(&mut self, desk: &mut Desk, slot: Slot, giver: Option<SocketAddr>) {
        self.judging.entry(slot.piece).or_default().left += 1;
        let wanted = self.block(slot);
        let mut bytes = Vec::new();
        Slices::encode(
            &mut bytes,
            self.layout.map_block(slot.piece, wanted.begin, wanted.length),
        );
        let op = DiskOp::Hash {
            digest: Digest::Sha1,
            len: bytes.len(),
        };
        self.disk(desk, self.store(), Job::Blame(slot, giver), op, &bytes);
    }

    /// A block came to this. When all blocks are known, it is known what to think of who gave them.
    pub(super) fn block_is(
        &mut self,
        desk: &mut Desk,
        now: Time,
        slot: Slot,
        giver: Option<SocketAddr>,
        hash: Option<&[u8]>,
    ) {
        let Some(judging) = self.judging.get_mut(&slot.piece) else {
            return;
        };
        judging.left = judging.left.saturating_sub(1);
        let is_last = judging.left == 0;
        if let Some(digest) = hash.and_then(|hash| hash.first_chunk()).map(blame::Digest::of_hash) {
            match giver {
                Some(giver) => self.blame.note(slot.piece, slot.block, giver, digest),
                None => {
                    judging.right.insert(slot.block, digest);
                }
            }
        }
        if !is_last {
            return;
        }
        let Some(judging) = self.judging.remove(&slot.piece) else {
            return;
        };
        let mut verdicts = Vec::new();
        if giver.is_some() {
            self.blame
                .failed(slot.piece, self.layout.blocks(slot.piece), &mut verdicts);
            self.reopen_piece(desk, slot.piece);
        } else {
            let digest = |block: u32| judging.right.get(&block).copied();
            self.blame.passed(slot.piece, digest, &mut verdicts);
        }
        self.carry_out(desk, now, &verdicts);
        self.ask_all(desk, now);
    }

    fn carry_out(&mut self, desk: &mut Desk, now: Time, verdicts: &[Verdict]) {
        for verdict in verdicts {
            if let Verdict::Ban(addr) = verdict {
                self.ban(desk, now, addr.ip());
            }
        }
        let blame = &self.blame;
        for peer in self.peers.iter_mut().flatten() {
            peer.parole = blame.is_on_parole(peer.addr);
        }
    }

    /// A piece is right: that speaks for who gave all of it. If it was wrong before, its blocks are compared.
    pub(super) fn speak_for_givers(&mut self, desk: &mut Desk, piece: u32) {
        let first = self.picker.givers(piece).next().map(|(_, key)| key);
        let is_only = self.picker.givers(piece).all(|(_, key)| Some(key) == first);
        if let (Some(key), true) = (first, is_only)
            && let Some(peer) = self.peers.get_mut(key.0 as usize).and_then(Option::as_deref_mut)
            && peer.parole
        {
            self.blame.vouch(peer.addr);
            peer.parole = self.blame.is_on_parole(peer.addr);
        }
        if self.blame.concerns(piece) {
            for block in 0..self.layout.blocks(piece) {
                self.hash_block(desk, Slot { piece, block }, None);
            }
        }
    }
}
