//! What waits to be told, and telling it: one notification at a time to each target, so that a slow or dead
//! one keeps nobody else waiting.
//!
//! Deliveries are records of the catalog before anything is sent, so that a restart loses none. Of each
//! target a bounded number waits; the oldest makes room.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::time::Duration;

use chrono::TimeDelta;
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::task::{Id, JoinSet};

use super::super::Engine;
use super::deleted;
use super::queue::TRIED;
use crate::catalog::records::{DeliveryRecord, TargetRecord, delivery, sum};
use crate::catalog::{Query, first_id_at};
use crate::error::Result;
use crate::ids::{DeliveryId, TargetId};
use crate::model::{Delivery, DeliveryStatus, Time};

/// How many deliveries of one target are kept, and how long.
const KEPT: u64 = 5000;
const KEPT_FOR: TimeDelta = TimeDelta::days(30);
/// Old deliveries that one write removes.
const REMOVED_AT_ONCE: usize = 500;
/// The clock is looked at this often, since it may be set.
const LOOK: TimeDelta = TimeDelta::seconds(30);
/// How often old deliveries are removed.
const CLEAN: Duration = Duration::from_hours(1);

/// When to try what next.
#[derive(Debug, Default)]
pub(in crate::engine) struct Outbox {
    due: Mutex<HashMap<TargetId, BTreeSet<(Time, DeliveryId)>>>,
    wake: Notify,
    ended: Mutex<HashMap<(TargetId, DeliveryStatus), u64>>,
}

impl Outbox {
    pub(super) fn add(&self, target: TargetId, at: Time, id: DeliveryId) {
        self.due.lock().entry(target).or_default().insert((at, id));
        self.wake.notify_one();
    }

    /// The target is gone.
    pub(super) fn forget(&self, target: TargetId) {
        self.due.lock().remove(&target);
        self.ended.lock().retain(|(own, _), _| *own != target);
    }

    /// Counts a delivery that has come to its end.
    pub(super) fn count(&self, target: TargetId, outcome: DeliveryStatus) {
        *self.ended.lock().entry((target, outcome)).or_default() += 1;
    }

    /// Deliveries to a target that have ended so since the start.
    pub(in crate::engine) fn ended(&self, target: TargetId, outcome: DeliveryStatus) -> u64 {
        let ended = self.ended.lock();
        ended.get(&(target, outcome)).copied().unwrap_or_default()
    }

    /// When the next one of a target is due.
    #[cfg(test)]
    pub(in crate::engine) fn next_of(&self, target: TargetId) -> Option<Time> {
        let all = self.due.lock();
        let first = all.get(&target)?.first();
        first.map(|(at, _)| *at)
    }

    /// The clock was moved.
    #[cfg(test)]
    pub(in crate::engine) fn look_again(&self) {
        self.wake.notify_one();
    }

    pub(super) fn take_out(&self, target: TargetId, id: DeliveryId) {
        if let Some(due) = self.due.lock().get_mut(&target) {
            due.retain(|(_, other)| *other != id);
        }
    }

    /// Takes the next delivery of every target that is not busy, and says how long nothing else will be due.
    fn next(
        &self,
        now: Time,
        busy: &HashMap<Id, (TargetId, DeliveryId)>,
    ) -> (Vec<(TargetId, DeliveryId)>, TimeDelta) {
        let (mut found, mut wait) = (Vec::new(), LOOK);
        for (target, due) in &mut *self.due.lock() {
            if busy.values().any(|(other, _)| other == target) {
                continue;
            }
            match due.first().copied() {
                Some((at, id)) if at <= now => {
                    due.pop_first();
                    found.push((*target, id));
                }
                Some((at, _)) => wait = wait.min(at - now),
                None => {}
            }
        }
        (found, wait)
    }
}

impl Engine {
    /// Gives a delivery up that was not tried to the end.
    pub(super) async fn drop_delivery(&self, id: DeliveryId) -> Result<()> {
        let now = self.now();
        let dropped = self.0.catalog.write(move |tx| {
            tx.change::<DeliveryRecord>(id.bits(), |record| {
                let delivery = &mut record.delivery;
                delivery.status = DeliveryStatus::Dropped;
                delivery.finished_at = Some(now);
                delivery.next_attempt_at = None;
                Ok(())
            })
        });
        if let Some(record) = dropped.await? {
            let target = record.delivery.target_id;
            self.0.outbox.count(target, DeliveryStatus::Dropped);
        }
        Ok(())
    }

    /// Lets a delivery begin anew, for as long as a new one.
    pub(super) async fn deliver_again(&self, id: DeliveryId) -> Result<Delivery> {
        let now = self.now();
        let changed = self.audited(move |tx, scribe| {
            scribe.note_bare(tx, "notification.redeliver", id)?;
            tx.change::<DeliveryRecord>(id.bits(), |record| {
                let delivery = &mut record.delivery;
                delivery.status = DeliveryStatus::Pending;
                delivery.next_attempt_at = Some(now);
                delivery.give_up_at = now + TRIED;
                delivery.finished_at = None;
                Ok(())
            })?
            .ok_or_else(|| deleted(id))
        });
        let delivery = changed.await?.delivery;
        self.0.outbox.take_out(delivery.target_id, id);
        self.0.outbox.add(delivery.target_id, now, id);
        Ok(delivery)
    }

