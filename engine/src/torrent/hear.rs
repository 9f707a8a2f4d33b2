//! What peers say, message by message.

use wire::message::{Block, Message};
use world::Time;

use super::Torrent;
use super::people::Parted;
use crate::bits::Bits;
use crate::desk::Desk;
use crate::intake::Heard;
use crate::peer::Having;
use crate::picker::Slot;
use crate::{BLOCK, PeerKey};

/// Pieces that a peer may grant us while it chokes us; more are not noted.
const MOST_ALLOWED: usize = 64;

impl Torrent {
    /// Bytes of an open connection, from `at` of the input on.
    pub(super) fn hear(&mut self, desk: &mut Desk, now: Time, key: PeerKey, input: &[u8], mut at: usize) {
        let Some(peer) = self.peer_mut(key) else { return };
        peer.last_heard = now;
        // The intake lends frames that lie in it, and the torrent is changed by what they say.
        let mut intake = std::mem::replace(&mut peer.intake, crate::intake::Intake::new(0));
        let conn = peer.conn;
        let mut wrong = None;
        loop {
            match intake.next(input, &mut at) {
                Ok(None) => break,
                Ok(Some(Heard::Content(run))) => self.content(desk, now, key, &run, input),
                Ok(Some(Heard::Frame(frame))) => match Message::decode(frame) {
                    Ok(message) => wrong = self.said(desk, now, key, &message).err(),
                    Err(_) => wrong = Some(Parted::Garbled),
                },
                Err(_) => wrong = Some(Parted::Garbled),
            }
            if wrong.is_some() || self.peer(key).is_none_or(|peer| peer.conn != conn) {
                break;
            }
        }
        self.settle(desk, now, input);
        let Some(peer) = self.peer_mut(key).filter(|peer| peer.conn == conn) else {
            return;
        };
        peer.intake = intake;
        match wrong {
            Some(why) => self.part(desk, now, key, why),
            None => {
                self.serve(desk, now, key);
                self.ask(desk, now, key);
            }
        }
    }

    fn said(&mut self, desk: &mut Desk, now: Time, key: PeerKey, message: &Message<'_>) -> Result<(), Parted> {
        match *message {
            Message::KeepAlive | Message::Unknown { .. } => {}
            Message::Choke => self.choked(desk, now, key),
            Message::Unchoke => {
                if let Some(peer) = self.peer_mut(key)
                    && std::mem::replace(&mut peer.choking, false)
                {
                    peer.window.unchoked(now);
                }
            }
            Message::Interested | Message::NotInterested => {
                let interested = *message == Message::Interested;
                self.is_interested(desk, now, key, interested);
            }
            Message::Have(piece) => self.has_piece(desk, key, piece)?,
            Message::Bitfield(bits) => {
                let bits = Bits::from_wire(bits, self.layout.pieces()).ok_or(Parted::Garbled)?;
                self.has_all_of(desk, key, bits)?;
            }
            Message::HaveAll => self.has_everything(desk, key)?,
            Message::HaveNone => self.has_all_of(desk, key, Bits::new(self.layout.pieces()))?,
            Message::Request(block) => self.requested(desk, key, block),
            Message::Cancel(block) => self.cancelled(desk, key, block),
            Message::Reject(block) => {
                if let Some(slot) = slot(block) {
                    self.rejected(key, slot);
                }
            }
            Message::AllowedFast(piece) => {
                let exists = piece < self.layout.pieces();
                if let Some(peer) = self.peer_mut(key)
                    && exists
                    && peer.allowed.len() < MOST_ALLOWED
                    && !peer.allowed.contains(&piece)
                {
                    peer.allowed.push(piece);
                }
            }
            Message::Suggest(piece) => {
                if let Some(peer) = self.peer_mut(key) {
                    peer.suggested = Some(piece);
                }
            }
            Message::Port(port) => self.runs_node(desk, key, port),
            Message::Extended { id, payload } => self.extended(desk, now, key, id, payload),
            Message::HashRequest(asked) => self.hashes_asked(desk, key, asked),
            Message::Hashes { range, hashes } => self.hashes_given(desk, now, key, range, hashes),
            Message::HashReject(asked) => self.hashes_refused(key, asked),
            // The intake tells content as runs.
            Message::Piece { .. } => {}
        }
        Ok(())
    }

    /// A peer will not serve us.
    fn choked(&mut self, desk: &mut Desk, now: Time, key: PeerKey) {
        let Some(peer) = self.peer_mut(key) else { return };
        peer.choking = true;
        // With BEP 6 every request is served or rejected by itself.
        if !peer.fast {
            peer.window.choked();
            self.give_back(key);
            self.ask_all(desk, now);
        }
    }

