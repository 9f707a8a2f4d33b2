//! A web seed: an HTTP server that has the files of a torrent, as one source of it that is never choked (BEP 19).
//!
//! The owner says which pieces to fetch; the seed asks for them in long ranges, a few at once, and says which bytes of its
//! inputs belong where. It holds none of them.

mod files;
mod health;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use world::{Effect, Get, HttpPart, Time, WebFault, WebId, closed_list};

use files::Part;
pub use files::{WebFile, WebFiles};
use health::Health;

/// Bytes of one request, unless a piece is longer.
const REQUEST: u64 = 4 << 20;
/// Files that are not there, one after the other, after which nothing is.
const MISSING_MOST: u32 = 4;
/// When the host has no room for a request, which is not the seed's fault.
const NO_ROOM_WAIT: Duration = Duration::from_secs(1);

/// What a web seed is told.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct WebSeedConfig {
    /// Requests under way at once (recommended: 5; WSD-05).
    pub requests: usize,
    /// A request that brings nothing for so long has failed (recommended: 20 s; WSD-04).
    pub timeout: Duration,
}

closed_list! {
    /// Why a web seed is of no more use.
    WebSeedEnd {
        /// Its URL is none, or leads where nobody may go.
        BadUrl => "bad URL",
        /// Its certificate is not to be trusted.
        Untrusted => "untrusted certificate",
        /// It wants a login that we do not have (401, 403).
        Refused => "refused",
        /// It does not have the files, or has others by these names.
        NoFiles => "files not there",
        /// It gives whole files only.
        NoRanges => "no ranges",
        /// It failed too often in a row.
        Failing => "failing",
        /// What it gave was not the torrent's.
        Corrupt => "wrong bytes",
    }
}

/// What a web seed tells its owner.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum WebTold {
    /// Bytes of the body just handled belong to a block. They never reach into the next one; those of one block come in any
    /// number of parts, and in order but for blocks that lie in several files.
    Bytes {
        /// The piece.
        piece: u32,
        /// Where in the piece, bytes.
        begin: u32,
        /// Where in the [`HttpPart::Body`], bytes.
        at: usize,
        /// How many bytes.
        len: usize,
        /// Whether the block that they are in is whole now.
        completes: bool,
    },
    /// The same for padding: zeros, wherever they come from.
    Zeros {
        /// The piece.
        piece: u32,
        /// Where in the piece, bytes.
        begin: u32,
        /// How many bytes.
        len: usize,
        /// Whether the block that they are in is whole now.
        completes: bool,
    },
    /// A request failed. All that is wanted of the seed and has not come is forgotten, blocks that came in part included.
    Failed {
        /// When it may be asked again; see [`WebSeed::has`] for what of it.
        retry_at: Time,
    },
    /// Not to be asked again. As with `Failed`, all is forgotten.
    Dropped(WebSeedEnd),
}

/// A request under way.
#[derive(Debug)]
struct Request {
    id: WebId,
    part: Part,
    /// The next byte of the torrent that comes.
    at: u64,
    asked: bool,
    /// The head was one whose body is wanted.
    accepted: bool,
    /// When something came last, or it was made.
    heard: Time,
}

impl Request {
    const fn is_done(&self) -> bool {
        self.at >= self.part.bytes.end
    }
}

/// One web seed of one torrent. Bounded: what it holds grows with what the owner wants of it at once.
#[derive(Debug)]
pub struct WebSeed {
    url: String,
    files: Arc<WebFiles>,
    config: WebSeedConfig,
    ids: Range<u64>,
    ids_given: u64,
    /// Bytes of the torrent that are wanted and not asked for yet.
    wanted: VecDeque<Range<u64>>,
    requests: Vec<Request>,
    /// Requests that the world has yet to be told to give up.
    given_up: VecDeque<WebId>,
    /// Bytes of blocks that came in part, by where the block begins in the torrent.
    partial: BTreeMap<u64, u64>,
    /// Files that the server does not have.
    missing: BTreeSet<usize>,
    missing_in_a_row: u32,
    /// Not to be asked before.
    waits_until: Option<Time>,
    ended: Option<WebSeedEnd>,
    server: String,
    health: Health,
}

