//! Which questions are the cluster's.

use std::sync::Arc;

use async_trait::async_trait;
use datafusion::catalog::Session;
use datafusion::common::Result;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::execution::context::QueryPlanner;
use datafusion::logical_expr::LogicalPlan;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_planner::{DefaultPhysicalPlanner, PhysicalPlanner as _};

/// Has those answered by the cluster that read a table, but for a `UNION`: of one with several short sides Ballista 55.0 gives some sides more than
/// once and others not at all (our test has seen it), so who asks answers it, from the same files. What reads no table, as `DESCRIBE` or what
/// turned out to have no row, needs nobody, and would lose its columns on the way.
#[derive(Debug)]
pub(super) struct Planner {
    cluster: Arc<dyn QueryPlanner + Send + Sync>,
}

impl Planner {
    pub(super) fn new(cluster: &Arc<dyn QueryPlanner + Send + Sync>) -> Self {
        Self {
            cluster: Arc::clone(cluster),
        }
    }
}

#[async_trait]
impl QueryPlanner for Planner {
    async fn create_physical_plan(&self, plan: &LogicalPlan, session: &dyn Session) -> Result<Arc<dyn ExecutionPlan>> {
        if is_for_a_cluster(plan)? {
            return self.cluster.create_physical_plan(plan, session).await;
        }
        DefaultPhysicalPlanner::default()
            .create_physical_plan(plan, session)
            .await
    }
}

/// Whether a table is read anywhere in it, and nothing is united.
fn is_for_a_cluster(plan: &LogicalPlan) -> Result<bool> {
    let (mut reads, mut unites) = (false, false);
    plan.apply_with_subqueries(|node| {
        reads |= matches!(node, LogicalPlan::TableScan(_));
        unites |= matches!(node, LogicalPlan::Union(_));
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok(reads && !unites)
}
