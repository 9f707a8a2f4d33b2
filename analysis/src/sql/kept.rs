//! A table in memory of which it is known how it lies: sorted by infohash, and all rows of one infohash in one partition. To group
//! by infohash the engine then needs one torrent at a time, neither a table of all of them nor an exchange between threads.

use std::collections::BTreeSet;
use std::sync::Arc;

use async_trait::async_trait;
use datafusion::arrow::array::{Array as _, RecordBatch};
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::Result;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::{Expr, TableType};
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_expr::{LexOrdering, PhysicalSortExpr};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::streaming::{PartitionStream, StreamingTableExec};
use datafusion::physical_plan::{ExecutionPlan, ExecutionPlanProperties as _, Partitioning, PhysicalExpr};

use super::shelves::KEY;

/// Rows by partition.
#[derive(Debug)]
pub(super) struct Kept {
    pub(super) schema: SchemaRef,
    pub(super) partitions: Vec<Arc<Vec<RecordBatch>>>,
}

#[async_trait]
impl TableProvider for Kept {
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
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let partition = |batches: &Arc<Vec<RecordBatch>>| -> Arc<dyn PartitionStream> {
            Arc::new(Partition {
                schema: self.schema(),
                batches: Arc::clone(batches),
            })
        };
        let partitions = self.partitions.iter().map(partition).collect();
        let wanted = match projection {
            Some(wanted) => Arc::new(self.schema.project(wanted)?),
            None => self.schema(),
        };
        let key = key(&wanted);
        let sorted = key
            .clone()
            .and_then(|key| LexOrdering::new([PhysicalSortExpr::new_default(key)]));
        let plan = StreamingTableExec::try_new(self.schema(), partitions, projection, sorted, false, limit)?;
        let Some(key) = key else {
            return Ok(Arc::new(plan));
        };
        let hashed = Partitioning::Hash(vec![key], self.partitions.len());
        Ok(Arc::new(plan.with_output_partitioning(hashed)?))
    }
}

/// The column of infohashes.
fn key(schema: &SchemaRef) -> Option<Arc<dyn PhysicalExpr>> {
    Some(Arc::new(Column::new_with_schema(KEY, schema).ok()?))
}

/// Whether the rows of a plan come sorted by infohash in each partition.
pub(super) fn is_sorted(plan: &Arc<dyn ExecutionPlan>) -> Result<bool> {
    let Some(key) = key(&plan.schema()) else {
        return Ok(false);
    };
    plan.equivalence_properties()
        .ordering_satisfy([PhysicalSortExpr::new_default(key)])
}

/// Whether all rows of an infohash come in one partition of a plan, the one that the engine's hash says.
pub(super) fn is_dealt(plan: &Arc<dyn ExecutionPlan>) -> bool {
    match plan.output_partitioning() {
        Partitioning::Hash(by, _) => {
            matches!(by.as_slice(), [by] if key(&plan.schema()).is_some_and(|key| key.eq(by)))
        }
        other => other.partition_count() == 1,
    }
}

/// Bytes of batches that share some of them.
#[expect(single_use_lifetimes, reason = "an anonymous one in `impl Trait` is unstable")]
pub(super) fn bytes<'a>(batches: impl IntoIterator<Item = &'a RecordBatch>) -> usize {
    let mut seen = BTreeSet::new();
    let mut bytes = 0;
    for column in batches.into_iter().flat_map(RecordBatch::columns) {
        let data = column.to_data();
        let buffers = data.buffers().iter().chain(data.nulls().map(|nulls| nulls.buffer()));
        for buffer in buffers {
            if seen.insert(buffer.data_ptr()) {
                bytes += buffer.capacity();
            }
        }
    }
    bytes
}

/// What one thread reads.
#[derive(Debug)]
struct Partition {
    schema: SchemaRef,
    batches: Arc<Vec<RecordBatch>>,
}

impl PartitionStream for Partition {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn execute(&self, _: Arc<TaskContext>) -> SendableRecordBatchStream {
        let batches = Arc::clone(&self.batches);
        let all = (0..batches.len()).filter_map(move |at| batches.get(at).cloned().map(Ok));
        Box::pin(RecordBatchStreamAdapter::new(
            Arc::clone(&self.schema),
            futures::stream::iter(all),
        ))
    }
}
