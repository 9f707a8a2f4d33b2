//! B: the end that is called.

use wire::InfoHash;
use world::Seed;

use crate::mse::cipher::{End, Keys, Secured};
use crate::mse::exchange::{self, Exchange, Secret};
use crate::mse::initiator::{append_pad, pad_len, pass_over};
use crate::mse::intake::Intake;
use crate::mse::{Admitted, Failure, KEY_LEN, Level, Method, VC};

/// The handshake of the end that is called.
pub struct Responder {
    seed: Seed,
    level: Level,
    prefer_rc4: bool,
    /// Its key need not be kept from anybody.
    pretends: bool,
    intake: Intake,
    step: Step,
    info_hash: Option<InfoHash>,
}

/// What is awaited.
enum Step {
    Key,
    /// `HASH('req1', S)`.
    Sync(Secret, [u8; 20]),
    Torrent(Secret),
    Offer(Box<Keys>),
    Padding(Box<Keys>, Method, usize),
    InitialLen(Box<Keys>, Method),
    Over,
}

impl Responder {
    /// Waits for the caller's key.
    pub fn new(level: Level, prefer_rc4: bool, seed: Seed) -> Self {
        Self {
            seed,
            level,
            prefer_rc4,
            pretends: false,
            intake: Intake::default(),
            step: Step::Key,
            info_hash: None,
        }
    }

    /// Takes a private key of few bits: what is said is as valid, at a seventh of the work, but anybody could guess the key.
    /// For the peers of a simulator, who have no secrets.
    #[must_use]
    pub fn pretending(mut self) -> Self {
        self.pretends = true;
        self
    }

    /// What the caller calls about, once it has said so.
    pub fn info_hash(&self) -> Option<InfoHash> {
        self.info_hash
    }

    /// As [`Initiator::receive`](crate::mse::Initiator::receive); `admitted` are the torrents that may be called about.
    ///
    /// # Errors
    ///
    /// The reason to hang up; nothing more is to be given then.
    pub fn receive(
        &mut self,
        input: &mut &[u8],
        admitted: &Admitted,
        out: &mut Vec<u8>,
    ) -> Result<Option<Secured>, Failure> {
        loop {
            // What has not all come yet is awaited again.
            let (next, goes_on) = match std::mem::replace(&mut self.step, Step::Over) {
                Step::Key => match self.intake.exactly(input) {
                    Some(theirs) => (self.answer_key(&theirs, out)?, true),
                    None => (Step::Key, false),
                },
                Step::Sync(secret, mark) => {
                    if self.intake.past(&mark, input)? {
                        (Step::Torrent(secret), true)
                    } else {
                        (Step::Sync(secret, mark), false)
                    }
                }
                Step::Torrent(secret) => match self.intake.exactly(input) {
                    Some(masked) => (self.torrent(&secret, masked, admitted)?, true),
                    None => (Step::Torrent(secret), false),
                },
                Step::Offer(keys) => match self.intake.exactly(input) {
                    Some(fields) => (self.offer(keys, fields)?, true),
                    None => (Step::Offer(keys), false),
                },
                Step::Padding(mut keys, method, mut left) => {
                    pass_over(&mut keys, &mut left, input);
                    if left == 0 {
                        (Step::InitialLen(keys, method), true)
                    } else {
                        (Step::Padding(keys, method, left), false)
                    }
                }
                Step::InitialLen(keys, method) => match self.intake.exactly(input) {
                    Some(field) => return Ok(Some(self.answer_offer(keys, method, field, out))),
                    None => (Step::InitialLen(keys, method), false),
                },
                Step::Over => (Step::Over, false),
            };
            self.step = next;
            if !goes_on {
                return Ok(None);
            }
        }
    }

    /// Says our key.
    fn answer_key(&self, theirs: &[u8; KEY_LEN], out: &mut Vec<u8>) -> Result<Step, Failure> {
        let mut rng = self.seed.derive("key and first padding").rng();
        let exchange = if self.pretends {
            Exchange::pretended(&mut rng)
        } else {
            Exchange::new(&mut rng)
        };
        let secret = exchange.secret(theirs)?;
        out.extend_from_slice(&exchange.public());
        exchange::pad(&mut rng, out);
        let mark = secret.hash("req1", &[]);
        Ok(Step::Sync(secret, mark))
    }

    /// Reads which torrent it is about.
    fn torrent(&mut self, secret: &Secret, masked: [u8; 20], admitted: &Admitted) -> Result<Step, Failure> {
        let info_hash = admitted.find(&secret.mask(masked)).ok_or(Failure::UnknownTorrent)?;
        self.info_hash = Some(info_hash);
        Ok(Step::Offer(Keys::new(secret, &info_hash, End::Called)))
    }

    /// Reads which methods are offered, and the length of the padding.
    fn offer(&self, mut keys: Box<Keys>, mut fields: [u8; 14]) -> Result<Step, Failure> {
        keys.decrypt(&mut fields);
        let [constant @ .., a, b, c, d, pad0, pad1] = fields;
        if constant != VC {
            return Err(Failure::BadConstant);
        }
        let offered = u32::from_be_bytes([a, b, c, d]);
        let method = self.level.choose(offered, self.prefer_rc4).ok_or(Failure::NoMethod)?;
        Ok(Step::Padding(keys, method, pad_len([pad0, pad1])?))
    }

    /// Reads how many bytes of the stream came along, and says which method it is to be.
    fn answer_offer(&self, mut keys: Box<Keys>, method: Method, mut field: [u8; 2], out: &mut Vec<u8>) -> Secured {
        keys.decrypt(&mut field);
        let at = out.len();
        out.extend_from_slice(&VC);
        out.extend_from_slice(&method.bit().to_be_bytes());
        append_pad(&self.seed, out);
        if let Some(said) = out.get_mut(at..) {
            keys.encrypt(said);
        }
        Secured::new(method, keys, u16::from_be_bytes(field))
    }
}

impl std::fmt::Debug for Responder {
    /// Keeps the keys out of logs.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Responder({:?}, {:?})", self.level, self.info_hash)
    }
}