impl WebSeed {
    /// A seed at `url` that nothing is wanted of yet. It numbers its requests with `ids` in turn; let nobody else use them, and
    /// let there be more than anybody makes at once.
    pub fn new(now: Time, url: &str, files: Arc<WebFiles>, ids: Range<u64>, config: WebSeedConfig) -> Self {
        Self {
            url: url.to_owned(),
            files,
            config,
            ids,
            ids_given: 0,
            wanted: VecDeque::new(),
            requests: Vec::with_capacity(config.requests),
            given_up: VecDeque::new(),
            partial: BTreeMap::new(),
            missing: BTreeSet::new(),
            missing_in_a_row: 0,
            waits_until: None,
            ended: None,
            server: String::new(),
            health: Health::new(now),
        }
    }

    /// The URL, as it was given.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// What the server calls itself; empty until it has answered.
    pub fn server(&self) -> &str {
        &self.server
    }

    /// Whether answers to this number are for this seed.
    pub fn owns(&self, id: WebId) -> bool {
        self.ids.contains(&id.0)
    }

    /// Whether it has this piece, as far as is known.
    pub fn has(&self, piece: u32) -> bool {
        if self.ended.is_some() {
            return false;
        }
        let mut bytes = self.files.bytes_of(piece, 1);
        if bytes.is_empty() {
            return false;
        }
        while !self.missing.is_empty()
            && let Some(part) = self.files.first_part(&bytes, u64::MAX)
        {
            if self.missing.contains(&part.file) {
                return false;
            }
            bytes.start = part.bytes.end;
        }
        true
    }

    /// How many more pieces are welcome now, so that all its requests are long ones. 0 while it must be left alone.
    pub fn room(&self, now: Time) -> u32 {
        if self.ended.is_some() || self.waits_until.is_some_and(|until| now < until) {
            return 0;
        }
        let under_way = self.requests.iter().map(|request| request.part.bytes.end - request.at);
        let held: u64 = under_way
            .chain(self.wanted.iter().map(|bytes| bytes.end - bytes.start))
            .sum();
        let most = request_length(&self.files).saturating_mul(self.config.requests as u64);
        u32::try_from(most.saturating_sub(held) / self.files.piece_length()).unwrap_or(u32::MAX)
    }

    /// Fetches `pieces` pieces from `from` on, after what is wanted already. Without effect while [`WebSeed::room`] is 0.
    /// Poll afterwards.
    pub fn want(&mut self, now: Time, from: u32, pieces: u32, told: &mut Vec<WebTold>) {
        let bytes = self.files.bytes_of(from, pieces);
        if bytes.is_empty() || self.room(now) == 0 {
            return;
        }
        match self.wanted.back_mut() {
            Some(last) if last.end == bytes.start => last.end = bytes.end,
            _ => self.wanted.push_back(bytes),
        }
        self.fill(now, told);
    }

    /// Forgets all that is wanted; what is under way is given up. Poll afterwards.
    pub fn cancel(&mut self) {
        self.wanted.clear();
        self.partial.clear();
        let asked = self.requests.drain(..).filter(|request| request.asked);
        self.given_up.extend(asked.map(|request| request.id));
    }

    /// Bytes from this seed alone did not hash: it is not asked again. Poll afterwards.
    pub fn blame(&mut self, told: &mut Vec<WebTold>) {
        self.end(WebSeedEnd::Corrupt, told);
    }

    /// Whether nothing is wanted of it, or all that was has come.
    pub fn is_idle(&self) -> bool {
        self.wanted.is_empty() && self.requests.iter().all(Request::is_done)
    }

    /// Why it is not to be asked again, if so.
    pub const fn ended(&self) -> Option<WebSeedEnd> {
        self.ended
    }

    /// Bytes of payload a second, lately.
    pub fn rate(&self, now: Time) -> u64 {
        self.health.meter.rate(now)
    }

    /// Bytes of payload in all.
    pub const fn received(&self) -> u64 {
        self.health.meter.total()
    }

    /// How good a source it is, from 0 to 1,000: how surely it delivers, and how lately it did. Of two that are as good the
    /// faster is the better.
    pub fn score(&self, now: Time) -> u32 {
        self.health.score(now)
    }

