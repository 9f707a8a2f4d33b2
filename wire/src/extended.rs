//! The first message of the extension protocol: who understands what, under which number (BEP 10).
//!
//! The numbers in `m` are the *sender's*: messages to it carry them. What it sends to us carries the numbers that we gave.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use thiserror::Error;

use crate::bencode::{self, BencodeError, Dict, Encoder, Limits, Value};
use crate::lt_metadata;

/// The extension number of the handshake itself.
pub const HANDSHAKE: u8 = 0;

/// Real handshakes nest two deep and have fewer than a hundred tokens.
const LIMITS: Limits = Limits {
    depth: 16,
    tokens: 4_000,
};

/// Why bytes are no extended handshake.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum ExtendedError {
    /// They do not begin with bencode.
    #[error("extended handshake: {0}")]
    Bencode(#[from] BencodeError),
    /// They begin with something else than a dictionary.
    #[error("extended handshake: not a dictionary")]
    NotDict,
}

/// What a peer says of itself. Every entry is optional on the wire; one of the wrong kind or out of range counts as
/// absent, for clients differ in the ones that matter least.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct ExtendedHandshake<'a> {
    /// Number for `ut_metadata` messages to the sender (BEP 9); 0 takes an earlier offer back.
    pub ut_metadata: Option<u8>,
    /// Number for `LT_metadata` messages to the sender (see [`lt_metadata`](crate::lt_metadata)); 0 takes an earlier
    /// offer back.
    pub lt_metadata: Option<u8>,
    /// Number for `ut_holepunch` messages to the sender (BEP 55); 0 takes an earlier offer back.
    pub ut_holepunch: Option<u8>,
    /// Number for `ut_pex` messages to the sender (BEP 11); 0 takes an earlier offer back.
    pub ut_pex: Option<u8>,
    /// Bytes of the info dictionary, as claimed: any number at all (BEP 9).
    pub metadata_size: Option<i64>,
    /// Client name and version (`v`), meant to be UTF-8.
    pub version: Option<&'a [u8]>,
    /// TCP port on which the sender listens (`p`).
    pub port: Option<u16>,
    /// Requests that the sender queues before it drops some (`reqq`).
    pub request_queue: Option<u32>,
    /// Our address as the sender sees it (`yourip`).
    pub your_ip: Option<IpAddr>,
    /// The sender's IPv4 address (`ipv4`), if it is also reached that way.
    pub ipv4: Option<Ipv4Addr>,
    /// The sender's IPv6 address (`ipv6`), if it is also reached that way.
    pub ipv6: Option<Ipv6Addr>,
    /// The sender wants nothing (`upload_only`, BEP 21).
    pub upload_only: bool,
}

impl<'a> ExtendedHandshake<'a> {
    /// Reads the payload of extended message 0. Bytes after the dictionary are ignored.
    ///
    /// # Errors
    ///
    /// [`ExtendedError`] if there is no dictionary at the start.
    pub fn decode(payload: &'a [u8]) -> Result<Self, ExtendedError> {
        let mut this = Self::default();
        for (key, value) in dict(payload)? {
            match key {
                b"ipv4" => this.ipv4 = array(value).map(Ipv4Addr::from),
                b"ipv6" => this.ipv6 = array(value).map(Ipv6Addr::from),
                b"m" => {
                    this.lt_metadata = number(value.get(lt_metadata::NAME));
                    this.ut_holepunch = number(value.get(b"ut_holepunch"));
                    this.ut_metadata = number(value.get(b"ut_metadata"));
                    this.ut_pex = number(value.get(b"ut_pex"));
                }
                b"metadata_size" => this.metadata_size = value.as_int(),
                b"p" => this.port = number(Some(value)),
                b"reqq" => this.request_queue = number(Some(value)),
                b"upload_only" => this.upload_only = value.as_int().is_some_and(|flag| flag != 0),
                b"v" => this.version = value.as_bytes(),
                b"yourip" => {
                    let v4 = array::<4>(value).map(IpAddr::from);
                    this.your_ip = v4.or_else(|| array::<16>(value).map(IpAddr::from));
                }
                _ => {}
            }
        }
        Ok(this)
    }

    /// Appends the payload of extended message 0, without the message's head.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let mut to = Encoder::new(out);
        to.begin_dict();
        if let Some(ip) = self.ipv4 {
            to.key(b"ipv4").bytes(&ip.octets());
        }
        if let Some(ip) = self.ipv6 {
            to.key(b"ipv6").bytes(&ip.octets());
        }
        to.key(b"m").begin_dict();
        put_int(&mut to, lt_metadata::NAME, self.lt_metadata);
        put_int(&mut to, b"ut_holepunch", self.ut_holepunch);
        put_int(&mut to, b"ut_metadata", self.ut_metadata);
        put_int(&mut to, b"ut_pex", self.ut_pex);
        to.end();
        put_int(&mut to, b"metadata_size", self.metadata_size);
        put_int(&mut to, b"p", self.port);
        put_int(&mut to, b"reqq", self.request_queue);
        put_int(&mut to, b"upload_only", self.upload_only.then_some(1));
        if let Some(version) = self.version {
            to.key(b"v").bytes(version);
        }
        match self.your_ip {
            Some(IpAddr::V4(ip)) => to.key(b"yourip").bytes(&ip.octets()),
            Some(IpAddr::V6(ip)) => to.key(b"yourip").bytes(&ip.octets()),
            None => &mut to,
        };
        to.end();
    }
}

