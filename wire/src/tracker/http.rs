//! Trackers over HTTP: the URLs that ask, and the bencoded answers.

use std::net::{IpAddr, SocketAddr};

use thiserror::Error;

use super::{Announce, AnnounceReply, Counts, Retry, Scheme, TrackerUrl, text};
use crate::bencode::{self, BencodeError, Limits, Value};
use crate::{InfoHash, compact};

/// For an answer: it nests four deep, and 10,000 peers as dictionaries are 70,000 tokens.
const LIMITS: Limits = Limits {
    depth: 8,
    tokens: 200_000,
};

/// An answer that brings nothing.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum HttpError {
    /// Not bencode.
    #[error("the answer is not bencode: {0}")]
    Bencode(BencodeError),
    /// Not a dictionary, or without what was asked for.
    #[error("the answer is not a tracker's")]
    Shape,
    /// The tracker says no.
    #[error("{reason}")]
    Refused {
        /// Its `failure reason`, fit to be shown.
        reason: String,
        /// When it wants to be asked again, if it says so (BEP 31).
        retry: Option<Retry>,
    },
}

/// Appends the URL that announces to `base`, which may have a query already. With `login`, a name and a password, these
/// stand before the host, unless `base` brings its own.
pub fn announce_url(base: &str, login: Option<(&str, &str)>, ask: &Announce<'_>, out: &mut Vec<u8>) {
    begin(base, login, out);
    pair(out, "info_hash", ask.info_hash.as_bytes());
    pair(out, "peer_id", ask.peer_id.as_bytes());
    for (name, number) in [
        ("port", u64::from(ask.port)),
        ("uploaded", ask.uploaded),
        ("downloaded", ask.downloaded),
        ("left", ask.left),
        ("compact", 1),
        ("no_peer_id", 1),
    ] {
        pair(out, name, number.to_string().as_bytes());
    }
    if let Some(event) = ask.event.name() {
        pair(out, "event", event.as_bytes());
    }
    if let Some(most) = ask.num_want {
        pair(out, "numwant", most.to_string().as_bytes());
    }
    pair(out, "key", format!("{:08X}", ask.key).as_bytes());
    if let Some(ip) = ask.ip {
        pair(out, "ip", ip.to_string().as_bytes());
    }
    if let Some(id) = ask.tracker_id {
        pair(out, "trackerid", id);
    }
    if ask.supports_crypto {
        pair(out, "supportcrypto", b"1");
    }
}

/// Appends the URL that asks how large the swarm of `info_hash` is (BEP 48), and says so; or appends nothing, because
/// this tracker has no such URL: only those have whose last part of the path begins with `announce`.
pub fn scrape_url(base: &str, login: Option<(&str, &str)>, info_hash: &InfoHash, out: &mut Vec<u8>) -> bool {
    const ANNOUNCE: &str = "announce";
    let Ok(TrackerUrl {
        scheme: Scheme::Http | Scheme::Https,
        tail,
        ..
    }) = TrackerUrl::parse(base)
    else {
        return false;
    };
    let base = base.split_once('#').map_or(base, |(base, _)| base);
    let path = tail.split('?').next().unwrap_or_default();
    let Some(last) = path.rfind('/').map(|slash| base.len() - tail.len() + slash + 1) else {
        return false;
    };
    match base.split_at_checked(last) {
        Some((front, end)) if end.starts_with(ANNOUNCE) => {
            let end = end.get(ANNOUNCE.len()..).unwrap_or_default();
            begin(&format!("{front}scrape{end}"), login, out);
            pair(out, "info_hash", info_hash.as_bytes());
            true
        }
        _ => false,
    }
}

/// The URL without fragment, with the login, and with the mark that another pair may follow.
fn begin(base: &str, login: Option<(&str, &str)>, out: &mut Vec<u8>) {
    let base = base.split_once('#').map_or(base, |(base, _)| base);
    let (scheme, rest) = base.split_once("://").unwrap_or(("http", base));
    out.extend_from_slice(scheme.as_bytes());
    out.extend_from_slice(b"://");
    let place = rest.split(['/', '?']).next().unwrap_or_default();
    if let Some((name, password)) = login
        && !place.contains('@')
    {
        escape(name.as_bytes(), out);
        out.push(b':');
        escape(password.as_bytes(), out);
        out.push(b'@');
    }
    out.extend_from_slice(rest.as_bytes());
    match rest.split_once('?') {
        None => out.push(b'?'),
        Some((_, query)) if query.is_empty() || query.ends_with('&') => (),
        Some(_) => out.push(b'&'),
    }
}

/// `name=value`, after whatever stands there.
fn pair(out: &mut Vec<u8>, name: &str, value: &[u8]) {
    if !matches!(out.last(), Some(b'?' | b'&')) {
        out.push(b'&');
    }
    out.extend_from_slice(name.as_bytes());
    out.push(b'=');
    escape(value, out);
}

