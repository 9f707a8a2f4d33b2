//! The web as parties see it: names, documents, and whoever answers in their place.

use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use world::{Get, Time, WebFault};

use crate::disk::Content;

/// An answer of a server.
#[derive(Clone, Debug)]
pub struct Response {
    /// The status code.
    pub status: u16,
    /// Of a partial answer, the offset of its first byte in the document.
    pub from: Option<u64>,
    /// Whether the length of the body is announced.
    pub says_length: bool,
    /// The `Server` header.
    pub server: String,
    /// The body.
    pub body: Content,
    /// How long until the head arrives.
    pub after: Duration,
    /// Bytes in a second that the server sends at most.
    pub rate: u64,
    /// After so many bytes of body it fails, in this way.
    pub breaks: Option<(u64, WebFault)>,
}

impl Response {
    /// This status and body after 50 ms, at 10 MB/s.
    pub fn new(status: u16, body: Content) -> Self {
        Self {
            status,
            from: None,
            says_length: true,
            server: "sim".to_owned(),
            body,
            after: Duration::from_millis(50),
            rate: 10_000_000,
            breaks: None,
        }
    }

    /// What a server that knows ranges answers: 200 with everything, 206 with the range, or 416.
    pub fn document(content: &Content, get: Get) -> Self {
        match get.range {
            None => Self::new(200, content.clone()),
            Some((first, last)) if first < content.len() && first <= last => Self {
                from: Some(first),
                ..Self::new(206, content.slice(first..last.saturating_add(1)))
            },
            Some(_) => Self::new(416, Content::bytes([])),
        }
    }
}

/// Who answers [`world::Effect::Resolve`] and [`world::Effect::Fetch`].
pub trait Web {
    /// The addresses of `host:port`, and how long it takes to find them.
    fn resolve(&mut self, now: Time, party: usize, host: &str) -> (Duration, Vec<SocketAddr>);

    /// What comes of a GET of `url` by a party, or how it fails before there is a head, and after how long.
    fn get(&mut self, now: Time, party: usize, url: &str, get: Get) -> Result<Response, (Duration, WebFault)>;
}

/// A handler of a [`Site`]: is told the time, the party, the URL and what of it is wanted.
type Handler = dyn FnMut(Time, usize, &str, Get) -> Response;

/// A web with a table of names, documents, and handlers of prefixes. What it does not know is no name, or status 404.
pub struct Site {
    hosts: BTreeMap<String, Vec<IpAddr>>,
    documents: BTreeMap<String, Content>,
    /// By prefix: the longest one answers.
    handlers: BTreeMap<String, Box<Handler>>,
    /// How long a name takes.
    delay: Duration,
}

impl Site {
    /// Knows nothing; a name takes 20 ms.
    pub const fn new() -> Self {
        Self {
            hosts: BTreeMap::new(),
            documents: BTreeMap::new(),
            handlers: BTreeMap::new(),
            delay: Duration::from_millis(20),
        }
    }

    /// A name, without port, and its addresses.
    #[must_use]
    pub fn host(mut self, name: &str, addrs: impl IntoIterator<Item = IpAddr>) -> Self {
        self.hosts.insert(name.to_owned(), addrs.into_iter().collect());
        self
    }

    /// A document at exactly this URL, of which ranges can be had.
    #[must_use]
    pub fn page(mut self, url: &str, content: Content) -> Self {
        self.documents.insert(url.to_owned(), content);
        self
    }

    /// Answers every URL that begins like this and is no document.
    #[must_use]
    pub fn answer(mut self, prefix: &str, handler: impl FnMut(Time, usize, &str, Get) -> Response + 'static) -> Self {
        self.handlers.insert(prefix.to_owned(), Box::new(handler));
        self
    }
}

impl Default for Site {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Site {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let handled: Vec<&String> = self.handlers.keys().collect();
        write!(f, "Site({:?}, {:?}, {handled:?})", self.hosts, self.documents)
    }
}

impl Web for Site {
    fn resolve(&mut self, _: Time, _: usize, host: &str) -> (Duration, Vec<SocketAddr>) {
        if let Ok(addr) = host.parse() {
            return (Duration::ZERO, vec![addr]);
        }
        let known = host.rsplit_once(':').and_then(|(name, port)| {
            let port = port.parse().ok()?;
            let addrs = self.hosts.get(name)?;
            Some(addrs.iter().map(|&ip| SocketAddr::new(ip, port)).collect())
        });
        (self.delay, known.unwrap_or_default())
    }

    fn get(&mut self, now: Time, party: usize, url: &str, get: Get) -> Result<Response, (Duration, WebFault)> {
        if !url.starts_with("http://") && !url.starts_with("https://") {
            return Err((Duration::ZERO, WebFault::BadUrl));
        }
        if let Some(content) = self.documents.get(url) {
            return Ok(Response::document(content, get));
        }
        let is_known = self.knows_host_of(url);
        let handler = self
            .handlers
            .iter_mut()
            .rev()
            .find(|(prefix, _)| url.starts_with(*prefix));
        match handler {
            Some((_, handler)) => Ok(handler(now, party, url, get)),
            None if is_known => Ok(Response::new(404, Content::bytes([]))),
            None => Err((self.delay, WebFault::NoName)),
        }
    }
}

impl Site {
    fn knows_host_of(&self, url: &str) -> bool {
        let authority = url.split("//").nth(1).and_then(|rest| rest.split('/').next());
        let name = authority.map(|host| host.rsplit_once(':').map_or(host, |(name, _)| name));
        name.is_some_and(|name| self.hosts.contains_key(name))
    }
}