    fn is_interested(&mut self, desk: &mut Desk, now: Time, key: PeerKey, interested: bool) {
        let Some(peer) = self.peer_mut(key) else { return };
        if peer.interested == interested {
            return;
        }
        peer.interested = interested;
        peer.last_interest = now;
        if !interested {
            peer.requests.clear();
        } else if peer.choked {
            self.maybe_unchoke(desk, now, key);
        }
    }

    /// A peer has one more piece.
    fn has_piece(&mut self, desk: &mut Desk, key: PeerKey, piece: u32) -> Result<(), Parted> {
        if piece >= self.layout.pieces() {
            return Err(Parted::Garbled);
        }
        let wanted = self.picker.wants(piece);
        let Some(peer) = self.peer_mut(key) else { return Ok(()) };
        peer.told_has = true;
        let Having::Some(bits) = &mut peer.has else {
            return Ok(());
        };
        if !bits.set(piece) {
            return Ok(());
        }
        let now_seed = bits.is_full();
        self.picker.peer_has(piece);
        if wanted {
            self.want(desk, key);
        }
        if now_seed {
            self.is_seed_now(key);
        }
        Ok(())
    }

    /// A peer says all that it has: as its first word on that, or instead of many `have` messages (aria2). So it only ever
    /// gains: else a few bytes could have the ranks of all pieces made anew, again and again.
    fn has_all_of(&mut self, desk: &mut Desk, key: PeerKey, bits: Bits) -> Result<(), Parted> {
        if bits.len() > 0 && bits.is_full() {
            return self.has_everything(desk, key);
        }
        let Some(peer) = self.peer_mut(key) else { return Ok(()) };
        if std::mem::replace(&mut peer.told_has, true) {
            let Having::Some(before) = &mut peer.has else {
                return Err(Parted::Garbled);
            };
            let kept = before.common(&bits);
            if kept < before.count() {
                return Err(Parted::Garbled);
            }
            if kept == bits.count() {
                return Ok(());
            }
            let before = std::mem::replace(before, Bits::new(0));
            self.picker.remove(&before);
        }
        self.picker.add(&bits);
        let interesting = self.picker.is_interesting(crate::picker::Has::Some(&bits));
        if let Some(peer) = self.peer_mut(key) {
            peer.has = Having::Some(bits);
        }
        if interesting {
            self.want(desk, key);
        }
        Ok(())
    }

    fn has_everything(&mut self, desk: &mut Desk, key: PeerKey) -> Result<(), Parted> {
        let Some(peer) = self.peer_mut(key) else { return Ok(()) };
        let before = std::mem::replace(&mut peer.has, Having::All);
        if std::mem::replace(&mut peer.told_has, true) {
            match before {
                Having::All => return Ok(()),
                Having::Some(before) => self.picker.remove(&before),
            }
        }
        self.picker.add_seed();
        self.is_seed_now(key);
        if !self.picker.is_finished() {
            self.want(desk, key);
        }
        Ok(())
    }

    /// We want something of a peer.
    pub(super) fn want(&mut self, desk: &mut Desk, key: PeerKey) {
        if self.picker.is_finished() {
            return;
        }
        if let Some(peer) = self.peer_mut(key)
            && peer.is_open()
            && !std::mem::replace(&mut peer.wanting, true)
        {
            peer.tell(&Message::Interested);
            self.speak(desk, key);
        }
    }

    /// Looks anew whether there is something to want of each peer.
    pub(super) fn lose_interest(&mut self, desk: &mut Desk, now: Time) {
        for index in 0..self.peers.len() {
            let Ok(number) = u32::try_from(index) else { return };
            let key = PeerKey(number);
            let Some(peer) = self.peer(key).filter(|peer| peer.is_open()) else {
                continue;
            };
            let wanting = self.picker.is_interesting(peer.has());
            if wanting == peer.wanting {
                continue;
            }
            if wanting {
                self.want(desk, key);
            } else if let Some(peer) = self.peer_mut(key) {
                peer.wanting = false;
                peer.last_interest = now;
                peer.tell(&Message::NotInterested);
                self.speak(desk, key);
            }
            self.close_if_redundant(desk, now, key);
        }
    }
}

/// The block that we would have asked for.
fn slot(block: Block) -> Option<Slot> {
    let aligned = block.begin.is_multiple_of(BLOCK);
    aligned.then_some(Slot {
        piece: block.piece,
        block: block.begin / BLOCK,
    })
}
