//! The rows of a table, as typed values lent for the moment.

use std::borrow::Cow;
use std::io::{self, Read};

use memchr::{memchr, memchr_iter, memrchr_iter};

use super::check;
use super::form::{Form, Kind, Layout};
use super::lines::{Lines, Share};
use super::reject::{Fault, Reject, Rejects};

/// Fields that a line may have.
pub const COLUMNS_MAX: usize = 32;

/// Columns of the widest form.
const WIDEST: usize = 14;

/// What stands in a field.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Value<'a> {
    /// Nothing.
    Null,
    /// Text, also an address or hex digits.
    Text(&'a str),
    /// A whole number from 0.
    Count(u64),
    /// A whole number.
    Whole(i64),
    /// A number.
    Real(f64),
    /// `True` or `False`.
    Flag(bool),
}

/// A row that fits.
#[derive(Clone, Copy, Debug)]
pub struct Row<'a> {
    /// The number of its line, from where the scan began.
    pub line: u64,
    /// A value for each column of the form.
    pub values: &'a [Value<'a>],
    /// The same as text, as it stands in the file, without quotes.
    pub texts: &'a [Cow<'a, str>],
    /// But for the peer the line is that of the row before, byte for byte: another peer of the same torrent. Only of
    /// [`Form::Metadata`], in our order.
    pub again: bool,
}

/// Reads the rows of a table.
#[derive(Debug)]
pub struct Scan<R> {
    lines: Lines<R>,
    layout: Layout,
    rejects: Rejects,
    rows: u64,
    /// The last row, if rows are compared.
    before: Option<Before>,
    /// A header may come: the scan began at the beginning of the file.
    at_start: bool,
}

impl<R: Read> Scan<R> {
    /// Rows of all of the input, or of a share of it.
    pub fn new(input: R, layout: Layout, share: Share) -> Self {
        let before = (layout == Layout::own(Form::Metadata)).then(Before::default);
        Self {
            lines: Lines::new(input, share),
            layout,
            rejects: Rejects::default(),
            rows: 0,
            before,
            at_start: !share.inside,
        }
    }

    /// Gives up to `most` rows to `each`; false at the end. Headers and empty lines are passed over, what is no row is among the
    /// rejects.
    ///
    /// # Errors
    ///
    /// Those of the input; a line without end is one of kind `InvalidData`.
    pub fn rows(&mut self, most: usize, mut each: impl FnMut(&Row<'_>)) -> io::Result<bool> {
        let goal = self.rows + most as u64;
        while self.rows < goal {
            let Some(line) = self.lines.next_line()? else {
                return Ok(false);
            };
            let number = line.number;
            let row = match line.bytes {
                None => Err(Fault::TooLong),
                Some(bytes) => {
                    let first = std::mem::take(&mut self.at_start);
                    if bytes.is_empty() || (first && is_header(bytes)) || bytes == self.layout.form.header().as_bytes()
                    {
                        continue;
                    }
                    let again = self.before.as_mut().is_some_and(|before| before.repeats(bytes));
                    row(&self.layout, bytes, line.ended, |values, texts| {
                        each(&Row {
                            line: number,
                            values,
                            texts,
                            again,
                        });
                    })
                }
            };
            match row {
                Ok(()) => self.rows += 1,
                Err(fault) => {
                    if let Some(before) = &mut self.before {
                        before.left.clear();
                    }
                    self.rejects.add(Reject { line: number, fault });
                }
            }
        }
        Ok(true)
    }

    /// Rows given so far.
    pub const fn count(&self) -> u64 {
        self.rows
    }

    /// Lines read so far.
    pub const fn lines(&self) -> u64 {
        self.lines.number()
    }

    /// What was no row so far.
    pub const fn rejects(&self) -> &Rejects {
        &self.rejects
    }

    /// What it reads.
    pub const fn layout(&self) -> &Layout {
        &self.layout
    }
}

/// Whether a first line is a header, with a byte order mark or without: rows have a hash or a time where it has a word.
fn is_header(line: &[u8]) -> bool {
    let line = line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line);
    std::str::from_utf8(line).is_ok_and(|line| Layout::of(line).is_ok())
}

/// What stands around the peer in the row before.
#[derive(Default, Debug)]
struct Before {
    /// Up to the peer, with the comma.
    left: Vec<u8>,
    ok: bool,
}

