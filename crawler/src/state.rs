//! What a node keeps between runs (DHT-17): a bencoded dictionary of its ids and of nodes to start from.
//!
//! `node-id` is the id in the IPv4 DHT as a hex string, `node-id6` that in the IPv6 DHT, `nodes` a list of strings of
//! 6 (IPv4) or 18 (IPv6) bytes: address and port, big-endian.

use std::net::SocketAddr;

use thiserror::Error;
use wire::NodeId;
use wire::bencode::{BencodeError, Encoder, Limits, decode as decode_bencode};
use wire::compact;

/// Nodes kept; a table rarely holds more, and a longer list in a file is cut.
const MAX_NODES: usize = 2048;
/// An id string, then at most [`MAX_NODES`] addresses: far fewer tokens than this.
const LIMITS: Limits = Limits {
    depth: 8,
    tokens: 100_000,
};

/// What a node keeps between runs.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct SavedState {
    /// Our id in the IPv4 DHT.
    pub node_id: Option<NodeId>,
    /// Our id in the IPv6 DHT; another one, because BEP 42 derives ids from addresses.
    pub node_id6: Option<NodeId>,
    /// Nodes that answered us, both families.
    pub nodes: Vec<SocketAddr>,
}

/// Why a saved state cannot be read.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum StateError {
    /// Not bencode.
    #[error("the saved DHT state is damaged: {0}")]
    Bencode(#[from] BencodeError),
    /// Bencode, but not a dictionary.
    #[error("the saved DHT state is not a dictionary")]
    NotADictionary,
}

/// Writes `state` as a file is to hold it.
pub fn encode(state: &SavedState) -> Vec<u8> {
    let mut out = Vec::new();
    let mut encoder = Encoder::new(&mut out);
    encoder.begin_dict();
    for (key, id) in [(&b"node-id"[..], state.node_id), (b"node-id6", state.node_id6)] {
        if let Some(id) = id {
            encoder.key(key).bytes(id.to_string().as_bytes());
        }
    }
    encoder.key(b"nodes").begin_list();
    let mut compact_form = Vec::with_capacity(18);
    for node in state.nodes.iter().take(MAX_NODES) {
        compact_form.clear();
        compact::put_addr(node, &mut compact_form);
        encoder.bytes(&compact_form);
    }
    encoder.end().end();
    out
}

/// Reads what [`encode`] wrote. Entries that make no sense are skipped: a node or an id less is no reason to start cold.
///
/// # Errors
///
/// [`StateError`] if `bytes` is not a bencoded dictionary.
pub fn decode(bytes: &[u8]) -> Result<SavedState, StateError> {
    let value = decode_bencode(bytes, &LIMITS)?;
    let dict = value.as_dict().ok_or(StateError::NotADictionary)?;
    let id = |key: &[u8]| {
        let text = std::str::from_utf8(dict.get(key)?.as_bytes()?).ok()?;
        NodeId::from_hex(text).ok()
    };
    let nodes = dict.get(b"nodes").and_then(|nodes| nodes.as_list());
    let nodes = nodes
        .into_iter()
        .flatten()
        .filter_map(|node| compact::peer(node.as_bytes()?));
    Ok(SavedState {
        node_id: id(b"node-id"),
        node_id6: id(b"node-id6"),
        nodes: nodes.take(MAX_NODES).collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_reads_back_as_written() {
        let state = SavedState {
            node_id: Some(NodeId::new([7; 20])),
            node_id6: None,
            nodes: vec!["127.0.0.1:6881".parse().unwrap(), "[2001:db8::1]:9".parse().unwrap()],
        };
        let bytes = encode(&state);
        assert!(bytes.starts_with(b"d7:node-id40:0707"));
        assert_eq!(decode(&bytes), Ok(state));
    }

    #[test]
    fn senseless_entries_are_skipped_and_other_files_refused() {
        let bytes = b"d7:node-id3:abc5:nodesl3:abci5e6:\x7f\0\0\x01\x1a\xe1ee";
        let state = decode(bytes).unwrap();
        assert_eq!((state.node_id, state.nodes.len()), (None, 1));
        assert_eq!(decode(b"le"), Err(StateError::NotADictionary));
        assert!(matches!(decode(b"d7:nod"), Err(StateError::Bencode(_))));
    }
}
