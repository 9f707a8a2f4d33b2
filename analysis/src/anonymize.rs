//! Tables with their addresses veiled, for others to have: as `--anonymize-ips` of a crawl would have written them.

use std::io::{self, Read};
use std::net::IpAddr;

use store::Veil;
use wire::NodeId;

use crate::read::{Column, Form, Kind, Row, Scan};

/// What becomes of a table.
#[derive(Clone, Copy, Debug)]
pub struct Anonymizer {
    veil: Veil,
}

impl Anonymizer {
    /// With addresses and node ids under this veil.
    pub const fn new(veil: Veil) -> Self {
        Self { veil }
    }

    /// The first line of what is written.
    pub fn header(form: Form, out: &mut Vec<u8>) {
        out.extend_from_slice(form.header().as_bytes());
        out.push(b'\n');
    }

    /// Appends up to `most` rows of `scan`; false at its end. Columns that the form does not know are left out, as are lines that are no
    /// rows: nobody knows what is in them.
    ///
    /// # Errors
    ///
    /// Those of reading.
    pub fn rows<R: Read>(&self, scan: &mut Scan<R>, most: usize, out: &mut Vec<u8>) -> io::Result<bool> {
        let columns = scan.layout().form.columns();
        scan.rows(most, |row| self.row(columns, row, out))
    }

    fn row(&self, columns: &[Column], row: &Row<'_>, out: &mut Vec<u8>) {
        for (at, (column, text)) in columns.iter().zip(row.texts).enumerate() {
            if at > 0 {
                out.push(b',');
            }
            match column.kind {
                Kind::Ip => {
                    // What is no address is no row.
                    if let Ok(ip) = text.trim().parse::<IpAddr>() {
                        out.extend_from_slice(self.veil.ip(ip).to_string().as_bytes());
                    }
                }
                Kind::Hash if column.name == "node_id" => {
                    if let Ok(id) = NodeId::from_hex(text) {
                        out.extend_from_slice(self.veil.id(id).to_string().as_bytes());
                    }
                }
                _ => store::put_field(text, out),
            }
        }
        out.push(b'\n');
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::read::{Layout, Share};

    fn veiled(veil: Veil, header: &str, text: &str) -> String {
        let layout = Layout::of(header).unwrap();
        let mut out = Vec::new();
        let mut scan = Scan::new(text.as_bytes(), layout, Share::default());
        assert!(!Anonymizer::new(veil).rows(&mut scan, 100, &mut out).unwrap());
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn addresses_and_ids_are_veiled_and_nothing_else_is_touched() {
        let (hash, id) = ("01".repeat(20), "ab".repeat(20));
        let row = |ip: &str, id: &str| format!("5,{hash},sample,{id},{ip},6881,135,20,3,21600,6.7500,\"a, b\"\n");
        let header = Form::Sightings.header();
        let truncated = veiled(Veil::Truncate([3; 16]), header, &row("192.0.2.77", &id));
        let hidden = Veil::Truncate([3; 16]).id(NodeId::from_hex(&id).unwrap()).to_string();
        assert_eq!(truncated, row("192.0.2.0", &hidden));
        let hashed = veiled(Veil::Hash([3; 16]), header, &row("192.0.2.77", &id));
        assert_eq!(
            hashed,
            row(&Veil::Hash([3; 16]).ip([192, 0, 2, 77].into()).to_string(), &hidden)
        );
    }

    #[test]
    fn what_nobody_knows_is_left_out() {
        let hash = "01".repeat(20);
        let text = format!("x,{hash},192.0.2.7,80\nx,{hash},192.0.2.7,eighty\nx,{hash},,\n");
        let told = veiled(Veil::Truncate([3; 16]), "note,infohash,peer_ip,peer_port", &text);
        assert_eq!(told, format!("{hash},192.0.2.0,80\n{hash},,\n"));
    }
}
