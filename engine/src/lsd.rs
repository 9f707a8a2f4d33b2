//! Local Service Discovery (BEP 14): when to announce which torrents to the network at hand, and whom others announce.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::Duration;

use rand::Rng;
use wire::InfoHash;
use wire::lsd::{self, Announce, GROUP_V4, GROUP_V6};
use world::{Effect, Seed, Tally, Time, closed_list};

/// What local discovery is told.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LsdConfig {
    /// How often each torrent is announced (recommended: 5 minutes, as the BEP says). Rarer if there are more than fit into the
    /// announcements of that time.
    pub every: Duration,
    /// At least so long between two announcements, which name up to 24 torrents each (recommended: 1 minute, as the BEP says).
    pub gap: Duration,
    /// Peers told in one `gap` (recommended: 256). More are passed over: on a network at hand that many are a flood.
    pub peers: u32,
}

closed_list! {
    /// What became of a datagram to the group.
    LsdHeard {
        /// An announcement of somebody else, whatever of it was new.
        Read => "read",
        /// Our own, which the group gives back to us.
        Ours => "ours",
        /// No announcement, or not sent to a group.
        Unreadable => "unreadable",
        /// More peers than are taken in a while: the rest of it was passed over.
        TooMany => "too many",
    }
}

/// Announces torrents and hears those of others. The owner adds what is not private (BEP 27), and hands over datagrams.
#[derive(Debug)]
pub struct Lsd {
    config: LsdConfig,
    /// Where we are called.
    port: u16,
    /// In each of our announcements, so that we know them.
    cookie: u32,
    /// When each torrent is to be announced next. One of our user's each: bounded by what the owner adds.
    torrents: BTreeMap<InfoHash, Time>,
    /// The same, by time.
    due: BTreeSet<(Time, InfoHash)>,
    /// When anything may be announced.
    quiet_until: Time,
    /// What is being announced, to these groups still.
    now_announcing: Vec<InfoHash>,
    groups_left: &'static [SocketAddr],
    /// Peers told since then.
    told_since: Time,
    told: u32,
    heard: Tally<LsdHeard>,
}

impl Lsd {
    /// Announces that we are called at `port`.
    pub fn new(config: LsdConfig, port: u16, seed: Seed) -> Self {
        Self {
            config,
            port,
            cookie: seed.derive("lsd").rng().next_u32(),
            torrents: BTreeMap::new(),
            due: BTreeSet::new(),
            quiet_until: Time::ZERO,
            now_announcing: Vec::new(),
            groups_left: &[],
            told_since: Time::ZERO,
            told: 0,
            heard: Tally::new(),
        }
    }

    /// Announces this torrent from now on, at once if the last announcement is long enough ago. Not for private ones: the
    /// flag is asked for, so that nobody forgets it. Without effect if it is known.
    pub fn add(&mut self, now: Time, infohash: InfoHash, is_private: bool) {
        if !is_private && !self.torrents.contains_key(&infohash) {
            self.torrents.insert(infohash, now);
            self.due.insert((now, infohash));
        }
    }

    /// Announces it no more, and tells no peers of it.
    pub fn remove(&mut self, infohash: InfoHash) {
        if let Some(due) = self.torrents.remove(&infohash) {
            self.due.remove(&(due, infohash));
            self.now_announcing.retain(|other| *other != infohash);
        }
    }

    /// A datagram came from `from` to `to`. Calls `found` for every torrent of ours that its sender has, with the address to
    /// call. The sender says what it wants: it is a claim, as from any source of peers.
    pub fn handle(
        &mut self,
        now: Time,
        from: SocketAddr,
        to: SocketAddr,
        datagram: &[u8],
        mut found: impl FnMut(InfoHash, SocketAddr),
    ) {
        let announce = Announce::read(datagram).filter(|_| to == GROUP_V4 || to == GROUP_V6);
        let Some(announce) = announce else {
            self.heard.count(LsdHeard::Unreadable);
            return;
        };
        let cookie = announce.cookie.and_then(|cookie| str::from_utf8(cookie).ok());
        if cookie.and_then(|cookie| u32::from_str_radix(cookie, 16).ok()) == Some(self.cookie) {
            self.heard.count(LsdHeard::Ours);
            return;
        }
        if now.since(self.told_since) >= self.config.gap {
            (self.told_since, self.told) = (now, 0);
        }
        let peer = SocketAddr::new(from.ip(), announce.port);
        for infohash in announce.infohashes() {
            if !self.torrents.contains_key(&infohash) {
                continue;
            }
            if self.told >= self.config.peers {
                self.heard.count(LsdHeard::TooMany);
                return;
            }
            self.told += 1;
            found(infohash, peer);
        }
        self.heard.count(LsdHeard::Read);
    }

