//! One line of a table: RFC 4180 fields, and the faults that a line can have.

use std::borrow::Cow;
use std::io::{self, BufRead, Read};
use std::net::{IpAddr, SocketAddr};

use thiserror::Error;
use wire::InfoHash;
use wire::magnet::MagnetError;

use crate::wants::Place;

/// Longest line that a reader takes, bytes. Ours stay far below: a quoted name is at most twice [`NAME_MAX`](crate::NAME_MAX).
pub const LINE_MAX: usize = 64 * 1024;

/// Why a line is not a row.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum Fault {
    /// Other than the table's number of columns.
    #[error("{found} columns instead of {want}")]
    Columns {
        /// Columns on the line.
        found: usize,
        /// Columns of the table.
        want: usize,
    },
    /// A quote that does not end, or text after it.
    #[error("a quote that does not end before the next comma")]
    Quote,
    /// Not 40 hex digits.
    #[error("the infohash is not 40 hex digits")]
    InfoHash,
    /// Not a whole number of at most 64 bits.
    #[error("{column} is not a whole number")]
    Number {
        /// The column's name.
        column: &'static str,
    },
    /// Not an IPv4 or IPv6 address with a port from 1 to 65535.
    #[error("peer_ip and peer_port are not an address")]
    Address,
    /// Not a list of `IP:PORT` or `ID@IP:PORT`, one space between any two.
    #[error("{column} is not a list of addresses")]
    List {
        /// The column's name.
        column: &'static str,
    },
    /// Neither `in` nor `out`.
    #[error("direction is neither in nor out")]
    Direction,
    /// Neither `True` nor `False`.
    #[error("metadata_ok is neither True nor False")]
    Flag,
    /// Neither a magnet link nor an infohash.
    #[error(transparent)]
    Link(#[from] MagnetError),
    /// Bytes that are not UTF-8.
    #[error("not UTF-8")]
    Utf8,
    /// Longer than [`LINE_MAX`].
    #[error("longer than {LINE_MAX} bytes")]
    TooLong,
}

/// What a table's reader can meet. After a `Row` it goes on with the next line; after an `Io` it is at its end.
#[derive(Debug, Error)]
pub enum ReadError {
    /// The source failed.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// One line is not a row.
    #[error("line {line}: {fault}")]
    Row {
        /// Its number, from 1, as an editor counts.
        line: u64,
        /// What is wrong with it.
        fault: Fault,
    },
}

/// Lines of bounded length, with their numbers and offsets.
pub(crate) struct Lines<R> {
    input: R,
    buffer: Vec<u8>,
    number: u64,
    offset: u64,
}

/// A line as it was found.
pub(crate) struct Line<'a> {
    pub(crate) number: u64,
    /// Offset in the input just past the line and its end.
    pub(crate) end: u64,
    /// As it stands in the input, with its end; no more than its beginning if longer than [`LINE_MAX`].
    pub(crate) raw: &'a [u8],
    /// Without its `\n` or `\r\n`; `None` if longer than [`LINE_MAX`].
    pub(crate) bytes: Option<&'a [u8]>,
}

impl<R: BufRead> Lines<R> {
    pub(crate) fn new(input: R) -> Self {
        Self::at(input, Place::default())
    }

    /// Lines of an input that begins at `place` of a longer one.
    pub(crate) fn at(input: R, place: Place) -> Self {
        Self {
            input,
            buffer: Vec::new(),
            number: place.line,
            offset: place.byte,
        }
    }

    /// Up to where it has read.
    pub(crate) fn place(&self) -> Place {
        Place {
            byte: self.offset,
            line: self.number,
        }
    }

