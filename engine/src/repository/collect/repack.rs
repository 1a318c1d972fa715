//! Copying the chunks that are still used out of packs that are little used.

use super::super::Repository;
use super::super::writer::Writer;
use super::PruneOptions;
use super::plan::PrunePlan;
use crate::error::{Code, Result};
use crate::monitor::Task;

/// Stores the plan's chunks again in new packs; durable and in the index when it returns. Answers
/// the bytes copied, before compression.
///
/// Each chunk is opened and its id verified on the way, so damage is never carried along.
pub(super) async fn copy_live(
    repository: &Repository,
    plan: &PrunePlan,
    options: &PruneOptions,
    task: &Task,
) -> Result<u64> {
    let inner = &repository.inner;
    let writer = Writer::begin_avoiding(inner, &options.collector, &plan.sparse).await?;
    task.monitor
        .foresee(Some(plan.moved.len() as u64), Some(plan.copied_bytes));
    let copied: Result<()> = async {
        for (id, location) in &plan.moved {
            let chunk = match task.or_cancelled(inner.read_copy(id, location)).await {
                // Another collector deleted the pack meanwhile. Whether the chunk is still needed,
                // and has a copy elsewhere, is judged before anything goes.
                Err(error) if error.code() == Code::RepositoryMissing => continue,
                chunk => chunk?,
            };
            task.monitor.advance(1, chunk.len() as u64, 0);
            writer.keep_chunk(chunk).await?;
        }
        Ok(())
    }
    .await;
    let copied_bytes = writer.tally().new_bytes;
    // Ends the session either way; what was copied is in the index and harmless.
    let settled = writer.abandon().await;
    copied?;
    settled?;
    Ok(copied_bytes)
}
