//! The threads that move rows and do what the engine does by itself, and how much of the processor they may
//! take from others.
//!
//! A backup keeps a thread busy for as long as rows arrive, and a look at every job for as long as there are
//! jobs. A thread that serves the API must not do either: while it does, nobody reads from the sockets that it
//! watches, however many other threads are idle. Those threads go first, too.

use rustix::process::setpriority_process;
use rustix::thread::gettid;
use tokio::runtime::{Builder, Handle, Runtime};

use crate::error::{Error, Result};

/// What these threads' nice value is; see sched(7).
const NICE: i32 = 5;

/// A runtime of their own, one thread for each core. Its threads end when it is dropped,
/// whatever they do.
#[derive(Debug)]
pub struct Workers(Option<Runtime>);

impl Workers {
    /// Starts the threads.
    pub fn start() -> Result<Self> {
        let runtime = Builder::new_multi_thread()
            .thread_name("rows")
            .on_thread_start(give_way)
            .enable_all()
            .build()
            .map_err(|error| Error::internal("Cannot start threads").because(error))?;
        Ok(Self(Some(runtime)))
    }

    /// Where to spawn what they shall do.
    pub(crate) fn handle(&self) -> Handle {
        // There until the drop.
        self.0
            .as_ref()
            .map_or_else(Handle::current, |runtime| runtime.handle().clone())
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

/// Lets others go first, from now on, on this thread. Where that is not allowed, nothing changes.
pub(crate) fn give_way() {
    // On Linux a nice value is a thread's own; see setpriority(2).
    if let Err(error) = setpriority_process(Some(gettid()), NICE) {
        tracing::debug!(%error, "a thread keeps its priority");
    }
}
