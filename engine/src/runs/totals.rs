//! What has become of runs since the start, for monitoring.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::model::{Run, RunKind, RunStatus};

/// Stages that are told apart; texts beyond them are not counted.
const STAGES_MAX: usize = 200;

/// Counters that only grow.
#[derive(Clone, Debug, Default)]
pub struct Totals {
    /// Runs that have ended.
    pub ended: BTreeMap<(RunKind, RunStatus), u64>,
    /// Time spent in each stage.
    pub stages: BTreeMap<(RunKind, String), Duration>,
}

impl Totals {
    /// A run has ended.
    pub(super) fn ended(&mut self, run: &Run, stages: Vec<(String, Duration)>) {
        *self.ended.entry((run.kind, run.status)).or_default() += 1;
        for (stage, took) in stages {
            let key = (run.kind, stage);
            if self.stages.len() < STAGES_MAX || self.stages.contains_key(&key) {
                *self.stages.entry(key).or_default() += took;
            }
        }
    }
}