    /// The next announcement: the same to each group.
    pub fn poll(&mut self, now: Time, payload: &mut Vec<u8>) -> Option<Effect> {
        if self.deadline().is_some_and(|deadline| deadline <= now) && self.groups_left.is_empty() {
            self.begin(now);
        }
        let (&to, left) = self.groups_left.split_first()?;
        self.groups_left = left;
        if self.now_announcing.is_empty() {
            // All of it was removed between two polls.
            self.groups_left = &[];
            return None;
        }
        let before = payload.len();
        lsd::write(to, self.port, self.cookie, &self.now_announcing, payload);
        let len = payload.len() - before;
        Some(Effect::Send { from: None, to, len })
    }

    /// Chooses what to announce: what is due, and what would be before the next announcement may be made.
    fn begin(&mut self, now: Time) {
        self.now_announcing.clear();
        let horizon = now + self.config.gap;
        while self.now_announcing.len() < lsd::INFOHASHES
            && let Some((due, infohash)) = self.due.pop_first()
        {
            if due >= horizon {
                self.due.insert((due, infohash));
                break;
            }
            self.now_announcing.push(infohash);
        }
        for &infohash in &self.now_announcing {
            let next = now + self.config.every;
            self.torrents.insert(infohash, next);
            self.due.insert((next, infohash));
        }
        self.quiet_until = horizon;
        self.groups_left = &[GROUP_V4, GROUP_V6];
    }

    /// When to be polled again.
    pub fn deadline(&self) -> Option<Time> {
        let (due, _) = self.due.first()?;
        Some((*due).max(self.quiet_until))
    }

