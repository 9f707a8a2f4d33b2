//! One connection to a peer of the lab: handshake, extended handshake, ut_metadata (BEP 3, 9, 10).

mod cover;
mod enemy;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use wire::PeerId;
use wire::extended::{self, ExtendedHandshake};
use wire::handshake::{self, Handshake};
use wire::message::{self, Frames, Message};
use wire::ut_metadata::{BLOCK, UtMetadata};
use world::{ConnId, Time};

use crate::abuse::Abuse;
use crate::client::{Habits, Kind};
use crate::content::Torrent;
use crate::dice::Dice;
use crate::infos::Infos;
use crate::keys::Key;
use crate::population::Population;
use crate::queue::{Queue, What};
use crate::swarm::{Conduct, Door, Peer};
use cover::{Cover, Terms};

/// Where a session's words go.
pub(crate) struct Stage<'a> {
    pub(crate) population: &'a Population,
    pub(crate) queue: &'a mut Queue,
    pub(crate) infos: &'a mut Infos,
    pub(crate) now: Time,
    pub(crate) conn: ConnId,
}

/// The peer's side of a connection.
#[derive(Debug)]
pub(crate) struct Session {
    key: Key,
    peer: Peer,
    caller: IpAddr,
    rtt: Duration,
    call: u64,
    cover: Cover,
    dice: Dice,
    /// Words so far; numbers the draws.
    words: u64,
    /// Nothing is said before what was said last.
    said_at: Time,
    /// Bytes of the handshake that have come.
    opening: Vec<u8>,
    open: bool,
    frames: Frames,
    /// The number that the caller gave ut_metadata.
    theirs: Option<u8>,
    /// Bytes of the info dictionary, once somebody has shaken hands for it. The bytes themselves are shared: thousands of
    /// callers who ask for nothing cost nothing.
    info_len: usize,
    closing: bool,
}

/// Frames that fetchers send are small; one that claims more ends the session.
const FRAME_MAX: u32 = 1 << 17;
/// A tarpit drips so many bytes, one every ten seconds (J8), and then nothing.
const DRIPS: u32 = 12;
impl Session {
    /// A peer takes a call. `call` is unique to it.
    pub(crate) fn accept(
        stage: &mut Stage<'_>,
        key: Key,
        peer: Peer,
        caller: IpAddr,
        rtt: Duration,
        call: u64,
    ) -> Self {
        let mut session = Self {
            key,
            peer,
            caller,
            rtt,
            call,
            cover: Cover::new(),
            dice: stage.population.streams.sessions.of(call),
            words: 0,
            said_at: stage.now,
            opening: Vec::new(),
            open: false,
            frames: Frames::new(FRAME_MAX),
            theirs: None,
            info_len: 0,
            closing: false,
        };
        if peer.conduct == Conduct::Tarpit {
            for drip in 1..=DRIPS {
                let at = stage.now + Duration::from_secs(10) * drip;
                let bytes = vec![0x13];
                stage.queue.push(
                    at,
                    What::Write {
                        conn: stage.conn,
                        bytes,
                    },
                );
            }
        } else if peer.conduct == Conduct::HangsUp && session.dice.happens(0, 0, 0.5) {
            // Full, and does not even listen; the other half listens first.
            session.close(stage);
        }
        session
    }

    /// Bytes from the caller, as they came off the wire.
    pub(crate) fn receive(&mut self, stage: &mut Stage<'_>, bytes: &[u8]) {
        let deaf = matches!(self.peer.conduct, Conduct::Tarpit | Conduct::Abuses(Abuse::Silence));
        if self.closing || deaf {
            return;
        }
        if self.cover.is_bare() {
            return self.read(stage, bytes);
        }
        let terms = Terms {
            infohash: self.key.infohash,
            // G: libtorrent prefers plaintext where it is offered, others do not.
            prefers_rc4: self.peer.kind != Kind::Libtorrent,
            seed: stage.population.seed.derive_number("mse", self.call),
        };
        let (mut stream, mut answer) = (Vec::new(), Vec::new());
        if self.cover.take(terms, bytes, &mut stream, &mut answer).is_err() {
            return self.close(stage);
        }
        if !answer.is_empty() {
            self.send(stage, answer);
        }
        if self.cover.is_bare() && self.peer.door == Door::Obfuscated {
            return self.close(stage);
        }
        self.read(stage, &stream);
    }

