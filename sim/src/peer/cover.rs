//! What lies over a connection: nothing, or message stream encryption. The caller's first bytes decide.

use std::fmt;

use transport::mse::{Admitted, Level, Responder, Secured};
use wire::InfoHash;
use wire::handshake::may_become_handshake;
use world::Seed;

/// After so many bytes that may begin a handshake (BEP 3), they do.
const DECIDED: usize = 20;

/// How the bytes of a connection are to be read.
pub(super) enum Cover {
    /// The first bytes, as long as they may be either.
    Undecided(Vec<u8>),
    /// As they are.
    Bare,
    /// Keys are being agreed on.
    Greeting(Box<(Responder, Admitted)>),
    /// As agreed.
    Secured(Box<Secured>),
}

/// What a peer brings to agreeing on keys.
#[derive(Clone, Copy)]
pub(super) struct Terms {
    /// The torrent that it may be called about.
    pub(super) infohash: InfoHash,
    pub(super) prefers_rc4: bool,
    pub(super) seed: Seed,
}

/// The caller cannot be understood.
pub(super) struct Gibberish;

impl Cover {
    pub(super) const fn new() -> Self {
        Self::Undecided(Vec::new())
    }

    pub(super) const fn is_bare(&self) -> bool {
        matches!(self, Self::Bare)
    }

    /// Takes bytes off the wire: those of the stream are appended to `stream`, and what is to be answered at once, as it
    /// goes on the wire, to `answer`.
    pub(super) fn take(
        &mut self,
        terms: Terms,
        bytes: &[u8],
        stream: &mut Vec<u8>,
        answer: &mut Vec<u8>,
    ) -> Result<(), Gibberish> {
        let first;
        let mut bytes = bytes;
        if let Self::Undecided(held) = self {
            held.extend_from_slice(bytes);
            if may_become_handshake(held) {
                if held.len() >= DECIDED {
                    stream.append(held);
                    *self = Self::Bare;
                }
                return Ok(());
            }
            first = std::mem::take(held);
            bytes = &first;
            let mut admitted = Admitted::new(1, terms.seed);
            admitted.admit(terms.infohash);
            let responder = Responder::new(Level::Both, terms.prefers_rc4, terms.seed).pretending();
            *self = Self::Greeting(Box::new((responder, admitted)));
        }
        if let Self::Greeting(greeting) = self {
            let (responder, admitted) = greeting.as_mut();
            let secured = responder.receive(&mut bytes, admitted, answer).map_err(|_| Gibberish)?;
            match secured {
                Some(secured) => *self = Self::Secured(Box::new(secured)),
                None => return Ok(()),
            }
        }
        let start = stream.len();
        stream.extend_from_slice(bytes);
        if let Self::Secured(secured) = self {
            secured.decrypt(&mut stream[start..]);
        }
        Ok(())
    }

    /// Makes of bytes of the stream what goes on the wire.
    pub(super) fn put_on(&mut self, bytes: &mut [u8]) {
        if let Self::Secured(secured) = self {
            secured.encrypt(bytes);
        }
    }
}

impl fmt::Debug for Cover {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Undecided(_) => "undecided",
            Self::Bare => "bare",
            Self::Greeting(_) => "greeting",
            Self::Secured(_) => "secured",
        })
    }
}
