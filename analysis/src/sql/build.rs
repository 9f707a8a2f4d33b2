//! Rows as columns of the engine.

use std::sync::Arc;

use datafusion::arrow::array::{
    ArrayBuilder as _, ArrayRef, BooleanBuilder, Float64Builder, Int32Builder, Int64Builder, RecordBatch,
    RecordBatchOptions, StringViewArray, StringViewBuilder, UInt32Array,
};
use datafusion::arrow::compute::take;
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::arrow::error::ArrowError;

use crate::read::{Form, Kind, Row, Value};

/// What of a form is a table of the engine.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) enum Cut {
    /// Rows of one torrent that follow one another are one; how many they were, and how many of them had a peer, is counted.
    Torrents,
    /// Infohash and peer of each row that has one.
    Peers,
    /// Every column of every row.
    Whole,
}

/// The type of a column in the engine. Whole numbers are 64 bits with sign: what is beyond stays at the greatest.
pub(super) const fn data_type(kind: Kind) -> DataType {
    match kind {
        Kind::Hash | Kind::Text | Kind::Word | Kind::Ip => DataType::Utf8View,
        Kind::Count | Kind::Whole | Kind::Time => DataType::Int64,
        Kind::Port => DataType::Int32,
        Kind::Real => DataType::Float64,
        Kind::Flag => DataType::Boolean,
    }
}

/// Columns of [`Cut::Torrents`] beyond those of the form: rows, rows with metadata, rows with a peer.
pub(super) const COUNTED: [&str; 3] = ["entries", "successes", "peers"];

/// The columns of a cut of a form.
pub(super) fn schema(form: Form, cut: Cut) -> SchemaRef {
    let field = |name: &str, kind| Field::new(name, data_type(kind), true);
    let of = |names: &[&str]| {
        let columns = form.columns().iter().filter(|column| names.contains(&column.name));
        columns
            .map(|column| field(column.name, column.kind))
            .collect::<Vec<_>>()
    };
    let fields = match cut {
        Cut::Torrents => {
            let mut fields = of(&["infohash", "name", "file_count", "total_bytes", "piece_length"]);
            fields.push(field("metadata_ok", Kind::Flag));
            fields.extend(COUNTED.map(|name| field(name, Kind::Count)));
            fields
        }
        Cut::Peers => of(&["infohash", "peer_ip", "peer_port"]),
        Cut::Whole => form
            .columns()
            .iter()
            .map(|column| field(column.name, column.kind))
            .collect(),
    };
    Arc::new(Schema::new(fields))
}

/// A column that grows.
enum Growing {
    Text(StringViewBuilder),
    /// Text that stays the same for several rows: each once, and which it is of for each row.
    Again(StringViewBuilder, Vec<u32>),
    Long(Int64Builder),
    Port(Int32Builder),
    Real(Float64Builder),
    Flag(BooleanBuilder),
}

impl Growing {
    fn of(kind: &DataType) -> Self {
        match kind {
            DataType::Int64 => Self::Long(Int64Builder::new()),
            DataType::Int32 => Self::Port(Int32Builder::new()),
            DataType::Float64 => Self::Real(Float64Builder::new()),
            DataType::Boolean => Self::Flag(BooleanBuilder::new()),
            _ => Self::Text(StringViewBuilder::new()),
        }
    }

    fn push(&mut self, value: Value<'_>, again: bool) {
        match (self, value) {
            (Self::Text(column), Value::Text(text)) => column.append_value(text),
            (Self::Text(column), _) => column.append_null(),
            (Self::Again(column, places), value) => {
                if !again || places.is_empty() {
                    match value {
                        Value::Text(text) => column.append_value(text),
                        _ => column.append_null(),
                    }
                }
                // A batch has far fewer rows than a u32 can count.
                places.push(u32::try_from(column.len()).unwrap_or(u32::MAX).saturating_sub(1));
            }
            (Self::Long(column), Value::Count(number)) => {
                column.append_value(i64::try_from(number).unwrap_or(i64::MAX));
            }
            (Self::Long(column), Value::Whole(number)) => column.append_value(number),
            (Self::Long(column), _) => column.append_null(),
            (Self::Port(column), Value::Count(port)) => column.append_value(i32::try_from(port).unwrap_or(i32::MAX)),
            (Self::Port(column), _) => column.append_null(),
            (Self::Real(column), Value::Real(number)) => column.append_value(number),
            (Self::Real(column), _) => column.append_null(),
            (Self::Flag(column), Value::Flag(flag)) => column.append_value(flag),
            (Self::Flag(column), _) => column.append_null(),
        }
    }

    fn finish(&mut self) -> Result<ArrayRef, ArrowError> {
        Ok(match self {
            Self::Text(column) => Arc::new(column.finish()),
            Self::Again(column, places) => {
                let once: StringViewArray = column.finish();
                take(&once, &UInt32Array::from(std::mem::take(places)), None)?
            }
            Self::Long(column) => Arc::new(column.finish()),
            Self::Port(column) => Arc::new(column.finish()),
            Self::Real(column) => Arc::new(column.finish()),
            Self::Flag(column) => Arc::new(column.finish()),
        })
    }
}