    /// Bytes of the stream.
    fn read(&mut self, stage: &mut Stage<'_>, mut bytes: &[u8]) {
        if !self.open {
            let missing = handshake::LEN - self.opening.len();
            let (head, rest) = bytes.split_at(missing.min(bytes.len()));
            self.opening.extend_from_slice(head);
            bytes = rest;
            let Ok(opening) = self.opening.as_slice().try_into() else {
                return;
            };
            let heard = Handshake::decode(opening);
            self.shake_hands(stage, heard.ok());
        }
        let mut frames = std::mem::replace(&mut self.frames, Frames::new(FRAME_MAX));
        while self.open && !self.closing {
            match frames.next_frame(&mut bytes) {
                Ok(Some(frame)) => self.hear(stage, frame),
                Ok(None) => break,
                Err(_) => self.close(stage),
            }
        }
        self.frames = frames;
    }

    fn shake_hands(&mut self, stage: &mut Stage<'_>, heard: Option<Handshake>) {
        // Who has many keys at one address learns here which of them the call is about.
        let keys = &stage.population.keys;
        let named = heard.as_ref().and_then(|heard| stage.population.find(&heard.info_hash));
        if keys.is_bait(&self.key)
            && let Some(named) = named.filter(|named| keys.is_bait(named))
        {
            self.key = *named;
        }
        let wanted = heard.filter(|heard| heard.info_hash == self.key.infohash);
        let torrent = stage.population.torrent(&self.key);
        let (Some(heard), Some(torrent)) = (wanted, torrent) else {
            return self.close(stage);
        };
        if self.peer.conduct == Conduct::HangsUp {
            return self.close(stage);
        }
        self.open = true;
        let info = stage.infos.of(&self.key, || Some(torrent.clone()));
        self.info_len = info.map_or(0, |info| info.len());
        let habits = stage.population.config.profile.habits(self.peer.kind);
        let mut words = Vec::new();
        // No DHT bit: there is no node at the address of a peer.
        let mut ours = Handshake::new(self.told_infohash(), self.peer_id(habits));
        if self.peer.conduct != Conduct::NoExtensions {
            ours = ours.with_extended();
        }
        if self.fast() {
            ours = ours.with_fast();
        }
        ours.encode(&mut words);
        if self.interrupts(stage, &mut words) {
            return self.say(stage, words);
        }
        let extends = heard.supports_extended() && ours.supports_extended();
        // libtorrent says what it has after its extended handshake, others before.
        let first = self.peer.kind == Kind::Libtorrent;
        if extends && first {
            self.put_extended(habits, stage.population.config.port, &mut words);
        }
        self.put_pieces(&torrent, heard.supports_fast(), &mut words);
        if extends && !first {
            self.put_extended(habits, stage.population.config.port, &mut words);
        }
        self.say(stage, words);
    }

    fn fast(&self) -> bool {
        matches!(self.peer.kind, Kind::Libtorrent | Kind::Transmission | Kind::Utorrent)
    }

    fn peer_id(&self, habits: &Habits) -> PeerId {
        let mut id = [0; 20];
        for (byte, at) in id.iter_mut().zip(0..) {
            *byte = b'0' + self.dice.below(at, 2, 10) as u8;
        }
        id[..8].copy_from_slice(habits.peer_id);
        PeerId::new(id)
    }

    /// What the peer has of the content, in the form that its kind uses.
    fn put_pieces(&self, torrent: &Torrent, fast: bool, out: &mut Vec<u8>) {
        let pieces = torrent.total_bytes.div_ceil(torrent.piece_length) as usize;
        match (self.peer.seed, fast && self.fast()) {
            (true, true) => Message::HaveAll.encode(out),
            (false, true) => Message::HaveNone.encode(out),
            (true, false) => {
                let mut bits = vec![0xff; pieces.div_ceil(8)];
                if let Some(last) = bits.last_mut() {
                    *last <<= (8 - pieces % 8) % 8;
                }
                Message::Bitfield(&bits).encode(out);
            }
            // Who has nothing may leave the bitfield out (BEP 3).
            (false, false) => {}
        }
    }

