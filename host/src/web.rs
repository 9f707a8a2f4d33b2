//! Documents over HTTP(S) and addresses of names, for a machine that asks for them.
//!
//! Each request is a task beside the loop, on the same thread; what it brings goes through one bounded channel, which the
//! loop empties a bounded number of parts at a time. A machine that is slow so holds the servers back. Until the first request
//! there is neither client nor channel nor task.

use std::collections::{HashMap, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::body::Bytes;
use hyper::header::HeaderValue;
use hyper_util::client::legacy::Client;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::task::AbortHandle;
use world::{Get, HttpPart, Input, WebFault, WebId};

use self::allowed::Allowed;
use self::connect::{Connector, Names};
use self::fetch::{Fetch, HttpClient};
use self::url::Url;
use crate::{HostError, Proxy};

mod allowed;
mod connect;
mod fetch;
pub(crate) mod url;

/// Parts of bodies that wait for the loop, of all requests together.
const PARTS_WAITING: usize = 32;
/// Bytes of one part at most; a connection's buffer.
const PART_LONGEST: usize = 64 * 1024;
/// Names being looked up or waiting for it. More have no address.
const LOOKUPS: usize = 256;
/// Idle connections kept to one host: as many as a web seed's requests at once.
const IDLE_PER_HOST: usize = 5;
/// How long an idle connection is kept. Servers hang up after 5 to 75 s.
const IDLE_FOR: Duration = Duration::from_secs(60);

/// How the web is asked.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct WebPolicy {
    /// The `User-Agent` header: `NAME/VERSION`. Printable ASCII; a line break would begin another header.
    pub user_agent: String,
    /// Whether URLs may lead to this machine itself (127.0.0.0/8, `::1`), as in tests. Other special-purpose addresses
    /// (private, link-local, multicast and so on) are never connected to, not even by a redirect or a name.
    pub allow_loopback: bool,
    /// Addresses of ours that connections come from, one of each family that is used; unspecified ones are left to the system.
    pub from: Vec<IpAddr>,
    /// What leads to all servers, if they are not to see us. It looks up their names, so only URLs with addresses are judged.
    pub proxy: Option<Proxy>,
    /// Requests under way at once (recommended: 64). More: [`WebFault::NoRoom`].
    pub requests: usize,
}

/// A policy that has been looked at.
#[derive(Clone, Debug)]
pub(crate) struct Checked {
    agent: HeaderValue,
    allowed: Allowed,
    from: Vec<IpAddr>,
    proxy: Option<Proxy>,
    requests: usize,
}

impl WebPolicy {
    pub(crate) fn checked(&self) -> Result<Checked, HostError> {
        let agent = Some(&self.user_agent).filter(|agent| agent.bytes().all(|byte| matches!(byte, b' '..=b'~')));
        let agent = agent.and_then(|agent| HeaderValue::from_str(agent).ok());
        Ok(Checked {
            agent: agent.ok_or_else(|| HostError::UserAgent(self.user_agent.clone()))?,
            allowed: Allowed {
                loopback: self.allow_loopback,
            },
            from: self.from.iter().copied().filter(|ip| !ip.is_unspecified()).collect(),
            proxy: self.proxy.clone(),
            requests: self.requests,
        })
    }
}

/// What a task has to tell.
pub(crate) enum Told {
    /// Of a request.
    Http(WebId, Part),
    /// Of a name.
    Resolved(WebId, Vec<SocketAddr>),
}

/// An [`HttpPart`] that owns what it says.
pub(crate) enum Part {
    Head {
        status: u16,
        length: Option<u64>,
        from: Option<u64>,
        server: String,
    },
    Body(Bytes),
    End,
    Failed(WebFault),
}

impl Told {
    /// The bytes that the machine is told of, if it is a part of a body.
    pub(crate) fn body(&self) -> &[u8] {
        match self {
            Self::Http(_, Part::Body(bytes)) => bytes,
            _ => &[],
        }
    }

    /// As the machine is told it.
    pub(crate) fn input(&self) -> Input<'_> {
        let (id, part) = match self {
            Self::Resolved(id, addrs) => return Input::Resolved { id: *id, addrs },
            Self::Http(id, part) => (*id, part),
        };
        let part = match part {
            Part::Head {
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
            Part::Body(bytes) => HttpPart::Body(bytes),
            Part::End => HttpPart::End,
            Part::Failed(fault) => HttpPart::Failed(*fault),
        };
        Input::Http { id, part }
    }
}

/// All that one run asks of the web.
pub(crate) struct Web {
    /// `None` if this run may not ask.
    policy: Option<Checked>,
    begun: Option<Begun>,
    /// What was clear at once, and is told in the loop's turn.
    late: VecDeque<Told>,
    /// Something was asked since it was polled: nobody is woken for that yet.
    fresh: bool,
}

/// What there is from the first request on.
struct Begun {
    client: HttpClient,
    names: Names,
    sender: Sender<Told>,
    told: Receiver<Told>,
    /// Requests whose end has not been told.
    requests: HashMap<WebId, AbortHandle>,
    lookups: usize,
}