impl Before {
    /// Whether the line is as the one before; if not, it is kept.
    fn repeats(&mut self, line: &[u8]) -> bool {
        let ok = line.ends_with(b",True");
        if !self.left.is_empty() && line.starts_with(&self.left) && ok == self.ok {
            return true;
        }
        self.left.clear();
        self.ok = ok;
        // Address, port and flag have no comma: the third from the end is the one before the peer.
        if let Some(at) = memrchr_iter(b',', line).nth(2) {
            self.left.extend_from_slice(line.get(..=at).unwrap_or_default());
        }
        false
    }
}

/// The values of a line.
fn row(
    layout: &Layout,
    line: &[u8],
    ended: bool,
    each: impl FnOnce(&[Value<'_>], &[Cow<'_, str>]),
) -> Result<(), Fault> {
    if memchr(0, line).is_some() {
        return Err(Fault::Zeros);
    }
    let text = std::str::from_utf8(line).map_err(|_| Fault::Utf8)?;
    let mut fields = [const { Cow::Borrowed("") }; WIDEST];
    let found = split(text, layout, &mut fields)?;
    if found != layout.fields {
        let want = layout.fields;
        return Err(if ended {
            Fault::Fields { found, want }
        } else {
            Fault::Torn
        });
    }
    let columns = layout.form.columns();
    let mut values = [Value::Null; WIDEST];
    for ((column, field), slot) in columns.iter().zip(&fields).zip(&mut values) {
        let (kind, name) = (column.kind, column.name);
        if !field.is_empty() {
            *slot = check::value(kind, field).ok_or(Fault::Type { column: name, kind })?;
        } else if !column.empty {
            return Err(Fault::Empty { column: name });
        }
    }
    // What ends with a whole word cannot lack any of it.
    if !ended
        && columns
            .last()
            .is_none_or(|column| column.kind != Kind::Flag || column.empty)
    {
        return Err(Fault::Torn);
    }
    let all = ..columns.len();
    each(values.get(all).unwrap_or_default(), fields.get(all).unwrap_or_default());
    Ok(())
}

