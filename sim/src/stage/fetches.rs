//! Documents on their way to a party: they share its line down with the streams.

use std::time::Duration;

use world::{Get, HttpPart, Time, WebFault, WebId};

use super::line::{Flow, turn};
use super::net::{Inbound, Net, What};
use super::web::Response;

/// [`HttpPart`] with its bytes.
#[derive(Debug)]
pub(super) enum Part {
    Head {
        status: u16,
        length: Option<u64>,
        from: Option<u64>,
        server: String,
    },
    Body(Vec<u8>),
    End,
    Failed(WebFault),
}

impl Part {
    pub(super) fn as_http(&self) -> HttpPart<'_> {
        match self {
            Self::Head {
                status,
                length,
                from,
                server,
            } => HttpPart::Head {
                status: *status,
                length: *length,
                from: *from,
                server,
            },
            Self::Body(bytes) => HttpPart::Body(bytes),
            Self::End => HttpPart::End,
            Self::Failed(fault) => HttpPart::Failed(*fault),
        }
    }
}

/// A document under way. Its parts come one after the other: the next is asked for when the last has passed.
#[derive(Debug)]
pub(super) struct Fetch {
    pub(super) party: usize,
    id: WebId,
    response: Result<Response, WebFault>,
    most: u64,
    /// Bytes of the body that have passed the line.
    passed: u64,
    /// When the head came.
    began: Option<Time>,
}

impl Net {
    pub(super) fn fetch(&mut self, now: Time, party: usize, id: WebId, get: Get, url: &str) {
        let (after, response) = match self.web.get(now, party, url, get) {
            Ok(response) => (response.after, Ok(response)),
            Err((after, fault)) => (after, Err(fault)),
        };
        self.begun += 1;
        let fetch = Fetch {
            party,
            id,
            response,
            most: get.most,
            passed: 0,
            began: None,
        };
        self.fetches.insert(self.begun, fetch);
        self.push(now + after, What::Web(self.begun));
    }

    pub(super) fn cancel(&mut self, party: usize, id: WebId) {
        self.fetches.retain(|_, fetch| fetch.party != party || fetch.id != id);
    }

    pub(super) fn resolve(&mut self, now: Time, party: usize, id: WebId, host: &str) {
        let (after, addrs) = self.web.resolve(now, party, host);
        self.tell(now + after, party, Inbound::Resolved(id, addrs));
    }

    /// The head arrives, or the next part may come.
    pub(super) fn web_goes_on(&mut self, now: Time, number: u64) -> Option<(usize, Inbound)> {
        let fetch = self.fetches.get_mut(&number)?;
        let (party, id, passed) = (fetch.party, fetch.id, fetch.passed);
        let response = match &fetch.response {
            Ok(response) => response,
            Err(fault) => {
                let part = Part::Failed(*fault);
                self.fetches.remove(&number);
                return Some((party, Inbound::Http(id, part)));
            }
        };
        if fetch.began.is_none() {
            fetch.began = Some(now);
            let part = Part::Head {
                status: response.status,
                length: response.says_length.then(|| response.body.len()),
                from: response.from,
                server: response.server.clone(),
            };
            self.push(now, What::Web(number));
            return Some((party, Inbound::Http(id, part)));
        }
        let last = match response.breaks {
            Some((after, fault)) if passed >= after => Some(Part::Failed(fault)),
            _ if passed > fetch.most => Some(Part::Failed(WebFault::TooLong)),
            _ if passed >= response.body.len() => Some(Part::End),
            _ => None,
        };
        if let Some(part) = last {
            self.fetches.remove(&number);
            return Some((party, Inbound::Http(id, part)));
        }
        self.hosts[party].down.flows.push_back(Flow::Web(number));
        self.start_down(now, party);
        None
    }

    /// The next bytes of a document.
    pub(super) fn chunk(&mut self, number: u64) -> Option<Vec<u8>> {
        let mut bytes = self.buffer();
        let fetch = self.fetches.get(&number)?;
        let response = fetch.response.as_ref().ok()?;
        let end = response
            .breaks
            .map_or(u64::MAX, |(after, _)| after)
            .min(response.body.len());
        let most = turn(self.hosts[fetch.party].line.down);
        let len = end.saturating_sub(fetch.passed).min(most as u64);
        bytes.resize(len as usize, 0);
        response.body.read(fetch.passed, &mut bytes);
        Some(bytes)
    }

    /// Bytes of a document have passed the line of its party.
    pub(super) fn chunk_passed(&mut self, now: Time, number: u64, bytes: Vec<u8>) -> Option<Inbound> {
        let fetch = self.fetches.get_mut(&number)?;
        fetch.passed += bytes.len() as u64;
        let (party, id, began) = (fetch.party, fetch.id, fetch.began.unwrap_or(now));
        let rate = fetch.response.as_ref().map_or(1, |response| response.rate.max(1));
        let sent = u128::from(fetch.passed) * 1_000_000 / u128::from(rate);
        let paced = began + Duration::from_micros(u64::try_from(sent).unwrap_or(u64::MAX));
        // More than was allowed is not given.
        let is_over = fetch.passed > fetch.most;
        self.push(paced.max(now), What::Web(number));
        self.hosts[party].traffic.fetched += bytes.len() as u64;
        (!is_over).then_some(Inbound::Http(id, Part::Body(bytes)))
    }
}
