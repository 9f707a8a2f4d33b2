//! What is asked of: tables with one schema each, whatever files feed them.

use super::form::{Form, Kind};

/// A table.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum Table {
    /// A torrent, as often as a file has it.
    Torrents,
    /// A peer of an infohash, as often as it was named.
    Peers,
    /// A file of a torrent.
    Files,
    /// A question to a node, and what came of it.
    Nodes,
    /// An infohash that somebody showed.
    Sightings,
    /// A peer that was dialled or called.
    Fetches,
}

/// A column of a table.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Field {
    /// Its name.
    pub name: &'static str,
    /// What stands in it; empty where the file does not say.
    pub kind: Kind,
}

const fn field(name: &'static str, kind: Kind) -> Field {
    Field { name, kind }
}

const TORRENTS: [Field; 6] = [
    field("infohash", Kind::Hash),
    field("name", Kind::Text),
    field("file_count", Kind::Count),
    field("total_bytes", Kind::Count),
    field("piece_length", Kind::Count),
    field("metadata_ok", Kind::Flag),
];

const PEERS: [Field; 9] = [
    field("time_ms", Kind::Time),
    field("infohash", Kind::Hash),
    field("peer_ip", Kind::Ip),
    field("peer_port", Kind::Port),
    field("source", Kind::Word),
    field("node_id", Kind::Hash),
    field("node_ip", Kind::Ip),
    field("node_port", Kind::Port),
    field("seed", Kind::Flag),
];

const fn fields<const N: usize>(form: Form) -> [Field; N] {
    let columns = form.columns();
    let mut fields = [field("", Kind::Text); N];
    let mut at = 0;
    while at < N {
        fields[at] = field(columns[at].name, columns[at].kind);
        at += 1;
    }
    fields
}

const FILES: [Field; 5] = fields(Form::Files);
const NODES: [Field; 14] = fields(Form::Nodes);
const SIGHTINGS: [Field; 12] = fields(Form::Sightings);
const FETCHES: [Field; 14] = fields(Form::Fetches);

impl Table {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Torrents,
        Self::Peers,
        Self::Files,
        Self::Nodes,
        Self::Sightings,
        Self::Fetches,
    ];

    /// Its name in SQL.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Torrents => "torrents",
            Self::Peers => "peers",
            Self::Files => "files",
            Self::Nodes => "nodes",
            Self::Sightings => "sightings",
            Self::Fetches => "fetches",
        }
    }

    /// Its columns; before them stands `crawl`, text, which no file has.
    pub const fn fields(self) -> &'static [Field] {
        match self {
            Self::Torrents => &TORRENTS,
            Self::Peers => &PEERS,
            Self::Files => &FILES,
            Self::Nodes => &NODES,
            Self::Sightings => &SIGHTINGS,
            Self::Fetches => &FETCHES,
        }
    }
}

impl Form {
    /// Which tables such a file feeds.
    pub const fn feeds(self) -> &'static [Table] {
        match self {
            Self::Metadata => &[Table::Torrents, Table::Peers],
            Self::Batch => &[Table::Torrents],
            Self::PeerList | Self::Peers => &[Table::Peers],
            Self::Nodes => &[Table::Nodes],
            Self::Sightings => &[Table::Sightings],
            Self::Files => &[Table::Files],
            Self::Fetches => &[Table::Fetches],
        }
    }

    /// Which of its columns feeds each field of a table; `None` where it has none: the field is empty then, but for
    /// `metadata_ok` of [`Form::Batch`], which has successes only.
    pub fn feed(self, table: Table) -> Vec<Option<usize>> {
        let column = |field: &Field| self.columns().iter().position(|column| column.name == field.name);
        table.fields().iter().map(column).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_table_is_fed_and_each_form_feeds_columns_of_the_same_kind() {
        for table in Table::ALL {
            assert!(Form::ALL.iter().any(|form| form.feeds().contains(&table)));
        }
        for form in Form::ALL {
            for table in form.feeds() {
                let feed = form.feed(*table);
                assert!(feed.iter().any(Option::is_some));
                for (field, column) in table.fields().iter().zip(feed) {
                    assert!(column.is_none_or(|at| form.columns()[at].kind == field.kind));
                }
            }
        }
        assert_eq!(
            Form::PeerList.feed(Table::Peers)[..4],
            [None, Some(0), Some(1), Some(2)]
        );
    }
}
