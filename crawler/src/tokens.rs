//! Write tokens: proof that whoever announces can receive at the address that it announces (BEP 5).

use std::hash::BuildHasher;
use std::net::{IpAddr, SocketAddr};

use world::{KeyedState, Seed, Time};

use crate::guard::place::Endpoint;

/// How long one secret gives out tokens, in seconds; it is good for as long again (BEP 5: new every five minutes, tokens
/// up to ten minutes old accepted).
const ROTATION: u64 = 300;

/// Gives out and checks tokens, without remembering any: a token is the keyed hash of an address under a secret that
/// changes every five minutes. The secrets come from the seed, so nothing is drawn and nothing expires.
#[derive(Debug)]
pub(crate) struct Tokens {
    seed: Seed,
    rotation: u64,
    current: KeyedState,
    previous: KeyedState,
}

impl Tokens {
    /// Bytes of a token: enough that guessing one within ten minutes is hopeless.
    pub(crate) const LEN: usize = 8;

    /// Tokens under secrets of `seed`.
    pub(crate) fn new(seed: Seed) -> Self {
        let seed = seed.derive("tokens");
        Self {
            seed,
            rotation: 0,
            current: secret(seed, 0),
            previous: secret(seed, 0),
        }
    }

    /// The token of `ip` at this time.
    pub(crate) fn issue(&mut self, now: Time, ip: IpAddr) -> [u8; Self::LEN] {
        self.rotate(now);
        token(self.current, ip)
    }

    /// Whether `token` was given to `ip` within the last five minutes, or up to ten.
    pub(crate) fn is_valid(&mut self, now: Time, ip: IpAddr, token: &[u8]) -> bool {
        self.rotate(now);
        [self.current, self.previous]
            .iter()
            .any(|&secret| self::token(secret, ip) == token)
    }

    fn rotate(&mut self, now: Time) {
        let rotation = now.as_secs() / ROTATION;
        if rotation != self.rotation {
            self.rotation = rotation;
            self.current = secret(self.seed, rotation);
            self.previous = secret(self.seed, rotation.saturating_sub(1));
        }
    }
}

fn secret(seed: Seed, rotation: u64) -> KeyedState {
    seed.derive_number("secret", rotation).hasher()
}

fn token(secret: KeyedState, ip: IpAddr) -> [u8; Tokens::LEN] {
    secret.hash_one(Endpoint::of(SocketAddr::new(ip, 0))).to_be_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(last: u8) -> IpAddr {
        IpAddr::from([192, 0, 2, last])
    }

    #[test]
    fn a_token_is_good_for_its_address_only() {
        let mut tokens = Tokens::new(Seed::from_number(1));
        let token = tokens.issue(Time::ZERO, ip(1));
        assert!(tokens.is_valid(Time::ZERO, ip(1), &token));
        assert!(!tokens.is_valid(Time::ZERO, ip(2), &token));
        assert!(!tokens.is_valid(Time::ZERO, ip(1), &token[..7]));
        assert!(!tokens.is_valid(Time::ZERO, ip(1), b""));
    }

    #[test]
    fn a_token_lives_five_to_ten_minutes() {
        for (issued, last) in [(0, 599), (299, 599), (300, 899), (1000, 1499)] {
            let mut tokens = Tokens::new(Seed::from_number(1));
            let token = tokens.issue(Time::from_secs(issued), ip(1));
            assert!(tokens.is_valid(Time::from_secs(last), ip(1), &token), "{issued}");
            assert!(!tokens.is_valid(Time::from_secs(last + 1), ip(1), &token), "{issued}");
        }
    }

    #[test]
    fn another_run_has_other_tokens() {
        let token = |seed| Tokens::new(Seed::from_number(seed)).issue(Time::ZERO, ip(1));
        assert_ne!(token(1), token(2));
    }
}
