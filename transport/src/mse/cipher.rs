//! RC4 as the two ends use it, and what lies over the stream after the handshake.

use std::fmt;

use wire::InfoHash;

use crate::mse::Method;
use crate::mse::exchange::Secret;
use crate::mse::rc4::Rc4;

/// Bytes of the key stream that are thrown away: RC4 gives away its key in the first ones.
const DROPPED: usize = 1024;

/// Both key streams of one end. 516 bytes, and only while RC4 is in use.
pub(super) struct Keys {
    outgoing: Rc4,
    incoming: Rc4,
}

/// Which end is ours.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum End {
    /// A, who called.
    Caller,
    /// B, who was called.
    Called,
}

impl Keys {
    pub(super) fn new(secret: &Secret, info_hash: &InfoHash, end: End) -> Box<Self> {
        let key = |label| rc4(secret.hash(label, info_hash.as_bytes()));
        let (of_caller, of_called) = (key("keyA"), key("keyB"));
        Box::new(match end {
            End::Caller => Self {
                outgoing: of_caller,
                incoming: of_called,
            },
            End::Called => Self {
                outgoing: of_called,
                incoming: of_caller,
            },
        })
    }

    pub(super) fn encrypt(&mut self, bytes: &mut [u8]) {
        self.outgoing.apply(bytes);
    }

    pub(super) fn decrypt(&mut self, bytes: &mut [u8]) {
        self.incoming.apply(bytes);
    }
}

impl fmt::Debug for Keys {
    /// Keeps the keys out of logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Keys(..)")
    }
}

fn rc4(key: [u8; 20]) -> Rc4 {
    let mut rc4 = Rc4::new(&key);
    rc4.apply(&mut [0; DROPPED]);
    rc4
}

/// What lies over a stream after the handshake.
#[derive(Debug)]
pub struct Secured {
    method: Method,
    /// As long as bytes are still to be encrypted or decrypted.
    keys: Option<Box<Keys>>,
    /// Bytes of the caller's initial payload still to come, which is under RC4 whatever the method.
    initial: u16,
}

impl Secured {
    pub(super) fn new(method: Method, keys: Box<Keys>, initial: u16) -> Self {
        let mut secured = Self {
            method,
            keys: Some(keys),
            initial,
        };
        secured.drop_keys();
        secured
    }

    /// What was agreed.
    pub fn method(&self) -> Method {
        self.method
    }

    /// Whether bytes are on the wire as they are, from here on and in both directions.
    pub fn is_bare(&self) -> bool {
        self.keys.is_none()
    }

    /// Makes of bytes of the stream what goes on the wire. Each byte once, in order.
    pub fn encrypt(&mut self, bytes: &mut [u8]) {
        if let (Method::Rc4, Some(keys)) = (self.method, &mut self.keys) {
            keys.encrypt(bytes);
        }
    }

    /// Makes of bytes on the wire what they are in the stream. Each byte once, in order.
    pub fn decrypt(&mut self, bytes: &mut [u8]) {
        let Some(keys) = &mut self.keys else { return };
        if self.method == Method::Rc4 {
            keys.decrypt(bytes);
            return;
        }
        let under = bytes.len().min(usize::from(self.initial));
        if let Some(initial) = bytes.get_mut(..under) {
            keys.decrypt(initial);
        }
        self.initial -= u16::try_from(under).unwrap_or(self.initial);
        self.drop_keys();
    }

    fn drop_keys(&mut self) {
        if self.method == Method::Plaintext && self.initial == 0 {
            self.keys = None;
        }
    }
}
