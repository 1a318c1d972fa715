//! Runs that are told to stop, and ends that must get into the catalog.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::{BusyKey, Finish, Runs, finish, live, not_found};
use crate::catalog::Tx;
use crate::catalog::records::RunRecord;
use crate::error::{Code, Error, Result};
use crate::ids::RunId;
use crate::model::{Loss, Problem, Run, RunKind, Time};

/// How often runs in progress are told to stop while the engine ends.
const STOP_AGAIN: Duration = Duration::from_millis(50);
/// How long a cancellation waits for a run that neither waits nor works.
const BETWEEN: Duration = Duration::from_millis(if cfg!(test) { 100 } else { 10_000 });
/// Wait before a write that the catalog did not take is tried again; it doubles up to the other one.
const WRITE_AGAIN: Duration = Duration::from_millis(200);
const WRITE_AGAIN_MAX: Duration = Duration::from_secs(15);

impl Runs {
    /// As if the run waited for ever.
    #[cfg(test)]
    pub(crate) fn hold(&self, record: &RunRecord) {
        let mut state = self.state.lock();
        state.queue.reserve(record.run.id, BusyKey::of(record));
    }

    /// Tells a run to stop. One that still waits ends at once; one that ended stays as it is.
    pub async fn cancel(&self, id: RunId) -> Result<Run> {
        let patience = Instant::now() + BETWEEN;
        loop {
            if let Some(live) = self.live(id) {
                live.cancel();
                return Ok(live.snapshot());
            }
            if self.state.lock().queue.forget(id) {
                break;
            }
            let record = self.catalog.get::<RunRecord>(id.bits())?;
            let run = record.ok_or_else(|| not_found(&id.to_string()))?.run;
            if run.status.is_final() {
                return Ok(run);
            }
            if Instant::now() >= patience {
                return Err(between());
            }
            // It is on its way from the queue to its live state, or from there to its end.
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let now = self.clock.now();
        let problem = Problem::from(&Error::cancelled());
        let run = self
            .catalog
            .write(move |tx| finish::cancelled_while_waiting(tx, id.bits(), now, &problem))
            .await;
        let run = match run {
            Ok(run) => run,
            Err(error) => {
                // It waits as before: nobody else takes it up again.
                let record = self.catalog.get::<RunRecord>(id.bits())?;
                if let Some(record) = record.filter(|record| !record.run.status.is_final()) {
                    self.state.lock().queue.add(id, BusyKey::of(&record));
                    self.wake.notify_one();
                }
                return Err(error);
            }
        };
        let mut state = self.state.lock();
        state.credentials.remove(&id.bits());
        if let Some(sender) = state.followers.remove(&id.bits()) {
            sender.send_replace(run.clone());
        }
        drop(state);
        self.announce("run.finished", &run);
        Ok(run)
    }

    /// Writes that a run which was cut off has made backups all the same.
    pub async fn amend(
        &self,
        id: RunId,
        at: Time,
        losses: Vec<Loss>,
        finish: Finish,
    ) -> Result<()> {
        let amended = self
            .persist(move |tx| {
                let Some(RunRecord { mut run, .. }) = tx.get(id.bits())? else {
                    return Ok(None);
                };
                run.losses_total = losses.len() as u64;
                run.losses = losses.iter().take(live::KEPT_LOSSES).cloned().collect();
                finish::conclude(&mut run, at, Ok(&finish));
                finish::ended(tx, &run, Some(&finish)).map(|(run, _)| Some(run))
            })
            .await?;
        if let Some(run) = amended {
            self.announce("backup.committed", &run);
        }
        Ok(())
    }

    /// Lets runs in progress end, interrupts them after the drain time (at once with `now`), and returns
    /// when none is left. What waits is taken up at the next start.
    pub async fn drain(&self, now: bool) {
        self.tasks.close();
        // What the engine does by itself can be done the next time.
        let live: Vec<_> = self.state.lock().live.values().cloned().collect();
        for run in live
            .iter()
            .filter(|run| run.snapshot().kind == RunKind::Task)
        {
            run.stop_engine();
        }
        if !now {
            let limit = self.config.drain_timeout;
            if tokio::time::timeout(limit, self.tasks.wait()).await.is_ok() {
                return;
            }
        }
        let mut ended = std::pin::pin!(self.tasks.wait());
        loop {
            // Again and again: a run may be on its way from the queue to its live state.
            let live: Vec<_> = self.state.lock().live.values().cloned().collect();
            for run in live {
                run.stop_engine();
            }
            tokio::select! {
                () = &mut ended => return,
                () = tokio::time::sleep(STOP_AGAIN) => {}
            }
        }
    }

    /// Writes again and again while the catalog cannot be written, since a disk that is full for a minute
    /// must not leave a run without its end. Gives up when the engine stops: the next start settles it.
    pub(super) async fn persist<T: Send + 'static>(
        &self,
        change: impl Fn(&Tx<'_>) -> Result<T> + Send + Sync + 'static,
    ) -> Result<T> {
        let change = Arc::new(change);
        let mut wait = WRITE_AGAIN;
        loop {
            let change = Arc::clone(&change);
            let last = self.stopping.is_cancelled();
            match self.catalog.write(move |tx| change(tx)).await {
                Err(error) if error.code() == Code::CatalogFailed && !last => {
                    tracing::error!(
                        error = error.report(),
                        "what became of a run is not written; it is tried again"
                    );
                    tokio::select! {
                        () = self.stopping.cancelled() => {}
                        () = tokio::time::sleep(wait) => {}
                    }
                    wait = (wait * 2).min(WRITE_AGAIN_MAX);
                }
                written => return written,
            }
        }
    }
}

fn between() -> Error {
    Error::new(
        Code::RunBusy,
        "The run is beginning or ending, and cannot be told to stop at this moment",
    )
    .hint("Try again; where it stays so, see the engine's log for what is wrong with the catalog")
}
