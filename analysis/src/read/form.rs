//! What files look like: the columns of each form, told by the header (data/README.md).

use store::{batch, fetches, metadata, observed, peers};

use super::reject::Refusal;
use super::scan::COLUMNS_MAX;

/// What may stand in a column.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// 20 bytes as 40 hex digits: an infohash or a node id.
    Hash,
    /// Any text.
    Text,
    /// One of few words.
    Word,
    /// A whole number from 0, 64 bits.
    Count,
    /// A whole number, 64 bits.
    Whole,
    /// A number.
    Real,
    /// `True` or `False`.
    Flag,
    /// An IPv4 or IPv6 address, without brackets.
    Ip,
    /// A port, 0 to 65535.
    Port,
    /// Unix milliseconds.
    Time,
}

impl Kind {
    /// What is wanted, for people.
    pub const fn wanted(self) -> &'static str {
        match self {
            Self::Hash => "40 hex digits",
            Self::Text | Self::Word => "text",
            Self::Count => "a whole number from 0",
            Self::Whole => "a whole number",
            Self::Real => "a number",
            Self::Flag => "True or False",
            Self::Ip => "an IP address",
            Self::Port => "a port",
            Self::Time => "a time in milliseconds",
        }
    }
}

/// A column of a form.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Column {
    /// Its name in the header.
    pub name: &'static str,
    /// What stands in it.
    pub kind: Kind,
    /// It may be empty: unknown, or does not apply.
    pub empty: bool,
}

/// A form of file.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum Form {
    /// `metadata.txt`, also as the Python tool writes it; `truth.csv` of a lab.
    Metadata,
    /// `metadata.csv`, of `fetch`.
    Batch,
    /// `peers.csv`.
    PeerList,
    /// Observed `nodes`.
    Nodes,
    /// Observed `sightings`.
    Sightings,
    /// Observed `peers`.
    Peers,
    /// Observed `files`.
    Files,
    /// Observed `fetches`.
    Fetches,
}

const fn must(name: &'static str, kind: Kind) -> Column {
    Column {
        name,
        kind,
        empty: false,
    }
}

const fn may(name: &'static str, kind: Kind) -> Column {
    Column {
        name,
        kind,
        empty: true,
    }
}

const METADATA: [Column; 8] = [
    must("infohash", Kind::Hash),
    may("name", Kind::Text),
    must("file_count", Kind::Count),
    must("total_bytes", Kind::Count),
    must("piece_length", Kind::Count),
    may("peer_ip", Kind::Ip),
    may("peer_port", Kind::Port),
    must("metadata_ok", Kind::Flag),
];

const PEER_LIST: [Column; 3] = [
    must("infohash", Kind::Hash),
    may("peer_ip", Kind::Ip),
    may("peer_port", Kind::Port),
];

const NODES: [Column; 14] = [
    must("time_ms", Kind::Time),
    may("node_id", Kind::Hash),
    must("ip", Kind::Ip),
    must("port", Kind::Port),
    must("asked", Kind::Word),
    must("purpose", Kind::Word),
    must("outcome", Kind::Word),
    may("code", Kind::Whole),
    may("rtt_ms", Kind::Real),
    may("v", Kind::Word),
    may("num", Kind::Whole),
    may("shown", Kind::Count),
    may("interval", Kind::Whole),
    may("far_fetched", Kind::Flag),
];

const SIGHTINGS: [Column; 12] = [
    must("time_ms", Kind::Time),
    must("infohash", Kind::Hash),
    must("source", Kind::Word),
    may("node_id", Kind::Hash),
    must("node_ip", Kind::Ip),
    must("node_port", Kind::Port),
    may("num", Kind::Whole),
    may("shown", Kind::Count),
    may("rank", Kind::Count),
    may("interval", Kind::Whole),
    may("weight", Kind::Real),
    may("name_hint", Kind::Text),
];

const PEERS: [Column; 9] = [
    must("time_ms", Kind::Time),
    must("infohash", Kind::Hash),
    must("peer_ip", Kind::Ip),
    must("peer_port", Kind::Port),
    must("source", Kind::Word),
    may("node_id", Kind::Hash),
    may("node_ip", Kind::Ip),
    may("node_port", Kind::Port),
    may("seed", Kind::Flag),
];

const FILES: [Column; 5] = [
    must("time_ms", Kind::Time),
    must("infohash", Kind::Hash),
    must("index", Kind::Count),
    must("length", Kind::Count),
    may("path", Kind::Text),
];

const FETCHES: [Column; 14] = [
    must("time_ms", Kind::Time),
    must("infohash", Kind::Hash),
    must("peer_ip", Kind::Ip),
    must("peer_port", Kind::Port),
    must("direction", Kind::Word),
    may("via", Kind::Word),
    must("source", Kind::Word),
    must("stage", Kind::Word),
    must("result", Kind::Word),
    must("took_ms", Kind::Count),
    may("opened_ms", Kind::Count),
    may("size", Kind::Count),
    must("received", Kind::Count),
    must("round", Kind::Count),
];

