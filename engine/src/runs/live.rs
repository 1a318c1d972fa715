//! A run in progress: hears what the work reports, tells whoever follows it.

use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::progress::Tracker;
use crate::catalog::LogSink;
use crate::model::Run;
use crate::monitor::{Level, Loss, Monitor};

/// Losses a run keeps; all are in its log.
pub const KEPT_LOSSES: usize = 1000;

/// Why a run was told to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// Somebody asked.
    Asked,
    /// It made no progress.
    Stalled,
    /// It took longer than its job allows.
    Overtime,
    /// The engine ends.
    Engine,
}

/// A run in progress.
#[derive(Debug)]
pub struct Live {
    state: Mutex<State>,
    begun: Instant,
    log: LogSink,
    cancel: CancellationToken,
    updates: watch::Sender<Run>,
}

#[derive(Debug)]
struct State {
    run: Run,
    tracker: Tracker,
    last_sign: Instant,
    stop: Option<Stop>,
}

impl Live {
    /// A run that begins now.
    ///
    /// `updates` has the followers that came before it began.
    pub fn new(run: Run, log: LogSink, updates: Option<watch::Sender<Run>>) -> Self {
        let begun = Instant::now();
        let updates = updates.unwrap_or_else(|| watch::Sender::new(run.clone()));
        updates.send_replace(run.clone());
        Self {
            updates,
            state: Mutex::new(State {
                run,
                tracker: Tracker::default(),
                last_sign: begun,
                stop: None,
            }),
            begun,
            log,
            cancel: CancellationToken::new(),
        }
    }

    /// Cancelled when the run should stop.
    pub fn token(&self) -> CancellationToken {
        self.cancel.clone()
    }

    /// Its log.
    pub fn log(&self) -> &LogSink {
        &self.log
    }

    /// Every change from now on.
    pub fn follow(&self) -> watch::Receiver<Run> {
        self.updates.subscribe()
    }

    /// The run as it is now.
    pub fn snapshot(&self) -> Run {
        let mut state = self.state.lock();
        let elapsed = self.begun.elapsed();
        let mut run = state.run.clone();
        if !run.status.is_final() {
            run.progress = state.tracker.progress(elapsed);
            run.duration_ms = Some(elapsed.as_millis() as u64);
        }
        run
    }

    /// Tells followers how things stand.
    pub fn publish(&self) {
        let run = self.snapshot();
        self.updates.send_if_modified(|known| {
            let changed = *known != run;
            *known = run;
            changed
        });
    }

    /// The final state, for followers.
    pub fn end(&self, run: Run) {
        self.state.lock().run = run.clone();
        self.updates.send_replace(run);
    }

    /// Tells it to stop because somebody asked.
    pub fn cancel(&self) {
        self.stop(Stop::Asked);
    }

    /// Tells it to stop because the engine ends.
    pub fn stop_engine(&self) {
        self.stop(Stop::Engine);
    }

    /// Tells it to stop; the first reason stands.
    pub fn stop(&self, why: Stop) {
        {
            let mut state = self.state.lock();
            state.stop.get_or_insert(why);
            state.run.cancel_requested |= why == Stop::Asked;
        }
        self.cancel.cancel();
        self.publish();
    }

    /// Why it was told to stop, if it was.
    pub fn stopped(&self) -> Option<Stop> {
        self.state.lock().stop
    }

    /// How long nothing was heard of the work.
    pub fn silence(&self) -> Duration {
        self.state.lock().last_sign.elapsed()
    }

    /// Its stages so far, and how long each took.
    pub fn stages(&self) -> Vec<(String, Duration)> {
        let state = self.state.lock();
        state.tracker.stages(self.begun.elapsed())
    }

    fn heard(&self, change: impl FnOnce(&mut State, Duration)) {
        let mut state = self.state.lock();
        state.last_sign = Instant::now();
        let at = self.begun.elapsed();
        change(&mut state, at);
    }

    fn stage_name(&self) -> Option<String> {
        let state = self.state.lock();
        state.tracker.stage_name().map(ToOwned::to_owned)
    }
}

impl Monitor for Live {
    fn stage(&self, name: &str) {
        self.heard(|state, at| state.tracker.stage(at, name));
        self.log.line(Level::Info, Some(name), name);
    }

    fn foresee(&self, objects: Option<u64>, bytes: Option<u64>) {
        self.heard(|state, _| state.tracker.foresee(objects, bytes));
    }

    fn advance(&self, objects: u64, read_bytes: u64, stored_bytes: u64) {
        self.heard(|state, at| state.tracker.advance(at, objects, read_bytes, stored_bytes));
    }

    fn note(&self, level: Level, text: &str) {
        self.heard(|_, _| {});
        self.log.line(level, self.stage_name().as_deref(), text);
    }

    fn lost(&self, loss: Loss) {
        let text = format!("Lost {}: {}", loss.object, loss.reason);
        self.heard(|state, _| {
            state.run.losses_total += 1;
            if state.run.losses.len() < KEPT_LOSSES {
                state.run.losses.push(loss);
            }
        });
        self.log
            .line(Level::Error, self.stage_name().as_deref(), &text);
    }
}