    /// Takes up what waited when the engine before ended.
    pub(in super::super) fn fill_outbox(&self) -> Result<()> {
        for record in self.0.catalog.all::<TargetRecord>()? {
            let waiting = Query::oldest(usize::MAX)
                .only(delivery::TARGET, Some(record.target.id))
                .only(delivery::STATUS, Some(DeliveryStatus::Pending));
            for DeliveryRecord { delivery, .. } in
                self.0.catalog.list::<DeliveryRecord>(&waiting)?.records
            {
                let at = delivery.next_attempt_at.unwrap_or(delivery.created_at);
                self.0.outbox.add(delivery.target_id, at, delivery.id);
            }
        }
        Ok(())
    }

    /// Delivers until the engine stops.
    pub(in super::super) async fn keep_delivering(self) {
        let mut sending = JoinSet::new();
        let mut busy: HashMap<Id, (TargetId, DeliveryId)> = HashMap::new();
        loop {
            let (next, wait) = self.0.outbox.next(self.now(), &busy);
            for (target, id) in next {
                let engine = self.clone();
                let task = sending.spawn(async move { engine.attempt_or_log(target, id).await });
                busy.insert(task.id(), (target, id));
            }
            tokio::select! {
                () = self.0.stopping.cancelled() => break,
                () = self.0.outbox.wake.notified() => {}
                Some(done) = sending.join_next_with_id(), if !sending.is_empty() => {
                    let (task, broke) = match done {
                        Ok((task, ())) => (task, false),
                        Err(error) => (error.id(), true),
                    };
                    if let Some((target, id)) = busy.remove(&task).filter(|_| broke) {
                        self.try_later(target, id);
                    }
                }
                () = tokio::time::sleep(wait.to_std().unwrap_or_default()) => {}
            }
        }
        // What is cut off here is tried again at the next start: twice rather than never.
        sending.shutdown().await;
    }

    /// Removes deliveries that are too old or too many, now and every hour, until the stop.
    pub(in super::super) async fn keep_deliveries_bounded(self) {
        loop {
            if let Err(error) = self.remove_old_deliveries().await {
                tracing::error!(error = error.report(), "old deliveries were not removed");
            }
            tokio::select! {
                () = self.0.stopping.cancelled() => return,
                () = tokio::time::sleep(CLEAN) => {}
            }
        }
    }

    /// Removes deliveries that are too old or too many, and alerts that are long over. Answers how many.
    pub(in super::super) async fn remove_old_deliveries(&self) -> Result<u64> {
        let oldest = self.now() - KEPT_FOR;
        let mut removed = self.remove_old_alerts(oldest).await?;
        for record in self.0.catalog.all::<TargetRecord>()? {
            removed += self
                .remove_deliveries(record.target.id, first_id_at(oldest))
                .await?;
        }
        Ok(removed + self.remove_orphans(first_id_at(oldest)).await?)
    }

    /// Removes old deliveries to targets that are gone: an engine that ended in between left them.
    async fn remove_orphans(&self, before: u128) -> Result<u64> {
        let mut targets = HashSet::new();
        let oldest = Query::oldest(REMOVED_AT_ONCE);
        for DeliveryRecord { delivery, .. } in
            self.0.catalog.list::<DeliveryRecord>(&oldest)?.records
        {
            let target = delivery.target_id;
            let is_gone = self.0.catalog.get::<TargetRecord>(target.bits())?.is_none();
            if delivery.id.bits() < before && is_gone {
                targets.insert(target);
            }
        }
        let mut removed = 0;
        for target in targets {
            removed += self.remove_deliveries(target, 0).await?;
        }
        Ok(removed)
    }

    /// Removes deliveries of a target that were made before the id `before` (zero: all of them), or are more
    /// than are kept. Those that wait stay.
    pub(super) async fn remove_deliveries(&self, target: TargetId, before: u128) -> Result<u64> {
        let mut removed = 0;
        loop {
            let kept = self.0.catalog.tally::<DeliveryRecord>(&sum::kept(target))?;
            let surplus = kept.saturating_sub(KEPT) as usize;
            let oldest = Query::oldest(REMOVED_AT_ONCE).only(delivery::TARGET, Some(target));
            let found = self.0.catalog.list::<DeliveryRecord>(&oldest)?.records;
            let doomed: Vec<u128> = found
                .into_iter()
                .enumerate()
                .filter(|(place, DeliveryRecord { delivery, .. })| {
                    let old = *place < surplus || delivery.id.bits() < before;
                    before == 0 || (old && delivery.status != DeliveryStatus::Pending)
                })
                .map(|(_, record)| record.delivery.id.bits())
                .collect();
            if doomed.is_empty() {
                return Ok(removed);
            }
            removed += doomed.len() as u64;
            self.0
                .catalog
                .write(move |tx| {
                    for id in &doomed {
                        tx.remove::<DeliveryRecord>(*id)?;
                    }
                    Ok(())
                })
                .await?;
        }
    }
}
