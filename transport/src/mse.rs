//! Message stream encryption: a stream that does not look like BitTorrent to whoever is in between.
//!
//! A Diffie-Hellman exchange of 768 bits and RC4, keyed by the infohash, which both ends know and the wire does not show.
//! It hides the protocol from filters and is no secrecy. There is no BEP; the reference is the page "Message Stream
//! Encryption" of the Azureus wiki. A calls B; `[x]` is padding of 0 to 512 bytes, `{x}` is under RC4:
//!
//! ```text
//! A: Ya [PadA]
//! B: Yb [PadB]
//! A: HASH('req1', S) HASH('req2', SKEY)^HASH('req3', S) {VC provide len(PadC) [PadC] len(IA) IA}
//! B: {VC select len(PadD) [PadD]} and the stream, by the method selected
//! ```
//!
//! [`Initiator`] is A, [`Responder`] is B, [`Secured`] what lies over the stream afterwards. All take bytes in any split,
//! append what is to be sent, keep no time and hold at most [`KEY_LEN`] bytes of the other end's.

mod admitted;
mod cipher;
mod exchange;
mod initiator;
mod intake;
mod rc4;
mod responder;
#[cfg(test)]
mod tests;

pub use admitted::Admitted;
pub use cipher::Secured;
pub use initiator::Initiator;
pub use responder::Responder;
use world::closed_list;

/// Bytes of a public key: 768 bits.
pub const KEY_LEN: usize = 96;

/// Most bytes of each padding. A longer one is refused.
pub const PAD_MAX: usize = 512;

/// Bytes that may go along as initial payload (IA): one handshake of BEP 3. libtorrent hangs up on more.
pub const INITIAL_MAX: usize = wire::handshake::LEN;

/// The verification constant.
const VC: [u8; 8] = [0; 8];

closed_list! {
    /// What the bytes after the handshake are.
    Method {
        /// As they are.
        Plaintext => "plaintext",
        /// Under RC4.
        Rc4 => "rc4",
    }
}

impl Method {
    /// Its bit in `crypto_provide` and `crypto_select`.
    const fn bit(self) -> u32 {
        match self {
            Self::Plaintext => 1,
            Self::Rc4 => 2,
        }
    }
}

closed_list! {
    /// Which methods are allowed (NET-10).
    Level {
        /// Only the handshake is obfuscated.
        Plaintext => "plaintext",
        /// Everything is.
        Rc4 => "rc4",
        /// Either.
        Both => "both",
    }
}

impl Level {
    /// Its bits in `crypto_provide`.
    const fn bits(self) -> u32 {
        match self {
            Self::Plaintext => Method::Plaintext.bit(),
            Self::Rc4 => Method::Rc4.bit(),
            Self::Both => Method::Plaintext.bit() | Method::Rc4.bit(),
        }
    }

    /// The method for a caller who offers `provided`, or `None` if there is none in common.
    fn choose(self, provided: u32, prefer_rc4: bool) -> Option<Method> {
        let order = if prefer_rc4 {
            [Method::Rc4, Method::Plaintext]
        } else {
            [Method::Plaintext, Method::Rc4]
        };
        order
            .into_iter()
            .find(|method| self.bits() & provided & method.bit() != 0)
    }
}

closed_list! {
    /// Why a handshake cannot go on.
    Failure {
        /// The other end's public key is 0, 1, -1 or no residue: the secret would be known or is not one.
        BadKey => "bad_key",
        /// Where the other end speaks next was not found within the longest padding.
        NoSync => "no_sync",
        /// The stranger's infohash is none that we admit.
        UnknownTorrent => "unknown_torrent",
        /// The verification constant is wrong.
        BadConstant => "bad_constant",
        /// No method in common.
        NoMethod => "no_method",
        /// A padding longer than is allowed.
        PadTooLong => "pad_too_long",
    }
}
