//! Who the work of a task is done for.
//!
//! The surface wraps every request; whatever the engine does by itself has no wrapping and counts as the
//! engine's own.

use std::sync::Arc;

use super::{Actor, Caller};

tokio::task_local! {
    static CALLER: Arc<Caller>;
}

/// Runs `work` in the name of `caller`.
pub async fn acting_as<F: Future>(caller: Arc<Caller>, work: F) -> F::Output {
    CALLER.scope(caller, work).await
}

/// The same for work that does not wait.
pub fn acting_now_as<T>(caller: Arc<Caller>, work: impl FnOnce() -> T) -> T {
    CALLER.sync_scope(caller, work)
}

/// Who this task works for.
pub fn current() -> Arc<Caller> {
    CALLER
        .try_with(Arc::clone)
        .unwrap_or_else(|_| Arc::new(Caller::unlimited(Actor::Engine)))
}
