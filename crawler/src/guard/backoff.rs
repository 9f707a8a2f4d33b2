//! Who is left alone for a while.

use std::net::SocketAddr;
use std::time::Duration;

use world::{Seed, Time};

use super::place::{Endpoint, Host};
use super::recent::Recent;

/// How long whoever does not answer is left alone.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BackOff {
    /// After the first silence. Each further silence in a row doubles it.
    pub first: Duration,
    /// It never grows beyond this.
    pub cap: Duration,
    /// When it is over, one query shows whether whoever was silent is back: so long nothing else is asked there. As long as a query
    /// waits for its answer.
    pub trial: Duration,
    /// After a refusal for asking too much: KRPC error 201 or 203 (crawlers R10).
    pub refused: Duration,
    /// Silent endpoints and hosts that are remembered, about 100 bytes each. When full, the one that was silent longest
    /// ago is forgotten: its host may then be asked again too early, though never above the rate.
    pub memory: usize,
}

/// Silences in a row, from whatever ports, after which all of a host is left alone.
///
/// One silent port says nothing of its neighbours behind the same NAT. Many in a row, without any answer between, look
/// like a host that forged contacts point at (network-model J7), or one that has banned us.
const SILENCES_OF_A_HOST: u32 = 8;

/// Silences since the last answer.
#[derive(Default)]
struct Silence {
    in_a_row: u32,
    off_until: Time,
    trial_until: Time,
}

/// A host, with what it said itself.
#[derive(Default)]
struct OfHost {
    silence: Silence,
    refused_until: Time,
}

/// Silent endpoints, and hosts that are silent altogether or refused.
pub(crate) struct BackOffs {
    config: BackOff,
    endpoints: Recent<Endpoint, Silence>,
    hosts: Recent<Host, OfHost>,
}

impl BackOffs {
    pub(crate) fn new(config: BackOff, seed: Seed) -> Self {
        Self {
            config,
            endpoints: Recent::new(config.memory, seed.derive("silent endpoints").hasher()),
            hosts: Recent::new(config.memory, seed.derive("silent hosts").hasher()),
        }
    }

    /// Until when `to` is left alone; not after now means that it is not.
    pub(crate) fn off_until(&self, to: SocketAddr) -> Time {
        let endpoint = self.endpoints.get(&Endpoint::of(to)).map(Silence::alone_until);
        let host = self.hosts.get(&Host::of(to.ip()));
        let host = host.map(|host| host.silence.alone_until().max(host.refused_until));
        endpoint.max(host).unwrap_or(Time::ZERO)
    }

    /// A query goes to `to`. If it was left alone before, this one is to show whether it is back.
    pub(crate) fn asked(&mut self, now: Time, to: SocketAddr) {
        let until = now + self.config.trial;
        if let Some(silence) = self.endpoints.get_mut(&Endpoint::of(to)) {
            silence.try_again(until);
        }
        if let Some(host) = self.hosts.get_mut(&Host::of(to.ip())) {
            host.silence.try_again(until);
        }
    }

    /// A query to `to` was not answered.
    pub(crate) fn silent(&mut self, now: Time, to: SocketAddr) {
        let silence = self.endpoints.touch_evicting(now, Endpoint::of(to));
        silence.strike(now, &self.config, 1);
        let host = self.hosts.touch_evicting(now, Host::of(to.ip()));
        host.silence.strike(now, &self.config, SILENCES_OF_A_HOST);
    }

    /// `from` answered a query: it is not silent, nor is its host. A refusal stands until its time is over.
    pub(crate) fn answered(&mut self, now: Time, from: SocketAddr) {
        self.endpoints.remove(&Endpoint::of(from));
        let host = Host::of(from.ip());
        if let Some(held) = self.hosts.get_mut(&host) {
            held.silence = Silence::default();
            if held.refused_until <= now {
                self.hosts.remove(&host);
            }
        }
    }

    /// `from` said that we ask too much.
    pub(crate) fn refused(&mut self, now: Time, from: SocketAddr) {
        let host = self.hosts.touch_evicting(now, Host::of(from.ip()));
        host.refused_until = now + self.config.refused;
    }

    /// Bytes taken, all of them from the start.
    pub(crate) fn memory_bytes(&self) -> usize {
        self.endpoints.memory_bytes() + self.hosts.memory_bytes()
    }
}

impl Silence {
    fn alone_until(&self) -> Time {
        self.off_until.max(self.trial_until)
    }

    fn try_again(&mut self, until: Time) {
        if self.off_until > Time::ZERO {
            self.trial_until = until;
        }
    }

