//! The paths between hosts: how long, and how often a packet gets lost.

use std::net::Ipv4Addr;
use std::time::Duration;

use world::{Seed, Time};

use crate::address::Addresses;
use crate::dice::Dice;
use crate::profile::{Loss, Net as Figures, Rtt};

/// Delay and loss of every path, drawn from addresses: no state is kept for a path that nobody uses.
#[derive(Clone, Debug)]
pub(crate) struct Net {
    figures: Figures,
    dice: Dice,
}

/// Draws of one packet: a path and the number of the packet on it. What happens on one path shifts nothing on another.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Packet {
    dice: Dice,
    number: u64,
}

/// One direction of a path, as it was when the last packet went.
#[derive(Clone, Copy, Default, Debug)]
pub(crate) struct Direction {
    bad: bool,
    /// Time of the last packet; `None` before the first.
    at: Option<Time>,
}

/// A host's place: coordinates in the square (share of its side), and its height in milliseconds.
struct Place {
    x: f64,
    y: f64,
    height_ms: f64,
}

impl Net {
    pub(crate) fn new(figures: &Figures, seed: Seed) -> Self {
        Self {
            figures: figures.clone(),
            dice: Dice::new(seed, "net"),
        }
    }

    /// The draws of a packet between two hosts.
    pub(crate) fn packet(&self, client: Ipv4Addr, host: Ipv4Addr, number: u64) -> Packet {
        let path = u64::from(u32::from(client)) << 32 | u64::from(u32::from(host));
        Packet {
            dice: self.dice.of(path),
            number,
        }
    }

    /// Round-trip time of a pair, without jitter.
    pub(crate) fn rtt(&self, one: Ipv4Addr, other: Ipv4Addr) -> Duration {
        match self.figures.rtt {
            Rtt::Const(rtt) => rtt,
            Rtt::Map {
                side_ms,
                height_ms,
                height_sigma,
            } => {
                let (one, other) = (
                    self.place(one, height_ms, height_sigma),
                    self.place(other, height_ms, height_sigma),
                );
                let distance = (one.x - other.x).hypot(one.y - other.y);
                millis(side_ms * distance + one.height_ms + other.height_ms)
            }
        }
    }

    fn place(&self, host: Ipv4Addr, height_ms: f64, height_sigma: f64) -> Place {
        let number = u64::from(u32::from(host));
        // The client under test has a median line, whatever the seed.
        let outside = Addresses::is_outside(host);
        Place {
            x: self.dice.unit(number, 1),
            y: self.dice.unit(number, 2),
            height_ms: if outside {
                height_ms
            } else {
                self.dice.lognormal(number, 3, height_ms, height_sigma)
            },
        }
    }

    /// When an answer arrives after its question was sent: round trip with jitter, thinking, and now and then a detour.
    pub(crate) fn answer_after(&self, rtt: Duration, packet: Packet) -> Duration {
        let think = self.figures.think;
        let Packet { dice, number } = packet;
        let mut delay = self.passes_after(rtt, packet);
        delay += millis(dice.lognormal(number, 2, think.median_ms, think.sigma));
        if dice.happens(number, 3, think.slow) {
            delay += millis(dice.exponential(number, 4, think.slow_mean_ms));
        }
        if self.overtaken(packet) {
            delay += rtt;
        }
        delay
    }

    /// The way there and back, with jitter.
    pub(crate) fn passes_after(&self, rtt: Duration, packet: Packet) -> Duration {
        let Packet { dice, number } = packet;
        rtt.mul_f64(dice.lognormal(number, 1, 1.0, self.figures.jitter_sigma))
    }

    /// Whether a packet takes a detour.
    pub(crate) fn overtaken(&self, packet: Packet) -> bool {
        packet.dice.happens(packet.number, 5, self.figures.reorder)
    }

    /// Whether a reply comes twice.
    pub(crate) fn duplicates(&self, packet: Packet) -> bool {
        packet.dice.happens(packet.number, 6, self.figures.duplicate)
    }