impl Form {
    /// All of them, those with most columns before those whose columns they include.
    pub const ALL: [Self; 8] = [
        Self::Nodes,
        Self::Fetches,
        Self::Sightings,
        Self::Peers,
        Self::Files,
        Self::Metadata,
        Self::Batch,
        Self::PeerList,
    ];

    /// The columns, in the order in which we write them. A [`Row`](super::Row) has one value for each.
    pub const fn columns(self) -> &'static [Column] {
        match self {
            Self::Metadata => &METADATA,
            Self::Batch => METADATA.split_at(5).0,
            Self::PeerList => &PEER_LIST,
            Self::Nodes => &NODES,
            Self::Sightings => &SIGHTINGS,
            Self::Peers => &PEERS,
            Self::Files => &FILES,
            Self::Fetches => &FETCHES,
        }
    }

    /// The header as we write it.
    pub const fn header(self) -> &'static str {
        match self {
            Self::Metadata => metadata::HEADER,
            Self::Batch => batch::HEADER,
            Self::PeerList => peers::HEADER,
            Self::Nodes => observed::NODES,
            Self::Sightings => observed::SIGHTINGS,
            Self::Peers => observed::PEERS,
            Self::Files => observed::FILES,
            Self::Fetches => fetches::HEADER,
        }
    }

    /// How such a file is called, for people.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Metadata => "metadata.txt",
            Self::Batch => "metadata.csv",
            Self::PeerList => "peers.csv",
            Self::Nodes => "nodes",
            Self::Sightings => "sightings",
            Self::Peers => "observed peers",
            Self::Files => "files",
            Self::Fetches => "fetches",
        }
    }
}

/// A form, and which field of a line is which of its columns.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Layout {
    /// The form.
    pub form: Form,
    /// Fields of a line.
    pub fields: usize,
    /// For each field its column; `None` for one that the form does not know.
    columns: Vec<Option<usize>>,
}

impl Layout {
    /// The layout of files as we write them.
    pub fn own(form: Form) -> Self {
        let fields = form.columns().len();
        Self {
            form,
            fields,
            columns: (0..fields).map(Some).collect(),
        }
    }

    /// What a header says: the form that differs from it least. Columns may stand in any order, and others among them.
    ///
    /// # Errors
    ///
    /// When it is the header of no form: which columns the nearest one lacks.
    pub fn of(header: &str) -> Result<Self, Refusal> {
        // What the csv module of Python and spreadsheets may do to names.
        let names: Vec<&str> = header.split(',').map(|name| name.trim().trim_matches('"')).collect();
        let lacks = |form: Form| {
            let columns = form.columns().iter().map(|column| column.name);
            columns.filter(|name| !names.contains(name)).collect::<Vec<_>>()
        };
        let nearest = |form: &Form| {
            let lacking = lacks(*form).len();
            let others = names.len() + lacking - form.columns().len().min(names.len() + lacking);
            (lacking + others, lacking > 0, others)
        };
        let Some(form) = Form::ALL.into_iter().min_by_key(nearest) else {
            return Err(Refusal::NoTable);
        };
        let missing = lacks(form);
        if missing.len() == form.columns().len() {
            return Err(Refusal::NoTable);
        }
        if !missing.is_empty() {
            return Err(Refusal::Missing {
                form: form.name(),
                columns: missing.join(", "),
            });
        }
        if names.len() > COLUMNS_MAX {
            return Err(Refusal::TooWide { found: names.len() });
        }
        let columns = names
            .iter()
            .enumerate()
            .map(|(at, name)| {
                let column = form.columns().iter().position(|column| column.name == *name);
                // Of two columns of one name the first counts.
                column.filter(|_| !names.iter().take(at).any(|before| before == name))
            })
            .collect();
        Ok(Self {
            form,
            fields: names.len(),
            columns,
        })
    }

    /// Which column of the form a field is.
    pub fn column(&self, field: usize) -> Option<usize> {
        self.columns.get(field).copied().flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_those_of_our_headers() {
        for form in Form::ALL {
            let names: Vec<&str> = form.columns().iter().map(|column| column.name).collect();
            assert_eq!(names.join(","), form.header());
            assert_eq!(Layout::of(form.header()).unwrap(), Layout::own(form));
            assert!(names.len() <= 14, "more than a scan has room for");
        }
    }

    #[test]
    fn columns_may_stand_in_any_order_and_others_among_them() {
        let layout = Layout::of("note,peer_port,infohash,peer_ip").unwrap();
        assert_eq!((layout.form, layout.fields), (Form::PeerList, 4));
        let columns: Vec<_> = (0..5).map(|field| layout.column(field)).collect();
        assert_eq!(columns, [None, Some(2), Some(0), Some(1), None]);
    }

    #[test]
    fn a_header_that_lacks_columns_says_which() {
        let told = |header: &str| Layout::of(header).unwrap_err().to_string();
        assert_eq!(
            told("infohash,name,file_count,total_bytes,piece_length,peer_ip,metadata_ok").as_str(),
            "no column peer_port, which metadata.txt has"
        );
        assert_eq!(
            told("one,two"),
            "the first line is no header of a table that estudely knows"
        );
    }
}
