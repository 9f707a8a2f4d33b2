//! CSV files of one form as a table of the engine: read by as many at once as there are partitions, each a share of the bytes.

use std::collections::VecDeque;
use std::fmt;
use std::io::Read;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::DataFusionError;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::{Expr, TableType};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::streaming::{PartitionStream, StreamingTableExec};

use super::build::{Building, Cut, schema};
use crate::read::{Form, Rejects, Scan};
use crate::stage::{BadInput, Source, Stretch};

/// Rows of a batch: what the engine works best with.
pub(super) const BATCH: usize = 8192;

/// What was no row, by file; the same for all tables of a session.
#[derive(Debug, Default)]
pub(super) struct Told(Mutex<Vec<(Part, Rejects)>>);

impl Told {
    /// A stretch was read, or as much of it as was asked for.
    pub(super) fn tell(&self, part: &Part, rejects: &Rejects) {
        if rejects.count == 0 {
            return;
        }
        let mut told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // Several tables read the same lines: whoever read most of them knows best.
        if let Some((_, known)) = told.iter_mut().find(|(other, _)| other == part) {
            if known.count < rejects.count {
                *known = rejects.clone();
            }
            return;
        }
        told.push((part.clone(), rejects.clone()));
    }

    /// All that was told, in the order of files and places.
    pub(super) fn all(&self) -> Vec<(Part, Rejects)> {
        let mut told = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        told.sort_by(|(a, _), (b, _)| (&a.source.path, a.stretch.begin).cmp(&(&b.source.path, b.stretch.begin)));
        told
    }
}

/// A stretch of a file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Part {
    pub(super) source: Arc<Source>,
    pub(super) stretch: Stretch,
}

/// Files of one form.
pub(super) struct Csv {
    pub(super) form: Form,
    pub(super) cut: Cut,
    pub(super) schema: SchemaRef,
    /// For each thread what it reads.
    pub(super) stretches: Vec<Vec<Part>>,
    pub(super) told: Arc<Told>,
}

impl fmt::Debug for Csv {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} by {}", self.form.name(), self.stretches.len())
    }
}

impl Csv {
    /// The cut of these files, all of one form, by so many at once.
    pub(super) fn new(form: Form, cut: Cut, sources: &[Arc<Source>], partitions: usize, told: &Arc<Told>) -> Self {
        let partitions = partitions.max(1);
        let mut stretches = vec![Vec::new(); partitions];
        for (at, source) in sources.iter().enumerate() {
            for (number, stretch) in source.stretches(partitions).into_iter().enumerate() {
                let source = Arc::clone(source);
                if let Some(slot) = stretches.get_mut((at + number) % partitions) {
                    slot.push(Part { source, stretch });
                }
            }
        }
        stretches.retain(|slot| !slot.is_empty());
        Self {
            form,
            cut,
            schema: schema(form, cut),
            stretches,
            told: Arc::clone(told),
        }
    }

    /// The threads that read them.
    pub(super) fn threads(&self) -> std::ops::Range<usize> {
        0..self.stretches.len()
    }
}

#[async_trait]
impl TableProvider for Csv {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    async fn scan(
        &self,
        _state: &dyn Session,
        projection: Option<&Vec<usize>>,
        _filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>, DataFusionError> {
        let all: Vec<usize> = (0..self.schema.fields().len()).collect();
        let wanted = projection.unwrap_or(&all);
        let schema = Building::new(self.form, self.cut, wanted).schema();
        let partition = |stretches: &Vec<Part>| -> Arc<dyn PartitionStream> {
            Arc::new(Partition {
                form: self.form,
                cut: self.cut,
                wanted: wanted.clone(),
                schema: Arc::clone(&schema),
                stretches: stretches.clone(),
                told: Arc::clone(&self.told),
            })
        };
        let partitions = self.stretches.iter().map(partition).collect();
        Ok(Arc::new(StreamingTableExec::try_new(
            Arc::clone(&schema),
            partitions,
            None,
            [],
            false,
            limit,
        )?))
    }
}

/// What one thread reads.
#[derive(Debug)]
struct Partition {
    form: Form,
    cut: Cut,
    wanted: Vec<usize>,
    schema: SchemaRef,
    stretches: Vec<Part>,
    told: Arc<Told>,
}

impl PartitionStream for Partition {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn execute(&self, _: Arc<TaskContext>) -> SendableRecordBatchStream {
        let reading = Reading {
            building: Building::new(self.form, self.cut, &self.wanted),
            waiting: self.stretches.clone().into(),
            now: None,
            told: Arc::clone(&self.told),
        };
        Box::pin(RecordBatchStreamAdapter::new(
            Arc::clone(&self.schema),
            futures::stream::iter(reading),
        ))
    }
}

/// Stretches on their way to batches.
struct Reading {
    building: Building,
    waiting: VecDeque<Part>,
    now: Option<(Part, Scan<Box<dyn Read + Send>>)>,
    told: Arc<Told>,
}

impl Reading {
    fn batch(&mut self) -> Result<Option<RecordBatch>, DataFusionError> {
        while self.building.len() < BATCH {
            let Some((part, scan)) = &mut self.now else {
                let Some(part) = self.waiting.pop_front() else { break };
                let scan = part.source.scan(part.stretch).map_err(fault)?;
                self.now = Some((part, scan));
                continue;
            };
            let building = &mut self.building;
            let more = match scan.rows(BATCH - building.len(), |row| building.push(row)) {
                Ok(more) => more,
                Err(error) => return Err(fault(part.source.broken(part.stretch, scan.lines(), error))),
            };
            if !more {
                building.end_torrent();
                self.leave();
            }
        }
        if self.building.len() == 0 {
            return Ok(None);
        }
        Ok(Some(self.building.finish()?))
    }

    /// Tells what was no row of the stretch at hand.
    fn leave(&mut self) {
        if let Some((part, scan)) = self.now.take() {
            self.told.tell(&part, scan.rejects());
        }
    }
}

impl Iterator for Reading {
    type Item = Result<RecordBatch, DataFusionError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.batch().transpose()
    }
}

/// A question may end before the file does.
impl Drop for Reading {
    fn drop(&mut self) {
        self.leave();
    }
}

/// A failure on its way through the engine: what the user can mend is still known as such at the other end.
pub(super) fn fault(error: anyhow::Error) -> DataFusionError {
    match error.downcast::<BadInput>() {
        Ok(bad) => DataFusionError::External(Box::new(bad)),
        Err(other) => DataFusionError::External(other.into()),
    }
}
