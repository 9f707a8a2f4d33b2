//! `metadata.csv`: the second step of the two-step pipeline, successes only, one row an infohash.

use std::io::BufRead;

use wire::InfoHash;

use crate::form::{self, Form};
use crate::line::{self, Fault, ReadError, Rows};
use crate::metadata::{Torrent, put_torrent};

/// The first line, without its newline.
pub const HEADER: &str = "infohash,name,file_count,total_bytes,piece_length";

/// The table, to be continued.
pub const FORM: Form = Form {
    header: HEADER,
    begins: HEADER,
    done: |row| form::named(row, |_| true),
};

/// One line of the table.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Row {
    /// The infohash.
    pub info_hash: InfoHash,
    /// The torrent's name as the table has it.
    pub name: String,
    /// Files.
    pub file_count: u64,
    /// Bytes of all files.
    pub total_bytes: u64,
    /// Bytes.
    pub piece_length: u64,
}

/// Appends the row of one torrent.
pub fn put_row(info_hash: InfoHash, torrent: &Torrent<'_>, out: &mut Vec<u8>) {
    put_torrent(info_hash, torrent, out);
    out.push(b'\n');
}

/// Reads the table: with or without its header, `\n` or `\r\n`. A bad line is an error with its number, and reading
/// goes on after it.
pub fn rows<R: BufRead>(input: R) -> impl Iterator<Item = Result<Row, ReadError>> {
    Rows::new(input, HEADER, parse)
}

fn parse(text: &str) -> Result<Row, Fault> {
    let [info_hash, name, files, bytes, piece] = line::split::<5>(text)?;
    Ok(Row {
        info_hash: line::info_hash(&info_hash)?,
        name: name.into_owned(),
        file_count: line::number(&files, "file_count")?,
        total_bytes: line::number(&bytes, "total_bytes")?,
        piece_length: line::number(&piece, "piece_length")?,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::name::clean;

    proptest! {
        #[test]
        fn rows_round_trip(hash: [u8; 20], name: String, figures: [u64; 3]) {
            let [file_count, total_bytes, piece_length] = figures;
            let torrent = Torrent { name: &name, file_count, total_bytes, piece_length };
            let mut text = format!("{HEADER}\n").into_bytes();
            put_row(InfoHash::new(hash), &torrent, &mut text);
            let read: Vec<Row> = rows(&text[..]).collect::<Result<_, _>>().unwrap();
            let wanted = Row { info_hash: InfoHash::new(hash), name: clean(&name).into_owned(), file_count, total_bytes, piece_length };
            prop_assert_eq!(read, [wanted]);
        }
    }
}