    /// Part of an answer came. Poll afterwards.
    pub fn handle(&mut self, now: Time, id: WebId, part: HttpPart<'_>, told: &mut Vec<WebTold>) {
        let Some(index) = self.requests.iter().position(|request| request.id == id) else {
            return;
        };
        match part {
            HttpPart::Head {
                status,
                length,
                from,
                server,
            } => {
                if !server.is_empty() {
                    server.clone_into(&mut self.server);
                }
                self.head(now, index, (status, length, from), told);
            }
            HttpPart::Body(bytes) => self.body(now, index, bytes, told),
            HttpPart::End | HttpPart::Failed(_) => {
                let request = self.requests.swap_remove(index);
                match part {
                    // However it ended, all of it was here.
                    _ if request.is_done() => {}
                    HttpPart::Failed(fault) => self.fault(now, fault, told),
                    // A server may give less than it is asked for. If its file is shorter, it says so when asked for the rest.
                    _ if request.at > request.part.bytes.start => {
                        self.wanted.push_front(request.at..request.part.bytes.end);
                    }
                    _ => self.fail(now, told),
                }
            }
        }
        self.fill(now, told);
    }

    /// Judges the head of an answer: status, length of the body, where it begins in the file.
    fn head(&mut self, now: Time, index: usize, head: (u16, Option<u64>, Option<u64>), told: &mut Vec<WebTold>) {
        let Some(request) = self.requests.get_mut(index) else {
            return;
        };
        request.heard = now;
        let first = request.part.bytes.start - request.part.file_offset;
        let (file, whole) = (request.part.file, request.part.file_length);
        match head {
            (206, _, Some(from)) if from == first => request.accepted = true,
            // A server without ranges gives the whole, of which the beginning may be what is wanted.
            (200, length, _) if first == 0 && length.is_none_or(|length| length == whole) => request.accepted = true,
            (200, length, _) if length.is_none_or(|length| length == whole) => self.end(WebSeedEnd::NoRanges, told),
            (200 | 404 | 410 | 416, ..) => self.miss(now, file, told),
            (401 | 403, ..) => self.end(WebSeedEnd::Refused, told),
            _ => self.fail(now, told),
        }
    }

    fn body(&mut self, now: Time, index: usize, bytes: &[u8], told: &mut Vec<WebTold>) {
        let Some(request) = self.requests.get_mut(index).filter(|request| request.accepted) else {
            return;
        };
        request.heard = now;
        let mut came = request.at
            ..request
                .part
                .bytes
                .end
                .min(request.at.saturating_add(bytes.len() as u64));
        request.at = came.end;
        let (first, is_done) = (came.start, request.is_done() && !came.is_empty());
        self.health.meter.add(now, came.end - came.start);
        while let Some((piece, begin, len, completes)) = self.next_of_block(&mut came) {
            // All of it is within `bytes`, and so are these numbers.
            let at = usize::try_from(came.start - first).unwrap_or(usize::MAX) - len;
            told.push(WebTold::Bytes {
                piece,
                begin,
                at,
                len,
                completes,
            });
        }
        if is_done {
            self.missing_in_a_row = 0;
            self.health.done(now);
        }
    }

    /// Takes from the beginning of `bytes` what lies in one block: piece, offset in it, length, and whether the block is
    /// whole with it.
    fn next_of_block(&mut self, bytes: &mut Range<u64>) -> Option<(u32, u32, usize, bool)> {
        if bytes.is_empty() {
            return None;
        }
        let (piece, block, whole) = self.files.block_at(bytes.start);
        let end = whole.end.min(bytes.end);
        let (len, length) = (end - bytes.start, whole.end - whole.start);
        let begin = u64::from(block) + (bytes.start - whole.start);
        bytes.start = end;
        let completes = if len == length {
            true
        } else {
            let so_far = self.partial.entry(whole.start).or_default();
            *so_far += len;
            *so_far >= length
        };
        if completes {
            self.partial.remove(&whole.start);
        }
        // A block is 16 KiB at most, and a piece is numbered by the same 32 bits on the wire.
        let begin = u32::try_from(begin).unwrap_or(u32::MAX);
        Some((piece, begin, usize::try_from(len).unwrap_or(0), completes))
    }