    /// What was heard so far.
    pub const fn heard(&self) -> &Tally<LsdHeard> {
        &self.heard
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PORT: u16 = 6881;

    const CONFIG: LsdConfig = LsdConfig {
        every: Duration::from_secs(300),
        gap: Duration::from_secs(60),
        peers: 3,
    };

    fn lsd(seed: u64) -> Lsd {
        Lsd::new(CONFIG, PORT, Seed::from_number(seed))
    }

    fn hash(number: u8) -> InfoHash {
        InfoHash::new([number; 20])
    }

    fn secs(secs: u64) -> Time {
        Time::from_secs(secs)
    }

    /// All that is sent now.
    fn sent(lsd: &mut Lsd, now: Time) -> Vec<(SocketAddr, Vec<u8>)> {
        let mut sent = Vec::new();
        let mut payload = Vec::new();
        while let Some(effect) = lsd.poll(now, &mut payload) {
            let Effect::Send { from: None, to, len } = effect else {
                panic!("{effect:?}");
            };
            assert_eq!(len, payload.len());
            sent.push((to, std::mem::take(&mut payload)));
        }
        sent
    }

    /// The torrents announced now.
    fn announced(lsd: &mut Lsd, now: Time) -> Vec<InfoHash> {
        let sent = sent(lsd, now);
        let Some((_, first)) = sent.first() else {
            return Vec::new();
        };
        assert_eq!(sent.iter().map(|(to, _)| *to).collect::<Vec<_>>(), [GROUP_V4, GROUP_V6]);
        Announce::read(first).unwrap().infohashes().collect()
    }

    fn found(lsd: &mut Lsd, now: Time, to: SocketAddr, datagram: &[u8]) -> Vec<(InfoHash, SocketAddr)> {
        let mut found = Vec::new();
        let from = "192.0.2.7:6771".parse().unwrap();
        lsd.handle(now, from, to, datagram, |infohash, peer| found.push((infohash, peer)));
        found
    }

    #[test]
    fn two_on_one_network_find_each_other() {
        let (mut one, mut other) = (lsd(1), lsd(2));
        one.add(secs(0), hash(1), false);
        one.add(secs(0), hash(2), false);
        other.add(secs(0), hash(2), false);
        let peer = "192.0.2.7:6881".parse().unwrap();
        for (to, datagram) in sent(&mut one, secs(0)) {
            assert_eq!(found(&mut other, secs(0), to, &datagram), [(hash(2), peer)]);
            assert_eq!(found(&mut one, secs(0), to, &datagram), []);
        }
        assert_eq!((one.heard()[LsdHeard::Ours], other.heard()[LsdHeard::Read]), (2, 2));
    }

    #[test]
    fn a_private_torrent_is_never_announced_nor_looked_for() {
        let (mut one, mut other) = (lsd(1), lsd(2));
        one.add(secs(0), hash(1), true);
        assert_eq!((one.deadline(), sent(&mut one, secs(1_000))), (None, Vec::new()));
        other.add(secs(0), hash(1), false);
        let (to, datagram) = sent(&mut other, secs(0)).remove(0);
        assert_eq!(found(&mut one, secs(0), to, &datagram), []);
    }

    #[test]
    fn each_torrent_is_announced_every_five_minutes_and_nothing_twice_a_minute() {
        let mut lsd = lsd(1);
        lsd.add(secs(0), hash(1), false);
        assert_eq!(announced(&mut lsd, secs(0)), [hash(1)]);
        lsd.add(secs(10), hash(2), false);
        assert_eq!(announced(&mut lsd, secs(10)), []);
        assert_eq!(lsd.deadline(), Some(secs(60)));
        assert_eq!(announced(&mut lsd, secs(60)), [hash(2)]);
        assert_eq!(lsd.deadline(), Some(secs(300)));
        // The second would be due within the minute that must pass after the first, but for the horizon, not before.
        assert_eq!(announced(&mut lsd, secs(301)), [hash(1), hash(2)]);
        assert_eq!(lsd.deadline(), Some(secs(601)));
    }

    #[test]
    fn many_torrents_take_turns() {
        let mut lsd = lsd(1);
        for number in 0..60 {
            lsd.add(secs(0), hash(number), false);
        }
        let mut all = Vec::new();
        for minute in 0..3 {
            assert_eq!(lsd.deadline(), Some(secs(60 * minute)));
            all.extend(announced(&mut lsd, secs(60 * minute)));
        }
        assert_eq!(all, (0..60).map(hash).collect::<Vec<_>>());
        assert_eq!(lsd.deadline(), Some(secs(300)));
    }

    #[test]
    fn what_is_removed_is_silent() {
        let mut lsd = lsd(1);
        lsd.add(secs(0), hash(1), false);
        let mut payload = Vec::new();
        assert!(lsd.poll(secs(0), &mut payload).is_some());
        lsd.remove(hash(1));
        payload.clear();
        assert_eq!((lsd.poll(secs(0), &mut payload), lsd.deadline()), (None, None));
        lsd.add(secs(100), hash(2), false);
        assert_eq!(announced(&mut lsd, secs(100)), [hash(2)]);
    }

    #[test]
    fn a_flood_is_cut_off_until_the_minute_is_over() {
        let (mut one, mut other) = (lsd(1), lsd(2));
        for number in 0..2 {
            one.add(secs(0), hash(number), false);
            other.add(secs(0), hash(number), false);
        }
        let (to, datagram) = sent(&mut other, secs(0)).remove(0);
        let counts = [0, 1, 2, 60].map(|at| found(&mut one, secs(at), to, &datagram).len());
        assert_eq!(counts, [2, 1, 0, 2]);
        assert_eq!(one.heard()[LsdHeard::TooMany], 2);
    }

    #[test]
    fn only_what_was_sent_to_a_group_counts() {
        let (mut one, mut other) = (lsd(1), lsd(2));
        one.add(secs(0), hash(1), false);
        other.add(secs(0), hash(1), false);
        let (_, datagram) = sent(&mut other, secs(0)).remove(0);
        let unicast = "192.0.2.1:6771".parse().unwrap();
        assert_eq!(found(&mut one, secs(0), unicast, &datagram), []);
        assert_eq!(found(&mut one, secs(0), GROUP_V4, b"BT-SEARCH * HTTP/1.1\r\n\r\n"), []);
        assert_eq!(one.heard()[LsdHeard::Unreadable], 2);
    }
}
