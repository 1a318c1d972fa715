//! A storage whose operations wait for their turn, so that a seed decides the order in which
//! several writers and collectors reach one repository.
//!
//! On a single-threaded runtime with inline hashing everything between two storage operations is
//! deterministic, so a seed replays its schedule exactly.

use std::collections::HashSet;
use std::ops::Range;
use std::sync::Arc;

use backstay_engine::storage::{Capacity, ObjectInfo, Storage, StorageError};
use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::oneshot;

/// A small seeded generator (SplitMix64); tests need no better one.
#[derive(Debug, Clone)]
pub struct Seeded(u64);

impl Seeded {
    /// Starts from `seed`.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next 64 bits.
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A number below `bound`, which is not 0.
    pub fn below(&mut self, bound: usize) -> usize {
        (self.bits() % bound as u64) as usize
    }
}

/// An operation that waits, or was let through.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Operation {
    /// On whose behalf.
    pub actor: usize,
    /// `create`, `get`, `list` or `delete`.
    pub verb: &'static str,
    /// The key or prefix.
    pub key: String,
}

#[derive(Debug)]
struct Waiter {
    operation: Operation,
    turn: oneshot::Sender<()>,
}

/// Where operations queue up for their turn.
#[derive(Debug, Default, Clone)]
pub struct Gate(Arc<Mutex<Queue>>);

#[derive(Debug, Default)]
struct Queue {
    waiters: Vec<Waiter>,
    /// Actors that need not wait.
    free: HashSet<usize>,
    /// Actors that crashed: nothing of theirs happens any more.
    crashed: HashSet<usize>,
}

impl Gate {
    /// A storage whose operations, done on behalf of `actor`, wait at this gate.
    pub fn storage(&self, inner: Arc<dyn Storage>, actor: usize) -> Arc<dyn Storage> {
        Arc::new(Stepped {
            inner,
            gate: self.clone(),
            actor,
        })
    }

    /// Whether an actor's operations happen at once from now on.
    pub fn set_free(&self, actor: usize, free: bool) {
        let mut queue = self.0.lock();
        if free {
            queue.free.insert(actor);
            queue
                .waiters
                .retain(|waiter| waiter.operation.actor != actor);
        } else {
            queue.free.remove(&actor);
        }
    }

    /// Nothing that this actor has asked for or will ask for happens: its process is gone.
    pub fn crash(&self, actor: usize) {
        let mut queue = self.0.lock();
        queue.crashed.insert(actor);
        queue
            .waiters
            .retain(|waiter| waiter.operation.actor != actor);
    }

    /// Lets every other task run until each waits at the gate, for a timer, or is done.
    pub async fn settle(&self) {
        let mut calm = 0;
        let mut before = usize::MAX;
        while calm < 6 {
            tokio::task::yield_now().await;
            let now = self.0.lock().waiters.len();
            calm = if now == before { calm + 1 } else { 0 };
            before = now;
        }
    }

    /// The operations that wait, oldest first.
    pub fn waiting(&self) -> Vec<Operation> {
        let queue = self.0.lock();
        let operations = queue.waiters.iter().map(|waiter| &waiter.operation);
        operations.cloned().collect()
    }

    /// Lets one waiting operation happen, chosen by `seeded`; `None` when nobody waits. The actors of
    /// `slow` are passed over most of the time.
    pub async fn step(&self, seeded: &mut Seeded, slow: &HashSet<usize>) -> Option<Operation> {
        self.settle().await;
        let waiter = {
            let waiters = &mut self.0.lock().waiters;
            if waiters.is_empty() {
                return None;
            }
            let mut chosen = seeded.below(waiters.len());
            for _ in 0..3 {
                if slow.contains(&waiters[chosen].operation.actor) {
                    chosen = seeded.below(waiters.len());
                }
            }
            waiters.swap_remove(chosen)
        };
        let _ = waiter.turn.send(());
        Some(waiter.operation)
    }

    /// Lets the oldest waiting operation of an actor happen; `None` when it has none.
    pub fn let_through(&self, actor: usize) -> Option<Operation> {
        let waiter = {
            let waiters = &mut self.0.lock().waiters;
            let oldest = waiters.iter().position(|w| w.operation.actor == actor)?;
            waiters.remove(oldest)
        };
        let _ = waiter.turn.send(());
        Some(waiter.operation)
    }

    async fn turn(&self, actor: usize, verb: &'static str, key: &str) {
        let (turn, wait) = oneshot::channel();
        {
            let mut queue = self.0.lock();
            if queue.free.contains(&actor) {
                return;
            }
            let operation = Operation {
                actor,
                verb,
                key: key.to_owned(),
            };
            queue.waiters.push(Waiter { operation, turn });
        }
        let let_through = wait.await.is_ok();
        let crashed = self.0.lock().crashed.contains(&actor);
        if crashed && !let_through {
            std::future::pending::<()>().await;
        }
    }
}

#[derive(Debug)]
struct Stepped {
    inner: Arc<dyn Storage>,
    gate: Gate,
    actor: usize,
}

#[async_trait::async_trait]
impl Storage for Stepped {
    fn place(&self) -> String {
        self.inner.place()
    }

    async fn create(&self, key: &str, body: Bytes) -> Result<(), StorageError> {
        self.gate.turn(self.actor, "create", key).await;
        self.inner.create(key, body).await
    }

    async fn get(&self, key: &str, range: Option<Range<u64>>) -> Result<Bytes, StorageError> {
        self.gate.turn(self.actor, "get", key).await;
        self.inner.get(key, range).await
    }

    async fn list(&self, prefix: &str) -> Result<Vec<ObjectInfo>, StorageError> {
        self.gate.turn(self.actor, "list", prefix).await;
        self.inner.list(prefix).await
    }

    async fn delete(&self, key: &str) -> Result<(), StorageError> {
        self.gate.turn(self.actor, "delete", key).await;
        self.inner.delete(key).await
    }

    async fn barrier(&self) -> Result<(), StorageError> {
        self.inner.barrier().await
    }

    async fn capacity(&self) -> Result<Option<Capacity>, StorageError> {
        self.inner.capacity().await
    }
}
