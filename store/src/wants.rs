//! Lists of what is wanted, read as a stream: a `peers.csv`, bare infohashes, or links one a line.

use std::io::{self, BufRead};
use std::net::SocketAddr;

use wire::magnet::Magnet;
use wire::{HostPort, InfoHash};

use crate::line::{self, Fault, Lines, ReadError};
use crate::peers;

/// What the lines of a list are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// `infohash,peer_ip,peer_port`; both peer columns may be empty or absent. A header is passed over.
    Table,
    /// A magnet link or an infohash a line. What follows a `#` that begins a line, or stands after white space, is a
    /// comment.
    Links,
}

/// A place in a list, after unpacking.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Debug)]
pub struct Place {
    /// Bytes before it.
    pub byte: u64,
    /// Lines before it.
    pub line: u64,
}

/// An infohash that is wanted, with the peers of all its consecutive rows.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Asked {
    /// Which.
    pub info_hash: InfoHash,
    /// Peers named with it, each once, first named first; at most as many as are kept.
    pub peers: Vec<SocketAddr>,
    /// Peers named beyond those.
    pub surplus: u64,
    /// Where its first row begins.
    pub place: Place,
}

/// Reads a list: gives each run of rows of one infohash as one [`Asked`], and a [`ReadError::Row`] for each line that is
/// none, after which it goes on. Memory does not grow with the list.
pub struct Wants<R> {
    lines: Lines<R>,
    kind: Kind,
    keep: usize,
    /// The run of rows that is being read.
    open: Option<Asked>,
    /// Of a link that names two infohashes (a hybrid torrent): the second.
    second: Option<Asked>,
    /// What comes after the infohash that is given next.
    held: Option<ReadError>,
    ended: bool,
}

impl<R: BufRead> Wants<R> {
    /// Reads `input`, which begins at `place` of the list. At most `keep` peers are kept of a run of rows.
    pub fn new(input: R, place: Place, kind: Kind, keep: usize) -> Self {
        Self {
            lines: Lines::at(input, place),
            kind,
            keep,
            open: None,
            second: None,
            held: None,
            ended: false,
        }
    }

    /// Up to where it has read.
    pub fn place(&self) -> Place {
        self.lines.place()
    }

    /// Reads lines until an infohash or a fault is known; `None` at the end.
    fn advance(&mut self) -> Option<Result<Asked, ReadError>> {
        loop {
            let place = self.lines.place();
            let line = match self.lines.next_line() {
                Ok(Some(line)) => line,
                Ok(None) => {
                    self.ended = true;
                    return self.open.take().map(Ok);
                }
                Err(error) => return Some(self.fail(error)),
            };
            let number = line.number;
            let text = line.bytes.ok_or(Fault::TooLong);
            let text = text.and_then(|bytes| std::str::from_utf8(bytes).map_err(|_| Fault::Utf8));
            let read = text.and_then(|text| match self.kind {
                Kind::Table => row(text),
                Kind::Links => link(text),
            });
            match read {
                Ok(None) => {}
                Ok(Some(named)) => {
                    let before = self.take(place, &named);
                    let before = before.or_else(|| self.second.take().and_then(|second| self.open.replace(second)));
                    if let Some(asked) = before {
                        return Some(Ok(asked));
                    }
                }
                Err(fault) => return Some(Err(ReadError::Row { line: number, fault })),
            }
        }
    }

    /// The source failed: what is known comes first.
    fn fail(&mut self, error: io::Error) -> Result<Asked, ReadError> {
        self.ended = true;
        match self.open.take() {
            Some(asked) => {
                self.held = Some(error.into());
                Ok(asked)
            }
            None => Err(error.into()),
        }
    }

    /// Adds a line to the open run, or begins the next one and gives the one before.
    fn take(&mut self, place: Place, named: &Named) -> Option<Asked> {
        let goes_on = self.open.as_ref().is_some_and(|open| open.info_hash == named.info_hash);
        let before = if goes_on {
            None
        } else {
            self.open.replace(Asked::new(named.info_hash, place))
        };
        self.add(&named.peers);
        if let Some(info_hash) = named.second {
            self.second = self.open.clone().map(|open| Asked { info_hash, ..open });
        }
        before
    }

    fn add(&mut self, peers: &[SocketAddr]) {
        let Some(open) = &mut self.open else { return };
        for &peer in peers {
            if open.peers.contains(&peer) {
                continue;
            }
            if open.peers.len() < self.keep {
                open.peers.push(peer);
            } else {
                open.surplus += 1;
            }
        }
    }
}

impl<R: BufRead> Iterator for Wants<R> {
    type Item = Result<Asked, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        // The two infohashes of a hybrid torrent follow one another.
        if let Some(second) = self.second.take() {
            return self.open.replace(second).map(Ok);
        }
        if let Some(error) = self.held.take() {
            return Some(Err(error));
        }
        if self.ended { None } else { self.advance() }
    }
}

impl Asked {
    fn new(info_hash: InfoHash, place: Place) -> Self {
        Self {
            info_hash,
            peers: Vec::new(),
            surplus: 0,
            place,
        }
    }
}

/// What one line names.
struct Named {
    info_hash: InfoHash,
    second: Option<InfoHash>,
    peers: Vec<SocketAddr>,
}

/// A row of a table; `None` for a header or an empty line.
fn row(text: &str) -> Result<Option<Named>, Fault> {
    if text.is_empty() || text == peers::HEADER || text == "infohash" {
        return Ok(None);
    }
    let (info_hash, peers) = if text.contains(',') {
        let [info_hash, ip, port] = line::split::<3>(text)?;
        let nobody = ip.trim().is_empty() && port.trim().is_empty();
        let peer = if nobody { None } else { Some(line::address(&ip, &port)?) };
        (line::info_hash(info_hash.trim())?, peer.into_iter().collect())
    } else {
        (line::info_hash(text.trim())?, Vec::new())
    };
    let second = None;
    Ok(Some(Named {
        info_hash,
        second,
        peers,
    }))
}

/// A line with a link or an infohash; `None` for a comment or an empty line.
fn link(text: &str) -> Result<Option<Named>, Fault> {
    let text = if text.trim_start().starts_with('#') { "" } else { text };
    // A `#` within a link is a part of it.
    let comment = text
        .match_indices('#')
        .find(|(at, _)| text[..*at].ends_with([' ', '\t']));
    let text = comment.map_or(text, |(at, _)| &text[..at]).trim();
    if text.is_empty() {
        return Ok(None);
    }
    let magnet = Magnet::from_link_or_hash(text)?;
    let mut hashes = magnet.swarm_hashes();
    let peers = magnet.peers.iter().filter_map(HostPort::socket_addr).collect();
    Ok(hashes.next().map(|info_hash| Named {
        info_hash,
        second: hashes.next(),
        peers,
    }))
}

#[cfg(test)]
mod tests;
