//! `metadata.txt`, and `truth.csv`, which has its columns: what each infohash is, and who has it.

use std::io::{BufRead, Write};
use std::net::SocketAddr;

use wire::InfoHash;

use crate::form::{self, Form};
use crate::line::{self, Fault, ReadError, Rows};
use crate::name::clean;

/// The first line, without its newline.
pub const HEADER: &str = "infohash,name,file_count,total_bytes,piece_length,peer_ip,peer_port,metadata_ok";

/// The table, to be continued.
pub const FORM: Form = Form {
    header: HEADER,
    begins: HEADER,
    done: |row| form::named(row, |row| row.ends_with(b",True")),
};

/// What an info dictionary says of its torrent. Padding files (BEP 47) count in neither figure.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Torrent<'a> {
    /// Its name; [`clean`] is applied on writing.
    pub name: &'a str,
    /// Files.
    pub file_count: u64,
    /// Bytes of all files.
    pub total_bytes: u64,
    /// Bytes.
    pub piece_length: u64,
}

/// All that is known of one infohash: the rows of one block.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Entry<'a> {
    /// The infohash.
    pub info_hash: InfoHash,
    /// Its metadata, verified; `None` writes an empty name, zeros and `False`.
    pub torrent: Option<Torrent<'a>>,
    /// Its known peers, one row each; none gives one row with empty peer columns.
    pub peers: &'a [SocketAddr],
}

/// Appends the rows of `entry`, so that they can be written in one piece.
pub fn put_block(entry: &Entry<'_>, out: &mut Vec<u8>) {
    let mut left = Vec::new();
    put_torrent(
        entry.info_hash,
        entry.torrent.as_ref().unwrap_or(&NO_TORRENT),
        &mut left,
    );
    left.push(b',');
    let flag: &[u8] = if entry.torrent.is_some() { b"True\n" } else { b"False\n" };

    let peers = entry.peers.iter().map(Some);
    let nobody = entry.peers.is_empty().then_some(None);
    for peer in peers.chain(nobody) {
        out.extend_from_slice(&left);
        match peer {
            Some(peer) => put_peer(peer, out),
            None => out.push(b','),
        }
        out.push(b',');
        out.extend_from_slice(flag);
    }
}

/// What stands in the columns of an infohash without metadata.
const NO_TORRENT: Torrent<'_> = Torrent {
    name: "",
    file_count: 0,
    total_bytes: 0,
    piece_length: 0,
};

/// Appends the first five columns, which `metadata.csv` has too.
pub(crate) fn put_torrent(info_hash: InfoHash, torrent: &Torrent<'_>, out: &mut Vec<u8>) {
    let Torrent {
        name,
        file_count,
        total_bytes,
        piece_length,
    } = *torrent;
    // Writing to a Vec cannot fail.
    let _ = write!(out, "{info_hash},");
    line::put_field(&clean(name), out);
    let _ = write!(out, ",{file_count},{total_bytes},{piece_length}");
}

/// Appends `ip,port`, an IPv6 address without brackets.
pub(crate) fn put_peer(peer: &SocketAddr, out: &mut Vec<u8>) {
    // Writing to a Vec cannot fail.
    let _ = write!(out, "{},{}", peer.ip(), peer.port());
}

/// One line of the table.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Row {
    /// The infohash.
    pub info_hash: InfoHash,
    /// The torrent's name as the table has it; empty without metadata.
    pub name: String,
    /// Files; 0 without metadata.
    pub file_count: u64,
    /// Bytes of all files; 0 without metadata.
    pub total_bytes: u64,
    /// Bytes; 0 without metadata.
    pub piece_length: u64,
    /// The peer of this row; `None` if the infohash has none.
    pub peer: Option<SocketAddr>,
    /// Whether metadata was fetched and verified.
    pub metadata_ok: bool,
}

/// Reads the table: with or without its header, `\n` or `\r\n`. A bad line is an error with its number, and reading
/// goes on after it.
pub fn rows<R: BufRead>(input: R) -> impl Iterator<Item = Result<Row, ReadError>> {
    Rows::new(input, HEADER, parse)
}

