//! Magnet links: a torrent by its hash, with hints where to find it (BEP 9, BEP 53).
//!
//! What decides *which* torrent or which files is strict: a mistake there is an error that names the text. Parameters
//! that mean nothing to us are skipped.

mod select;
mod text;

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

use crate::host_port::{HostPort, HostPortError};
use crate::{InfoHash, InfoHashV2};
use text::{Escaped, shown, unescape};

pub use select::{FilePriority, FileRange, Selection};

const SCHEME: &str = "magnet:?";

/// A SHA-256 multihash starts with its code and its length (BEP 9, btmh).
const MULTIHASH_SHA256: &str = "1220";

/// Why text is not a magnet link. Quoted text is shortened and safe to print.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum MagnetError {
    /// It does not start as a magnet link does.
    #[error("not a magnet link: it starts with `magnet:?xt=urn:btih:`")]
    NotMagnet,
    /// Neither a magnet link nor a bare infohash.
    #[error(
        "`{0}` is neither a magnet link nor an infohash (40 hex digits, or 32 base32 characters, or 64 hex for v2)"
    )]
    NotTarget(String),
    /// No `xt` names a torrent.
    #[error("the magnet link names no torrent: xt=urn:btih: (v1) or xt=urn:btmh: (v2) is missing")]
    NoHash,
    /// An `xt=urn:btih:` with something else behind it.
    #[error("`{0}` is not an infohash: it has 40 hex digits or 32 base32 characters")]
    BadHash(String),
    /// An `xt=urn:btmh:` with something else behind it.
    #[error("`{0}` is not a v2 infohash: it is 1220 and then 64 hex digits")]
    BadHashV2(String),
    /// Two `xt` of the same kind that differ.
    #[error("the magnet link names two torrents, {0} and {1}")]
    TwoTorrents(String, String),
    /// An `so` that is not a list of indices.
    #[error("so=`{0}`: file indices are written like 0,3-5,8")]
    BadSelection(String),
    /// An `x.fp` that is not a list of priorities.
    #[error("x.fp=`{0}`: file priorities are written like 0:4,3-5:1, from 0 (skip) to 4")]
    BadPriorities(String),
    /// An `x.pe` that is no peer.
    #[error("x.pe=`{0}`: {1}")]
    BadPeer(String, HostPortError),
}

/// What a magnet link says.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Magnet {
    /// The v1 name of the torrent (`xt=urn:btih:`). A link that was read has this or [`Self::info_hash_v2`], or both.
    pub info_hash: Option<InfoHash>,
    /// The v2 name of the torrent (`xt=urn:btmh:`, BEP 52).
    pub info_hash_v2: Option<InfoHashV2>,
    /// A name to show until the metadata is known (`dn`).
    pub name: Option<String>,
    /// Trackers in the order given (`tr`).
    pub trackers: Vec<String>,
    /// Web seeds in the order given (`ws`).
    pub web_seeds: Vec<String>,
    /// Peers to ask first (`x.pe`).
    pub peers: Vec<HostPort>,
    /// The files to download (`so`, BEP 53); `None` means all of them.
    pub select: Option<Selection>,
    /// Priorities of single files: our own `x.fp`, and `x.pe` in the spelling that ccBT gives it.
    pub priorities: Vec<FilePriority>,
}

impl Magnet {
    /// The names under which the swarm is to be looked up in the DHT: the v1 hash, the truncated v2 hash, or both for a
    /// hybrid torrent.
    pub fn swarm_hashes(&self) -> impl Iterator<Item = InfoHash> + use<> {
        let v2 = self.info_hash_v2.map(|hash| hash.truncated());
        self.info_hash.into_iter().chain(v2)
    }

    /// Reads what a person gives as a torrent: a magnet link, 40 hex digits or 32 base32 characters (v1), or 64 hex
    /// digits with or without the multihash prefix 1220 (v2).
    ///
    /// # Errors
    ///
    /// Any [`MagnetError`].
    pub fn from_link_or_hash(text: &str) -> Result<Self, MagnetError> {
        let text = text.trim();
        if strip_scheme(text).is_some() {
            return text.parse();
        }
        let mut magnet = Self {
            info_hash: v1_hash(text),
            ..Self::default()
        };
        if magnet.info_hash.is_none() {
            let digits = text.strip_prefix(MULTIHASH_SHA256).filter(|rest| rest.len() == 64);
            let hash = v2_hash(digits.unwrap_or(text)).ok_or_else(|| MagnetError::NotTarget(shown(text)))?;
            magnet.info_hash_v2 = Some(hash);
        }
        Ok(magnet)
    }

    /// The link with the v1 hash in base32, for old clients. [`fmt::Display`] writes hex, which BEP 9 prefers.
    pub fn to_base32_link(&self) -> String {
        let mut link = String::new();
        let hash = self.info_hash.map(|hash| text::to_base32(hash.as_bytes()));
        // A string takes every write.
        let _ = self.write(&mut link, hash.as_deref());
        link
    }

