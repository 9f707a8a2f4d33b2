//! What a peer does that means harm: each behaviour of [`Abuse`], where an honest peer would do the right thing.

use std::time::Duration;

use wire::InfoHash;
use wire::message;
use wire::ut_metadata::{BLOCK, UtMetadata};

use super::{Session, Stage, block_of};
use crate::abuse::{ABSURD_SIZES, Abuse};
use crate::queue::What;
use crate::swarm::Conduct;

/// Bytes that a slow peer says, one a second: two minutes, in which any caller has lost patience.
const SLOW_BYTES: usize = 120;
/// Pause between two helpings of what never ends.
const HELPING_EVERY: Duration = Duration::from_millis(10);
/// Bytes of one helping: 6.4 MB a second.
const HELPING: usize = 64 << 10;
/// Bytes of one message of no meaning.
const NONSENSE: usize = 1 << 10;
/// An extended id that no caller gives.
const NOBODYS_ID: u8 = 200;
/// Pieces that no info dictionary has.
const FAR_AWAY: u32 = 1 << 20;

impl Session {
    fn abuse(&self) -> Option<Abuse> {
        match self.peer.conduct {
            Conduct::Abuses(abuse) => Some(abuse),
            _ => None,
        }
    }

    /// The infohash in the peer's handshake.
    pub(super) fn told_infohash(&self) -> InfoHash {
        if self.abuse() != Some(Abuse::WrongInfoHash) {
            return self.key.infohash;
        }
        let mut bytes = *self.key.infohash.as_bytes();
        bytes[0] ^= 1;
        InfoHash::new(bytes)
    }

    /// The size in the peer's extended handshake.
    pub(super) fn told_size(&self) -> i64 {
        match self.abuse() {
            Some(Abuse::Absurd) => ABSURD_SIZES[self.dice.below(0, 3, ABSURD_SIZES.len() as u64) as usize],
            // One block more than there is, so that all that is ever told are blocks of the right length.
            Some(Abuse::Twice) => (self.info_len + BLOCK) as i64,
            _ => self.info_len as i64,
        }
    }

    /// Whether something else follows the handshake than what should. It is appended to `words`.
    pub(super) fn interrupts(&mut self, stage: &mut Stage<'_>, words: &mut Vec<u8>) -> bool {
        match self.abuse() {
            Some(Abuse::OversizePrefix) => words.extend_from_slice(&[0xff, 0xff, 0xff, 0x00, message::id::EXTENDED]),
            Some(Abuse::EndlessExtended | Abuse::EndlessKeepalive) => {
                let at = self.next_word(stage);
                stage.queue.push(at + HELPING_EVERY, What::Helping { conn: stage.conn });
            }
            _ => return false,
        }
        true
    }

    /// The next helping of what never ends; orders the one after it.
    pub(crate) fn helping(&mut self, stage: &mut Stage<'_>) {
        if self.closing || !stage.queue.has_room() {
            return;
        }
        let mut bytes = Vec::with_capacity(HELPING + NONSENSE);
        while bytes.len() < HELPING {
            if self.abuse() == Some(Abuse::EndlessKeepalive) {
                bytes.extend_from_slice(&0_u32.to_be_bytes());
            } else {
                message::extended_frame(&mut bytes, NOBODYS_ID, |out| out.resize(out.len() + NONSENSE, b'x'));
            }
        }
        self.cover.put_on(&mut bytes);
        let conn = stage.conn;
        stage.queue.push(stage.now, What::Write { conn, bytes });
        stage.queue.push(stage.now + HELPING_EVERY, What::Helping { conn });
    }

    /// Says it one byte a second, as far as anybody may wait for.
    pub(super) fn drip(&mut self, stage: &mut Stage<'_>, bytes: &[u8]) {
        let conn = stage.conn;
        for &byte in bytes.iter().take(SLOW_BYTES) {
            self.said_at = self.said_at.max(stage.now) + Duration::from_secs(1);
            stage.queue.push(
                self.said_at,
                What::Write {
                    conn,
                    bytes: vec![byte],
                },
            );
        }
    }

    /// Answers a request for a piece.
    pub(super) fn serve_badly(&mut self, stage: &mut Stage<'_>, abuse: Abuse, theirs: u8, piece: u32) {
        let Some(info) = self.info(stage) else { return };
        let total_size = self.told_size();
        let data = |piece, bytes| UtMetadata::Data {
            piece,
            total_size,
            bytes,
        };
        let block = block_of(&info, piece);
        let there = block.is_some();
        let mut block = block.unwrap_or(&[b'x'; BLOCK]).to_vec();
        let mut id = theirs;
        let (answer, times) = match abuse {
            Abuse::WrongId => {
                id = NOBODYS_ID;
                (data(piece, &block), 1)
            }
            Abuse::WrongIndex => (data(piece.wrapping_add(FAR_AWAY), &block), 1),
            Abuse::WrongLength => {
                block.pop();
                (data(piece, &block), 1)
            }
            Abuse::Twice => {
                block.resize(BLOCK, 0);
                (data(piece, &block), 2)
            }
            Abuse::Fake | Abuse::Absurd if there => {
                // One bit in the middle of a block.
                let middle = block.len() / 2;
                block[middle] ^= 1;
                (data(piece, &block), 1)
            }
            Abuse::Slow if there => (data(piece, &block), 1),
            _ => (UtMetadata::Reject { piece }, 1),
        };
        let mut words = Vec::new();
        for _ in 0..times {
            message::extended_frame(&mut words, id, |out| answer.encode(out));
        }
        self.say(stage, words);
    }
}