/// Appends bytes as part of a URL: everything escaped but RFC 3986's unreserved characters.
pub fn escape(bytes: &[u8], out: &mut Vec<u8>) {
    let digit = |half: u8| if half < 10 { b'0' + half } else { b'A' + half - 10 };
    for &byte in bytes {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            out.push(byte);
        } else {
            out.extend_from_slice(&[b'%', digit(byte >> 4), digit(byte & 0xf)]);
        }
    }
}

/// Reads the answer to an announce; of the peers the first `most`. What follows the dictionary is passed over, as is a
/// field of the wrong kind. Peers that are named and not numbered are passed over, too: a tracker is not to have us look
/// up names.
///
/// # Errors
///
/// [`HttpError`].
pub fn announce_reply(body: &[u8], most: usize) -> Result<AnnounceReply, HttpError> {
    let mut reply = AnnounceReply {
        interval: None,
        min_interval: None,
        counts: Counts::default(),
        tracker_id: None,
        warning: None,
        external_ip: None,
        peers: Vec::new(),
    };
    let (mut peers4, mut peers6) = (None, None);
    for (key, value) in answer(body)?.as_dict().into_iter().flatten() {
        match key {
            b"interval" => reply.interval = number(value),
            b"min interval" => reply.min_interval = number(value),
            b"complete" => reply.counts.complete = number(value),
            b"incomplete" => reply.counts.incomplete = number(value),
            b"downloaded" => reply.counts.downloaded = number(value),
            b"downloaders" => reply.counts.downloaders = number(value),
            b"tracker id" => reply.tracker_id = value.as_bytes().filter(|id| id.len() <= 256).map(<[u8]>::to_vec),
            b"warning message" => reply.warning = value.as_bytes().map(text),
            b"external ip" => reply.external_ip = value.as_bytes().and_then(packed_ip),
            b"peers" => peers4 = Some(value),
            b"peers6" => peers6 = Some(value),
            _ => (),
        }
    }
    if reply.interval.is_none() && peers4.is_none() && peers6.is_none() {
        return Err(HttpError::Shape);
    }
    let strings = [peers4, peers6].map(|peers| peers.and_then(Value::as_bytes).unwrap_or_default());
    reply.peers.extend(compact::peers4(strings[0]).take(most));
    let listed = peers4.into_iter().chain(peers6).filter_map(Value::as_list).flatten();
    let room = most.saturating_sub(reply.peers.len());
    reply
        .peers
        .extend(compact::peers6(strings[1]).chain(listed.filter_map(peer)).take(room));
    Ok(reply)
}

/// Reads the answer to a scrape. All is `None` if the tracker does not know the torrent.
///
/// # Errors
///
/// [`HttpError`].
pub fn scrape_reply(body: &[u8], info_hash: &InfoHash) -> Result<Counts, HttpError> {
    let files = answer(body)?.get(b"files").and_then(Value::as_dict);
    let mut counts = Counts::default();
    let swarm = files.ok_or(HttpError::Shape)?.get(info_hash.as_bytes());
    for (key, value) in swarm.and_then(Value::as_dict).into_iter().flatten() {
        match key {
            b"complete" => counts.complete = number(value),
            b"incomplete" => counts.incomplete = number(value),
            b"downloaded" => counts.downloaded = number(value),
            b"downloaders" => counts.downloaders = number(value),
            _ => (),
        }
    }
    Ok(counts)
}

/// The dictionary, unless it is a refusal.
fn answer(body: &[u8]) -> Result<Value<'_>, HttpError> {
    let (value, _) = bencode::decode_prefix(body, &LIMITS).map_err(HttpError::Bencode)?;
    value.as_dict().ok_or(HttpError::Shape)?;
    let Some(reason) = value.get(b"failure reason") else {
        return Ok(value);
    };
    Err(HttpError::Refused {
        reason: reason.as_bytes().map(text).unwrap_or_default(),
        retry: value.get(b"retry in").and_then(retry),
    })
}

/// Minutes, as a number or as text, or `never`.
fn retry(value: Value<'_>) -> Option<Retry> {
    match value.as_bytes() {
        Some(b"never") => Some(Retry::Never),
        Some(digits) => str::from_utf8(digits).ok()?.parse().ok().map(Retry::Minutes),
        None => number(value).map(Retry::Minutes),
    }
}

/// A count that makes sense.
fn number(value: Value<'_>) -> Option<u32> {
    value.as_int().and_then(|number| u32::try_from(number).ok())
}

/// 4 or 16 bytes.
fn packed_ip(bytes: &[u8]) -> Option<IpAddr> {
    let four = <[u8; 4]>::try_from(bytes).map(IpAddr::from);
    four.or_else(|_| <[u8; 16]>::try_from(bytes).map(IpAddr::from)).ok()
}

/// A peer as BEP 3 has it, or, as some trackers list them, a compact one.
fn peer(value: Value<'_>) -> Option<SocketAddr> {
    if let Some(bytes) = value.as_bytes() {
        return compact::peer(bytes);
    }
    let ip = value.get(b"ip")?.as_bytes()?;
    let port = u16::try_from(value.get(b"port")?.as_int()?).ok()?;
    Some(SocketAddr::new(str::from_utf8(ip).ok()?.parse().ok()?, port))
}