/// Puts the fields of a line where their columns are; how many there are.
fn split<'a>(line: &'a str, layout: &Layout, fields: &mut [Cow<'a, str>; WIDEST]) -> Result<usize, Fault> {
    let columns = layout.form.columns();
    let mut found = 0;
    let mut put = |field: Cow<'a, str>| {
        if let Some(at) = layout.column(found) {
            let is_hash = columns.get(at).is_some_and(|column| column.kind == Kind::Hash);
            let field = if is_hash && check::has_capitals(&field) {
                Cow::Owned(field.to_ascii_lowercase())
            } else {
                field
            };
            if let Some(slot) = fields.get_mut(at) {
                *slot = field;
            }
        }
        found += 1;
    };
    if memchr(b'"', line.as_bytes()).is_none() {
        let mut begin = 0;
        for comma in memchr_iter(b',', line.as_bytes()) {
            put(Cow::Borrowed(line.get(begin..comma).unwrap_or_default()));
            begin = comma + 1;
        }
        put(Cow::Borrowed(line.get(begin..).unwrap_or_default()));
        return Ok(found);
    }
    let mut rest = Some(line);
    while let Some(text) = rest {
        let (field, after) = store::first_field(text).map_err(|_| Fault::Quote)?;
        put(field);
        rest = after;
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HASH: &str = "0123456789abcdef0123456789abcdef01234567";

    /// Its rows as text, whether each repeats the one before, and the rejects.
    fn read(text: &[u8], layout: Layout) -> (Vec<(u64, String, bool)>, Rejects) {
        let mut scan = Scan::new(text, layout, Share::default());
        let mut rows = Vec::new();
        let more = scan.rows(usize::MAX, |row| rows.push((row.line, row.texts.join("|"), row.again)));
        assert!(!more.unwrap());
        (rows, scan.rejects().clone())
    }

    fn metadata(lines: &[String]) -> (Vec<(u64, String, bool)>, Vec<String>) {
        let text = format!("{}\n{}", Form::Metadata.header(), lines.join("\n"));
        let (rows, rejects) = read(text.as_bytes(), Layout::own(Form::Metadata));
        let told = rejects
            .first
            .iter()
            .map(|reject| format!("{} {}", reject.line, reject.fault));
        (rows, told.collect())
    }

    #[test]
    fn another_peer_of_the_same_torrent_is_told() {
        let row = |left: &str, peer: &str, ok: &str| format!("{HASH},{left},1,2,3,{peer},{ok}");
        let (rows, rejects) = metadata(&[
            row("\"a, \"\"b\"\"\"", "192.0.2.1,80", "True"),
            row("\"a, \"\"b\"\"\"", "2001:db8::1,80", "True"),
            row("\"a, \"\"b\"\"\"", "192.0.2.3,80", "False"),
            row("c", "192.0.2.3,80", "False"),
            row("c", ",", "False"),
        ]);
        assert!(rejects.is_empty());
        assert_eq!(rows[0].1, format!("{HASH}|a, \"b\"|1|2|3|192.0.2.1|80|True"));
        let again: Vec<bool> = rows.iter().map(|row| row.2).collect();
        assert_eq!(again, [false, true, false, false, true]);
    }

    #[test]
    fn what_is_no_row_is_told_by_line_and_reason() {
        let row = format!("{HASH},n,1,2,3,192.0.2.1,80,True");
        let (rows, rejects) = metadata(&[
            row.clone(),
            row.replace(",1,", ",one,"),
            row.replace(HASH, &HASH[1..]),
            row.replace("True", "yes"),
            row.replace("192.0.2.1", "192.0.2"),
            row.replace(",2,", ",,"),
            row.replace(",n,", ",\"n,"),
            format!("{row},"),
            row.replace('n', "\0"),
            String::new(),
            row.to_uppercase().replace("TRUE", "True"),
            row.replace("True", "Tru"),
        ]);
        assert_eq!(rows.iter().map(|row| row.0).collect::<Vec<_>>(), [2, 12]);
        assert!(rows[1].1.starts_with(HASH));
        assert_eq!(
            rejects,
            [
                "3 file_count is not a whole number from 0",
                "4 infohash is not 40 hex digits",
                "5 metadata_ok is not True or False",
                "6 peer_ip is not an IP address",
                "7 total_bytes is empty",
                "8 a quote that does not end before the next comma",
                "9 9 fields instead of 8",
                "10 zero bytes",
                "13 metadata_ok is not True or False",
            ]
        );
    }

    #[test]
    fn a_last_line_without_its_end_is_a_row_only_if_nothing_can_lack() {
        let whole = format!("{HASH},n,1,2,3,192.0.2.1,80,True");
        assert_eq!(metadata(std::slice::from_ref(&whole)).0.len(), 1);
        let peers = format!("{HASH},192.0.2.1,688");
        let (rows, rejects) = read(peers.as_bytes(), Layout::own(Form::PeerList));
        assert!(rows.is_empty());
        assert_eq!(rejects.first[0].fault, Fault::Torn);
    }

    proptest! {
        #[test]
        fn any_bytes_are_rows_rejects_or_nothing(bytes in proptest::collection::vec(prop_oneof![any::<u8>(), Just(b','), Just(b'\n'), Just(b'"'), Just(b'0')], 0..300)) {
            for form in Form::ALL {
                let (rows, rejects) = read(&bytes, Layout::own(form));
                let lines = bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty() && line != b"\r");
                let lines = lines.count() as u64;
                // What ends a file as `\r` without `\n` is a line of its own.
                prop_assert!(rows.len() as u64 + rejects.count <= lines + 1);
                prop_assert!(rows.len() as u64 + rejects.count + 1 >= lines);
            }
        }

        #[test]
        fn rows_of_ours_come_back(name in "[a-z,\" ]{0,9}", count: u64, ip: std::net::IpAddr, port: u16, ok: bool) {
            let torrent = ok.then_some(store::metadata::Torrent { name: &name, file_count: count, total_bytes: 7, piece_length: 1 });
            let peer = std::net::SocketAddr::new(ip, port.max(1));
            let entry = store::metadata::Entry { info_hash: wire::InfoHash::new([7; 20]), torrent, peers: &[peer] };
            let mut text = Vec::new();
            store::metadata::put_block(&entry, &mut text);
            let mut scan = Scan::new(&text[..], Layout::own(Form::Metadata), Share::default());
            let mut values = 0;
            scan.rows(1, |row| {
                let want = [
                    if ok && !name.is_empty() { Value::Text(&name) } else { Value::Null },
                    Value::Count(if ok { count } else { 0 }),
                ];
                values += u32::from(row.values[1..3] == want && row.values[7] == Value::Flag(ok));
            }).unwrap();
            prop_assert_eq!(values, 1);
        }
    }
}