    /// Makes requests of what is wanted, as many as may be under way.
    fn fill(&mut self, now: Time, told: &mut Vec<WebTold>) {
        while self.requests.len() < self.config.requests
            && let Some(bytes) = self.wanted.front_mut()
        {
            self.files.skip_gap(bytes);
            let part = self.files.first_part(bytes, request_length(&self.files));
            let Some(part) = part.filter(|part| !self.missing.contains(&part.file)) else {
                self.wanted.pop_front();
                continue;
            };
            bytes.start = part.bytes.end;
            if bytes.is_empty() {
                self.wanted.pop_front();
            }
            if part.is_pad {
                self.pad(part.bytes, told);
                continue;
            }
            let id = WebId(self.ids.start + self.ids_given % (self.ids.end - self.ids.start).max(1));
            self.ids_given += 1;
            self.requests.push(Request {
                id,
                at: part.bytes.start,
                part,
                asked: false,
                accepted: false,
                heard: now,
            });
        }
    }

    fn pad(&mut self, mut bytes: Range<u64>, told: &mut Vec<WebTold>) {
        while let Some((piece, begin, len, completes)) = self.next_of_block(&mut bytes) {
            told.push(WebTold::Zeros {
                piece,
                begin,
                len,
                completes,
            });
        }
    }

    /// Time has passed. Poll afterwards.
    pub fn tick(&mut self, now: Time, told: &mut Vec<WebTold>) {
        if self.waits_until.is_some_and(|until| until <= now) {
            self.waits_until = None;
        }
        let timeout = self.config.timeout;
        let late = |request: &Request| now >= request.heard + timeout;
        if self.requests.iter().any(|request| late(request) && !request.is_done()) {
            self.fail(now, told);
            return;
        }
        // Of these all has come but the end.
        for request in self.requests.extract_if(.., |request| late(request)) {
            self.given_up.push_back(request.id);
        }
        self.fill(now, told);
    }

    /// The next thing to ask of the world.
    pub fn poll(&mut self, payload: &mut Vec<u8>) -> Option<Effect> {
        if let Some(id) = self.given_up.pop_front() {
            return Some(Effect::CancelFetch { id });
        }
        let request = self.requests.iter_mut().find(|request| !request.asked)?;
        request.asked = true;
        let before = payload.len();
        self.files.url(&self.url, request.part.file, payload);
        let Part { bytes, file_offset, .. } = &request.part;
        Some(Effect::Fetch {
            id: request.id,
            get: Get {
                range: Some((bytes.start - file_offset, bytes.end - file_offset - 1)),
                most: bytes.end - bytes.start,
            },
            len: payload.len() - before,
        })
    }

    /// When to be ticked.
    pub fn deadline(&self) -> Option<Time> {
        let late = self.requests.iter().map(|request| request.heard + self.config.timeout);
        late.chain(self.waits_until).min()
    }

    fn fault(&mut self, now: Time, fault: WebFault, told: &mut Vec<WebTold>) {
        match fault {
            WebFault::BadUrl | WebFault::Forbidden => self.end(WebSeedEnd::BadUrl, told),
            WebFault::Untrusted => self.end(WebSeedEnd::Untrusted, told),
            WebFault::NoRoom => self.rest(now + NO_ROOM_WAIT, told),
            WebFault::NoName | WebFault::NoConnection | WebFault::Proxy | WebFault::Broken | WebFault::TooLong => {
                self.fail(now, told);
            }
        }
    }

    /// A file is not there, or is another one.
    fn miss(&mut self, now: Time, file: usize, told: &mut Vec<WebTold>) {
        self.missing.insert(file);
        self.missing_in_a_row += 1;
        if self.missing_in_a_row >= MISSING_MOST || self.missing.len() >= self.files.count() {
            self.end(WebSeedEnd::NoFiles, told);
        } else {
            // It may be asked for other files at once.
            self.rest(now, told);
        }
    }

    fn fail(&mut self, now: Time, told: &mut Vec<WebTold>) {
        match self.health.failed(now) {
            Some(retry_at) => self.rest(retry_at, told),
            None => self.end(WebSeedEnd::Failing, told),
        }
    }

    fn rest(&mut self, until: Time, told: &mut Vec<WebTold>) {
        self.cancel();
        self.waits_until = Some(until);
        told.push(WebTold::Failed { retry_at: until });
    }

    fn end(&mut self, why: WebSeedEnd, told: &mut Vec<WebTold>) {
        if self.ended.is_none() {
            self.cancel();
            self.waits_until = None;
            self.ended = Some(why);
            told.push(WebTold::Dropped(why));
        }
    }
}

/// Bytes of one request at most.
fn request_length(files: &WebFiles) -> u64 {
    files.piece_length().max(REQUEST)
}
