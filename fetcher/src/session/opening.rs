//! How a talk begins: the handshake, then the extended handshake, each way.

use std::net::IpAddr;

use wire::extended::{self, ExtendedHandshake};
use wire::handshake::{self, Handshake, may_become_handshake};
use wire::message::extended_frame;
use wire::{InfoHash, PeerId};

use super::{LT_MAX, Said, Session};
use crate::Failure;
use crate::config::Extensions;

/// What we say of ourselves to a peer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Greeting<'a> {
    /// Our name and version.
    pub(crate) client: &'a str,
    /// The port on which we listen, if we do.
    pub(crate) port: Option<u16>,
    /// The peer's address as we see it.
    pub(crate) your_ip: IpAddr,
    /// Bytes of the info dictionary, if we have it.
    pub(crate) metadata_size: Option<usize>,
}

/// What a peer has for us.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Offer {
    /// Metadata of this many bytes, from 1 to our limit.
    Size(u32),
    /// Metadata of a size that its first part will tell: see [`Session::probe`].
    Unsized,
    /// Nothing.
    Nothing(Failure),
}

/// What the peer's extended handshake said. Numbers are those that messages *to* the peer carry; those from it carry ours
/// (BEP 10; crawlers F3). 0 is none.
#[derive(Clone, Copy, Debug)]
pub(super) struct Theirs {
    pub(super) ut_metadata: u8,
    pub(super) lt_metadata: u8,
    pub(super) ut_pex: u8,
    pub(super) ut_holepunch: u8,
    /// Bytes of the info dictionary; `None` if it has none, or has not told.
    pub(super) size: Option<u32>,
    /// We ask by `ut_metadata`, and not by `LT_metadata`.
    pub(super) by_ut: bool,
    pub(super) port: Option<u16>,
    pub(super) your_ip: Option<IpAddr>,
}

impl Session {
    /// Our first words. Nothing if it is not known yet what the talk is about.
    pub(crate) fn greet(&self, peer_id: PeerId, out: &mut Vec<u8>) {
        if let Some(info_hash) = self.info_hash {
            Handshake::new(info_hash, peer_id).with_extended().encode(out);
        }
    }

    /// Our extended handshake, once the peer's handshake has shown that it will be understood. Waiting for that costs no
    /// round trip: the peer's own comes with its handshake, and our requests go out with this.
    pub(crate) fn extend(&self, greeting: Greeting<'_>, out: &mut Vec<u8>) {
        let offered = |number: u8| Some(number).filter(|&number| number != 0);
        let ours = ExtendedHandshake {
            ut_metadata: offered(self.ours.ut_metadata),
            lt_metadata: offered(self.ours.lt_metadata),
            ut_pex: offered(self.ours.ut_pex),
            ut_holepunch: offered(self.ours.ut_holepunch),
            metadata_size: greeting.metadata_size.and_then(|size| size.try_into().ok()),
            port: greeting.port,
            your_ip: Some(greeting.your_ip),
            version: Some(greeting.client.as_bytes()),
            ..ExtendedHandshake::default()
        };
        extended_frame(out, extended::HANDSHAKE, |payload| ours.encode(payload));
    }
}

/// Collects the 68 bytes, and gives up at the first that cannot be right instead of waiting for those that never come.
pub(super) fn hear_handshake(
    partial: &mut Vec<u8>,
    wanted: Option<InfoHash>,
    input: &mut &[u8],
) -> Result<Option<Said<'static>>, Failure> {
    let missing = handshake::LEN.saturating_sub(partial.len());
    let (taken, rest) = input.split_at_checked(missing).unwrap_or((*input, &[]));
    partial.extend_from_slice(taken);
    *input = rest;
    if !may_become_handshake(partial) {
        return Err(Failure::NotBitTorrent);
    }
    let Ok(whole) = partial.as_slice().try_into() else {
        return Ok(None);
    };
    let theirs = Handshake::decode(whole).map_err(|_| Failure::NotBitTorrent)?;
    if wanted.is_some_and(|wanted| wanted != theirs.info_hash) {
        return Err(Failure::WrongInfoHash);
    }
    if wanted.is_some() && !theirs.supports_extended() {
        return Err(Failure::NoExtensions);
    }
    Ok(Some(Said::Handshake {
        info_hash: theirs.info_hash,
        extended: theirs.supports_extended(),
    }))
}

/// The first extended handshake says whether there is anything to ask for. Later ones may move a number or take it back
/// (BEP 10), but not change the size.
pub(super) fn hear_extended(
    theirs: &mut Option<Theirs>,
    ours: Extensions,
    max_metadata: u32,
    payload: &[u8],
) -> Result<Said<'static>, Failure> {
    let said = ExtendedHandshake::decode(payload).map_err(|_| Failure::Malformed)?;
    let Some(known) = theirs else {
        let by_ut = ours.ut_metadata != 0 && said.ut_metadata.is_some_and(|number| number != 0);
        let mut first = Theirs {
            ut_metadata: said.ut_metadata.unwrap_or(0),
            lt_metadata: said.lt_metadata.unwrap_or(0),
            ut_pex: said.ut_pex.unwrap_or(0),
            ut_holepunch: said.ut_holepunch.unwrap_or(0),
            size: None,
            by_ut,
            port: said.port.filter(|&port| port != 0),
            your_ip: said.your_ip,
        };
        let offer = first.offer(ours, said.metadata_size, max_metadata);
        *theirs = Some(first);
        return Ok(Said::Extended(offer));
    };
    known.ut_metadata = said.ut_metadata.unwrap_or(known.ut_metadata);
    known.lt_metadata = said.lt_metadata.unwrap_or(known.lt_metadata);
    known.ut_pex = said.ut_pex.unwrap_or(known.ut_pex);
    known.ut_holepunch = said.ut_holepunch.unwrap_or(known.ut_holepunch);
    if let Some(size) = known.size {
        let number = if known.by_ut {
            known.ut_metadata
        } else {
            known.lt_metadata
        };
        if number == 0 {
            return Err(Failure::NoUtMetadata);
        }
        if said.metadata_size.is_some_and(|said| said != i64::from(size)) {
            return Err(Failure::SizeMismatch);
        }
    }
    Ok(Said::Nothing)
}

impl Theirs {
    /// What the peer has for us, given the size that it claims; keeps that if we accept it.
    fn offer(&mut self, ours: Extensions, claimed: Option<i64>, max_metadata: u32) -> Offer {
        let by_lt = ours.lt_metadata != 0 && self.lt_metadata != 0;
        let offer = match claimed {
            _ if !self.by_ut && !by_lt => Err(Failure::NoUtMetadata),
            Some(claimed) => self.claims(claimed, max_metadata).map(Offer::Size),
            None if self.by_ut => Err(Failure::NoSize),
            None => Ok(Offer::Unsized),
        };
        offer.unwrap_or_else(Offer::Nothing)
    }

    /// Keeps the size that the peer claims, if we accept it.
    pub(super) fn claims(&mut self, claimed: i64, max_metadata: u32) -> Result<u32, Failure> {
        if claimed <= 0 {
            return Err(Failure::BadSize);
        }
        let most = if self.by_ut {
            max_metadata
        } else {
            max_metadata.min(LT_MAX)
        };
        let size = u32::try_from(claimed).ok().filter(|&size| size <= most);
        let size = size.ok_or(Failure::TooLarge)?;
        self.size = Some(size);
        Ok(size)
    }
}
