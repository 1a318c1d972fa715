//! One run from its beginning to its end, whatever happens in between.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::{Instant, MissedTickBehavior};

use super::finish::{self, Finish};
use super::live::{Live, Stop};
use super::{Executor, Runs};
use crate::catalog::LogSink;
use crate::catalog::records::BackupRecord;
use crate::error::{Code, Error, Result};
use crate::ids::RunId;
use crate::model::{Level, Problem, Run, RunKind, RunStatus};
use crate::monitor::{Monitor as _, Task};

/// How often followers are told.
const TICK: Duration = Duration::from_millis(250);
/// How many ticks between two progress events.
const TICKS_PER_EVENT: u32 = 4;
/// How long cancelled work may take to tidy up before it is dropped.
const GRACE: Duration = Duration::from_millis(800);

/// Carries the run out and writes how it ended.
pub(super) async fn run(runs: &Arc<Runs>, executor: &Arc<dyn Executor>, id: RunId) {
    if let Err(error) = begin_and_end(runs, executor, id).await {
        // Only the catalog fails here, and it has no place left to say so. The next start settles it.
        tracing::error!(run = %id, error = error.report(), "a run could not be recorded");
        let mut state = runs.state.lock();
        state.live.remove(&id.bits());
        state.followers.remove(&id.bits());
        state.credentials.remove(&id.bits());
    }
}

async fn begin_and_end(runs: &Arc<Runs>, executor: &Arc<dyn Executor>, id: RunId) -> Result<()> {
    let now = runs.clock.now();
    let begun = runs
        .persist(move |tx| finish::begun(tx, id.bits(), now))
        .await?;
    let Some(record) = begun else { return Ok(()) };
    let log = LogSink::new(runs.catalog.clone(), id, 0, Arc::clone(&runs.clock));
    let (live, credentials) = {
        let mut state = runs.state.lock();
        let followers = state.followers.remove(&id.bits());
        let live = Arc::new(Live::new(record.run.clone(), log, followers));
        state.live.insert(id.bits(), Arc::clone(&live));
        (live, state.credentials.remove(&id.bits()))
    };
    runs.announce("run.started", &record.run);
    live.log().line(Level::Info, None, &record.run.title);
    let task = Task {
        monitor: live.clone(),
        cancel: live.token(),
        clock: Arc::clone(&runs.clock),
    };
    let longest = record.max_runtime_seconds().map(Duration::from_secs);
    let executing = {
        let executor = Arc::clone(executor);
        runs.workers
            .spawn(async move { executor.execute(record, credentials, task).await })
    };
    let outcome = watch_over(runs, &live, executing, longest).await;
    let ended = end(runs, executor, &live, outcome).await?;
    executor.ended(&ended).await;
    Ok(())
}

/// Waits for the work, tells followers, notices stalls, and drops work that ignores its cancellation.
async fn watch_over(
    runs: &Runs,
    live: &Live,
    mut executing: JoinHandle<Result<Finish>>,
    longest: Option<Duration>,
) -> Result<Finish> {
    let mut tick = tokio::time::interval(TICK);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut ticks = 0_u32;
    let stall = runs.config.stall_timeout;
    let token = live.token();
    let mut give_up: Option<Instant> = None;
    let begun = Instant::now();
    loop {
        tokio::select! {
            done = &mut executing => return done.unwrap_or_else(|error| Err(broken(&error))),
            () = token.cancelled(), if give_up.is_none() => {
                give_up = Some(Instant::now() + GRACE);
            }
            () = tokio::time::sleep_until(give_up.unwrap_or_else(Instant::now)), if give_up.is_some() => {
                executing.abort();
                return Err(Error::cancelled());
            }
            _ = tick.tick() => {
                live.publish();
                ticks += 1;
                if ticks.is_multiple_of(TICKS_PER_EVENT) {
                    runs.announce("run.progress", &live.snapshot());
                }
                if !stall.is_zero() && live.silence() >= stall {
                    live.stop(Stop::Stalled);
                }
                if longest.is_some_and(|longest| begun.elapsed() >= longest) {
                    live.stop(Stop::Overtime);
                }
            }
        }
    }
}

fn broken(error: &tokio::task::JoinError) -> Error {
    if error.is_cancelled() {
        Error::cancelled()
    } else {
        Error::internal("The run broke off by a defect of Backstay")
            .hint("Please report it with the engine's log")
    }
}

