//! Files opened as tables, and questions asked of them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context as _;
use datafusion::execution::memory_pool::{FairSpillPool, MemoryConsumer, MemoryPool, MemoryReservation};
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::logical_expr::LogicalPlan;
use datafusion::prelude::{DataFrame, ParquetReadOptions, SessionConfig, SessionContext};
use futures::StreamExt as _;
use tokio::runtime::Runtime;

use super::answer::Answer;
use super::fault::told;
use super::functions::{self, Places};
use super::scan::{Csv, Told};
use super::views::{Feed, columns, cut, view};
use crate::read::{Form, Table};
use crate::stage::{BadInput, Found, Source, What};

/// How questions are answered.
#[derive(Clone, Debug)]
pub struct Options {
    /// Threads that work on one.
    pub threads: usize,
    /// Bytes for what is kept and for one question together; a question that needs more puts what it has in a temporary file.
    pub memory: usize,
    /// Bytes of it for tables that are kept, once read, when several questions are asked.
    pub keep: u64,
    /// MaxMind files for `country`, `asn`, `as_name`.
    pub geoip: Vec<PathBuf>,
    /// The cluster that answers, in as many parts as there are threads; else it is this process.
    pub cluster: Option<super::Scheduler>,
}

/// A limit beyond which the engine, which counts rows with a sign, would see a negative one.
const MOST: usize = isize::MAX as usize;

/// What feeds a table, and the files that it is of.
pub(super) type Fed = (Feed, Vec<Arc<Source>>);

/// Tables of some files.
pub struct Session {
    pub(super) runtime: Runtime,
    pub(super) context: SessionContext,
    pub(super) options: Options,
    pub(super) told: Arc<Told>,
    pub(super) tables: BTreeMap<Table, Vec<Fed>>,
    /// Memory that kept tables take from questions.
    pub(super) kept: MemoryReservation,
    places: Places,
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session")
            .field("tables", &self.tables)
            .finish_non_exhaustive()
    }
}

impl Session {
    /// Opens what was found.
    ///
    /// # Errors
    ///
    /// [`BadInput`] for a Parquet file with the columns of no table or a MaxMind file that is none; the system's, of threads; that a cluster
    /// is not there.
    pub fn open(found: &Found, options: Options) -> anyhow::Result<Self> {
        let places = functions::open(&options.geoip)?;
        let threads = options.threads.max(1);
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(threads)
            .enable_all()
            .build()?;
        let (context, kept) = match &options.cluster {
            #[cfg(feature = "cluster")]
            Some(scheduler) => {
                let context = super::cluster::context(scheduler, found, &places, threads, options.memory);
                let context = runtime.block_on(context)?;
                let kept = MemoryConsumer::new("no table is kept").register(&context.runtime_env().memory_pool);
                (context, kept)
            }
            #[cfg(not(feature = "cluster"))]
            Some(nobody) => match *nobody {},
            None => engine(&options, &places, threads)?,
        };
        let mut session = Self {
            runtime,
            context,
            options,
            told: Arc::default(),
            tables: BTreeMap::new(),
            kept,
            places,
        };
        session.take_in(found)?;
        for table in session.tables.keys().copied().collect::<Vec<_>>() {
            session.show(table)?;
        }
        Ok(session)
    }

