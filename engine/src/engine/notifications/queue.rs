//! Who is told what: notifications are queued within the write of what they tell of, so that no crash comes
//! in between.

use std::sync::Arc;

use chrono::TimeDelta;
use parking_lot::Mutex;

use super::super::Engine;
use crate::catalog::records::{DeliveryRecord, TargetRecord, delivery, sum};
use crate::catalog::{Query, Tx};
use crate::error::Result;
use crate::ids::{DeliveryId, TargetId};
use crate::model::{Delivery, DeliveryStatus, Target, Time};
use crate::notify::{Notice, events};

/// How long a notification is tried.
pub(super) const TRIED: TimeDelta = TimeDelta::hours(24);
/// Notifications that may wait for one target.
const WAITING: u64 = 1000;

/// Queues a notification for every target that wants it. Whoever wrote that hands the answer to
/// [`Engine::take_up`].
pub(in super::super) fn queued(tx: &Tx<'_>, notice: &Notice, now: Time) -> Result<Vec<Delivery>> {
    let mut queued = Vec::new();
    for TargetRecord { target, .. } in tx.all()? {
        if wants(&target, notice) {
            queued.push(queued_for(tx, &target, notice.clone(), now)?);
        }
    }
    Ok(queued)
}

fn queued_for(tx: &Tx<'_>, target: &Target, notice: Notice, now: Time) -> Result<Delivery> {
    let mut record = new_delivery(target, notice, now);
    tx.put(&mut record)?;
    Ok(record.delivery)
}

pub(in super::super) fn new_delivery(target: &Target, notice: Notice, now: Time) -> DeliveryRecord {
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

/// Notices that go out together with a write that somebody else carries out.
#[derive(Clone, Debug)]
pub(in super::super) struct Tidings {
    now: Time,
    /// Each for one target alone, or for every one that wants it.
    notices: Vec<(Option<TargetId>, Notice)>,
    queued: Arc<Mutex<Vec<Delivery>>>,
}

impl Tidings {
    pub(in super::super) fn add(&mut self, notice: Notice) {
        self.notices.push((None, notice));
    }

    pub(super) fn add_for(&mut self, target: TargetId, notice: Notice) {
        self.notices.push((Some(target), notice));
    }

    /// These and another one; what is queued of one is taken up with the other.
    pub(in super::super) fn with(&self, notice: Notice) -> Self {
        let mut all = self.clone();
        all.add(notice);
        all
    }

    pub(super) fn is_empty(&self) -> bool {
        self.notices.is_empty()
    }

    /// Queues all of them. A write that is carried out twice counts once.
    pub(in super::super) fn queue(&self, tx: &Tx<'_>) -> Result<()> {
        let mut all = Vec::new();
        for (only, notice) in &self.notices {
            match only {
                None => all.extend(queued(tx, notice, self.now)?),
                // One that was removed meanwhile gets nothing that nobody would ever take up.
                Some(id) => {
                    if let Some(TargetRecord { target, .. }) = tx.get(id.bits())? {
                        all.push(queued_for(tx, &target, notice.clone(), self.now)?);
                    }
                }
            }
        }
        *self.queued.lock() = all;
        Ok(())
    }
}

impl Engine {
    /// Nothing yet to go out with a write.
    pub(in super::super) fn tidings(&self) -> Tidings {
        Tidings {
            now: self.now(),
            notices: Vec::new(),
            queued: Arc::default(),
        }
    }

    /// Begins to deliver what a write has queued.
    pub(in super::super) async fn take_up_all(&self, tidings: &Tidings) {
        let queued = std::mem::take(&mut *tidings.queued.lock());
        self.take_up(queued).await;
    }

    /// As [`Self::take_up_all`]. Never fails: what is queued is written, and the next start takes it up too.
    pub(in super::super) async fn take_up(&self, queued: Vec<Delivery>) {
        for delivery in queued {
            let target = delivery.target_id;
            self.0.outbox.add(target, delivery.created_at, delivery.id);
            if let Err(error) = self.make_room(target).await {
                let error = error.report();
                tracing::error!(target_name = delivery.target, error, "too much waits");
            }
        }
    }

    /// Tells every target that wants to know. Never waits for one of them, and never fails: what went wrong
    /// before is what matters.
    pub(in super::super) async fn notify(&self, notice: Notice) {
        let (event, now) = (notice.event.clone(), self.now());
        let written = self.0.catalog.write(move |tx| queued(tx, &notice, now));
        match written.await {
            Ok(queued) => self.take_up(queued).await,
            Err(error) => tracing::error!(event, error = error.report(), "nobody was told"),
        }
    }

    /// The oldest of those that wait for a target go when there are too many.
    async fn make_room(&self, target: TargetId) -> Result<()> {
        let waiting = sum::waiting(target);
        let waiting = self.0.catalog.tally::<DeliveryRecord>(&waiting)?;
        let surplus = waiting.saturating_sub(WAITING) as usize;
        if surplus == 0 {
            return Ok(());
        }
        let oldest = Query::oldest(surplus)
            .only(delivery::TARGET, Some(target))
            .only(delivery::STATUS, Some(DeliveryStatus::Pending));
        for record in self.0.catalog.list::<DeliveryRecord>(&oldest)?.records {
            let id = record.delivery.id;
            self.0.outbox.take_out(target, id);
            self.drop_delivery(id).await?;
            tracing::warn!(
                target_name = record.delivery.target,
                "too much waits: the oldest notification was dropped"
            );
        }
        Ok(())
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