    /// One more silence; from the `bearable`th in a row on, it begins a back-off, each twice as long as the last.
    ///
    /// Queries that were on the way together are one silence: what is reported during a back-off changes nothing.
    fn strike(&mut self, now: Time, config: &BackOff, bearable: u32) {
        if now < self.off_until {
            return;
        }
        self.in_a_row = self.in_a_row.saturating_add(1);
        if let Some(doublings) = self.in_a_row.checked_sub(bearable) {
            let factor = 1_u32.checked_shl(doublings).unwrap_or(u32::MAX);
            self.off_until = now + config.first.saturating_mul(factor).min(config.cap);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addr(port: u16) -> SocketAddr {
        SocketAddr::from(([8, 8, 8, 8], port))
    }

    fn backoffs(memory: usize) -> BackOffs {
        let config = BackOff {
            first: Duration::from_secs(300),
            cap: Duration::from_secs(3600),
            trial: Duration::from_secs(5),
            refused: Duration::from_secs(600),
            memory,
        };
        BackOffs::new(config, Seed::from_number(1))
    }

    /// A host whose ports 1 to 8 were silent.
    fn left_alone() -> BackOffs {
        let mut backoffs = backoffs(10);
        for port in 1..=8 {
            backoffs.silent(Time::ZERO, addr(port));
        }
        backoffs
    }

    #[test]
    fn each_silence_doubles_up_to_the_cap() {
        let mut backoffs = backoffs(10);
        let mut now = Time::from_secs(1);
        for expected in [300, 600, 1200, 2400, 3600, 3600, 3600] {
            backoffs.silent(now, addr(1));
            let until = backoffs.endpoints.get(&Endpoint::of(addr(1))).unwrap().off_until;
            assert_eq!(until.since(now).as_secs(), expected);
            now = until;
        }
    }

    #[test]
    fn queries_on_the_way_together_are_one_silence() {
        let mut backoffs = backoffs(10);
        for _ in 0..3 {
            backoffs.silent(Time::ZERO, addr(1));
        }
        assert_eq!(backoffs.off_until(addr(1)), Time::from_secs(300));
    }

    #[test]
    fn after_a_rest_one_query_is_on_trial_and_others_wait() {
        let mut backoffs = left_alone();
        let later = Time::from_secs(300);
        backoffs.asked(later, addr(20));
        for port in [1, 20, 21] {
            assert_eq!(backoffs.off_until(addr(port)), Time::from_secs(305));
        }
        backoffs.silent(Time::from_secs(304), addr(20));
        assert_eq!(backoffs.off_until(addr(21)), Time::from_secs(904));
    }

    #[test]
    fn an_answer_on_trial_lets_all_others_go() {
        let mut backoffs = left_alone();
        backoffs.asked(Time::from_secs(300), addr(20));
        backoffs.answered(Time::from_secs(301), addr(20));
        assert_eq!(backoffs.off_until(addr(21)), Time::ZERO);
    }

    #[test]
    fn an_answer_ends_it() {
        let mut backoffs = backoffs(10);
        backoffs.silent(Time::ZERO, addr(1));
        backoffs.answered(Time::from_secs(1), addr(1));
        assert_eq!(backoffs.off_until(addr(1)), Time::ZERO);
    }

    #[test]
    fn a_silent_port_leaves_its_neighbours_alone_until_the_eighth() {
        let mut backoffs = backoffs(10);
        for port in 1..8 {
            backoffs.silent(Time::ZERO, addr(port));
        }
        assert_eq!(backoffs.off_until(addr(100)), Time::ZERO);
        backoffs.silent(Time::ZERO, addr(8));
        assert_eq!(backoffs.off_until(addr(100)), Time::from_secs(300));
        backoffs.answered(Time::from_secs(1), addr(9));
        assert_eq!(backoffs.off_until(addr(100)), Time::ZERO);
    }

    #[test]
    fn a_refusal_stands_for_the_whole_host_and_an_answer_does_not_end_it() {
        let mut backoffs = backoffs(10);
        backoffs.refused(Time::ZERO, addr(1));
        backoffs.answered(Time::from_secs(1), addr(2));
        assert_eq!(backoffs.off_until(addr(3)), Time::from_secs(600));
    }

    #[test]
    fn a_full_memory_forgets_the_oldest_silence() {
        let mut backoffs = backoffs(2);
        for port in 1..=3 {
            backoffs.silent(Time::ZERO, addr(port));
        }
        assert_eq!(backoffs.off_until(addr(1)), Time::ZERO);
        assert_eq!(backoffs.off_until(addr(3)), Time::from_secs(300));
    }
}
