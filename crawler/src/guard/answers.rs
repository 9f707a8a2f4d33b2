//! How much we say to those who ask.

use world::{Seed, Time};

use super::bucket::{Bucket, Limit};
use super::place::Host;
use super::recent::Recent;

/// Hosts remembered at most, if answers have no global limit (or a wild one): 70 bytes each.
const MOST: usize = 1 << 18;

/// Limits on our answers: per host, so that none uses us up, and in total, so that forged source addresses cannot turn
/// us into an amplifier.
pub(crate) struct Answers {
    per_host: Limit,
    in_total: Limit,
    total: Bucket,
    hosts: Recent<Host, Bucket>,
}

impl Answers {
    /// With room for every host that the total limit lets be answered before the first one's bucket is full again.
    pub(crate) fn new(per_host: Limit, in_total: Limit, seed: Seed) -> Self {
        let room = in_total.most_within(per_host.refill()).min(MOST);
        Self {
            per_host,
            in_total,
            total: Bucket::default(),
            hosts: Recent::new(room, seed.derive("answered hosts").hasher()),
        }
    }

    /// Whether `host` is to be answered now; if so, the answer is counted.
    pub(crate) fn admit(&mut self, now: Time, host: Host) -> bool {
        while let Some((_, bucket, touched)) = self.hosts.oldest() {
            if now < bucket.full_at().max(touched) {
                break;
            }
            self.hosts.pop_oldest();
        }
        if now < self.total.ready(&self.in_total) {
            return false;
        }
        let ready = self.hosts.get(&host).map(|bucket| bucket.ready(&self.per_host));
        if ready.is_some_and(|ready| now < ready) {
            return false;
        }
        let Some(bucket) = self.hosts.touch(now, host) else {
            return false;
        };
        bucket.take(now, &self.per_host);
        self.total.take(now, &self.in_total);
        true
    }

    /// Bytes taken, all of them from the start.
    pub(crate) fn memory_bytes(&self) -> usize {
        self.hosts.memory_bytes()
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use super::*;

    fn host(number: u32) -> Host {
        Host::of(IpAddr::V4(Ipv4Addr::from_bits(number)))
    }

    fn answers() -> Answers {
        let per_host = Limit::per_second(2, 3);
        Answers::new(per_host, Limit::per_second(100, 5), Seed::from_number(1))
    }

    #[test]
    fn a_host_gets_its_burst_and_then_its_rate() {
        let mut answers = answers();
        let at = |millis: u64| Time::from_micros(millis * 1000);
        let given: Vec<bool> = [0, 100, 200, 300, 400, 500]
            .map(|millis| answers.admit(at(millis), host(1)))
            .into();
        assert_eq!(given, [true, true, true, false, false, true]);
    }

    #[test]
    fn all_hosts_together_get_the_total() {
        let mut answers = answers();
        let given = (0..50)
            .filter(|&number| answers.admit(Time::ZERO, host(number)))
            .count();
        assert_eq!(given, 5);
    }
}