/// Every extension that a handshake offers, by name, with the sender's number for it; those it takes back with 0.
///
/// # Errors
///
/// As [`ExtendedHandshake::decode`].
pub fn extensions(payload: &[u8]) -> Result<impl Iterator<Item = (&[u8], u8)>, ExtendedError> {
    let offered = dict(payload)?.get(b"m").and_then(Value::as_dict);
    let pairs = offered.into_iter().flatten();
    Ok(pairs.filter_map(|(name, value)| Some((name, number(Some(value))?))))
}

fn dict(payload: &[u8]) -> Result<Dict<'_>, ExtendedError> {
    let (value, _) = bencode::decode_prefix(payload, &LIMITS)?;
    value.as_dict().ok_or(ExtendedError::NotDict)
}

fn number<T: TryFrom<i64>>(value: Option<Value<'_>>) -> Option<T> {
    value?.as_int()?.try_into().ok()
}

fn array<const N: usize>(value: Value<'_>) -> Option<[u8; N]> {
    value.as_bytes()?.try_into().ok()
}

fn put_int<T: Into<i64>>(to: &mut Encoder<'_>, key: &[u8], value: Option<T>) {
    if let Some(value) = value {
        to.key(key).int(value.into());
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn encoded(handshake: &ExtendedHandshake<'_>) -> Vec<u8> {
        let mut out = Vec::new();
        handshake.encode(&mut out);
        out
    }

    #[test]
    fn a_fetcher_says_little() {
        let ours = ExtendedHandshake {
            ut_metadata: Some(1),
            ..ExtendedHandshake::default()
        };
        assert_eq!(encoded(&ours), b"d1:md11:ut_metadatai1eee");
    }

    #[test]
    fn what_a_common_client_sends_is_understood() {
        let payload = b"d1:ei0e4:ipv44:\x01\x02\x03\x0412:complete_agoi-1e1:md11:upload_onlyi3e11:ut_metadatai2e\
            6:ut_pexi1ee13:metadata_sizei34256e1:pi6881e4:reqqi500e1:v6:Client6:yourip4:\x7f\0\0\x01e";
        let said = ExtendedHandshake::decode(payload).unwrap();
        assert_eq!(said.ut_metadata, Some(2));
        assert_eq!(said.ut_pex, Some(1));
        assert_eq!(said.metadata_size, Some(34_256));
        assert_eq!(said.version, Some(&b"Client"[..]));
        assert_eq!(said.port, Some(6881));
        assert_eq!(said.request_queue, Some(500));
        assert_eq!(said.your_ip, Some(IpAddr::from([127, 0, 0, 1])));
        assert_eq!(said.ipv4, Some(Ipv4Addr::new(1, 2, 3, 4)));
        let offered: Vec<_> = extensions(payload).unwrap().collect();
        assert_eq!(offered, [(&b"upload_only"[..], 3), (b"ut_metadata", 2), (b"ut_pex", 1)]);
    }

    #[test]
    fn entries_of_the_wrong_kind_or_range_count_as_absent() {
        let payload = b"d1:md11:ut_metadatai256e6:ut_pexi-1ee13:metadata_size3:big1:pi70000e6:yourip2:abe";
        assert_eq!(ExtendedHandshake::decode(payload), Ok(ExtendedHandshake::default()));
        assert_eq!(ExtendedHandshake::decode(b"d1:mlee"), Ok(ExtendedHandshake::default()));
    }

    #[test]
    fn an_offer_taken_back_is_not_an_absent_one() {
        let said = ExtendedHandshake::decode(b"d1:md11:ut_metadatai0eee").unwrap();
        assert_eq!(said.ut_metadata, Some(0));
    }

    #[test]
    fn a_hostile_size_is_only_a_number_here() {
        let said = ExtendedHandshake::decode(b"d13:metadata_sizei-9223372036854775808ee").unwrap();
        assert_eq!(said.metadata_size, Some(i64::MIN));
    }

    #[test]
    fn bytes_after_the_dictionary_are_ignored() {
        assert!(ExtendedHandshake::decode(b"d1:mdee\0\0").is_ok());
    }

    #[test]
    fn what_is_no_dictionary_is_refused() {
        assert_eq!(ExtendedHandshake::decode(b"le"), Err(ExtendedError::NotDict));
        assert!(matches!(
            ExtendedHandshake::decode(b"d1:m"),
            Err(ExtendedError::Bencode(_))
        ));
        let deep = [b"d1:m".as_slice(), &[b'l'; 5_000]].concat();
        assert!(matches!(
            ExtendedHandshake::decode(&deep),
            Err(ExtendedError::Bencode(_))
        ));
    }

    proptest! {
        #[test]
        fn every_handshake_round_trips(
            extensions: [Option<u8>; 4], metadata_size: Option<i64>, version: Option<[u8; 5]>,
            port: Option<u16>, request_queue: Option<u32>, your_ip: Option<IpAddr>, ipv4: Option<Ipv4Addr>,
            ipv6: Option<Ipv6Addr>, upload_only: bool,
        ) {
            let [ut_metadata, lt_metadata, ut_holepunch, ut_pex] = extensions;
            let version = version.as_ref().map(<[u8; 5]>::as_slice);
            let said = ExtendedHandshake {
                ut_metadata, lt_metadata, ut_holepunch, ut_pex, metadata_size, version, port, request_queue, your_ip,
                ipv4, ipv6, upload_only,
            };
            let bytes = encoded(&said);
            prop_assert_eq!(ExtendedHandshake::decode(&bytes), Ok(said));
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            crate::fuzz::extended(&bytes);
        }
    }
}
