//! The fuzzed properties, from inputs that proptest draws.

use proptest::prelude::*;

use super::*;

/// What follows the transaction in answers of all kinds, sound and broken.
fn body() -> impl Strategy<Value = Vec<u8>> {
    let id = any::<[u8; 20]>();
    let reply = (id, proptest::collection::vec(any::<u8>(), 0..120)).prop_map(|(id, nodes)| {
        // Keys out of order, as some clients send them: the transaction came first.
        let mut body = b"1:y1:r1:rd2:id20:".to_vec();
        body.extend_from_slice(&id);
        body.extend_from_slice(format!("5:nodes{}:", nodes.len()).as_bytes());
        body.extend_from_slice(&nodes);
        body.extend_from_slice(b"6:valuesl6:\x7f\0\0\x04\x1a\xe1eee");
        body
    });
    prop_oneof![
        reply,
        Just(b"1:y1:e1:eli201e1:xee".to_vec()),
        proptest::collection::vec(any::<u8>(), 0..40)
    ]
}

fn query() -> impl Strategy<Value = Vec<u8>> {
    let names = prop_oneof![
        Just("ping"),
        Just("find_node"),
        Just("get_peers"),
        Just("sample_infohashes")
    ];
    (any::<[u8; 20]>(), any::<[u8; 20]>(), names).prop_map(|(id, point, name)| {
        let key = if name == "get_peers" { "9:info_hash" } else { "6:target" };
        let mut bytes = b"d1:ad2:id20:".to_vec();
        bytes.extend_from_slice(&id);
        bytes.extend_from_slice(key.as_bytes());
        bytes.extend_from_slice(b"20:");
        bytes.extend_from_slice(&point);
        bytes.extend_from_slice(format!("e1:q{}:{name}1:t2:aa1:y1:qe", name.len()).as_bytes());
        bytes
    })
}

fn step() -> impl Strategy<Value = Step> {
    let host = 0_u8..12;
    prop_oneof![
        2 => (host.clone(), proptest::collection::vec(any::<u8>(), 0..60)).prop_map(|(host, bytes)| Step::Datagram { host, bytes }),
        4 => (host.clone(), query()).prop_map(|(host, bytes)| Step::Datagram { host, bytes }),
        6 => (host.clone(), body()).prop_map(|(host, body)| Step::Answer { host, body }),
        4 => any::<u16>().prop_map(|millis| Step::Wait { millis: millis.into() }),
        3 => (host.clone(), any::<u8>()).prop_map(|(host, first)| Step::GetPeers { host, first }),
        3 => (any::<u8>(), any::<bool>()).prop_map(|(first, seed)| Step::Serve { first, seed }),
        2 => host.prop_map(|host| Step::Ask { host }),
        1 => Just(Step::Stop),
    ]
}

/// A host answers under its own id, and gives a token.
fn token(host: u8, token: &[u8]) -> Step {
    let mut body = b"1:y1:r1:rd2:id20:".to_vec();
    body.extend_from_slice(&[host; 20]);
    body.extend_from_slice(format!("5:token{}:", token.len()).as_bytes());
    body.extend_from_slice(token);
    body.extend_from_slice(b"ee");
    Step::Answer { host, body }
}

/// A torrent is served while hosts that are known by now answer, with tokens or without.
fn service() -> impl Strategy<Value = Step> {
    let host = || (1_u8..6).prop_map(|half| half * 2);
    prop_oneof![
        6 => (host(), proptest::collection::vec(any::<u8>(), 0..80)).prop_map(|(host, given)| token(host, &given)),
        1 => (host(), body()).prop_map(|(host, body)| Step::Answer { host, body }),
        2 => (any::<u8>(), any::<bool>()).prop_map(|(first, seed)| Step::Serve { first, seed }),
        1 => (host(), any::<u8>()).prop_map(|(host, first)| Step::GetPeers { host, first }),
        2 => (0_u32..1500).prop_map(|millis| Step::Wait { millis }),
    ]
}

proptest! {
    #[test]
    fn the_promises_hold_while_a_torrent_is_served(serving in proptest::collection::vec(service(), 0..60)) {
        let known = (1..6).map(|half| half * 2).flat_map(|host| [Step::Ask { host }, token(host, b"first")]);
        node(&known.chain(serving).collect::<Vec<Step>>());
    }

    #[test]
    fn the_promises_hold(steps in proptest::collection::vec(step(), 0..60)) {
        node(&steps);
    }

    #[test]
    fn the_promises_hold_for_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..1_000)) {
        node(&steps(&bytes));
    }

    #[test]
    fn any_saved_state_is_read(nodes in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..20), 0..9)) {
        let mut bytes = b"d5:nodesl".to_vec();
        for node in nodes {
            bytes.extend_from_slice(format!("{}:", node.len()).as_bytes());
            bytes.extend_from_slice(&node);
        }
        bytes.extend_from_slice(b"ee");
        saved_state(&bytes);
    }

    #[test]
    fn any_kept_ledger_is_read(records in proptest::collection::vec(any::<u8>(), 0..200), saved_at in any::<i64>()) {
        let mut bytes = format!("d5:known{}:", records.len()).into_bytes();
        bytes.extend_from_slice(&records);
        bytes.extend_from_slice(format!("8:saved-ati{saved_at}ee").as_bytes());
        kept_ledger(&bytes);
    }
}
