//! The talk with one peer: bytes in, what they mean out. It keeps no time and chooses no piece.

mod opening;
mod pieces;

use wire::extended;
use wire::message::{self, Frames, extended_frame};
use wire::ut_holepunch::UtHolepunch;
use wire::ut_pex::UtPex;
use wire::{InfoHash, lt_metadata};

use crate::Failure;
use crate::config::{Config, Extensions};
pub(crate) use opening::{Greeting, Offer};
use opening::{Theirs, hear_extended, hear_handshake};
pub(crate) use pieces::Request;
use pieces::{hear_lt_metadata, hear_ut_metadata};

/// What a peer has said.
#[derive(PartialEq, Eq, Debug)]
pub(crate) enum Said<'a> {
    /// Nothing that matters here.
    Nothing,
    /// Its handshake. One that we called has our infohash and speaks the extension protocol.
    Handshake {
        /// Which torrent it is about.
        info_hash: InfoHash,
        /// It speaks the extension protocol.
        extended: bool,
    },
    /// Its first extended handshake, or the size that this left open.
    Extended(Offer),
    /// A piece that it was asked for, of the right length.
    Piece {
        /// Which.
        piece: u32,
        /// Its bytes.
        bytes: &'a [u8],
    },
    /// It wants some of the info dictionary.
    Wants(Request),
    /// Whom it is connected with.
    Names {
        /// What it said.
        pex: UtPex<'a>,
        /// So many of these are still believed.
        most: usize,
    },
    /// It arranges a meeting, or wants one.
    Meets(UtHolepunch),
}

/// The talk with one peer.
#[derive(Debug)]
pub(crate) struct Session {
    /// What it is about. `None` until a peer that called us has told.
    info_hash: Option<InfoHash>,
    ours: Extensions,
    max_metadata: u32,
    /// The handshake as far as it has come; `None` once it is whole.
    handshake: Option<Vec<u8>>,
    frames: Frames,
    /// What the peer's extended handshake said; `None` before it.
    theirs: Option<Theirs>,
    /// Requests that this peer bears unanswered, if not as many as any.
    bears: Bears,
    /// Pieces asked for and not yet come.
    asked: Vec<u32>,
    noise: Noise,
    /// Peers that it may still name.
    names: usize,
    /// Messages about meetings that are still heeded.
    meetings: u32,
}

/// How many requests a client bears unanswered, as found out with real ones (`tests/interop`).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Bears {
    /// rTorrent (libTorrent up to 0.13.8): reads nothing more after a second request that comes before the first answer.
    One,
    Usual,
    /// Transmission: answers what is there every 2 to 4 s, so that more at once is faster.
    Batch,
}

impl Bears {
    /// Judged by how the peer id in a handshake begins (BEP 20).
    fn of(handshake: &[u8]) -> Self {
        match handshake.last_chunk::<20>() {
            Some([b'-', b'l', b't', ..]) => Self::One,
            Some([b'-', b'T', b'R', ..]) => Self::Batch,
            _ => Self::Usual,
        }
    }
}

/// How much more we listen to that brings nothing.
#[derive(Clone, Copy, Debug)]
struct Noise {
    frames: u32,
    bytes: u32,
}

impl Noise {
    fn spend(&mut self, bytes: usize) -> Result<(), Failure> {
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
        self.frames = self.frames.checked_sub(1).ok_or(Failure::Noise)?;
        self.bytes = self.bytes.checked_sub(bytes).ok_or(Failure::Noise)?;
        Ok(())
    }
}

impl Session {
    /// A talk about `info_hash`, or about whatever the peer names.
    pub(crate) fn new(info_hash: Option<InfoHash>, config: &Config) -> Self {
        Self {
            info_hash,
            ours: config.extensions,
            max_metadata: config.limits.max_metadata,
            handshake: Some(Vec::new()),
            frames: Frames::new(config.limits.max_frame),
            theirs: None,
            bears: Bears::Usual,
            asked: Vec::new(),
            noise: Noise {
                frames: config.limits.noise_frames,
                bytes: config.limits.noise_bytes,
            },
            names: usize::try_from(config.exchange.names).unwrap_or(usize::MAX),
            // Those that it asks for, and answers to what we ask.
            meetings: config.exchange.meetings.saturating_mul(2),
        }
    }

    /// Nothing more is wanted of the peer: what was asked for need not come.
    pub(crate) fn rest(&mut self) {
        self.asked.clear();
    }

