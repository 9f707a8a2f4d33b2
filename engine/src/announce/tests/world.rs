//! A scripted world in virtual time: HTTP and UDP trackers, names, and what was asked of them when.

use std::collections::BTreeMap;

use ::world::HttpPart;

use super::*;

/// How an HTTP tracker answers.
#[derive(Clone)]
pub(super) enum Answer {
    /// 200 and this body, after so many seconds.
    Body(Vec<u8>, u64),
    Status(u16),
    Fault(WebFault),
    Silence,
    /// One byte a second, without end.
    Trickle,
}

/// How a UDP tracker does.
#[derive(Clone, Default)]
pub(super) struct UdpTracker {
    pub(super) dead: bool,
    /// Datagrams that are lost before one arrives.
    pub(super) lost: usize,
    /// What it says to every announce.
    pub(super) refuses: Option<&'static str>,
    /// Connection ids that it gave.
    ids: Vec<u64>,
}

/// A datagram that was sent, as BEP 15 has it.
#[derive(Clone, Debug)]
pub(super) struct Sent {
    pub(super) at: Time,
    pub(super) to: SocketAddr,
    pub(super) action: u32,
    pub(super) transaction: u32,
    pub(super) bytes: Vec<u8>,
}

enum Coming {
    Part(WebId, Answer),
    Trickle(WebId),
    Datagram(SocketAddr, Vec<u8>),
    Names(WebId, Vec<SocketAddr>),
}

pub(super) struct World {
    pub(super) mind: Announcer,
    pub(super) now: Time,
    pub(super) stats: Stats,
    /// By beginning of the URL; the longest that fits.
    pub(super) http: BTreeMap<String, Answer>,
    pub(super) udp: BTreeMap<SocketAddr, UdpTracker>,
    pub(super) names: BTreeMap<String, Vec<SocketAddr>>,
    pub(super) fetches: Vec<(Time, String)>,
    pub(super) cancels: usize,
    pub(super) sent: Vec<Sent>,
    pub(super) lookups: Vec<(Time, String)>,
    pub(super) told: Vec<(Time, Told)>,
    /// HTTP requests under way, and the most there ever were.
    open: Vec<WebId>,
    pub(super) most_open: usize,
    coming: BTreeMap<(Time, usize), Coming>,
    order: usize,
}

pub(super) fn config() -> Config {
    Config {
        port: 6881,
        num_want: 200,
        announce_ip: None,
        supports_crypto: true,
        announce_to_all: false,
        receive_timeout: Duration::from_secs(20),
        completion_timeout: Duration::from_secs(60),
        stop_timeout: Duration::from_secs(10),
        min_interval: Duration::from_secs(300),
        default_interval: Duration::from_secs(1800),
        udp_timeout: Duration::from_secs(15),
        udp_retries: 8,
        udp_patience: 1,
        retry: Duration::from_secs(1),
        retry_most: Duration::from_secs(1800),
        dns_ttl: Duration::from_secs(300),
        most_at_once: 64,
        most_response: 1 << 20,
        most_peers: 2_000,
        may_speak_to: |addr| !addr.ip().is_loopback(),
    }
}

pub(super) fn swarm(number: u8) -> Swarm {
    Swarm {
        info_hash: InfoHash::new([number; 20]),
        peer_id: PeerId::new(*b"-ES0100-abcdefghijkl"),
        login: None,
    }
}

