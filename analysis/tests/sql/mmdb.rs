//! A MaxMind file made here, since those of MaxMind may not be handed on: the tree of addresses, the records, the description
//! (MaxMind DB format 2.0).

use std::net::Ipv4Addr;

/// What a record is made of.
pub(crate) enum Data {
    Text(&'static str),
    Number(u32),
    Map(Vec<(&'static str, Self)>),
}

/// A file that knows these networks: address, length of the prefix, record.
pub(crate) fn file(networks: &[(Ipv4Addr, u8, Data)]) -> Vec<u8> {
    // Each node: where to go for a bit that is 0, and for one that is 1; nothing known yet.
    let mut nodes: Vec<[Option<Place>; 2]> = vec![[None, None]];
    let mut records = Vec::new();
    for (network, length, record) in networks {
        let bits = u32::from(*network);
        let mut at = 0;
        for depth in 0..*length {
            let bit = (bits >> (31 - depth) & 1) as usize;
            if depth + 1 == *length {
                nodes[at][bit] = Some(Place::Record(records.len()));
            } else if let Some(Place::Node(next)) = nodes[at][bit] {
                at = next;
            } else {
                nodes.push([None, None]);
                let next = nodes.len() - 1;
                nodes[at][bit] = Some(Place::Node(next));
                at = next;
            }
        }
        put(record, &mut records);
    }
    let count = nodes.len();
    let mut out = Vec::new();
    for place in nodes.iter().flatten() {
        let number = match place {
            None => count,
            Some(Place::Node(next)) => *next,
            Some(Place::Record(offset)) => count + 16 + offset,
        };
        out.extend_from_slice(&(number as u32).to_be_bytes()[1..]);
    }
    out.extend_from_slice(&[0; 16]);
    out.extend_from_slice(&records);
    out.extend_from_slice(b"\xab\xcd\xefMaxMind.com");
    describe(count, &mut out);
    out
}

enum Place {
    Node(usize),
    Record(usize),
}

fn put(data: &Data, out: &mut Vec<u8>) {
    match data {
        Data::Text(text) => {
            // From 29 bytes on the length has a byte of its own.
            out.push(2 << 5 | text.len().min(29) as u8);
            if let Some(more) = text.len().checked_sub(29) {
                out.push(more as u8);
            }
            out.extend_from_slice(text.as_bytes());
        }
        Data::Number(number) => {
            out.push(6 << 5 | 4);
            out.extend_from_slice(&number.to_be_bytes());
        }
        Data::Map(pairs) => {
            out.push(7 << 5 | pairs.len() as u8);
            for (key, value) in pairs {
                put(&Data::Text(key), out);
                put(value, out);
            }
        }
    }
}

fn describe(count: usize, out: &mut Vec<u8>) {
    let short = |number: u16, out: &mut Vec<u8>| {
        out.push(5 << 5 | 2);
        out.extend_from_slice(&number.to_be_bytes());
    };
    out.push(7 << 5 | 9);
    for (key, number) in [
        ("binary_format_major_version", 2),
        ("binary_format_minor_version", 0),
        ("ip_version", 4),
        ("record_size", 24),
    ] {
        put(&Data::Text(key), out);
        short(number, out);
    }
    put(&Data::Text("node_count"), out);
    put(&Data::Number(count as u32), out);
    put(&Data::Text("database_type"), out);
    put(&Data::Text("Test"), out);
    put(&Data::Text("description"), out);
    put(&Data::Map(Vec::new()), out);
    put(&Data::Text("languages"), out);
    // An array (11) without items, a 64-bit number (9) of no bytes, which is 0.
    out.extend_from_slice(&[0, 11 - 7]);
    put(&Data::Text("build_epoch"), out);
    out.extend_from_slice(&[0, 9 - 7]);
}