    /// Pieces asked for and not yet come.
    pub(crate) fn asked(&self) -> &[u32] {
        &self.asked
    }

    /// How many of these there may be, if `usual` is what most peers bear.
    pub(crate) fn pipeline(&self, usual: usize) -> usize {
        match self.bears {
            Bears::One => 1,
            Bears::Usual => usual,
            Bears::Batch => usual.saturating_mul(4),
        }
        .max(1)
    }

    /// Whether it tells us whom it is connected with, if it does so to anybody.
    pub(crate) fn exchanges_peers(&self) -> bool {
        self.ours.ut_pex != 0 && self.theirs.is_some_and(|theirs| theirs.ut_pex != 0)
    }

    /// Whether it takes part in meetings.
    pub(crate) fn meets(&self) -> bool {
        self.ours.ut_holepunch != 0 && self.theirs.is_some_and(|theirs| theirs.ut_holepunch != 0)
    }

    /// The port on which it listens, as it says.
    pub(crate) fn listens_on(&self) -> Option<u16> {
        self.theirs?.port
    }

    /// Our address, as it sees it.
    pub(crate) fn sees_us_at(&self) -> Option<std::net::IpAddr> {
        self.theirs?.your_ip
    }

    /// Says something of a meeting. Does nothing if the peer does not take part in any.
    pub(crate) fn meet(&self, message: UtHolepunch, out: &mut Vec<u8>) {
        if let Some(theirs) = self.theirs.filter(|_| self.meets()) {
            extended_frame(out, theirs.ut_holepunch, |payload| message.encode(payload));
        }
    }

    /// Takes the next thing said off the front of `input`; `None` when that is used up.
    ///
    /// # Errors
    ///
    /// Why the talk is over.
    #[expect(
        single_use_lifetimes,
        reason = "the bound is its use: without it no piece could be lent from the input"
    )]
    pub(crate) fn hear<'s, 'i: 's>(&'s mut self, input: &mut &'i [u8]) -> Result<Option<Said<'s>>, Failure> {
        if let Some(partial) = &mut self.handshake {
            let said = hear_handshake(partial, self.info_hash, input)?;
            if let Some(Said::Handshake { info_hash, .. }) = said {
                self.bears = Bears::of(partial);
                self.handshake = None;
                self.info_hash = Some(info_hash);
            }
            return Ok(said);
        }
        let frame = self.frames.next_frame(input).map_err(|_| Failure::OversizeFrame)?;
        let Some(frame) = frame else {
            return Ok(None);
        };
        // Only extension messages are looked at; the rest may be as odd as it likes.
        let said = match frame.split_first() {
            Some((&message::id::EXTENDED, [extended::HANDSHAKE, payload @ ..])) => {
                hear_extended(&mut self.theirs, self.ours, self.max_metadata, payload)?
            }
            Some((&message::id::EXTENDED, [id, payload @ ..])) if *id != 0 => {
                let (theirs, asked) = (&mut self.theirs, &mut self.asked);
                match *id {
                    id if id == self.ours.ut_metadata => hear_ut_metadata(*theirs, asked, payload)?,
                    id if id == self.ours.lt_metadata => hear_lt_metadata(theirs, asked, self.max_metadata, payload)?,
                    id if id == self.ours.ut_pex => {
                        let pex = UtPex::decode(payload).map_err(|_| Failure::Malformed)?;
                        let most = pex.peers().count().min(self.names);
                        self.names -= most;
                        Said::Names { pex, most }
                    }
                    id if id == self.ours.ut_holepunch => {
                        let message = UtHolepunch::decode(payload).map_err(|_| Failure::Malformed)?;
                        match self.meetings.checked_sub(1) {
                            Some(left) => {
                                self.meetings = left;
                                Said::Meets(message)
                            }
                            None => Said::Nothing,
                        }
                    }
                    _ => Said::Nothing,
                }
            }
            _ => Said::Nothing,
        };
        if !matches!(said, Said::Extended(_) | Said::Piece { .. }) {
            self.noise.spend(frame.len())?;
        }
        Ok(Some(said))
    }
}

/// Largest info dictionary that is asked for by `LT_metadata`, bytes: beyond it a part is longer than a piece.
const LT_MAX: u32 = lt_metadata::PARTS as u32 * wire::ut_metadata::BLOCK as u32;

#[cfg(test)]
mod tests;
