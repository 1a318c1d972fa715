//! A monitor that passes everything on and keeps the losses, for whoever must act on them.

use std::sync::Arc;

use parking_lot::Mutex;

use crate::monitor::{Level, Loss, Monitor, Task};

/// A task whose losses are kept.
#[derive(Debug)]
pub(super) struct Gathering {
    /// To be handed on.
    pub(super) task: Task,
    heard: Arc<Heard>,
}

#[derive(Debug)]
struct Heard {
    inner: Arc<dyn Monitor>,
    losses: Mutex<Vec<Loss>>,
}

impl Gathering {
    /// The same task, listened to.
    pub(super) fn of(task: &Task) -> Self {
        let heard = Arc::new(Heard {
            inner: Arc::clone(&task.monitor),
            losses: Mutex::default(),
        });
        Self {
            task: Task {
                monitor: Arc::clone(&heard) as Arc<dyn Monitor>,
                ..task.clone()
            },
            heard,
        }
    }

    /// What was lost so far.
    pub(super) fn losses(&self) -> Vec<Loss> {
        self.heard.losses.lock().clone()
    }
}

impl Monitor for Heard {
    fn stage(&self, name: &str) {
        self.inner.stage(name);
    }
    fn foresee(&self, objects: Option<u64>, bytes: Option<u64>) {
        self.inner.foresee(objects, bytes);
    }
    fn advance(&self, objects: u64, read_bytes: u64, stored_bytes: u64) {
        self.inner.advance(objects, read_bytes, stored_bytes);
    }
    fn note(&self, level: Level, text: &str) {
        self.inner.note(level, text);
    }
    fn lost(&self, loss: Loss) {
        self.losses.lock().push(loss.clone());
        self.inner.lost(loss);
    }
}
