//! A: the end that calls.

use wire::InfoHash;
use world::Seed;

use crate::mse::cipher::{End, Keys, Secured};
use crate::mse::exchange::{self, Exchange, Secret};
use crate::mse::intake::{Intake, skip};
use crate::mse::{Failure, INITIAL_MAX, Level, Method, VC};

/// The handshake of the end that calls.
pub struct Initiator {
    seed: Seed,
    info_hash: InfoHash,
    level: Level,
    initial: Vec<u8>,
    intake: Intake,
    step: Step,
}

/// What is awaited.
enum Step {
    Key(Exchange),
    /// The constant under the other end's key stream.
    Constant(Box<Keys>, [u8; 8]),
    Selection(Box<Keys>),
    Padding(Box<Keys>, Method, usize),
    Over,
}

impl Initiator {
    /// Begins: what is to be sent first is appended to `out`. `initial` are the first bytes of the stream, which go
    /// along; of more than [`INITIAL_MAX`] only so many, the rest is to be written when the handshake is through.
    pub fn new(info_hash: InfoHash, level: Level, initial: &[u8], seed: Seed, out: &mut Vec<u8>) -> Self {
        let mut rng = seed.derive("key and first padding").rng();
        let exchange = Exchange::new(&mut rng);
        out.extend_from_slice(&exchange.public());
        exchange::pad(&mut rng, out);
        Self {
            seed,
            info_hash,
            level,
            initial: initial.get(..INITIAL_MAX).unwrap_or(initial).to_vec(),
            intake: Intake::default(),
            step: Step::Key(exchange),
        }
    }

    /// Bytes of the stream that went along, or will.
    pub fn initial_len(&self) -> usize {
        self.initial.len()
    }

    /// Takes bytes off `input` and appends to `out` what is to be sent. When the handshake is through, what is left of
    /// `input` is the stream's.
    ///
    /// # Errors
    ///
    /// The reason to hang up; nothing more is to be given then.
    pub fn receive(&mut self, input: &mut &[u8], out: &mut Vec<u8>) -> Result<Option<Secured>, Failure> {
        loop {
            // What has not all come yet is awaited again.
            let (next, goes_on) = match std::mem::replace(&mut self.step, Step::Over) {
                Step::Key(exchange) => match self.intake.exactly(input) {
                    Some(theirs) => (self.answer(&exchange.secret(&theirs)?, out), true),
                    None => (Step::Key(exchange), false),
                },
                Step::Constant(keys, mark) => {
                    if self.intake.past(&mark, input)? {
                        (Step::Selection(keys), true)
                    } else {
                        (Step::Constant(keys, mark), false)
                    }
                }
                Step::Selection(keys) => match self.intake.exactly(input) {
                    Some(fields) => (self.selection(keys, fields)?, true),
                    None => (Step::Selection(keys), false),
                },
                Step::Padding(mut keys, method, mut left) => {
                    pass_over(&mut keys, &mut left, input);
                    if left == 0 {
                        return Ok(Some(Secured::new(method, keys, 0)));
                    }
                    (Step::Padding(keys, method, left), false)
                }
                Step::Over => (Step::Over, false),
            };
            self.step = next;
            if !goes_on {
                return Ok(None);
            }
        }
    }

    /// Says which torrent it is, what we offer, and the first bytes of the stream.
    fn answer(&self, secret: &Secret, out: &mut Vec<u8>) -> Step {
        out.extend_from_slice(&secret.hash("req1", &[]));
        out.extend_from_slice(&secret.mask(exchange::torrent_hash(&self.info_hash)));
        let mut keys = Keys::new(secret, &self.info_hash, End::Caller);
        let at = out.len();
        out.extend_from_slice(&VC);
        out.extend_from_slice(&self.level.bits().to_be_bytes());
        append_pad(&self.seed, out);
        let len = u16::try_from(self.initial.len()).unwrap_or(0);
        out.extend_from_slice(&len.to_be_bytes());
        out.extend_from_slice(&self.initial);
        if let Some(said) = out.get_mut(at..) {
            keys.encrypt(said);
        }
        let mut mark = VC;
        keys.decrypt(&mut mark);
        Step::Constant(keys, mark)
    }

    /// Reads which method was selected, one of those offered, and the length of the padding.
    fn selection(&self, mut keys: Box<Keys>, mut fields: [u8; 6]) -> Result<Step, Failure> {
        keys.decrypt(&mut fields);
        let [a, b, c, d, pad @ ..] = fields;
        let selected = u32::from_be_bytes([a, b, c, d]);
        let offered = self.level.choose(selected, false).ok_or(Failure::NoMethod)?;
        if offered.bit() != selected {
            return Err(Failure::NoMethod);
        }
        Ok(Step::Padding(keys, offered, pad_len(pad)?))
    }
}

impl std::fmt::Debug for Initiator {
    /// Keeps the keys out of logs.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Initiator({}, {:?})", self.info_hash, self.level)
    }
}

/// Appends the length of a second padding, and the padding.
pub(super) fn append_pad(seed: &Seed, out: &mut Vec<u8>) {
    let at = out.len();
    out.extend_from_slice(&[0; 2]);
    let len = exchange::pad(&mut seed.derive("second padding").rng(), out);
    if let Some(field) = out.get_mut(at..at + 2) {
        field.copy_from_slice(&len.to_be_bytes());
    }
}

pub(super) fn pad_len(field: [u8; 2]) -> Result<usize, Failure> {
    let len = usize::from(u16::from_be_bytes(field));
    if len > crate::mse::PAD_MAX {
        return Err(Failure::PadTooLong);
    }
    Ok(len)
}

/// Passes over padding under RC4, which moves the key stream on.
pub(super) fn pass_over(keys: &mut Keys, left: &mut usize, input: &mut &[u8]) {
    let mut scratch = [0; 64];
    loop {
        let mut part = (*left).min(scratch.len());
        let wanted = part;
        let taken = skip(&mut part, input);
        let Some(scratch) = scratch.get_mut(..taken.len()) else {
            return;
        };
        scratch.copy_from_slice(taken);
        keys.decrypt(scratch);
        *left -= wanted - part;
        if part > 0 || *left == 0 {
            return;
        }
    }
}