impl Web {
    pub(crate) fn new(policy: Option<Checked>) -> Self {
        Self {
            policy,
            begun: None,
            late: VecDeque::new(),
            fresh: false,
        }
    }

    /// Whether it is to be polled, though nothing woke anybody.
    pub(crate) const fn is_fresh(&self) -> bool {
        self.fresh
    }

    /// Begins a request. Needs the runtime's context, as [`Web::resolve`] does.
    pub(crate) fn fetch(&mut self, id: WebId, get: Get, url: &[u8]) {
        self.fresh = true;
        if let Err(fault) = self.try_fetch(id, get, url) {
            self.late.push_back(Told::Http(id, Part::Failed(fault)));
        }
    }

    fn try_fetch(&mut self, id: WebId, get: Get, url: &[u8]) -> Result<(), WebFault> {
        let policy = self.policy.as_ref().ok_or(WebFault::Forbidden)?;
        let url = str::from_utf8(url).ok().and_then(Url::parse).ok_or(WebFault::BadUrl)?;
        let begun = begin(&mut self.begun, policy)?;
        if begun.requests.len() >= policy.requests {
            return Err(WebFault::NoRoom);
        }
        let fetch = Fetch {
            client: begun.client.clone(),
            agent: policy.agent.clone(),
            id,
            get,
            url,
            told: begun.sender.clone(),
        };
        begun.requests.insert(id, tokio::spawn(fetch.run()).abort_handle());
        Ok(())
    }

    /// Ends a request; nothing more is told of it.
    pub(crate) fn cancel(&mut self, id: WebId) {
        self.late
            .retain(|told| !matches!(told, Told::Http(other, _) if *other == id));
        if let Some(task) = self.begun.as_mut().and_then(|begun| begun.requests.remove(&id)) {
            task.abort();
        }
    }

    /// Begins to look up `host:port`.
    pub(crate) fn resolve(&mut self, id: WebId, place: &[u8]) {
        self.fresh = true;
        let place = str::from_utf8(place).ok().map(str::to_owned);
        let begun = self
            .policy
            .as_ref()
            .and_then(|policy| begin(&mut self.begun, policy).ok());
        let (Some(place), Some(begun)) = (place, begun.filter(|begun| begun.lookups < LOOKUPS)) else {
            self.late.push_back(Told::Resolved(id, Vec::new()));
            return;
        };
        begun.lookups += 1;
        let (names, sender) = (begun.names.clone(), begun.sender.clone());
        tokio::spawn(async move {
            let addrs = names.look_up(&place).await;
            // Only the end of the run closes the channel.
            let _ = sender.send(Told::Resolved(id, addrs)).await;
        });
    }

    /// The next thing to tell the machine. Pending: `cx` is woken when there is something.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Told> {
        if let Some(told) = self.late.pop_front() {
            return Poll::Ready(told);
        }
        self.fresh = false;
        let Some(begun) = &mut self.begun else {
            return Poll::Pending;
        };
        while let Poll::Ready(Some(told)) = begun.told.poll_recv(cx) {
            match &told {
                Told::Resolved(..) => {
                    begun.lookups -= 1;
                    return Poll::Ready(told);
                }
                // What was on its way when the machine cancelled.
                Told::Http(id, _) if !begun.requests.contains_key(id) => {}
                Told::Http(id, part) => {
                    if matches!(part, Part::End | Part::Failed(_)) {
                        begun.requests.remove(id);
                    }
                    return Poll::Ready(told);
                }
            }
        }
        Poll::Pending
    }
}

/// The client of this run, made when it is first needed: reading the trusted roots takes a millisecond.
fn begin<'a>(begun: &'a mut Option<Begun>, policy: &Checked) -> Result<&'a mut Begun, WebFault> {
    if begun.is_none() {
        let names = Names::new();
        // Fails only if the cryptography that is built in knows no version of TLS.
        let connector = Connector::new(policy, names.clone()).map_err(|_| WebFault::NoConnection)?;
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE_FOR)
            .pool_max_idle_per_host(IDLE_PER_HOST)
            .http1_max_buf_size(PART_LONGEST)
            .build(connector);
        let (sender, told) = channel(PARTS_WAITING);
        *begun = Some(Begun {
            client,
            names,
            sender,
            told,
            requests: HashMap::new(),
            lookups: 0,
        });
    }
    begun.as_mut().ok_or(WebFault::NoRoom)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_agent_cannot_smuggle_a_header() {
        let checked = |user_agent: &str| {
            let policy = WebPolicy {
                user_agent: user_agent.to_owned(),
                allow_loopback: false,
                from: Vec::new(),
                proxy: None,
                requests: 1,
            };
            policy
                .checked()
                .map(|checked| checked.agent)
                .map_err(|error| error.to_string())
        };
        assert_eq!(checked("estudely/1.0").unwrap(), "estudely/1.0");
        for text in ["a\r\nCookie: b", "a\nb", "a\0", "é"] {
            assert!(checked(text).unwrap_err().contains("user agent"), "{text:?}");
        }
    }
}
