//! A bounded pool of threads for work that keeps a core busy: hashing, compression, encryption.
//!
//! Its queue has no bound of its own: whoever submits holds a permit for the memory the job uses.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use parking_lot::{Condvar, Mutex};
use tokio::sync::oneshot;

use super::codec::Scratch;
use crate::error::{Error, Result};
use crate::workers::give_way;

type Job = Box<dyn FnOnce(&mut Scratch) + Send>;

struct Queue {
    jobs: Mutex<(VecDeque<Job>, bool)>,
    ready: Condvar,
}

/// The pool; its threads end when it is dropped and the queue is empty.
pub(crate) struct CpuPool {
    queue: Arc<Queue>,
    /// Without threads, jobs run where they are submitted: simulations must not depend on timing.
    inline: Option<Mutex<Scratch>>,
}

impl std::fmt::Debug for CpuPool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "CpuPool({} waiting)", self.queue.jobs.lock().0.len())
    }
}

impl CpuPool {
    /// Starts `workers` threads; with 0, jobs run where they are submitted.
    pub(crate) fn new(workers: usize) -> Result<Self> {
        let queue = Arc::new(Queue {
            jobs: Mutex::default(),
            ready: Condvar::new(),
        });
        let inline = (workers == 0).then(Mutex::default);
        let pool = Self { queue, inline };
        for number in 0..workers.min(256) {
            let queue = Arc::clone(&pool.queue);
            std::thread::Builder::new()
                .name(format!("chunks-{number}"))
                .spawn(move || {
                    give_way();
                    work(&queue);
                })
                .map_err(|error| Error::internal("Cannot start a thread").because(error))?;
        }
        Ok(pool)
    }

    /// Queues a job.
    pub(crate) fn spawn(&self, job: impl FnOnce(&mut Scratch) + Send + 'static) {
        if let Some(scratch) = &self.inline {
            job(&mut scratch.lock());
            return;
        }
        self.queue.jobs.lock().0.push_back(Box::new(job));
        self.queue.ready.notify_one();
    }

    /// Queues a job and waits for its answer.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        job: impl FnOnce(&mut Scratch) -> T + Send + 'static,
    ) -> Result<T> {
        let (send, receive) = oneshot::channel();
        self.spawn(move |scratch| {
            // Whoever asked may have stopped waiting.
            let _ = send.send(job(scratch));
        });
        receive
            .await
            .map_err(|lost| Error::internal("A job of the chunk pipeline broke down").because(lost))
    }
}

impl Drop for CpuPool {
    fn drop(&mut self) {
        self.queue.jobs.lock().1 = true;
        self.queue.ready.notify_all();
    }
}

fn work(queue: &Queue) {
    let mut scratch = Scratch::default();
    loop {
        let job = {
            let mut jobs = queue.jobs.lock();
            loop {
                if let Some(job) = jobs.0.pop_front() {
                    break job;
                }
                if jobs.1 {
                    return;
                }
                queue.ready.wait(&mut jobs);
            }
        };
        // A panic drops the job's answer channel, which its owner reports; the thread lives on.
        if catch_unwind(AssertUnwindSafe(|| job(&mut scratch))).is_err() {
            scratch = Scratch::default();
        }
    }
}