    /// Gives the engine each group of files that are read alike.
    fn take_in(&mut self, found: &Found) -> anyhow::Result<()> {
        let mut csv: BTreeMap<(Table, String, Form), Vec<Arc<Source>>> = BTreeMap::new();
        let mut parquet: BTreeMap<Table, Vec<Arc<Source>>> = BTreeMap::new();
        for source in &found.sources {
            let source = Arc::new(source.clone());
            match &source.what {
                What::Csv(layout) => {
                    for table in layout.form.feeds() {
                        let key = (*table, source.crawl.clone(), layout.form);
                        csv.entry(key).or_default().push(Arc::clone(&source));
                    }
                }
                What::Parquet => {
                    let table = self.table_of(&source)?;
                    parquet.entry(table).or_default().push(source);
                }
                What::Nothing => {}
            }
        }
        for (number, (table, sources)) in parquet.into_iter().enumerate() {
            let name = format!("parquet_{number}");
            let frame = self.runtime.block_on(self.parquet(&sources)).map_err(told)?;
            self.context.register_table(&name, frame.into_view()).map_err(told)?;
            let feed = Feed {
                name,
                crawl: None,
                form: None,
            };
            self.tables.entry(table).or_default().push((feed, sources));
        }
        for (number, ((table, crawl, form), sources)) in csv.into_iter().enumerate() {
            let name = format!("csv_{number}");
            let csv = Csv::new(form, cut(table, form), &sources, self.options.threads, &self.told);
            self.context.register_table(&name, Arc::new(csv)).map_err(told)?;
            let feed = Feed {
                name,
                crawl: Some(crawl),
                form: Some(form),
            };
            self.tables.entry(table).or_default().push((feed, sources));
        }
        Ok(())
    }

    async fn parquet(&self, sources: &[Arc<Source>]) -> datafusion::common::Result<DataFrame> {
        let paths: Vec<String> = sources.iter().map(|source| source.path.display().to_string()).collect();
        self.context.read_parquet(paths, ParquetReadOptions::default()).await
    }

    /// The table that a Parquet file has the columns of.
    fn table_of(&self, source: &Arc<Source>) -> anyhow::Result<Table> {
        let read = self.runtime.block_on(self.parquet(std::slice::from_ref(source)));
        let frame = read.map_err(|error| BadInput::at(&source.path, None, &told(error).to_string()))?;
        let has = |name: &str| frame.schema().fields().iter().any(|field| field.name() == name);
        // The one with most columns: those of some are among those of others.
        let fits = Table::ALL
            .into_iter()
            .filter(|table| has("crawl") && columns(*table).iter().all(|(name, _)| has(name)));
        let fitting = fits.max_by_key(|table| columns(*table).len());
        fitting.ok_or_else(|| {
            BadInput::at(
                &source.path,
                None,
                "Parquet with the columns of no table; `analyze convert` writes some that are read",
            )
            .into()
        })
    }

    /// Makes the view of a table, or makes it anew.
    pub(super) fn show(&self, table: Table) -> anyhow::Result<()> {
        let feeds: Vec<Feed> = self
            .tables
            .get(&table)
            .into_iter()
            .flatten()
            .map(|(feed, _)| feed.clone())
            .collect();
        let view = self
            .runtime
            .block_on(self.context.sql(&view(table, &feeds)))
            .map_err(told)?
            .into_view();
        self.context.deregister_table(table.name()).map_err(told)?;
        self.context.register_table(table.name(), view).map_err(told)?;
        Ok(())
    }

