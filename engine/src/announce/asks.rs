//! Requests: one question to one tracker, over HTTP here, over UDP next door; and writing both out.

use std::sync::Arc;

use wire::InfoHash;
use wire::tracker::http::{HttpError, announce_reply, announce_url, scrape_reply, scrape_url};
use wire::tracker::{Announce, AnnounceReply, Counts, Event, Retry, udp};
use world::{Effect, Get, HttpPart, Time, WebFault, WebId};

use super::torrent::{Site, Target};
use super::udp::{Stage, Talk};
use super::{Announcer, Counted, Failure, Out, Stats, Swarm, Timer};

/// Who is told of the answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Owner {
    Round { torrent: u32, tracker: usize },
    Scrape { torrent: u32, tracker: usize },
    Farewell(u64),
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum What {
    Announce(Event),
    Scrape,
}

#[derive(Debug)]
pub(super) enum Outcome {
    Announced(AnnounceReply),
    Scraped(Counts),
    Failed(Failure, Option<Retry>),
}

#[derive(Debug)]
pub(super) struct Request {
    pub(super) owner: Owner,
    pub(super) what: What,
    pub(super) site: Arc<Site>,
    pub(super) way: Way,
    /// Somebody waits for it, and it counts among those that are under way at once.
    pub(super) held: bool,
    /// The alarm that is set.
    pub(super) armed: Option<Time>,
}

#[derive(Debug)]
pub(super) enum Way {
    Http(Web),
    Udp(Talk),
}

/// An HTTP request.
#[derive(Debug)]
pub(super) struct Web {
    /// The world knows of it.
    begun: bool,
    /// When its time is up, whatever comes.
    ends: Time,
    status: u16,
    body: Vec<u8>,
}

impl Request {
    /// Whether the tracker may have heard an announce that it has not answered.
    pub(super) fn may_be_known(&self) -> bool {
        matches!(self.what, What::Announce(_))
            && match &self.way {
                Way::Http(web) => web.begun,
                Way::Udp(talk) => talk.stage == Stage::Asking,
            }
    }
}

impl Announcer {
    /// Begins a request. `turn` chooses among the addresses of a tracker.
    pub(super) fn start(&mut self, now: Time, number: u64, owner: Owner, what: What, site: Arc<Site>, turn: u32) {
        let way = match &site.target {
            Target::Http => Way::Http(Web {
                begun: false,
                ends: now + self.config.completion_timeout,
                status: 0,
                body: Vec::new(),
            }),
            Target::Udp { .. } => Way::Udp(Talk::new(turn)),
        };
        let over_http = matches!(way, Way::Http(_));
        let request = Request {
            owner,
            what,
            site,
            way,
            held: true,
            armed: None,
        };
        self.held += 1;
        self.requests.insert(number, request);
        if over_http {
            self.out.push_back(Out::Fetch(number));
            self.wait_for_web(now, number);
        } else {
            self.find(now, number);
        }
    }

    /// Sets the alarm of a request.
    pub(super) fn arm(&mut self, number: u64, at: Time) {
        if let Some(request) = self.requests.get_mut(&number) {
            if let Some(armed) = request.armed.replace(at) {
                self.timers.remove(&(armed, Timer::Ask(number)));
            }
            self.timers.insert((at, Timer::Ask(number)));
        }
    }

    /// Silence until then fails an HTTP request, as does its end.
    fn wait_for_web(&mut self, now: Time, number: u64) {
        if let Some(Request {
            way: Way::Http(web), ..
        }) = self.requests.get(&number)
        {
            let until = web.ends.min(now + self.config.receive_timeout);
            self.arm(number, until);
        }
    }

    pub(super) fn ask_is_due(&mut self, now: Time, number: u64) {
        let Some(request) = self.requests.get_mut(&number) else {
            return;
        };
        request.armed = None;
        match &request.way {
            Way::Http(web) => {
                let failure = if web.ends <= now {
                    Failure::Slow
                } else {
                    Failure::Silent
                };
                self.fail_web(now, number, failure);
            }
            Way::Udp(_) => self.talk_is_due(now, number),
        }
    }