    fn write(&self, f: &mut dyn fmt::Write, btih: Option<&str>) -> fmt::Result {
        let mut and = "";
        f.write_str(SCHEME)?;
        let mut put = |key: &str, value: &dyn fmt::Display| {
            write!(f, "{and}{key}={value}")?;
            and = "&";
            Ok(())
        };
        if let Some(btih) = btih {
            put("xt", &format_args!("urn:btih:{btih}"))?;
        }
        if let Some(hash) = &self.info_hash_v2 {
            put("xt", &format_args!("urn:btmh:{MULTIHASH_SHA256}{hash}"))?;
        }
        if let Some(name) = &self.name {
            put("dn", &Escaped(name))?;
        }
        self.trackers.iter().try_for_each(|url| put("tr", &Escaped(url)))?;
        self.web_seeds.iter().try_for_each(|url| put("ws", &Escaped(url)))?;
        // Brackets and colons stay readable here: no reader stumbles over them, and BEP 9 shows them bare.
        self.peers.iter().try_for_each(|peer| put("x.pe", peer))?;
        if let Some(select) = &self.select {
            put("so", select)?;
        }
        if !self.priorities.is_empty() {
            put("x.fp", &select::Priorities(&self.priorities))?;
        }
        Ok(())
    }

    /// Takes one `key=value`, the value still escaped.
    fn take(&mut self, key: &str, value: &str) -> Result<(), MagnetError> {
        match key {
            "xt" => self.take_topic(&unescape(value)),
            "dn" => {
                // Forms write a space as `+`, and so do many sites that make links.
                self.name = Some(unescape(&value.replace('+', " "))).filter(|name| !name.is_empty());
                Ok(())
            }
            "tr" => {
                push(&mut self.trackers, unescape(value));
                Ok(())
            }
            "ws" => {
                push(&mut self.web_seeds, unescape(value));
                Ok(())
            }
            "x.pe" => self.take_peer(&unescape(value)),
            "so" => {
                let list = unescape(&value.replace('+', " "));
                let ranges = list.parse().map_err(|_| MagnetError::BadSelection(shown(&list)))?;
                self.select.get_or_insert_default().extend(ranges);
                Ok(())
            }
            "x.fp" => {
                let list = unescape(value);
                let priorities = select::priorities(&list).ok_or_else(|| MagnetError::BadPriorities(shown(&list)))?;
                self.priorities.extend(priorities);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn take_topic(&mut self, urn: &str) -> Result<(), MagnetError> {
        if let Some(text) = strip_prefix_any_case(urn, "urn:btih:") {
            let hash = v1_hash(text).ok_or_else(|| MagnetError::BadHash(shown(text)))?;
            agree(&mut self.info_hash, hash)
        } else if let Some(text) = strip_prefix_any_case(urn, "urn:btmh:") {
            let hash = text.strip_prefix(MULTIHASH_SHA256).and_then(v2_hash);
            agree(
                &mut self.info_hash_v2,
                hash.ok_or_else(|| MagnetError::BadHashV2(shown(text)))?,
            )
        } else {
            // Another network's name for the same content, such as ed2k.
            Ok(())
        }
    }

    /// ccBT writes file priorities under the key that BEP 9 gives to peers. A value that reads as a list of priorities
    /// is one: no peer looks like that, for a host is an address or has a letter.
    fn take_peer(&mut self, value: &str) -> Result<(), MagnetError> {
        if let Some(priorities) = select::priorities(value) {
            self.priorities.extend(priorities);
            return Ok(());
        }
        let peer = value
            .parse()
            .map_err(|error| MagnetError::BadPeer(shown(value), error))?;
        self.peers.push(peer);
        Ok(())
    }
}

impl FromStr for Magnet {
    type Err = MagnetError;

    fn from_str(text: &str) -> Result<Self, MagnetError> {
        let query = strip_scheme(text.trim()).ok_or(MagnetError::NotMagnet)?;
        let mut magnet = Self::default();
        for pair in query.split('&') {
            // A link copied from a page's source still has its ampersands escaped.
            let pair = pair.strip_prefix("amp;").unwrap_or(pair);
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            magnet.take(&plain_key(key), value)?;
        }
        if magnet.info_hash.is_none() && magnet.info_hash_v2.is_none() {
            return Err(MagnetError::NoHash);
        }
        Ok(magnet)
    }
}

impl fmt::Display for Magnet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write(f, self.info_hash.map(|hash| hash.to_string()).as_deref())
    }
}

/// The key in lower case, without the number that tells repeated keys apart (`tr.1`).
fn plain_key(key: &str) -> String {
    let base = match key.rsplit_once('.') {
        Some((base, number)) if !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()) => base,
        _ => key,
    };
    base.to_ascii_lowercase()
}

fn strip_scheme(text: &str) -> Option<&str> {
    strip_prefix_any_case(text, SCHEME)
}

fn strip_prefix_any_case<'a>(text: &'a str, prefix: &str) -> Option<&'a str> {
    let (head, rest) = text.split_at_checked(prefix.len())?;
    head.eq_ignore_ascii_case(prefix).then_some(rest)
}

fn v1_hash(text: &str) -> Option<InfoHash> {
    let hex = InfoHash::from_hex(text).ok();
    hex.or_else(|| text::from_base32(text).map(InfoHash::new))
}

fn v2_hash(text: &str) -> Option<InfoHashV2> {
    text::from_hex(text).map(InfoHashV2::new)
}

/// Sets a hash that the link may repeat but not contradict.
fn agree<T: Copy + PartialEq + fmt::Display>(known: &mut Option<T>, new: T) -> Result<(), MagnetError> {
    match *known {
        Some(old) if old != new => Err(MagnetError::TwoTorrents(old.to_string(), new.to_string())),
        _ => {
            *known = Some(new);
            Ok(())
        }
    }
}

fn push(urls: &mut Vec<String>, url: String) {
    if !url.is_empty() && !urls.contains(&url) {
        urls.push(url);
    }
}

#[cfg(test)]
mod tests;
