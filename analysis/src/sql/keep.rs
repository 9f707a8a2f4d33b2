//! Tables read once, for several questions.

use std::sync::Arc;

use datafusion::catalog::TableProvider;
use datafusion::common::{Result, internal_datafusion_err};
use datafusion::datasource::MemTable;
use datafusion::physical_plan::{ExecutionPlan, collect_partitioned};
use tokio::task::JoinSet;

use super::build::Cut;
use super::fault::told;
use super::kept::{self, Kept};
use super::scan::Csv;
use super::session::Session;
use super::shelves;
use super::views::{Feed, cut};
use crate::read::{Form, Table};
use crate::stage::{Packed, Source};

/// Files of one form, and the table of the engine that they are.
type Fed = (Feed, Vec<Arc<Source>>);

impl Session {
    /// Reads the CSV of these tables once and keeps it, as far as that is allowed: for several questions.
    ///
    /// # Errors
    ///
    /// Those of reading.
    pub fn keep(&mut self, tables: &[Table]) -> anyhow::Result<()> {
        for table in tables {
            let fed: Vec<Fed> = self.tables.get(table).into_iter().flatten().cloned().collect();
            let csv: Vec<&Fed> = fed.iter().filter(|(feed, _)| feed.form.is_some()).collect();
            let bytes: u64 = csv.iter().map(|(_, sources)| length(sources)).sum();
            // As columns they are at the most three quarters of what they were as text, most of them.
            let left = self.options.keep.saturating_sub(self.kept.size() as u64);
            if bytes == 0 || bytes / 4 * 3 > left {
                continue;
            }
            if *table == Table::Torrents {
                self.keep_torrents(&csv)?;
            } else {
                for fed in csv {
                    let kept = self.read_feed(*table, fed).map_err(told)?;
                    self.replace(&fed.0.name, kept)?;
                }
                self.show(*table)?;
            }
        }
        Ok(())
    }

    /// Whether the rows of a table come sorted by infohash.
    ///
    /// # Errors
    ///
    /// The engine's.
    pub(super) fn is_sorted(&self, table: Table) -> anyhow::Result<bool> {
        let plan = self.plan(&format!("SELECT * FROM {}", table.name())).map_err(told)?;
        kept::is_sorted(&plan).map_err(told)
    }

    /// Torrents are kept as they are asked for, not as they stand in files.
    fn keep_torrents(&self, csv: &[&Fed]) -> anyhow::Result<()> {
        let table = Table::Torrents;
        for fed in csv {
            let read = self.read_feed(table, fed).map_err(told)?;
            self.register(&fed.0.name, read.table)?;
        }
        self.show(table)?;
        let torrents = self.run(&format!("SELECT * FROM {}", table.name())).map_err(told)?;
        // The parts of them are needed no longer.
        for (feed, sources) in csv {
            if let Some(form) = feed.form {
                self.register(&feed.name, Arc::new(self.csv(table, form, sources)))?;
            }
        }
        self.show(table)?;
        self.replace(table.name(), torrents)
    }

    fn csv(&self, table: Table, form: Form, sources: &[Arc<Source>]) -> Csv {
        Csv::new(form, cut(table, form), sources, self.options.threads, &self.told)
    }

    /// The rows of a feed: torrents and their peers by infohash. What was observed lies by time, and does so for what asks and
    /// for Parquet: of one node there are many rows on end.
    fn read_feed(&self, table: Table, (feed, sources): &Fed) -> Result<Read> {
        let form = feed.form.filter(|form| cut(table, *form) != Cut::Whole);
        let Some(form) = form else {
            return self.run(&format!("SELECT * FROM {}", feed.name));
        };
        let csv = Arc::new(self.csv(table, form, sources));
        let partitions = self.options.threads.max(1);
        let count = shelves::count(length(sources));
        self.runtime.block_on(async {
            let reading = csv.threads().map(|thread| {
                let csv = Arc::clone(&csv);
                move || shelves::read(&csv, thread, count)
            });
            let mut filled: Vec<Vec<_>> = vec![Vec::new(); count];
            for read in at_once(reading).await? {
                for (shelf, batches) in filled.iter_mut().zip(read) {
                    shelf.extend(batches);
                }
            }
            // Neighbouring shelves go to one thread: what comes out of the threads, one after the other, is in order.
            let each = count.div_ceil(partitions);
            let mut sorting = Vec::new();
            while !filled.is_empty() {
                let rest = filled.split_off(each.min(filled.len()));
                let shelves = std::mem::replace(&mut filled, rest);
                sorting.push(move || shelves::sort(shelves, partitions));
            }
            let mut dealt = vec![Vec::new(); partitions];
            for sorted in at_once(sorting.into_iter()).await? {
                for (partition, batches) in dealt.iter_mut().zip(sorted) {
                    partition.extend(batches);
                }
            }
            Ok(Read {
                bytes: kept::bytes(dealt.iter().flatten()),
                table: Arc::new(Kept {
                    schema: csv.schema(),
                    partitions: dealt.into_iter().map(Arc::new).collect(),
                }),
            })
        })
    }

    fn plan(&self, sql: &str) -> Result<Arc<dyn ExecutionPlan>> {
        self.runtime
            .block_on(async { self.context.sql(sql).await?.create_physical_plan().await })
    }

    /// The rows of an answer, and how they lie if it is known.
    fn run(&self, sql: &str) -> Result<Read> {
        let plan = self.plan(sql)?;
        let known = kept::is_sorted(&plan)? && kept::is_dealt(&plan);
        let schema = plan.schema();
        let rows = collect_partitioned(plan, self.context.task_ctx());
        let partitions = self.runtime.block_on(rows)?;
        Ok(Read {
            bytes: kept::bytes(partitions.iter().flatten()),
            table: if known {
                let partitions = partitions.into_iter().map(Arc::new).collect();
                Arc::new(Kept { schema, partitions })
            } else {
                Arc::new(MemTable::try_new(schema, partitions)?)
            },
        })
    }

    /// Puts what was read in the place of what it was read from, if there is room for it.
    fn replace(&self, name: &str, read: Read) -> anyhow::Result<()> {
        if self.kept.try_grow(read.bytes).is_ok() {
            self.register(name, read.table)?;
        }
        Ok(())
    }

    fn register(&self, name: &str, table: Arc<dyn TableProvider>) -> anyhow::Result<()> {
        self.context.deregister_table(name).map_err(told)?;
        self.context.register_table(name, table).map_err(told)?;
        Ok(())
    }
}

/// A table that was read.
struct Read {
    table: Arc<dyn TableProvider>,
    bytes: usize,
}

/// What these files are as text. Packed ones are some four times as long as they lie there.
fn length(sources: &[Arc<Source>]) -> u64 {
    let times = |source: &Source| if source.packed == Packed::Plain { 1 } else { 4 };
    sources.iter().map(|source| source.bytes * times(source)).sum()
}

/// Works on all of them at once; what came of each, in their order.
async fn at_once<T: Send + 'static>(
    work: impl Iterator<Item = impl FnOnce() -> Result<T> + Send + 'static>,
) -> Result<Vec<T>> {
    let mut working = JoinSet::new();
    for (number, work) in work.enumerate() {
        working.spawn_blocking(move || (number, work()));
    }
    let mut done = Vec::new();
    while let Some(ended) = working.join_next().await {
        let (number, came) = ended.map_err(|error| internal_datafusion_err!("a thread has failed: {error}"))?;
        done.push((number, came?));
    }
    done.sort_by_key(|(number, _)| *number);
    Ok(done.into_iter().map(|(_, came)| came).collect())
}
