//! Packets that nobody asked for, by the thousand and from addresses that are not their senders' (`network-model.md` 3.3):
//! they must not cost a client its state, nor those whose addresses are borrowed more than its manners allow.

use std::net::SocketAddrV4;
use std::time::Duration;

use wire::krpc::{Body, Message, Method, Query, Reply, Want};
use wire::{InfoHash, NodeId};
use world::{Seed, Time};

use crate::dice::Dice;
use crate::population::Population;
use crate::profile;

/// The floods of a world, one after another.
#[derive(Debug)]
pub(crate) struct Flood {
    figures: profile::Flood,
    dice: Dice,
    /// Packets so far.
    sent: u64,
    next: Time,
}

/// Packets come in bunches, as they do when a sender does not wait.
const BUNCH_EVERY: Duration = Duration::from_millis(10);

impl Flood {
    pub(crate) fn new(figures: profile::Flood, seed: Seed) -> Self {
        Self {
            figures,
            dice: Dice::new(seed, "flood"),
            sent: 0,
            next: Time::ZERO + figures.every / 2,
        }
    }

    /// When the next bunch comes.
    pub(crate) const fn next(&self) -> Time {
        self.next
    }

    /// How many packets are due now.
    pub(crate) fn due(&mut self, now: Time) -> u32 {
        if now < self.next {
            return 0;
        }
        let profile::Flood {
            per_second,
            lasts,
            every,
            ..
        } = self.figures;
        let since = now.since(Time::ZERO + every / 2).as_micros();
        let begins = Time::from_micros((since / every.as_micros() * every.as_micros()) as u64) + every / 2;
        self.next = now + BUNCH_EVERY;
        if self.next >= begins + lasts {
            self.next = begins + every;
        }
        (f64::from(per_second) * BUNCH_EVERY.as_secs_f64()) as u32
    }

    /// One packet, written to `out`; gives where it seems to come from.
    pub(crate) fn packet(&mut self, population: &Population, out: &mut Vec<u8>) -> SocketAddrV4 {
        self.sent += 1;
        let dice = self.dice.of(self.sent);
        let source = dice.below(0, 0, self.figures.sources.into());
        let node = self.dice.below(source, 1, population.nodes.len() as u64) as u32;
        let from = if source.is_multiple_of(2) {
            population.node_addr(node)
        } else {
            let ip = population.addresses.of(self.dice.bits(source, 2) as u32);
            SocketAddrV4::new(ip, population.config.port)
        };
        // Who borrows an address knows who is there as often as not.
        let id = if dice.happens(0, 1, 0.5) {
            population.nodes.id(node)
        } else {
            drawn(dice, 1)
        };
        let (target, info_hash) = (drawn(dice, 2), InfoHash::new(*drawn(dice, 3).as_bytes()));
        let transaction = dice.bits(0, 4).to_be_bytes();
        let query = |method| {
            Body::Query(Query {
                id,
                method,
                want: Want::default(),
            })
        };
        let mut reply = Reply::new(id);
        let named = [&drawn(dice, 5).as_bytes()[..], &[1, 2, 3, 4, 5, 6]].concat();
        reply.nodes = &named;
        let body = match dice.below(0, 2, 8) {
            0 => query(Method::Ping),
            1 => query(Method::FindNode { target }),
            2 | 3 => query(Method::GetPeers {
                info_hash,
                noseed: false,
                scrape: false,
            }),
            4 => query(Method::AnnouncePeer {
                info_hash,
                port: 6881,
                implied_port: true,
                token: &transaction,
                name: None,
                seed: false,
            }),
            // Answers to no question; six bytes is what a crawl of ours would take for its own.
            5 => Body::Reply(reply),
            6 => Body::Error {
                code: 201,
                text: b"too much",
            },
            _ => {
                out.extend_from_slice(&[&b"d1:"[..], &transaction[..]].concat());
                return from;
            }
        };
        Message::new(&transaction[..6], body).encode(out);
        from
    }
}

fn drawn(dice: Dice, what: u64) -> NodeId {
    let mut bytes = [0; 20];
    for (chunk, word) in bytes.chunks_mut(8).zip(0..) {
        let random = dice.of(what).bits(word, 3).to_be_bytes();
        chunk.copy_from_slice(&random[..chunk.len()]);
    }
    NodeId::new(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_lasts_as_long_as_it_should_and_comes_again() {
        let figures = profile::Flood {
            per_second: 2_000,
            sources: 500,
            lasts: Duration::from_secs(20),
            every: Duration::from_secs(600),
        };
        let mut flood = Flood::new(figures, Seed::from_number(1));
        let mut packets = [0; 2];
        while flood.next() < Time::from_secs(1_200) {
            let now = flood.next();
            let at = now.since(Time::ZERO).as_secs();
            assert!((300..320).contains(&at) || (900..920).contains(&at), "{at}");
            packets[at as usize / 600] += flood.due(now);
        }
        assert_eq!(packets, [40_000; 2]);
    }
}
