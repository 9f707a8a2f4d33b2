//! `retries.csv`: infohashes that wait for another round, with what the next round needs to know. Replaced whole, again
//! and again: it is a snapshot, not a record of what happened.

use std::io::{BufRead, Write};
use std::net::SocketAddr;

use wire::compact::Contact;
use wire::{InfoHash, NodeId};

use crate::line::{self, Fault, ReadError, Rows};

/// The first line, without its newline.
pub const HEADER: &str = "infohash,next,tries,last,peers,spare,asked";

/// Peers written of one infohash at the most, so that a line stays below [`LINE_MAX`](crate::LINE_MAX).
const MAX_PEERS: usize = 1_000;
/// Nodes written in one column at the most.
const MAX_NODES: usize = 8;

/// One line of the table.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Row {
    /// The infohash.
    pub info_hash: InfoHash,
    /// Not before this time, Unix seconds.
    pub next: u64,
    /// Rounds that failed so far.
    pub tries: u8,
    /// How the last of them ended: a short name without commas or quotes.
    pub last: String,
    /// Peers named so far; the first thousand of them.
    pub peers: Vec<SocketAddr>,
    /// Nodes that may hold it and were not asked; the first eight of them.
    pub spare: Vec<Contact>,
    /// Nodes that were asked; the first eight of them.
    pub asked: Vec<SocketAddr>,
}

/// Appends one row.
pub fn put_row(row: &Row, out: &mut Vec<u8>) {
    // Writing to a Vec cannot fail.
    let _ = write!(out, "{},{},{},", row.info_hash, row.next, row.tries);
    line::put_field(&row.last, out);
    out.push(b',');
    put_list(row.peers.iter().take(MAX_PEERS), out);
    out.push(b',');
    let spare = row.spare.iter().take(MAX_NODES);
    put_list(spare.map(|node| format!("{}@{}", node.id, node.addr)), out);
    out.push(b',');
    put_list(row.asked.iter().take(MAX_NODES), out);
    out.push(b'\n');
}

/// Reads the table. A bad line is an error with its number, and reading goes on after it.
pub fn rows<R: BufRead>(input: R) -> impl Iterator<Item = Result<Row, ReadError>> {
    Rows::new(input, HEADER, parse)
}

fn put_list(items: impl Iterator<Item = impl std::fmt::Display>, out: &mut Vec<u8>) {
    for (index, item) in items.enumerate() {
        let before = if index == 0 { "" } else { " " };
        let _ = write!(out, "{before}{item}");
    }
}

fn parse(text: &str) -> Result<Row, Fault> {
    let [info_hash, next, tries, last, peers, spare, asked] = line::split::<7>(text)?;
    let column = "tries";
    let tries = line::number(&tries, column)?;
    Ok(Row {
        info_hash: line::info_hash(&info_hash)?,
        next: line::number(&next, "next")?,
        tries: u8::try_from(tries).map_err(|_| Fault::Number { column })?,
        last: last.into_owned(),
        peers: list(&peers, "peers", MAX_PEERS, |item| item.parse().ok())?,
        spare: list(&spare, "spare", MAX_NODES, contact)?,
        asked: list(&asked, "asked", MAX_NODES, |item| item.parse().ok())?,
    })
}

fn list<T>(text: &str, column: &'static str, most: usize, parse: impl Fn(&str) -> Option<T>) -> Result<Vec<T>, Fault> {
    let items = text.split_ascii_whitespace().take(most);
    items.map(|item| parse(item).ok_or(Fault::List { column })).collect()
}

fn contact(text: &str) -> Option<Contact> {
    let (id, addr) = text.split_once('@')?;
    Some(Contact {
        id: NodeId::from_hex(id).ok()?,
        addr: addr.parse().ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn row() -> Row {
        Row {
            info_hash: InfoHash::new([7; 20]),
            next: 1_700_000_000,
            tries: 2,
            last: "unreachable".to_owned(),
            peers: vec!["192.0.2.7:6881".parse().unwrap(), "[2001:db8::1]:1".parse().unwrap()],
            spare: vec![Contact {
                id: NodeId::new([9; 20]),
                addr: "[::1]:5".parse().unwrap(),
            }],
            asked: Vec::new(),
        }
    }

    #[test]
    fn a_row_says_what_the_next_round_needs() {
        let mut text = Vec::new();
        put_row(&row(), &mut text);
        let text = String::from_utf8(text).unwrap();
        let (hash, id) = ("07".repeat(20), "09".repeat(20));
        assert_eq!(
            text,
            format!("{hash},1700000000,2,unreachable,192.0.2.7:6881 [2001:db8::1]:1,{id}@[::1]:5,\n")
        );
        assert_eq!(rows(text.as_bytes()).next().unwrap().unwrap(), row());
    }

    #[test]
    fn the_longest_row_is_a_line_that_a_reader_takes() {
        let longest: SocketAddr = "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535".parse().unwrap();
        let node = Contact {
            id: NodeId::new([255; 20]),
            addr: longest,
        };
        let row = Row {
            peers: vec![longest; 2_000],
            spare: vec![node; 20],
            asked: vec![longest; 20],
            ..row()
        };
        let mut text = Vec::new();
        put_row(&row, &mut text);
        let read = rows(&text[..]).next().unwrap().unwrap();
        assert_eq!((read.peers.len(), read.spare.len(), read.asked.len()), (1_000, 8, 8));
    }

    proptest! {
        #[test]
        fn rows_round_trip(next: u64, tries: u8, last in "[a-z_]{0,20}",
                           peers: Vec<(std::net::Ipv4Addr, u16)>, spare: Vec<([u8; 20], u16)>) {
            let asked: Vec<SocketAddr> = peers.iter().map(|&peer| peer.into()).collect();
            let spare = spare.iter().map(|&(id, port)| Contact { id: NodeId::new(id), addr: ([1, 2, 3, 4], port).into() });
            let row = Row {
                next, tries, last, peers: asked.clone(), spare: spare.take(MAX_NODES).collect(),
                asked: asked.into_iter().take(MAX_NODES).collect(), ..row()
            };
            let mut text = Vec::new();
            put_row(&row, &mut text);
            prop_assert_eq!(rows(&text[..]).next().unwrap().unwrap(), row);
        }
    }
}
