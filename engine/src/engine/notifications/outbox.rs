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
use crate::catalog::records::{DeliveryRecord, TargetRecord, delivery, sum};
use crate::catalog::{Query, first_id_at};
use crate::error::Result;
use crate::ids::{DeliveryId, TargetId};
use crate::model::{Delivery, DeliveryStatus, Target, Time};
use crate::notify::{Notice, events};

/// How long a notification is tried.
pub(super) const TRIED: TimeDelta = TimeDelta::hours(24);
/// Notifications that may wait for one target.
const WAITING: u64 = 1000;
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
}

impl Outbox {
    pub(super) fn add(&self, target: TargetId, at: Time, id: DeliveryId) {
        self.due.lock().entry(target).or_default().insert((at, id));
        self.wake.notify_one();
    }

    /// The target is gone.
    pub(super) fn forget(&self, target: TargetId) {
        self.due.lock().remove(&target);
    }

    /// The clock was moved.
    #[cfg(test)]
    pub(in crate::engine) fn look_again(&self) {
        self.wake.notify_one();
    }

    fn take_out(&self, target: TargetId, id: DeliveryId) {
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
    /// Tells every target that wants to know. Never waits for one of them, and never fails: what went wrong
    /// before is what matters.
    pub(in super::super) async fn notify(&self, notice: Notice) {
        let told = async {
            for record in self.0.catalog.all::<TargetRecord>()? {
                if wants(&record.target, &notice)
                    && let Err(error) = self.tell(&record.target, notice.clone()).await
                {
                    tracing::error!(
                        target_name = record.target.name,
                        event = notice.event,
                        error = error.report(),
                        "a target was not told"
                    );
                }
            }
            Ok::<_, crate::Error>(())
        };
        if let Err(error) = told.await {
            tracing::error!(
                event = notice.event,
                error = error.report(),
                "nobody was told"
            );
        }
    }

    /// Queues a notification for one target.
    pub(super) async fn tell(&self, target: &Target, notice: Notice) -> Result<Delivery> {
        self.make_room(target).await?;
        let (id, record) = (target.id, self.new_delivery(target, notice));
        let gone = deleted(record.delivery.id);
        let written = self.0.catalog.write(move |tx| {
            // One that was removed meanwhile gets nothing that nobody would ever take up.
            if tx.get::<TargetRecord>(id.bits())?.is_none() {
                return Ok(None);
            }
            let mut record = record.clone();
            tx.put(&mut record)?;
            Ok(Some(record.delivery))
        });
        let saved = written.await?.ok_or(gone)?;
        self.0.outbox.add(id, saved.created_at, saved.id);
        Ok(saved)
    }

    pub(in super::super) fn new_delivery(&self, target: &Target, notice: Notice) -> DeliveryRecord {
        let now = self.now();
        DeliveryRecord {
            delivery: Delivery {
                id: DeliveryId::generate(now),
                serial: 0,
                target_id: target.id,
                target: target.name.clone(),
                event: notice.event.clone(),
                subject: notice.subject.clone(),
                title: notice.title.clone(),
                status: DeliveryStatus::Pending,
                created_at: now,
                next_attempt_at: Some(now),
                give_up_at: now + TRIED,
                finished_at: None,
                attempts_total: 0,
                attempts: Vec::new(),
            },
            notice,
        }
    }

    /// The oldest of those that wait for a target goes when there are too many.
    async fn make_room(&self, target: &Target) -> Result<()> {
        let waiting = self
            .0
            .catalog
            .tally::<DeliveryRecord>(&sum::waiting(target.id))?;
        if waiting < WAITING {
            return Ok(());
        }
        let oldest = Query::oldest(1)
            .only(delivery::TARGET, Some(target.id))
            .only(delivery::STATUS, Some(DeliveryStatus::Pending));
        for record in self.0.catalog.list::<DeliveryRecord>(&oldest)?.records {
            let id = record.delivery.id;
            self.0.outbox.take_out(target.id, id);
            self.drop_delivery(id).await?;
            tracing::warn!(
                target_name = target.name,
                "too much waits: the oldest notification was dropped"
            );
        }
        Ok(())
    }

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
        dropped.await.map(|_| ())
    }

    /// Lets a delivery begin anew, for as long as a new one.
    pub(super) async fn deliver_again(&self, id: DeliveryId) -> Result<Delivery> {
        let now = self.now();
        let changed = self
            .0
            .catalog
            .write(move |tx| {
                tx.change::<DeliveryRecord>(id.bits(), |record| {
                    let delivery = &mut record.delivery;
                    delivery.status = DeliveryStatus::Pending;
                    delivery.next_attempt_at = Some(now);
                    delivery.give_up_at = now + TRIED;
                    delivery.finished_at = None;
                    Ok(())
                })
            })
            .await?
            .ok_or_else(|| deleted(id))?;
        let delivery = changed.delivery;
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

/// Whether a target is to be told.
fn wants(target: &Target, notice: &Notice) -> bool {
    let facts = &notice.facts;
    let within = |limited: bool, inside: bool| !limited || inside;
    target.enabled
        && target
            .events
            .iter()
            .any(|pattern| events::matches(pattern, &notice.event))
        && within(
            !target.connection_ids.is_empty(),
            facts
                .connection_id
                .is_some_and(|id| target.connection_ids.contains(&id)),
        )
        && within(
            !target.job_ids.is_empty(),
            facts.job_id.is_some_and(|id| target.job_ids.contains(&id)),
        )
        && within(
            !target.projects.is_empty(),
            facts
                .project
                .as_ref()
                .is_some_and(|project| target.projects.contains(project)),
        )
}
