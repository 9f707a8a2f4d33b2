//! The talk with one peer: bytes in, what they mean out. It keeps no time and chooses no piece.

use wire::extended::{self, ExtendedHandshake};
use wire::handshake::{self, Handshake, may_become_handshake};
use wire::message::{self, Frames, extended_frame};
use wire::ut_metadata::UtMetadata;
use wire::{InfoHash, PeerId};

use crate::Failure;
use crate::assembly::piece_len;
use crate::config::Config;

/// What a peer has said.
#[derive(PartialEq, Eq, Debug)]
pub(crate) enum Said<'a> {
    /// Nothing that matters here.
    Nothing,
    /// Its handshake: our infohash, and it speaks the extension protocol.
    Handshake,
    /// Its extended handshake: it offers metadata of this many bytes, from 1 to our limit.
    Extended {
        /// Bytes.
        size: u32,
    },
    /// A piece that it was asked for, of the right length.
    Piece {
        /// Which.
        piece: u32,
        /// Its bytes.
        bytes: &'a [u8],
    },
}

/// The talk with one peer.
#[derive(Debug)]
pub(crate) struct Session {
    info_hash: InfoHash,
    our_ut_metadata: u8,
    max_metadata: u32,
    /// The handshake as far as it has come; `None` once it is whole.
    handshake: Option<Vec<u8>>,
    frames: Frames,
    /// What the peer's extended handshake said; `None` before it.
    theirs: Option<Theirs>,
    /// Pieces asked for and not yet come.
    asked: Vec<u32>,
    noise: Noise,
}

#[derive(Clone, Copy, Debug)]
struct Theirs {
    /// The id that messages *to* the peer carry; those from it carry ours (BEP 10; crawlers F3).
    ut_metadata: u8,
    size: u32,
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
    pub(crate) fn new(info_hash: InfoHash, config: &Config) -> Self {
        Self {
            info_hash,
            our_ut_metadata: config.ut_metadata_id,
            max_metadata: config.limits.max_metadata,
            handshake: Some(Vec::new()),
            frames: Frames::new(config.limits.max_frame),
            theirs: None,
            asked: Vec::new(),
            noise: Noise {
                frames: config.limits.noise_frames,
                bytes: config.limits.noise_bytes,
            },
        }
    }

    /// Our first words.
    pub(crate) fn greet(&self, peer_id: PeerId, out: &mut Vec<u8>) {
        Handshake::new(self.info_hash, peer_id).with_extended().encode(out);
    }

    /// Our extended handshake, once the peer's handshake has shown that it will be understood. Waiting for that costs no
    /// round trip: the peer's own comes with its handshake, and our requests go out with this.
    pub(crate) fn extend(&self, client: &str, out: &mut Vec<u8>) {
        let ours = ExtendedHandshake {
            ut_metadata: Some(self.our_ut_metadata),
            version: Some(client.as_bytes()),
            ..ExtendedHandshake::default()
        };
        extended_frame(out, extended::HANDSHAKE, |payload| ours.encode(payload));
    }

    /// Pieces asked for and not yet come.
    pub(crate) fn asked(&self) -> &[u32] {
        &self.asked
    }

    /// Asks for a piece. Does nothing before the peer's extended handshake.
    pub(crate) fn ask(&mut self, piece: u32, out: &mut Vec<u8>) {
        if let Some(theirs) = self.theirs {
            self.asked.push(piece);
            extended_frame(out, theirs.ut_metadata, |payload| {
                UtMetadata::Request { piece }.encode(payload);
            });
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
            if said.is_some() {
                self.handshake = None;
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
                hear_extended(&mut self.theirs, self.max_metadata, payload)?
            }
            Some((&message::id::EXTENDED, [id, payload @ ..])) if *id == self.our_ut_metadata => {
                hear_ut_metadata(self.theirs, &mut self.asked, payload)?
            }
            _ => Said::Nothing,
        };
        if said == Said::Nothing {
            self.noise.spend(frame.len())?;
        }
        Ok(Some(said))
    }
}

/// Collects the 68 bytes, and gives up at the first that cannot be right instead of waiting for those that never come.
fn hear_handshake(
    partial: &mut Vec<u8>,
    info_hash: InfoHash,
    input: &mut &[u8],
) -> Result<Option<Said<'static>>, Failure> {
    let missing = handshake::LEN.saturating_sub(partial.len());
    let (taken, rest) = input.split_at_checked(missing).unwrap_or((*input, &[]));
    partial.extend_from_slice(taken);
    *input = rest;
    if !may_become_handshake(partial) {
        return Err(Failure::NotBitTorrent);
    }
    let Ok(whole) = partial.as_slice().try_into() else {
        return Ok(None);
    };
    let theirs = Handshake::decode(whole).map_err(|_| Failure::NotBitTorrent)?;
    if theirs.info_hash != info_hash {
        return Err(Failure::WrongInfoHash);
    }
    if !theirs.supports_extended() {
        return Err(Failure::NoExtensions);
    }
    Ok(Some(Said::Handshake))
}

/// The first extended handshake says whether there is anything to ask for. Later ones may move the id or take it back
/// (BEP 10), but not change the size.
fn hear_extended(theirs: &mut Option<Theirs>, max_metadata: u32, payload: &[u8]) -> Result<Said<'static>, Failure> {
    let said = ExtendedHandshake::decode(payload).map_err(|_| Failure::Malformed)?;
    let Some(known) = theirs else {
        let id = said.ut_metadata.filter(|&id| id != 0).ok_or(Failure::NoUtMetadata)?;
        let claimed = said.metadata_size.ok_or(Failure::NoSize)?;
        if claimed <= 0 {
            return Err(Failure::BadSize);
        }
        let size = u32::try_from(claimed).ok().filter(|&size| size <= max_metadata);
        let size = size.ok_or(Failure::TooLarge)?;
        *theirs = Some(Theirs { ut_metadata: id, size });
        return Ok(Said::Extended { size });
    };
    match said.ut_metadata {
        Some(0) => return Err(Failure::NoUtMetadata),
        Some(id) => known.ut_metadata = id,
        None => {}
    }
    if said.metadata_size.is_some_and(|size| size != i64::from(known.size)) {
        return Err(Failure::SizeMismatch);
    }
    Ok(Said::Nothing)
}

fn hear_ut_metadata<'a>(theirs: Option<Theirs>, asked: &mut Vec<u32>, payload: &'a [u8]) -> Result<Said<'a>, Failure> {
    match UtMetadata::decode(payload).map_err(|_| Failure::Malformed)? {
        UtMetadata::Data {
            piece,
            total_size,
            bytes,
        } => {
            let size = theirs.map(|theirs| theirs.size).ok_or(Failure::BadPiece)?;
            if total_size != i64::from(size) {
                return Err(Failure::SizeMismatch);
            }
            let at = asked
                .iter()
                .position(|&asked| asked == piece)
                .ok_or(Failure::BadPiece)?;
            if u32::try_from(bytes.len()) != Ok(piece_len(size, piece)) {
                return Err(Failure::BadPiece);
            }
            asked.swap_remove(at);
            Ok(Said::Piece { piece, bytes })
        }
        UtMetadata::Reject { .. } => Err(Failure::Rejected),
        // A request for what we do not have, or a type that BEP 9 tells to ignore.
        UtMetadata::Request { .. } | UtMetadata::Unknown { .. } => Ok(Said::Nothing),
    }
}

#[cfg(test)]
mod tests;