    fn put_extended(&self, habits: &Habits, port: u16, out: &mut Vec<u8>) {
        let conduct = self.peer.conduct;
        let size = match conduct {
            Conduct::NoUtMetadata | Conduct::NoMetadata => None,
            _ => Some(self.told_size()),
        };
        let ours = ExtendedHandshake {
            ut_metadata: (conduct != Conduct::NoUtMetadata).then_some(habits.ut_metadata),
            ut_pex: Some(habits.ut_metadata + 1),
            metadata_size: size,
            version: Some(habits.name).filter(|name| !name.is_empty()),
            port: Some(port),
            request_queue: Some(250),
            your_ip: Some(self.caller),
            ..ExtendedHandshake::default()
        };
        message::extended_frame(out, extended::HANDSHAKE, |out| ours.encode(out));
    }

    fn hear(&mut self, stage: &mut Stage<'_>, frame: &[u8]) {
        let Ok(Message::Extended { id, payload }) = Message::decode(frame) else {
            return;
        };
        let ours = stage.population.config.profile.habits(self.peer.kind).ut_metadata;
        if id == extended::HANDSHAKE {
            let theirs = ExtendedHandshake::decode(payload)
                .ok()
                .and_then(|theirs| theirs.ut_metadata);
            self.theirs = theirs.filter(|id| *id != 0);
        } else if id == ours
            && let Ok(UtMetadata::Request { piece }) = UtMetadata::decode(payload)
            && let Some(theirs) = self.theirs
        {
            self.serve(stage, theirs, piece);
        }
    }

    fn serve(&mut self, stage: &mut Stage<'_>, theirs: u8, piece: u32) {
        let serves = match self.peer.conduct {
            Conduct::Delivers => true,
            Conduct::Abuses(abuse) => return self.serve_badly(stage, abuse, theirs, piece),
            Conduct::Quits => {
                if piece > 0 || self.info_len <= BLOCK {
                    return self.close(stage);
                }
                true
            }
            _ => false,
        };
        let info = self.info(stage).filter(|_| serves);
        let block = info.as_deref().and_then(|info| block_of(info, piece));
        let answer = block.map_or(UtMetadata::Reject { piece }, |bytes| UtMetadata::Data {
            piece,
            total_size: self.told_size(),
            bytes,
        });
        let mut words = stage.queue.buffer();
        message::extended_frame(&mut words, theirs, |out| answer.encode(out));
        self.say(stage, words);
    }

    fn info(&self, stage: &mut Stage<'_>) -> Option<Arc<[u8]>> {
        stage.infos.of(&self.key, || stage.population.torrent(&self.key))
    }

    /// The next moment to say something: a round trip and a step of work from now, and after all that was said before.
    fn next_word(&mut self, stage: &Stage<'_>) -> Time {
        let peers = &stage.population.config.profile.peers;
        self.words += 1;
        let step = self.dice.lognormal(self.words, 4, peers.step_ms, peers.step_sigma);
        let at = stage.now + self.rtt + Duration::try_from_secs_f64(step / 1000.0).unwrap_or_default();
        self.said_at = self.said_at.max(at);
        self.said_at
    }

    fn say(&mut self, stage: &mut Stage<'_>, mut bytes: Vec<u8>) {
        self.cover.put_on(&mut bytes);
        self.send(stage, bytes);
    }

    /// Orders bytes to be sent, as they go on the wire.
    fn send(&mut self, stage: &mut Stage<'_>, bytes: Vec<u8>) {
        if !stage.queue.has_room() {
            return self.close(stage);
        }
        if self.peer.conduct == Conduct::Abuses(Abuse::Slow) {
            return self.drip(stage, &bytes);
        }
        let at = self.next_word(stage);
        stage.queue.push(
            at,
            What::Write {
                conn: stage.conn,
                bytes,
            },
        );
    }

    fn close(&mut self, stage: &mut Stage<'_>) {
        self.closing = true;
        let at = self.next_word(stage);
        stage.queue.push(at, What::Close { conn: stage.conn });
    }
}

/// A piece of an info dictionary, if it has that many.
fn block_of(info: &[u8], piece: u32) -> Option<&[u8]> {
    let rest = info.get(piece as usize * BLOCK..).filter(|rest| !rest.is_empty())?;
    Some(&rest[..rest.len().min(BLOCK)])
}

#[cfg(test)]
mod tests;