/// A torrent whose rows are not over yet.
#[derive(Default)]
struct Pending {
    infohash: String,
    name: Option<String>,
    numbers: [u64; 3],
    ok: bool,
    /// Rows, rows with metadata, rows with a peer.
    counted: [u64; 3],
}

/// Rows that become batches.
pub(super) struct Building {
    cut: Cut,
    /// The columns wanted, and where each is in a row of the form, or among the columns of the cut.
    schema: SchemaRef,
    places: Vec<usize>,
    columns: Vec<Growing>,
    rows: usize,
    pending: Option<Pending>,
    /// The last row had no peer.
    skipped: bool,
    form: Form,
}

impl Building {
    /// Columns of a cut of a form, these of them in this order.
    pub(super) fn new(form: Form, cut: Cut, wanted: &[usize]) -> Self {
        let whole = schema(form, cut);
        let fields: Vec<Field> = wanted
            .iter()
            .filter_map(|at| whole.fields().get(*at))
            .map(|field| field.as_ref().clone())
            .collect();
        let place = |at: &usize| match cut {
            Cut::Torrents => *at,
            Cut::Peers | Cut::Whole => {
                let name = whole.fields().get(*at).map(|field| field.name().as_str());
                form.columns()
                    .iter()
                    .position(|column| Some(column.name) == name)
                    .unwrap_or(*at)
            }
        };
        let columns = fields.iter().map(|field| match cut {
            Cut::Peers if field.name() == "infohash" => Growing::Again(StringViewBuilder::new(), Vec::new()),
            _ => Growing::of(field.data_type()),
        });
        Self {
            cut,
            columns: columns.collect(),
            places: wanted.iter().map(place).collect(),
            schema: Arc::new(Schema::new(fields)),
            rows: 0,
            pending: None,
            skipped: false,
            form,
        }
    }

    /// The columns that come out.
    pub(super) fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    /// Rows that wait to be a batch.
    pub(super) const fn len(&self) -> usize {
        self.rows
    }

    /// One more row.
    pub(super) fn push(&mut self, row: &Row<'_>) {
        match self.cut {
            Cut::Torrents => self.torrent(row),
            Cut::Peers => {
                let ip = if self.form == Form::Metadata { 5 } else { 1 };
                // What begins as the row before repeats one that is not here if that had no peer.
                let again = row.again && !self.skipped;
                self.skipped = matches!(row.values.get(ip), None | Some(Value::Null));
                if !self.skipped {
                    self.put(row.values, again);
                }
            }
            Cut::Whole => self.put(row.values, false),
        }
    }

    fn put(&mut self, values: &[Value<'_>], again: bool) {
        for (column, place) in self.columns.iter_mut().zip(&self.places) {
            column.push(values.get(*place).copied().unwrap_or(Value::Null), again);
        }
        self.rows += 1;
    }

    fn torrent(&mut self, row: &Row<'_>) {
        let value = |at: usize| row.values.get(at).copied().unwrap_or(Value::Null);
        let text = |at| match value(at) {
            Value::Text(text) => Some(text),
            _ => None,
        };
        let infohash = text(0).unwrap_or_default();
        let has_peer = self.form == Form::Metadata && value(5) != Value::Null;
        let ok = self.form == Form::Batch || value(7) == Value::Flag(true);
        let same = self.pending.as_ref().is_some_and(|before| {
            row.again || (before.infohash == infohash && before.ok == ok && before.name.as_deref() == text(1))
        });
        if !same {
            self.end_torrent();
            let number = |at| match value(at) {
                Value::Count(number) => number,
                _ => 0,
            };
            self.pending = Some(Pending {
                infohash: infohash.to_owned(),
                name: text(1).map(str::to_owned),
                numbers: [number(2), number(3), number(4)],
                ..Pending::default()
            });
        }
        if let Some(pending) = &mut self.pending {
            pending.ok |= ok;
            for (sum, one) in pending.counted.iter_mut().zip([true, ok, has_peer]) {
                *sum += u64::from(one);
            }
        }
    }

    /// The rows of the last torrent are over.
    pub(super) fn end_torrent(&mut self) {
        let Some(torrent) = self.pending.take() else { return };
        let [files, bytes, piece] = torrent.numbers.map(Value::Count);
        let [entries, successes, peers] = torrent.counted.map(Value::Count);
        let name = torrent.name.as_deref().map_or(Value::Null, Value::Text);
        let infohash = Value::Text(&torrent.infohash);
        let values = [
            infohash,
            name,
            files,
            bytes,
            piece,
            Value::Flag(torrent.ok),
            entries,
            successes,
            peers,
        ];
        self.put(&values, false);
    }

    /// A batch of the rows so far.
    pub(super) fn finish(&mut self) -> Result<RecordBatch, ArrowError> {
        let columns = self
            .columns
            .iter_mut()
            .map(Growing::finish)
            .collect::<Result<Vec<_>, _>>()?;
        let rows = std::mem::take(&mut self.rows);
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        RecordBatch::try_new_with_options(self.schema(), columns, &options)
    }
}
