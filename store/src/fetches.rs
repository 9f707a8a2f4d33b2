//! `fetches.csv`: what came of each peer that was dialled, or that called us. An observation table: one row per fact,
//! appended as it happens.

use std::io::{BufRead, Write};
use std::net::SocketAddr;

use wire::InfoHash;

use crate::line::{self, Fault, ReadError, Rows};
use crate::metadata::put_peer;

/// The first line, without its newline.
pub const HEADER: &str =
    "time_ms,infohash,peer_ip,peer_port,direction,via,source,stage,result,took_ms,opened_ms,size,received,round";

/// One line of the table. Names are those of the lists that they come from: short words without commas or quotes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Row<'a> {
    /// When it was over, Unix milliseconds.
    pub time_ms: u64,
    /// The infohash.
    pub info_hash: InfoHash,
    /// The peer.
    pub peer: SocketAddr,
    /// It called us, and was not dialled.
    pub incoming: bool,
    /// How it was reached; `None` if the connection never opened.
    pub via: Option<&'a str>,
    /// Who named it.
    pub source: &'a str,
    /// How far it came.
    pub stage: &'a str,
    /// `ok`, or why it did not deliver.
    pub result: &'a str,
    /// From dialling, or from its call, to the end, milliseconds.
    pub took_ms: u64,
    /// From dialling, or from its call, to the connection being open, milliseconds; `None` if it never was.
    pub opened_ms: Option<u64>,
    /// Bytes of the info dictionary that it claimed, if the claim was accepted.
    pub size: Option<u32>,
    /// Bytes that came from it.
    pub received: u64,
    /// Which round of the infohash it was, from 1.
    pub round: u64,
}

/// Appends one row.
pub fn put_row(row: &Row<'_>, out: &mut Vec<u8>) {
    // Writing to a Vec cannot fail.
    let _ = write!(out, "{},{},", row.time_ms, row.info_hash);
    put_peer(&row.peer, out);
    let direction = if row.incoming { IN } else { OUT };
    for word in [
        direction,
        row.via.unwrap_or_default(),
        row.source,
        row.stage,
        row.result,
    ] {
        out.push(b',');
        line::put_field(word, out);
    }
    let _ = write!(out, ",{},", row.took_ms);
    put_some(row.opened_ms, out);
    put_some(row.size.map(u64::from), out);
    let _ = writeln!(out, "{},{}", row.received, row.round);
}

const IN: &str = "in";
const OUT: &str = "out";

fn put_some(number: Option<u64>, out: &mut Vec<u8>) {
    if let Some(number) = number {
        let _ = write!(out, "{number}");
    }
    out.push(b',');
}

/// Reads the table. A bad line is an error with its number, and reading goes on after it.
pub fn rows<R: BufRead>(input: R) -> impl Iterator<Item = Result<OwnedRow, ReadError>> {
    Rows::new(input, HEADER, parse)
}

/// A row as it was read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct OwnedRow {
    words: [String; 4],
    numbers: Row<'static>,
}

impl OwnedRow {
    /// The row.
    pub fn row(&self) -> Row<'_> {
        let [via, source, stage, result] = &self.words;
        Row {
            via: Some(via.as_str()).filter(|via| !via.is_empty()),
            source,
            stage,
            result,
            ..self.numbers.clone()
        }
    }
}

fn parse(text: &str) -> Result<OwnedRow, Fault> {
    let [
        time,
        info_hash,
        ip,
        port,
        direction,
        via,
        source,
        stage,
        result,
        took,
        opened,
        size,
        received,
        round,
    ] = line::split::<14>(text)?;
    let some = |text: &str, column| match text {
        "" => Ok(None),
        text => line::number(text, column).map(Some),
    };
    let column = "size";
    let size = some(&size, column)?.map(|size| u32::try_from(size).map_err(|_| Fault::Number { column }));
    let incoming = match &*direction {
        IN => true,
        OUT => false,
        _ => return Err(Fault::Direction),
    };
    Ok(OwnedRow {
        words: [via, source, stage, result].map(std::borrow::Cow::into_owned),
        numbers: Row {
            time_ms: line::number(&time, "time_ms")?,
            info_hash: line::info_hash(&info_hash)?,
            peer: line::address(&ip, &port)?,
            incoming,
            via: None,
            source: "",
            stage: "",
            result: "",
            took_ms: line::number(&took, "took_ms")?,
            opened_ms: some(&opened, "opened_ms")?,
            size: size.transpose()?,
            received: line::number(&received, "received")?,
            round: line::number(&round, "round")?,
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn row() -> Row<'static> {
        Row {
            time_ms: 1_700_000_000_123,
            info_hash: InfoHash::new([7; 20]),
            peer: "[2001:db8::1]:6881".parse().unwrap(),
            incoming: false,
            via: Some("tcp"),
            source: "dht",
            stage: "verified",
            result: "ok",
            took_ms: 431,
            opened_ms: Some(80),
            size: Some(20_000),
            received: 20_400,
            round: 2,
        }
    }

    #[test]
    fn a_row_has_as_many_columns_as_the_header() {
        let never = Row {
            via: None,
            stage: "dialled",
            result: "refused",
            opened_ms: None,
            size: None,
            ..row()
        };
        let mut text = Vec::new();
        for row in [row(), never.clone()] {
            put_row(&row, &mut text);
        }
        let hash = "07".repeat(20);
        let expected = format!(
            "1700000000123,{hash},2001:db8::1,6881,out,tcp,dht,verified,ok,431,80,20000,20400,2\n\
             1700000000123,{hash},2001:db8::1,6881,out,,dht,dialled,refused,431,,,20400,2\n"
        );
        assert_eq!(String::from_utf8(text.clone()).unwrap(), expected);
        let columns = HEADER.split(',').count();
        assert!(expected.lines().all(|line| line.split(',').count() == columns));
        let read: Vec<_> = rows(&text[..]).collect::<Result<_, _>>().unwrap();
        assert_eq!((read[0].row(), read[1].row()), (row(), never));
    }

    proptest! {
        #[test]
        fn rows_round_trip(time_ms: u64, ip: std::net::IpAddr, port in 1u16.., incoming: bool, opened_ms: Option<u64>,
                           size: Option<u32>, received: u64, round: u64, word in "[a-z_]{1,9}") {
            let peer = SocketAddr::new(ip, port);
            let row = Row { time_ms, peer, incoming, opened_ms, size, received, round, result: &word, ..row() };
            let mut text = Vec::new();
            put_row(&row, &mut text);
            let read = rows(&text[..]).next().unwrap().unwrap();
            prop_assert_eq!(read.row(), row);
        }
    }
}
