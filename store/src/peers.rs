//! `peers.csv`: who has an infohash. The first step of the two-step pipeline writes it, the second reads it.

use std::io::BufRead;
use std::net::SocketAddr;

use wire::InfoHash;

use crate::form::{self, Form};
use crate::line::{self, Fault, ReadError, Rows};
use crate::metadata::put_peer;

/// The first line, without its newline. Written only to a new file: the table is appended to.
pub const HEADER: &str = "infohash,peer_ip,peer_port";

/// The table, to be continued.
pub const FORM: Form = Form {
    header: HEADER,
    begins: HEADER,
    done: |row| form::named(row, |_| false),
};

/// One line of the table.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Row {
    /// The infohash.
    pub info_hash: InfoHash,
    /// One who is said to have it.
    pub peer: SocketAddr,
}

/// Appends one row for each of `peers`, so that an infohash can be written in one piece.
pub fn put_block(info_hash: InfoHash, peers: &[SocketAddr], out: &mut Vec<u8>) {
    let left = info_hash.to_string();
    for peer in peers {
        out.extend_from_slice(left.as_bytes());
        out.push(b',');
        put_peer(peer, out);
        out.push(b'\n');
    }
}

/// Reads the table: with or without its header, `\n` or `\r\n`. A bad line is an error with its number, and reading
/// goes on after it.
pub fn rows<R: BufRead>(input: R) -> impl Iterator<Item = Result<Row, ReadError>> {
    Rows::new(input, HEADER, parse)
}

fn parse(text: &str) -> Result<Row, Fault> {
    let [info_hash, ip, port] = line::split::<3>(text)?;
    Ok(Row {
        info_hash: line::info_hash(&info_hash)?,
        peer: line::address(&ip, &port)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_file_of_two_runs_reads_as_one() {
        let hash = InfoHash::new([7; 20]);
        let text = format!("{HEADER}\n{hash},1.2.3.4,5\n{HEADER}\n{hash},::1,6\n{hash},::1\n");
        let read: Vec<_> = rows(text.as_bytes()).collect();
        assert_eq!(read.len(), 3);
        assert_eq!(read[1].as_ref().unwrap().peer, "[::1]:6".parse().unwrap());
        assert!(matches!(
            read[2],
            Err(ReadError::Row {
                line: 5,
                fault: Fault::Columns { found: 2, want: 3 }
            })
        ));
    }

    proptest! {
        #[test]
        fn blocks_round_trip(hash: [u8; 20], peers: Vec<(std::net::IpAddr, u16)>) {
            let hash = InfoHash::new(hash);
            let peers: Vec<SocketAddr> = peers.iter().map(|&(ip, port)| SocketAddr::new(ip, port.max(1))).collect();
            let mut text = Vec::new();
            put_block(hash, &peers, &mut text);
            let read: Vec<Row> = rows(&text[..]).collect::<Result<_, _>>().unwrap();
            prop_assert!(read.iter().all(|row| row.info_hash == hash));
            prop_assert_eq!(read.iter().map(|row| row.peer).collect::<Vec<_>>(), peers);
        }
    }
}