    /// Part of an HTTP answer.
    pub(super) fn http(&mut self, now: Time, number: u64, part: HttpPart<'_>) {
        let most = self.config.most_response;
        let Some(Request {
            way: Way::Http(web), ..
        }) = self.requests.get_mut(&number)
        else {
            return;
        };
        match part {
            HttpPart::Head { status, .. } => web.status = status,
            HttpPart::Body(bytes) if (web.body.len() as u64).saturating_add(bytes.len() as u64) > most => {
                return self.fail_web(now, number, Failure::Web(WebFault::TooLong));
            }
            HttpPart::Body(bytes) => web.body.extend_from_slice(bytes),
            HttpPart::End => {
                web.begun = false;
                let (status, body) = (web.status, std::mem::take(&mut web.body));
                return self.answered(now, number, status, &body);
            }
            HttpPart::Failed(fault) => {
                web.begun = false;
                return self.fail_web(now, number, Failure::Web(fault));
            }
        }
        self.wait_for_web(now, number);
    }

    /// The whole of an HTTP answer. Some trackers say why they refuse with a status that is no success.
    fn answered(&mut self, now: Time, number: u64, status: u16, body: &[u8]) {
        let Some(request) = self.requests.get(&number) else {
            return;
        };
        let good = (200..300).contains(&status);
        let read = match request.what {
            What::Announce(_) => announce_reply(body, self.config.most_peers).map(Outcome::Announced),
            What::Scrape => scrape_reply(body, &self.info_hash(request.owner)).map(Outcome::Scraped),
        };
        let outcome = match read {
            Err(HttpError::Refused { reason, retry }) => Outcome::Failed(Failure::Refused(reason), retry),
            _ if !good => Outcome::Failed(Failure::Status(status), None),
            Ok(outcome) => outcome,
            // A farewell needs no answer, and some give none.
            Err(_) => Outcome::Failed(Failure::Malformed, None),
        };
        self.settle(now, number, outcome);
    }

    fn fail_web(&mut self, now: Time, number: u64, failure: Failure) {
        self.settle(now, number, Outcome::Failed(failure, None));
    }

    /// Ends a request, and says what came of it.
    pub(super) fn settle(&mut self, now: Time, number: u64, outcome: Outcome) {
        if let Some(request) = self.end(number) {
            let event = match request.what {
                What::Announce(event) => event,
                What::Scrape => Event::None,
            };
            self.settled(now, request.owner, event, outcome, request.held);
        }
    }

    /// Ends a request, and nobody hears of it.
    pub(super) fn cancel(&mut self, number: u64) {
        self.end(number);
    }

    fn end(&mut self, number: u64) -> Option<Request> {
        let request = self.requests.remove(&number)?;
        if let Some(armed) = request.armed {
            self.timers.remove(&(armed, Timer::Ask(number)));
        }
        self.held -= usize::from(request.held);
        match &request.way {
            Way::Http(web) if web.begun => self.out.push_back(Out::Cancel(number)),
            Way::Http(_) => (),
            Way::Udp(talk) => self.hang_up(number, talk, &request.site),
        }
        Some(request)
    }

    /// Writes the URL of an HTTP request, unless it was cancelled meanwhile.
    pub(super) fn write_fetch(
        &mut self,
        number: u64,
        payload: &mut Vec<u8>,
        stats: &mut impl FnMut(u32) -> Stats,
    ) -> Option<Effect> {
        let request = self.requests.get(&number)?;
        let (what, url, owner) = (request.what, request.site.url.clone(), request.owner);
        let before = payload.len();
        self.with_announce(owner, what, stats, |swarm, ask| {
            let login = swarm
                .login
                .as_ref()
                .map(|(name, password)| (name.as_str(), password.as_str()));
            match what {
                What::Announce(_) => announce_url(&url, login, ask, payload),
                What::Scrape => drop(scrape_url(&url, login, &swarm.info_hash, payload)),
            }
        })?;
        if let Way::Http(web) = &mut self.requests.get_mut(&number)?.way {
            web.begun = true;
        }
        self.counts.count(match what {
            What::Announce(_) => Counted::HttpAnnounce,
            What::Scrape => Counted::Scrape,
        });
        Some(Effect::Fetch {
            id: WebId(self.first_id + number),
            get: Get {
                range: None,
                most: self.config.most_response,
            },
            len: payload.len() - before,
        })
    }