    pub(crate) fn next_line(&mut self) -> io::Result<Option<Line<'_>>> {
        self.buffer.clear();
        let limit = u64::try_from(LINE_MAX + 2).unwrap_or(u64::MAX);
        let mut read = self.input.by_ref().take(limit).read_until(b'\n', &mut self.buffer)?;
        if read == 0 {
            return Ok(None);
        }
        if read > LINE_MAX && self.buffer.last() != Some(&b'\n') {
            read += self.input.skip_until(b'\n')?;
        }
        self.number += 1;
        self.offset += u64::try_from(read).unwrap_or(u64::MAX);
        let text = self.buffer.strip_suffix(b"\n").unwrap_or(&self.buffer);
        let text = text.strip_suffix(b"\r").unwrap_or(text);
        // Some editors put a byte order mark before the first line.
        let mark: &[u8] = if self.number == 1 { b"\xef\xbb\xbf" } else { b"" };
        let text = text.strip_prefix(mark).unwrap_or(text);
        Ok(Some(Line {
            number: self.number,
            end: self.offset,
            raw: &self.buffer,
            bytes: (read <= LINE_MAX + 2 && text.len() <= LINE_MAX).then_some(text),
        }))
    }
}

/// Rows of a table whose columns are `header`, by `parse`. The header itself and empty lines are passed over.
pub(crate) struct Rows<R, T> {
    lines: Lines<R>,
    header: &'static str,
    parse: fn(&str) -> Result<T, Fault>,
    ended: bool,
}

impl<R: BufRead, T> Rows<R, T> {
    pub(crate) fn new(input: R, header: &'static str, parse: fn(&str) -> Result<T, Fault>) -> Self {
        Self {
            lines: Lines::new(input),
            header,
            parse,
            ended: false,
        }
    }
}

impl<R: BufRead, T> Iterator for Rows<R, T> {
    type Item = Result<T, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        while !self.ended {
            let line = match self.lines.next_line() {
                Ok(Some(line)) => line,
                Ok(None) => break,
                Err(error) => {
                    self.ended = true;
                    return Some(Err(error.into()));
                }
            };
            let number = line.number;
            let text = line.bytes.ok_or(Fault::TooLong);
            let text = text.and_then(|bytes| std::str::from_utf8(bytes).map_err(|_| Fault::Utf8));
            if let Ok(text) = text
                && (text.is_empty() || text == self.header)
            {
                continue;
            }
            let row = text.and_then(self.parse);
            return Some(row.map_err(|fault| ReadError::Row { line: number, fault }));
        }
        None
    }
}

/// The `N` fields of a line.
pub(crate) fn split<const N: usize>(line: &str) -> Result<[Cow<'_, str>; N], Fault> {
    let mut fields = [const { Cow::Borrowed("") }; N];
    let mut found = 0;
    let mut rest = Some(line);
    while let Some(text) = rest {
        let (field, after) = first_field(text)?;
        if let Some(slot) = fields.get_mut(found) {
            *slot = field;
        }
        found += 1;
        rest = after;
    }
    if found == N {
        Ok(fields)
    } else {
        Err(Fault::Columns { found, want: N })
    }
}

/// The first field of a line, unquoted, and what follows its comma.
///
/// # Errors
///
/// [`Fault::Quote`].
pub fn first_field(text: &str) -> Result<(Cow<'_, str>, Option<&str>), Fault> {
    let Some(quoted) = text.strip_prefix('"') else {
        return Ok(match text.split_once(',') {
            Some((field, rest)) => (Cow::Borrowed(field), Some(rest)),
            None => (Cow::Borrowed(text), None),
        });
    };
    let bytes = quoted.as_bytes();
    let mut at = 0;
    let mut doubled = false;
    loop {
        at += bytes[at..].iter().position(|&byte| byte == b'"').ok_or(Fault::Quote)?;
        if bytes.get(at + 1) != Some(&b'"') {
            break;
        }
        doubled = true;
        at += 2;
    }
    let (field, after) = (&quoted[..at], &quoted[at + 1..]);
    let field = if doubled {
        Cow::Owned(field.replace("\"\"", "\""))
    } else {
        Cow::Borrowed(field)
    };
    match after.strip_prefix(',') {
        None if !after.is_empty() => Err(Fault::Quote),
        rest => Ok((field, rest)),
    }
}