/// What the run became, and what its work left.
async fn concluded(
    runs: &Runs,
    executor: &Arc<dyn Executor>,
    live: &Live,
    outcome: Result<Finish>,
) -> (Run, Option<Finish>) {
    let mut status = RunStatus::Failed;
    let mut outcome = outcome.map_err(|error| {
        let failed = failure(error, live.stopped(), runs.config.stall_timeout);
        status = failed.0;
        failed.1
    });
    let mut run = live.snapshot();
    if run.kind == RunKind::Backup {
        outcome = executor.found(&run, outcome).await;
        run = live.snapshot();
    }
    let now = runs.clock.now();
    match outcome {
        Ok(finish) => {
            finish::conclude(&mut run, now, Ok(&finish));
            (run, Some(finish))
        }
        Err(error) => {
            finish::conclude(&mut run, now, Err((status, Problem::from(&error))));
            (run, None)
        }
    }
}

async fn end(
    runs: &Runs,
    executor: &Arc<dyn Executor>,
    live: &Live,
    outcome: Result<Finish>,
) -> Result<Run> {
    let (run, finish) = concluded(runs, executor, live, outcome).await;
    let text = last_line(&run);
    let level = match run.status {
        RunStatus::Success => Level::Info,
        RunStatus::Cancelled => Level::Warning,
        _ => Level::Error,
    };
    live.note(level, &text);
    live.log().flush().await;
    let ended = run.clone();
    let damaged: Vec<_> = finish
        .iter()
        .flat_map(|finish| &finish.proofs)
        .filter(|proof| proof.failed.is_some())
        .map(|proof| proof.backup)
        .collect();
    let saved = runs
        .persist(move |tx| finish::ended_and_owed(tx, &ended, finish.as_ref()))
        .await;
    let run = match &saved {
        Ok(saved) => saved.clone(),
        Err(_) => run,
    };
    {
        // Whoever hears that it has ended finds its database free.
        let mut state = runs.state.lock();
        state.live.remove(&run.id.bits());
        state.queue.free(run.id);
        state.totals.ended(&run, live.stages());
    }
    runs.wake.notify_one();
    live.end(run.clone());
    runs.announce("run.finished", &run);
    if run.kind == RunKind::Backup && run.status.is_restorable() {
        runs.announce("backup.committed", &run);
    }
    for id in damaged {
        if let Some(BackupRecord(backup)) = runs.catalog.get(id.bits())? {
            let data = serde_json::to_value(&backup).unwrap_or_default();
            runs.events
                .publish("backup.damaged", Some(id.to_string()), data);
        }
    }
    saved
}

fn failure(error: Error, stopped: Option<Stop>, stall: Duration) -> (RunStatus, Error) {
    match stopped {
        Some(Stop::Stalled) => (
            RunStatus::Failed,
            Error::new(
                Code::Stalled,
                format!("Nothing moved for {} seconds", stall.as_secs()),
            )
            .hint("See what the server is busy with, or raise stall_timeout"),
        ),
        Some(Stop::Overtime) => (
            RunStatus::Cancelled,
            Error::new(
                Code::Cancelled,
                "The run took longer than it may and was cancelled",
            )
            .hint("See in its log what took the time, or raise max_runtime_seconds of its job or drill"),
        ),
        Some(Stop::Engine) => (
            RunStatus::Interrupted,
            Error::new(
                Code::EngineStopping,
                "The engine was stopped in the middle of the run",
            )
            .hint("Start it again; what was stored already is used"),
        ),
        Some(Stop::Asked) if error.code() == Code::Cancelled => (RunStatus::Cancelled, error),
        // What breaks off may see its server or storage fail before it sees that it was told to stop.
        Some(Stop::Asked) => (RunStatus::Cancelled, Error::cancelled().because(error)),
        _ => (RunStatus::Failed, error),
    }
}

fn last_line(run: &Run) -> String {
    match (&run.error, run.losses_total) {
        (Some(error), _) => match &error.hint {
            Some(hint) => format!("{}. {hint}", error.message),
            None => error.message.clone(),
        },
        (None, 0) if run.status == RunStatus::Success => "Done".to_owned(),
        (None, 0) => "Done, but something is missing".to_owned(),
        (None, lost) => format!("Done, but {lost} objects were lost"),
    }
}
