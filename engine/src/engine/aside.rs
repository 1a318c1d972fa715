//! Long reads of the catalog, off the threads that serve the API: these read from no socket meanwhile.

use tokio::task::JoinError;

use super::Engine;
use crate::access::scope;
use crate::error::{Error, Result};

impl Engine {
    /// Carries out what somebody waits for, in the name of the same caller.
    pub(super) async fn aside<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Self) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let (engine, caller) = (self.clone(), scope::current());
        let work = move || scope::acting_now_as(caller, || work(&engine));
        tokio::task::spawn_blocking(work).await.map_err(ended)?
    }

    /// Carries out what nobody waits for: everybody else goes first.
    pub(super) async fn behind<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Self) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let engine = self.clone();
        let work = move || work(&engine);
        self.0.workers.spawn_blocking(work).await.map_err(ended)?
    }
}

fn ended(error: JoinError) -> Error {
    match error.try_into_panic() {
        Ok(panic) => std::panic::resume_unwind(panic),
        Err(error) => Error::internal("The engine is about to end").because(error),
    }
}