/// Appends a field, quoted if it must be (RFC 4180 section 2).
pub fn put_field(text: &str, out: &mut Vec<u8>) {
    if !text.contains(['"', ',', '\n', '\r']) {
        out.extend_from_slice(text.as_bytes());
        return;
    }
    out.push(b'"');
    for byte in text.bytes() {
        if byte == b'"' {
            out.push(b'"');
        }
        out.push(byte);
    }
    out.push(b'"');
}

pub(crate) fn info_hash(text: &str) -> Result<InfoHash, Fault> {
    InfoHash::from_hex(text).map_err(|_| Fault::InfoHash)
}

pub(crate) fn number(text: &str, column: &'static str) -> Result<u64, Fault> {
    text.trim().parse().map_err(|_| Fault::Number { column })
}

pub(crate) fn address(ip: &str, port: &str) -> Result<SocketAddr, Fault> {
    let ip: IpAddr = ip.trim().parse().map_err(|_| Fault::Address)?;
    match port.trim().parse() {
        Ok(port) if port != 0 => Ok(SocketAddr::new(ip, port)),
        _ => Err(Fault::Address),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn fields_split_at_commas_outside_quotes() {
        assert_eq!(split::<3>("a,\"b,\"\"c\"\"\",").unwrap(), ["a", "b,\"c\"", ""]);
        assert_eq!(split::<1>("").unwrap(), [""]);
        assert_eq!(split::<2>("a"), Err(Fault::Columns { found: 1, want: 2 }));
        assert_eq!(split::<1>("a,b"), Err(Fault::Columns { found: 2, want: 1 }));
    }

    #[test]
    fn a_stray_quote_spoils_its_own_line_only() {
        assert_eq!(split::<2>("\"a,b"), Err(Fault::Quote));
        assert_eq!(split::<2>("\"a\"b,c"), Err(Fault::Quote));
        let rows: Vec<_> = Rows::new("\"a\nb\n".as_bytes(), "h", |line| split::<1>(line).map(|_| ())).collect();
        assert!(matches!(
            rows[..],
            [
                Err(ReadError::Row {
                    line: 1,
                    fault: Fault::Quote
                }),
                Ok(())
            ]
        ));
    }

    #[test]
    fn lines_know_their_number_and_end() {
        let mut lines = Lines::new(&b"\xef\xbb\xbfa\r\n\nb"[..]);
        let mut next = || {
            let line = lines.next_line().unwrap()?;
            Some((line.number, line.end, line.bytes.map(<[u8]>::to_vec)))
        };
        assert_eq!(next(), Some((1, 6, Some(b"a".to_vec()))));
        assert_eq!(next(), Some((2, 7, Some(Vec::new()))));
        assert_eq!(next(), Some((3, 8, Some(b"b".to_vec()))));
        assert_eq!(next(), None);
    }

    #[test]
    fn an_endless_line_is_passed_over_without_being_held() {
        let mut text = vec![b'x'; 3 * LINE_MAX];
        text.extend_from_slice(b"\nok\n");
        let mut lines = Lines::new(io::BufReader::with_capacity(100, &text[..]));
        let line = lines.next_line().unwrap().unwrap();
        assert!(line.bytes.is_none());
        assert_eq!(lines.next_line().unwrap().unwrap().bytes, Some(&b"ok"[..]));
        assert!(lines.buffer.capacity() < 2 * LINE_MAX);
    }

    proptest! {
        #[test]
        fn a_written_field_reads_back(a in "[^\r\n]*", b in "[\",x]*") {
            let mut line = Vec::new();
            put_field(&a, &mut line);
            line.push(b',');
            put_field(&b, &mut line);
            let line = String::from_utf8(line).unwrap();
            let fields = split::<2>(&line).unwrap();
            prop_assert_eq!(&fields[..], &[a, b]);
        }

        #[test]
        fn lines_of_any_bytes_cover_the_input(bytes: Vec<u8>, capacity in 1usize..9) {
            let mut lines = Lines::new(io::BufReader::with_capacity(capacity, &bytes[..]));
            let mut end = 0;
            while let Some(line) = lines.next_line().unwrap() {
                prop_assert!(line.end > end);
                end = line.end;
            }
            prop_assert_eq!(usize::try_from(end).unwrap(), bytes.len());
        }
    }
}
