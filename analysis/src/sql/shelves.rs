//! CSV read into memory in the order of infohashes: rows are put on shelves by the beginning of theirs as they are read, then
//! each shelf is sorted by itself. Rows of one torrent lie together, and most questions are about torrents.

use std::sync::Arc;

use datafusion::arrow::array::{Array as _, RecordBatch, StringViewArray};
use datafusion::arrow::compute::interleave_record_batch;
use datafusion::common::{Result, internal_datafusion_err};
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_plan::PhysicalExpr;
use datafusion::physical_plan::metrics::Time;
use datafusion::physical_plan::repartition::BatchPartitioner;

use super::build::Building;
use super::scan::{BATCH, Csv, fault};
use crate::read::{Row, Value};

/// The column that they are sorted by.
pub(super) const KEY: &str = "infohash";

/// Bytes of CSV for each shelf: some fifty thousand rows, a few batches when sorted. With more shelves each row goes to memory that no
/// cache has.
const SHELF: u64 = 4 << 20;

/// Shelves at the most: what three hex digits tell apart.
const MOST: usize = 4096;

/// Rows that one thread keeps as they grow; then they are a batch.
const GROWN: usize = 2 * BATCH;

/// How many shelves there are for so many bytes.
pub(super) fn count(bytes: u64) -> usize {
    usize::try_from(bytes / SHELF).map_or(MOST, |count| count.clamp(1, MOST))
}

/// What lies on a shelf: rows that grow, and batches.
struct Shelf {
    growing: Building,
    batches: Vec<RecordBatch>,
}

impl Shelf {
    fn clear(&mut self) -> Result<()> {
        if self.growing.len() > 0 {
            self.batches.push(self.growing.finish()?);
        }
        Ok(())
    }
}

/// The shelf of a row, by the first three digits of its infohash.
fn place(row: &Row<'_>, key: usize, shelves: usize) -> usize {
    let Some(Value::Text(hash)) = row.values.get(key) else {
        return 0;
    };
    let digits = hash
        .bytes()
        .take(3)
        .map(|digit| (digit as char).to_digit(16).unwrap_or(0));
    let number = digits.fold(0, |number, digit| number * 16 + digit as usize);
    number * shelves / MOST
}

/// What one thread reads of these files, by shelf.
///
/// # Errors
///
/// Those of reading.
pub(super) fn read(csv: &Csv, thread: usize, shelves: usize) -> Result<Vec<Vec<RecordBatch>>> {
    let all: Vec<usize> = (0..csv.schema.fields().len()).collect();
    let columns = csv.form.columns();
    let key = columns.iter().position(|column| column.name == KEY).unwrap_or(0);
    let empty = || Shelf {
        growing: Building::new(csv.form, csv.cut, &all),
        batches: Vec::new(),
    };
    let mut filled: Vec<Shelf> = (0..shelves).map(|_| empty()).collect();
    for part in csv.stretches.get(thread).into_iter().flatten() {
        let mut scan = part.source.scan(part.stretch).map_err(fault)?;
        loop {
            let more = scan.rows(GROWN, |row| {
                if let Some(shelf) = filled.get_mut(place(row, key, shelves)) {
                    shelf.growing.push(row);
                }
            });
            let more = more.map_err(|error| fault(part.source.broken(part.stretch, scan.lines(), error)))?;
            for shelf in &mut filled {
                if !more {
                    shelf.growing.end_torrent();
                }
                if shelf.growing.len() >= GROWN {
                    shelf.clear()?;
                }
            }
            if !more {
                break;
            }
        }
        csv.told.tell(part, scan.rejects());
    }
    for shelf in &mut filled {
        shelf.clear()?;
    }
    Ok(filled.into_iter().map(|shelf| shelf.batches).collect())
}

/// Sorts shelves, each by itself, and deals their rows out to so many partitions by the engine's own hash of the infohash: batches of each partition in
/// order, as the shelves are. `batches` is what all threads put on a shelf.
///
/// # Errors
///
/// The engine's, of columns that are not as they should be.
pub(super) fn sort(shelves: Vec<Vec<RecordBatch>>, partitions: usize) -> Result<Vec<Vec<RecordBatch>>> {
    let mut dealt = vec![Vec::new(); partitions];
    let mut dealer: Option<BatchPartitioner> = None;
    for batches in shelves {
        let Some(first) = batches.first() else { continue };
        let dealer = match &mut dealer {
            Some(dealer) => dealer,
            none => {
                let key: Arc<dyn PhysicalExpr> = Arc::new(Column::new_with_schema(KEY, &first.schema())?);
                none.insert(BatchPartitioner::new_hash_partitioner(
                    vec![key],
                    partitions,
                    Time::new(),
                )?)
            }
        };
        let sorted = interleave_record_batch(&batches.iter().collect::<Vec<_>>(), &order(&batches)?)?;
        drop(batches);
        for begin in (0..sorted.num_rows()).step_by(BATCH * partitions) {
            let length = (BATCH * partitions).min(sorted.num_rows() - begin);
            dealer.partition(sorted.slice(begin, length), |partition, batch| {
                if let Some(dealt) = dealt.get_mut(partition).filter(|_| batch.num_rows() > 0) {
                    dealt.push(batch);
                }
                Ok(())
            })?;
        }
    }
    Ok(dealt)
}

/// The rows of batches by infohash, as the engine takes them: which batch, which row of it.
fn order(batches: &[RecordBatch]) -> Result<Vec<(usize, usize)>> {
    let mut runs = Vec::new();
    let mut rows = 0;
    for (at, batch) in batches.iter().enumerate() {
        let column = batch.column_by_name(KEY);
        let column = column.and_then(|column| column.as_any().downcast_ref::<StringViewArray>());
        let keys = column.ok_or_else(|| internal_datafusion_err!("no infohashes to sort by"))?;
        rows += keys.len();
        let mut begin = 0;
        for row in 1..=keys.len() {
            // The same views are the same text; of two views of one text the sorting makes neighbours.
            if row == keys.len() || keys.views().get(row) != keys.views().get(begin) {
                runs.push((keys.value(begin), at, begin..row));
                begin = row;
            }
        }
    }
    runs.sort_unstable_by(|(a, one, first), (b, two, second)| (a, one, first.start).cmp(&(b, two, second.start)));
    let mut order = Vec::with_capacity(rows);
    for (_, batch, rows) in runs {
        order.extend(rows.map(|row| (batch, row)));
    }
    Ok(order)
}