fn parse(text: &str) -> Result<Row, Fault> {
    let [info_hash, name, files, bytes, piece, ip, port, ok] = line::split::<8>(text)?;
    let peer = if ip.is_empty() && port.is_empty() {
        None
    } else {
        Some(line::address(&ip, &port)?)
    };
    let metadata_ok = match ok.trim() {
        flag if flag.eq_ignore_ascii_case("true") => true,
        flag if flag.eq_ignore_ascii_case("false") => false,
        _ => return Err(Fault::Flag),
    };
    Ok(Row {
        info_hash: line::info_hash(&info_hash)?,
        name: name.into_owned(),
        file_count: line::number(&files, "file_count")?,
        total_bytes: line::number(&bytes, "total_bytes")?,
        piece_length: line::number(&piece, "piece_length")?,
        peer,
        metadata_ok,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const HASH: InfoHash = InfoHash::new([0xab; 20]);

    fn block(torrent: Option<Torrent<'_>>, peers: &[&str]) -> String {
        let peers: Vec<SocketAddr> = peers.iter().map(|peer| peer.parse().unwrap()).collect();
        let entry = Entry {
            info_hash: HASH,
            torrent,
            peers: &peers,
        };
        let mut out = Vec::new();
        put_block(&entry, &mut out);
        String::from_utf8(out).unwrap()
    }

    fn torrent(name: &str) -> Torrent<'_> {
        Torrent {
            name,
            file_count: 3,
            total_bytes: 70_000,
            piece_length: 16_384,
        }
    }

    #[test]
    fn one_row_per_peer_repeats_the_torrent() {
        assert_eq!(
            block(Some(torrent("t")), &["1.2.3.4:5", "[2001:db8::1]:6"]),
            format!("{HASH},t,3,70000,16384,1.2.3.4,5,True\n{HASH},t,3,70000,16384,2001:db8::1,6,True\n")
        );
    }

    #[test]
    fn no_peer_is_one_row_with_empty_peer_columns() {
        assert_eq!(block(None, &[]), format!("{HASH},,0,0,0,,,False\n"));
        assert_eq!(block(None, &["1.2.3.4:5"]), format!("{HASH},,0,0,0,1.2.3.4,5,False\n"));
    }

    #[test]
    fn a_name_with_comma_quote_and_newline_is_one_line() {
        let text = block(Some(torrent("a,\"b\"\nc")), &[]);
        assert_eq!(text.lines().count(), 1);
        assert!(text.ends_with(",True\n"));
        assert_eq!(text.split(',').next(), Some(HASH.to_string().as_str()));
        assert_eq!(rows(text.as_bytes()).next().unwrap().unwrap().name, "a,\"b\"\u{fffd}c");
    }

    #[test]
    fn reading_takes_crlf_and_no_header() {
        let text = format!("{HEADER}\r\n{HASH},t,1,2,3,,,True\r\n");
        let read: Vec<_> = rows(text.as_bytes()).collect::<Result<_, _>>().unwrap();
        assert_eq!(read.len(), 1);
        assert!(read[0].metadata_ok && read[0].peer.is_none());
        assert_eq!(rows(block(None, &[]).as_bytes()).count(), 1);
    }

    #[test]
    fn a_bad_line_is_told_by_its_number_and_reading_goes_on() {
        let text =
            format!("{HEADER}\nnothing\n{HASH},t,x,2,3,,,True\n{HASH},t,1,2,3,1.2.3.4,0,True\n{HASH},t,1,2,3,,,True\n");
        let read: Vec<String> = rows(text.as_bytes())
            .map(|row| row.map_or_else(|error| error.to_string(), |row| row.name))
            .collect();
        assert_eq!(
            read,
            [
                "line 2: 1 columns instead of 8",
                "line 3: file_count is not a whole number",
                "line 4: peer_ip and peer_port are not an address",
                "t"
            ]
        );
    }

    proptest! {
        #[test]
        fn blocks_round_trip_and_other_readers_agree(
            name: String, figures: Option<[u64; 3]>, peers in proptest::collection::vec(any::<(std::net::IpAddr, u16)>(), 0..4)
        ) {
            let peers: Vec<SocketAddr> = peers.iter().map(|&(ip, port)| SocketAddr::new(ip, port.max(1))).collect();
            let torrent = figures.map(|[file_count, total_bytes, piece_length]| Torrent { name: &name, file_count, total_bytes, piece_length });
            let mut text = Vec::new();
            put_block(&Entry { info_hash: HASH, torrent, peers: &peers }, &mut text);
            let read: Vec<Row> = rows(&text[..]).collect::<Result<_, _>>().unwrap();
            prop_assert_eq!(read.len(), peers.len().max(1));
            prop_assert_eq!(bytecount(&text, b'\n'), read.len());
            let wanted = if torrent.is_some() { clean(&name).into_owned() } else { String::new() };
            for (index, row) in read.iter().enumerate() {
                prop_assert_eq!(row.peer, peers.get(index).copied());
                prop_assert_eq!(&row.name, &wanted);
                prop_assert_eq!([row.file_count, row.total_bytes, row.piece_length], figures.unwrap_or_default());
                prop_assert_eq!(row.metadata_ok, figures.is_some());
            }
            let mut reader = csv::ReaderBuilder::new().has_headers(false).from_reader(&text[..]);
            for record in reader.records() {
                prop_assert_eq!(&record.unwrap()[1], &wanted);
            }
        }
    }

    fn bytecount(text: &[u8], wanted: u8) -> usize {
        text.iter().filter(|&&byte| byte == wanted).count()
    }
}