    /// Whether a reply comes once more from another port.
    pub(crate) fn spoofs(&self, packet: Packet) -> bool {
        packet.dice.happens(packet.number, 7, self.figures.spoofed)
    }

    /// Whether a packet gets lost on its way to the host (`lane` 0) or back (`lane` 1).
    pub(crate) fn loses(&self, direction: &mut Direction, lane: u64, now: Time, packet: Packet) -> bool {
        let Some(loss) = self.figures.loss else {
            return false;
        };
        let draw = |what: u64| packet.dice.unit(packet.number, 16 + 2 * what + lane);
        direction.bad = draw(0) < direction.chance_of_bad(&loss, now);
        direction.at = Some(now);
        draw(1) < if direction.bad { loss.in_bad } else { loss.in_good }
    }
}

impl Direction {
    /// The two-state Markov chain, seen again after any time: it forgets its last state exponentially.
    fn chance_of_bad(self, loss: &Loss, now: Time) -> f64 {
        let usual = loss.bad_s / (loss.good_s + loss.bad_s);
        let Some(at) = self.at else {
            return usual;
        };
        let was = if self.bad { 1.0 } else { 0.0 };
        let rate = 1.0 / loss.good_s + 1.0 / loss.bad_s;
        usual + (was - usual) * (-rate * now.since(at).as_secs_f64()).exp()
    }
}

impl Packet {
    /// More draws of this packet, for whoever answers it.
    pub(crate) const fn dice(self) -> Dice {
        self.dice.of(self.number)
    }
}

fn millis(ms: f64) -> Duration {
    Duration::try_from_secs_f64(ms / 1000.0).unwrap_or(Duration::ZERO)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::Profile;

    fn net(profile: &Profile) -> Net {
        Net::new(&profile.net, Seed::from_number(8))
    }

    fn host(number: u32) -> Ipv4Addr {
        Ipv4Addr::from((127 << 24 | 1 << 16) + number * 257)
    }

    #[test]
    fn round_trips_follow_the_model() {
        let net = net(&Profile::realistic());
        let mut rtts: Vec<u128> = (0..5000)
            .map(|pair| net.rtt(host(2 * pair), host(2 * pair + 1)).as_millis())
            .collect();
        rtts.sort_unstable();
        // C1: P20 70, P50 140, P80 280, P95 543 ms.
        assert!((60..90).contains(&rtts[1000]), "{}", rtts[1000]);
        assert!((125..150).contains(&rtts[2500]), "{}", rtts[2500]);
        assert!((235..310).contains(&rtts[4000]), "{}", rtts[4000]);
        assert!((460..620).contains(&rtts[4750]), "{}", rtts[4750]);
    }

    #[test]
    fn a_pair_keeps_its_distance() {
        let net = net(&Profile::realistic());
        assert_eq!(net.rtt(host(1), host(2)), net.rtt(host(2), host(1)));
    }

    #[test]
    fn loss_is_one_percent_and_bursty() {
        let net = net(&Profile::realistic());
        let (mut lost, mut again, mut direction) = (0, 0, Direction::default());
        let mut before = false;
        for number in 0..200_000 {
            let now = Time::from_micros(number * 100_000);
            let loses = net.loses(&mut direction, 0, now, net.packet(host(1), host(2), number));
            lost += u32::from(loses);
            again += u32::from(loses && before);
            before = loses;
        }
        let share = f64::from(lost) / 200_000.0;
        assert!((0.008..0.013).contains(&share), "{share}"); // C6: 1.05 %
        assert!(f64::from(again) / f64::from(lost) > 0.1); // 40 % in a bad second
    }

    #[test]
    fn an_ideal_path_is_constant_and_whole() {
        let net = net(&Profile::ideal());
        let packet = net.packet(host(1), host(2), 0);
        assert_eq!(
            net.answer_after(net.rtt(host(1), host(2)), packet),
            Duration::from_millis(20)
        );
        assert!(!net.loses(&mut Direction::default(), 0, Time::ZERO, packet));
        assert!(!net.duplicates(packet));
    }
}
