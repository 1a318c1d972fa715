//! Progress: what was done, how fast lately, and how long it will take where that can be known.

use std::collections::VecDeque;
use std::time::Duration;

use crate::model::Progress;

/// The rate is that of this last stretch.
const WINDOW: Duration = Duration::from_secs(10);
/// No rate is told before this much time has passed.
const LEAST: Duration = Duration::from_secs(1);
/// Samples are at least this far apart, so that there are few.
const SPACING: Duration = Duration::from_millis(200);

/// Stages whose time is remembered.
const STAGES_MAX: usize = 100;

/// Adds up what a run reports. Times are since the run's start.
#[derive(Debug, Default)]
pub struct Tracker {
    stage: Option<String>,
    objects_done: u64,
    objects_total: Option<u64>,
    read_bytes: u64,
    stored_bytes: u64,
    /// Bytes read when this stage began, and what it expects.
    stage_base: u64,
    stage_bytes: Option<u64>,
    stage_begun: Duration,
    /// The stages before, and how long each took.
    done: Vec<(String, Duration)>,
    samples: VecDeque<(Duration, u64)>,
}

impl Tracker {
    /// A new stage: its objects and totals begin anew, bytes go on.
    pub fn stage(&mut self, at: Duration, name: &str) {
        if let Some(before) = self.stage.replace(name.to_owned())
            && self.done.len() < STAGES_MAX
        {
            self.done
                .push((before, at.saturating_sub(self.stage_begun)));
        }
        self.objects_done = 0;
        self.objects_total = None;
        self.stage_base = self.read_bytes;
        self.stage_bytes = None;
        self.stage_begun = at;
        self.samples.clear();
    }

    /// All stages so far, and how long each took.
    pub fn stages(&self, at: Duration) -> Vec<(String, Duration)> {
        let now = self.stage.iter();
        let now = now.map(|name| (name.clone(), at.saturating_sub(self.stage_begun)));
        self.done.iter().cloned().chain(now).collect()
    }

    /// What the stage expects; what is not known stays as it was.
    pub fn foresee(&mut self, objects: Option<u64>, bytes: Option<u64>) {
        self.objects_total = objects.or(self.objects_total);
        self.stage_bytes = bytes.or(self.stage_bytes);
    }

    /// What was done.
    pub fn advance(&mut self, at: Duration, objects: u64, read_bytes: u64, stored_bytes: u64) {
        self.objects_done += objects;
        self.read_bytes += read_bytes;
        self.stored_bytes += stored_bytes;
        let fresh = self
            .samples
            .back()
            .is_none_or(|(last, _)| at.saturating_sub(*last) >= SPACING);
        if fresh {
            self.samples.push_back((at, self.read_bytes));
        }
    }

    /// The name of the stage.
    pub fn stage_name(&self) -> Option<&str> {
        self.stage.as_deref()
    }

    /// How things stand.
    pub fn progress(&mut self, at: Duration) -> Progress {
        let horizon = at.saturating_sub(WINDOW);
        while self.samples.len() > 1 && self.samples[1].0 <= horizon {
            self.samples.pop_front();
        }
        let rate = self.rate(at, horizon);
        let total_bytes = self
            .stage_bytes
            .map(|bytes| (self.stage_base + bytes).max(self.read_bytes));
        let eta_ms = match (total_bytes, rate) {
            (Some(total), Some(rate)) if rate > 0 => {
                let left = u128::from(total - self.read_bytes) * 1000 / u128::from(rate);
                u64::try_from(left).ok()
            }
            _ => None,
        };
        Progress {
            stage: self.stage.clone(),
            objects_done: self.objects_done,
            objects_total: self.objects_total.map(|total| total.max(self.objects_done)),
            read_bytes: self.read_bytes,
            total_bytes,
            stored_bytes: self.stored_bytes,
            rate_bytes_per_second: rate,
            eta_ms,
        }
    }

    /// Bytes a second since the oldest sample of the window, or since the stage began.
    fn rate(&self, at: Duration, horizon: Duration) -> Option<u64> {
        let (since, base) = match self.samples.front() {
            Some((when, bytes)) if *when <= horizon => (*when, *bytes),
            Some(_) if self.stage_begun >= horizon => (self.stage_begun, self.stage_base),
            Some((when, bytes)) => (*when, *bytes),
            None => return None,
        };
        let time = at.saturating_sub(since);
        if time < LEAST {
            return None;
        }
        let bytes = u128::from(self.read_bytes - base) * 1000 / time.as_millis();
        u64::try_from(bytes).ok()
    }
}

#[cfg(test)]
mod tests;