    /// The tables that there are.
    pub fn tables(&self) -> impl Iterator<Item = Table> + '_ {
        self.tables.keys().copied()
    }

    /// The crawls that they are of.
    ///
    /// # Errors
    ///
    /// Those of reading Parquet files, which say it in a column.
    pub fn crawls(&self) -> anyhow::Result<BTreeSet<String>> {
        let mut crawls = BTreeSet::new();
        for (feed, _) in self.tables.values().flatten() {
            match &feed.crawl {
                Some(crawl) => {
                    crawls.insert(crawl.clone());
                }
                None => {
                    let answer = self.ask(&format!("SELECT DISTINCT crawl FROM {}", feed.name), usize::MAX)?;
                    crawls.extend(answer.rows.into_iter().filter_map(|row| row.into_iter().next()));
                }
            }
        }
        Ok(crawls)
    }

    /// Whether addresses can be placed.
    pub fn has_places(&self) -> bool {
        !self.places.is_empty()
    }

    /// Whether a column of a table has something in it, as far as the files can say.
    pub fn has(&self, table: Table, column: &str) -> bool {
        let feeds = self.tables.get(&table).into_iter().flatten();
        let mut forms = feeds.map(|(feed, _)| feed.form);
        forms.any(|form| {
            form.is_none_or(|form| {
                let counted = table == Table::Torrents && super::build::COUNTED.contains(&column);
                counted
                    || matches!(column, "crawl" | "metadata_ok" | "source")
                    || form.columns().iter().any(|had| had.name == column)
            })
        })
    }

    /// Asks, and takes `most` rows of the answer.
    ///
    /// # Errors
    ///
    /// [`BadInput`] for SQL that cannot be understood and for files that turn out to be no tables; the engine's own.
    pub fn ask(&self, sql: &str, most: usize) -> anyhow::Result<Answer> {
        let asked = self.runtime.block_on(async {
            let frame = self.context.sql(sql).await?;
            let schema = Arc::clone(frame.schema().inner());
            // Statements that are no questions answer nothing that could be limited.
            let limited = match frame.logical_plan() {
                LogicalPlan::Ddl(_) | LogicalPlan::Dml(_) | LogicalPlan::Copy(_) | LogicalPlan::Statement(_) => frame,
                _ => frame.limit(0, Some(most.saturating_add(1).min(MOST)))?,
            };
            let batches = limited.collect().await?;
            Ok((schema, batches))
        });
        let (schema, batches) = asked.map_err(told)?;
        Answer::of(&schema, &batches, most).context("the answer cannot be written")
    }

    /// Asks, and gives the answer piece by piece: it may be longer than memory.
    ///
    /// # Errors
    ///
    /// As [`Session::ask`], and those of `each`.
    pub fn each(&self, sql: &str, mut each: impl FnMut(&Answer) -> anyhow::Result<()>) -> anyhow::Result<()> {
        self.runtime.block_on(async {
            let frame = self.context.sql(sql).await.map_err(told)?;
            let mut batches = frame.execute_stream().await.map_err(told)?;
            let schema = batches.schema();
            // Of an answer without rows there are still columns.
            each(&Answer::of(&schema, &[], 0)?)?;
            while let Some(batch) = batches.next().await {
                each(&Answer::of(&schema, &[batch.map_err(told)?], usize::MAX)?)?;
            }
            Ok(())
        })
    }

    /// What was no row in what was read so far: one line for each, and one for those that are not listed.
    pub fn not_rows(&self) -> Vec<String> {
        let mut lines = Vec::new();
        for (part, rejects) in self.told.all() {
            let path = part.source.path.display();
            for reject in &rejects.first {
                let line = part.source.line(part.stretch, reject.line).unwrap_or(reject.line);
                lines.push(format!("{path}:{line}: no row: {}", reject.fault));
            }
            let more = rejects.count - rejects.first.len() as u64;
            if more > 0 {
                lines.push(format!("{path}: and {more} more lines that are no rows"));
            }
        }
        lines
    }
}

/// An engine with its memory, its threads and our functions; and what of the memory goes to tables.
fn engine(options: &Options, places: &Places, threads: usize) -> anyhow::Result<(SessionContext, MemoryReservation)> {
    let config = SessionConfig::new()
        .with_target_partitions(threads)
        .with_information_schema(true)
        .set_bool("datafusion.execution.parquet.pushdown_filters", true)
        // What is dealt out by infohash is not dealt out anew by infohash and peer; usually it is, with fewer than four threads.
        .set_usize("datafusion.optimizer.subset_repartition_threshold", 1)
        // Rows are written in their order.
        .set_usize("datafusion.execution.minimum_parallel_output_files", 1);
    let pool: Arc<dyn MemoryPool> = Arc::new(FairSpillPool::new(options.memory));
    let kept = MemoryConsumer::new("tables that are kept").register(&pool);
    let environment = RuntimeEnvBuilder::new().with_memory_pool(pool).build_arc()?;
    let context = SessionContext::new_with_config_rt(config, environment);
    for function in functions::all(places) {
        context.register_udf(function);
    }
    Ok((context, kept))
}