pub(super) fn addr(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

/// What an HTTP tracker says that knows two peers.
pub(super) fn reply(interval: u32) -> Answer {
    let body = format!(
        "d8:completei3e10:incompletei4e8:intervali{interval}e5:peers12:\x01\x02\x03\x04\x1aa\x05\x06\x07\x08\x1aae"
    );
    Answer::Body(body.into_bytes(), 0)
}

impl World {
    pub(super) fn new(config: Config) -> Self {
        Self::seeded(config, 1)
    }

    pub(super) fn seeded(config: Config, seed: u64) -> Self {
        Self {
            mind: Announcer::new(config, Seed::from_number(seed), 1_000),
            now: Time::ZERO,
            stats: Stats {
                uploaded: 1,
                downloaded: 2,
                left: 3,
            },
            http: BTreeMap::new(),
            udp: BTreeMap::new(),
            names: BTreeMap::new(),
            fetches: Vec::new(),
            cancels: 0,
            sent: Vec::new(),
            lookups: Vec::new(),
            told: Vec::new(),
            open: Vec::new(),
            most_open: 0,
            coming: BTreeMap::new(),
            order: 0,
        }
    }

    pub(super) fn add(&mut self, torrent: u32, tiers: &[&[&str]]) -> Vec<(String, Unfit)> {
        let tiers: Vec<Vec<String>> = tiers
            .iter()
            .map(|tier| tier.iter().map(|&url| url.into()).collect())
            .collect();
        let number = u8::try_from(torrent % 251).unwrap();
        self.mind.add(self.now, torrent, swarm(number), &tiers)
    }

    pub(super) fn answers(&mut self, url: &str, answer: Answer) {
        self.http.insert(url.into(), answer);
    }

    /// Lets time pass up to `secs`, and everything happen that is due by then.
    pub(super) fn run_to(&mut self, secs: u64) {
        let end = Time::from_secs(secs);
        let mut turns = 0;
        loop {
            turns += 1;
            assert!(turns < 200_000, "it spins at {:?}", self.now);
            self.drain();
            let next = self.coming.first_key_value().map(|(&(at, _), _)| at);
            let due = self.mind.deadline();
            let at = next.into_iter().chain(due).min().unwrap_or(Time::MAX);
            if at > end {
                self.now = end;
                return;
            }
            self.now = self.now.max(at);
            match self.coming.first_key_value() {
                Some((&(at, order), _)) if at <= self.now => {
                    let coming = self.coming.remove(&(at, order)).unwrap();
                    self.deliver(coming);
                }
                _ => self.mind.handle(self.now, Input::Tick),
            }
        }
    }

    fn come(&mut self, secs: u64, coming: Coming) {
        self.order += 1;
        self.coming
            .insert((self.now + Duration::from_secs(secs), self.order), coming);
    }

    pub(super) fn drain(&mut self) {
        let mut payload = Vec::new();
        loop {
            payload.clear();
            let stats = self.stats;
            let Some(output) = self.mind.poll(self.now, &mut payload, |_| stats) else {
                return;
            };
            match output {
                Output::Event(told) => self.told.push((self.now, told)),
                Output::Effect(effect) => self.carry_out(effect, &payload),
            }
        }
    }

    fn carry_out(&mut self, effect: Effect, payload: &[u8]) {
        match effect {
            Effect::Fetch { id, get, len } => {
                assert!(self.mind.claims(id) && len == payload.len());
                assert_eq!((get.range, get.most), (None, 1 << 20));
                let url = String::from_utf8(payload.to_vec()).unwrap();
                let answer = self
                    .http
                    .iter()
                    .rev()
                    .find(|(begin, _)| url.starts_with(begin.as_str()));
                let answer = answer.map_or(Answer::Fault(WebFault::NoConnection), |(_, answer)| answer.clone());
                self.fetches.push((self.now, url));
                self.open.push(id);
                self.most_open = self.most_open.max(self.open.len());
                match answer {
                    Answer::Silence => (),
                    Answer::Trickle => self.come(1, Coming::Trickle(id)),
                    Answer::Body(_, delay) => self.come(delay, Coming::Part(id, answer)),
                    _ => self.come(0, Coming::Part(id, answer)),
                }
            }
            Effect::CancelFetch { id } => {
                assert!(self.open.contains(&id), "what is cancelled is under way");
                self.open.retain(|&open| open != id);
                self.cancels += 1;
            }
            Effect::Resolve { id, len } => {
                assert!(self.mind.claims(id) && len == payload.len());
                let name = String::from_utf8(payload.to_vec()).unwrap();
                let addrs = self.names.get(&name).cloned().unwrap_or_default();
                self.lookups.push((self.now, name));
                self.come(0, Coming::Names(id, addrs));
            }
            Effect::Send { from: None, to, len } => {
                assert_eq!(len, payload.len());
                let word = |at: usize| u32::from_be_bytes(payload[at..at + 4].try_into().unwrap());
                let sent = Sent {
                    at: self.now,
                    to,
                    action: word(8),
                    transaction: word(12),
                    bytes: payload.to_vec(),
                };
                self.sent.push(sent.clone());
                if let Some(answer) = self.udp.entry(to).or_default().answer(&sent) {
                    self.come(0, Coming::Datagram(to, answer));
                }
            }
            other => panic!("{other:?}"),
        }
    }

    fn deliver(&mut self, coming: Coming) {
        let now = self.now;
        match coming {
            Coming::Datagram(from, bytes) => self.hear(from, &bytes),
            Coming::Names(id, addrs) => self.mind.handle(now, Input::Resolved { id, addrs: &addrs }),
            Coming::Part(id, _) | Coming::Trickle(id) if !self.open.contains(&id) => (),
            Coming::Trickle(id) => {
                self.mind.handle(
                    now,
                    Input::Http {
                        id,
                        part: HttpPart::Body(b"d"),
                    },
                );
                self.come(1, Coming::Trickle(id));
            }
            Coming::Part(id, answer) => {
                let head = |status| HttpPart::Head {
                    status,
                    length: None,
                    from: None,
                    server: "",
                };
                let (status, body) = match &answer {
                    Answer::Body(body, _) => (200, body.as_slice()),
                    Answer::Status(status) => (*status, &b"<html>"[..]),
                    Answer::Fault(fault) => {
                        self.open.retain(|&open| open != id);
                        let part = HttpPart::Failed(*fault);
                        return self.mind.handle(now, Input::Http { id, part });
                    }
                    Answer::Silence | Answer::Trickle => unreachable!("they do not come whole"),
                };
                let (first, second) = body.split_at(body.len() / 2);
                self.mind.handle(now, Input::Http { id, part: head(status) });
                for half in [first, second] {
                    self.mind.handle(
                        now,
                        Input::Http {
                            id,
                            part: HttpPart::Body(half),
                        },
                    );
                    self.drain();
                }
                if self.open.contains(&id) {
                    self.open.retain(|&open| open != id);
                    self.mind.handle(
                        now,
                        Input::Http {
                            id,
                            part: HttpPart::End,
                        },
                    );
                }
            }
        }
    }

    pub(super) fn hear(&mut self, from: SocketAddr, bytes: &[u8]) {
        let to = addr("192.0.2.99:6881");
        self.mind.handle(self.now, Input::Datagram { from, to, bytes });
    }

    /// When announces (or scrapes) to this URL were sent, and with which event.
    pub(super) fn asked(&self, url: &str) -> Vec<(u64, String)> {
        let fits = self.fetches.iter().filter(|(_, fetched)| fetched.starts_with(url));
        fits.map(|(at, fetched)| {
            let event = fetched.split("&event=").nth(1).and_then(|rest| rest.split('&').next());
            (at.as_secs(), event.unwrap_or("").to_owned())
        })
        .collect()
    }

    pub(super) fn times(&self, url: &str) -> Vec<u64> {
        self.asked(url).into_iter().map(|(at, _)| at).collect()
    }

    /// When which action was asked of a UDP tracker.
    pub(super) fn actions(&self, to: &str) -> Vec<(u64, u32)> {
        let fits = self.sent.iter().filter(|sent| sent.to == addr(to));
        fits.map(|sent| (sent.at.as_secs(), sent.action)).collect()
    }

    /// What was told, without the times.
    pub(super) fn heard(&self) -> Vec<Told> {
        self.told.iter().map(|(_, told)| told.clone()).collect()
    }

    pub(super) fn failures(&self) -> Vec<(u64, Failure)> {
        let failed = self.told.iter().filter_map(|(at, told)| match told {
            Told::Failed { failure, .. } => Some((at.as_secs(), failure.clone())),
            _ => None,
        });
        failed.collect()
    }
}

impl UdpTracker {
    fn answer(&mut self, asked: &Sent) -> Option<Vec<u8>> {
        if self.dead {
            return None;
        }
        if self.lost > 0 {
            self.lost -= 1;
            return None;
        }
        let connection = u64::from_be_bytes(asked.bytes[..8].try_into().unwrap());
        let mut out = asked.action.to_be_bytes().to_vec();
        out.extend(asked.transaction.to_be_bytes());
        match asked.action {
            0 => {
                assert_eq!((connection, asked.bytes.len()), (0x0417_2710_1980, 16));
                let id = 1_000 + self.ids.len() as u64;
                self.ids.push(id);
                out.extend(id.to_be_bytes());
            }
            _ if !self.ids.contains(&connection) || self.refuses.is_some() => {
                out[3] = 3;
                out.extend(self.refuses.unwrap_or("connection id").as_bytes());
            }
            1 => {
                for number in [1_800_u32, 4, 3] {
                    out.extend(number.to_be_bytes());
                }
                match asked.to {
                    SocketAddr::V4(_) => out.extend([1, 2, 3, 4, 0x1a, asked.bytes[16]]),
                    SocketAddr::V6(_) => {
                        out.extend([0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0x1a, 0xe1]);
                    }
                }
            }
            _ => {
                for number in [5_u32, 50, 10] {
                    out.extend(number.to_be_bytes());
                }
            }
        }
        Some(out)
    }

    /// As after a restart: ids given before are worth nothing.
    pub(super) fn restart(&mut self) {
        self.ids.iter_mut().for_each(|id| *id = u64::MAX);
    }
}