    /// Writes what a UDP request has to say, unless it has nothing to say any more.
    pub(super) fn write_datagram(
        &mut self,
        number: u64,
        payload: &mut Vec<u8>,
        stats: &mut impl FnMut(u32) -> Stats,
    ) -> Option<Effect> {
        let request = self.requests.get(&number)?;
        let Way::Udp(talk) = &request.way else {
            return None;
        };
        let (what, site, owner) = (request.what, request.site.clone(), request.owner);
        let (to, stage, transaction) = (talk.addr?, talk.stage, talk.transaction);
        let Target::Udp { tail, .. } = &site.target else {
            return None;
        };
        let before = payload.len();
        let counted = match (stage, what) {
            (Stage::Connecting, _) => {
                udp::connect(transaction, payload);
                Counted::Connect
            }
            (Stage::Asking, What::Announce(_)) => {
                let (connection, _) = self.sessions.get(&to)?.id?;
                self.with_announce(owner, what, stats, |_, ask| {
                    udp::announce(connection, transaction, ask, tail, payload);
                })?;
                Counted::UdpAnnounce
            }
            (Stage::Asking, What::Scrape) => {
                let (connection, _) = self.sessions.get(&to)?.id?;
                udp::scrape(connection, transaction, &[self.info_hash(owner)], payload);
                Counted::Scrape
            }
            (Stage::Resolving | Stage::Waiting, _) => return None,
        };
        self.counts.count(counted);
        Some(Effect::Send {
            from: None,
            to,
            len: payload.len() - before,
        })
    }

    /// The torrent that a scrape is about.
    fn info_hash(&self, owner: Owner) -> InfoHash {
        let torrent = match owner {
            Owner::Round { torrent, .. } | Owner::Scrape { torrent, .. } => self.torrents.get(&torrent),
            Owner::Farewell(_) => None,
        };
        torrent.map_or(InfoHash::new([0; 20]), |torrent| torrent.swarm.info_hash)
    }

    /// Lends what is to be announced for `owner`.
    fn with_announce(
        &self,
        owner: Owner,
        what: What,
        stats: &mut impl FnMut(u32) -> Stats,
        write: impl FnOnce(&Swarm, &Announce<'_>),
    ) -> Option<()> {
        let (swarm, key, tracker_id, stats) = match owner {
            Owner::Round { torrent, tracker } | Owner::Scrape { torrent, tracker } => {
                let it = self.torrents.get(&torrent)?;
                let id = it.trackers.get(tracker)?.id.as_deref();
                (&it.swarm, it.key, id, stats(torrent))
            }
            Owner::Farewell(farewell) => {
                let it = self.farewells.get(&farewell)?;
                (&it.swarm, it.key, it.tracker_id.as_deref(), it.stats)
            }
        };
        let event = match what {
            What::Announce(event) => event,
            What::Scrape => Event::None,
        };
        // Who leaves wants nobody.
        let num_want = if event == Event::Stopped {
            0
        } else {
            self.config.num_want
        };
        let ask = Announce {
            info_hash: swarm.info_hash,
            peer_id: swarm.peer_id,
            port: self.config.port,
            uploaded: stats.uploaded,
            downloaded: stats.downloaded,
            left: stats.left,
            event,
            key,
            num_want: Some(num_want),
            ip: self.config.announce_ip,
            tracker_id,
            supports_crypto: self.config.supports_crypto,
        };
        write(swarm, &ask);
        Some(())
    }
}
