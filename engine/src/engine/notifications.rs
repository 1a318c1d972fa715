//! Notifications: targets, what is told to them, and what became of it.

mod attempt;
mod change;
mod outbox;
mod queue;
mod runs;
mod schedules;
mod silent;

pub(super) use outbox::Outbox;
#[cfg(test)]
pub(super) use queue::new_delivery;
pub(super) use queue::{Tidings, queued};
pub(super) use runs::has_failed_as;

use super::lookup::References;
use super::{Engine, names};
use crate::catalog::records::{
    ConnectionRecord, DeliveryRecord, JobRecord, TargetRecord, delivery, target,
};
use crate::catalog::{Query, Record as _};
use crate::error::{Code, Error, Result};
use crate::ids::{DeliveryId, DeliveryKind, TargetKind as TargetIdKind};
use crate::model::{
    Delivery, DeliveryList, Hook, HookTime, NotificationEvent, Page, PageRequest, Target,
    TargetCreate, TargetCreated, TargetEdit, TargetKind, TargetList,
};
use crate::notify::events::EVENTS;
use crate::outbound::Guard;
use crate::repository::format::digest::hex;
use crate::secret::{SecretText, random_bytes};

/// Names of the sealed fields.
pub(super) const URL: &str = "url";
pub(super) const SECRET: &str = "secret";
/// Targets there may be: each is looked at for every notification.
pub(super) const TARGETS: usize = 200;

impl Engine {
    /// Notification targets, newest first: for callers who are limited to projects those that are for
    /// their projects alone.
    pub async fn targets(&self, list: &TargetList) -> Result<Page<Target>> {
        let query = Query::newest(TARGETS).only(target::KIND, list.kind);
        let mut seen = Vec::new();
        for record in self.0.catalog.list::<TargetRecord>(&query)?.records {
            if self.may_see(&record.owner())? {
                seen.push(record.target);
            }
        }
        let page = PageRequest {
            limit: list.limit,
            cursor: list.cursor.clone(),
        };
        let page = Page::cut(seen, &page, |target| target.id)?;
        let items = page.items.into_iter().map(|own| self.shown_target(own));
        Ok(Page {
            items: items.collect::<Result<_>>()?,
            next_cursor: page.next_cursor,
        })
    }

    /// One notification target, by id or name.
    pub async fn target_named(&self, key: &str) -> Result<Target> {
        self.shown_target(self.find_target(key)?.target)
    }

    /// Every event that targets can ask for.
    pub async fn notification_events(&self, page: &PageRequest) -> Result<Page<NotificationEvent>> {
        let events = EVENTS.iter().map(|event| NotificationEvent {
            name: event.name.to_owned(),
            description: event.description.to_owned(),
        });
        Page::cut_short(events.collect(), page, |event| event.name.clone())
    }

    pub(super) fn find_target(&self, key: &str) -> Result<TargetRecord> {
        self.find::<TargetRecord, TargetIdKind>(key)?
            .ok_or_else(|| {
                Error::new(
                    Code::TargetNotFound,
                    format!("There is no notification target \"{key}\""),
                )
                .hint("`backstay notification list` shows them")
            })
    }

    /// The target with the names its limits have at this moment.
    pub(super) fn shown_target(&self, mut target: Target) -> Result<Target> {
        let catalog = &self.0.catalog;
        target.connections.clear();
        for id in &target.connection_ids {
            let found = catalog.get::<ConnectionRecord>(id.bits())?;
            let name = found.map_or_else(|| id.to_string(), |found| found.connection.name);
            target.connections.push(name);
        }
        target.jobs.clear();
        for id in &target.job_ids {
            let found = catalog.get::<JobRecord>(id.bits())?;
            target
                .jobs
                .push(found.map_or_else(|| id.to_string(), |found| found.job.name));
        }
        Ok(target)
    }

    /// Adds a notification target. A webhook without a secret gets one, which is answered here alone.
    pub async fn add_target(&self, mut create: TargetCreate) -> Result<TargetCreated> {
        names::check("notification target", &create.name)?;
        if self.0.catalog.all::<TargetRecord>()?.len() >= TARGETS {
            return Err(Error::new(
                Code::Conflict,
                format!("There are {TARGETS} notification targets, which is the most"),
            )
            .hint("Remove one that is not needed"));
        }
        let mut signing_secret = None;
        let empty = |secret: &Option<SecretText>| {
            secret
                .as_ref()
                .is_none_or(|secret| secret.expose().is_empty())
        };
        if create.kind == TargetKind::Webhook && empty(&create.secret) {
            let made = format!("whs_{}", hex(&random_bytes::<24>()));
            signing_secret = Some(made.clone());
            create.secret = Some(SecretText::new(made));
        }
        let name = create.name.clone();
        let record = self.target_from(create, self, false)?;
        let shown = self.shown_target(record.target.clone())?;
        let saved = self.audited(move |tx, scribe| {
            let (mut record, mut shown) = (record.clone(), shown.clone());
            tx.put(&mut record)?;
            shown.serial = record.target.serial;
            scribe.note(tx, "notification.add", shown.id, None::<&()>, Some(&shown))?;
            Ok(shown)
        });
        let target = saved.await.map_err(taken(&name))?;
        self.publish("notification.added", target.id, &target);
        Ok(TargetCreated {
            target,
            signing_secret,
        })
    }

    /// Changes a notification target. What waits for it goes by the new settings.
    pub async fn edit_target(&self, key: &str, edit: TargetEdit) -> Result<Target> {
        let found = self.find_target(key)?;
        let before = self.shown_target(found.target.clone())?;
        let record = self.edited_target(found, edit)?;
        let (id, name) = (record.target.id, record.target.name.clone());
        let target = self.shown_target(record.target.clone())?;
        let after = target.clone();
        let saved = self.audited(move |tx, scribe| {
            let changed = tx.change::<TargetRecord>(id.bits(), |own| {
                own.clone_from(&record);
                Ok(())
            })?;
            if changed.is_some() {
                scribe.note(tx, "notification.edit", id, Some(&before), Some(&after))?;
            }
            Ok(changed)
        });
        saved
            .await
            .map_err(taken(&name))?
            .ok_or_else(|| gone(&name))?;
        self.watch_targets_now().await;
        self.publish("notification.changed", id, &target);
        Ok(target)
    }

    /// Removes a notification target and its deliveries. Refused while a job calls it.
    pub async fn remove_target(&self, key: &str) -> Result<()> {
        let target = self.shown_target(self.find_target(key)?.target)?;
        let id = target.id;
        let what = format!("the notification target \"{}\"", target.name);
        self.refuse_used_by_job(&what, |job| {
            let target = id.to_string();
            job.work.hooks.iter().any(|hook| hook.target == target)
        })?;
        let before = target.clone();
        self.audited(
            move |tx, scribe| match tx.remove::<TargetRecord>(id.bits())? {
                Some(_) => scribe.note(tx, "notification.remove", id, Some(&before), None::<&()>),
                None => Ok(()),
            },
        )
        .await?;
        self.0.outbox.forget(id);
        self.remove_deliveries(id, 0).await?;
        self.publish("notification.removed", id, &target);
        Ok(())
    }

    /// What was told to a target, newest first, without the bodies: one delivery shows them.
    pub async fn deliveries(&self, key: &str, list: &DeliveryList) -> Result<Page<Delivery>> {
        let target = self.find_target(key)?.target.id;
        let query = Query::page(list.limit, list.cursor.as_deref())?
            .only(delivery::TARGET, Some(target))
            .only(delivery::STATUS, list.status)
            .only(delivery::EVENT, list.event.as_ref());
        let slice = self.0.catalog.list::<DeliveryRecord>(&query)?;
        Ok(slice.page(|record| without_bodies(record.delivery)))
    }

    /// One delivery with its attempts.
    pub async fn delivery(&self, key: &str) -> Result<Delivery> {
        Ok(self.find_delivery(key)?.delivery)
    }

    fn find_delivery(&self, key: &str) -> Result<DeliveryRecord> {
        self.find::<DeliveryRecord, DeliveryKind>(key)?
            .ok_or_else(|| no_delivery(key))
    }

    /// Begins to deliver once more what was delivered or given up.
    pub async fn redeliver(&self, key: &str) -> Result<Delivery> {
        let found = self.find_delivery(key)?.delivery;
        // Its target may have been removed a moment ago.
        self.find_target(&found.target_id.to_string())?;
        self.deliver_again(found.id).await
    }

    pub(super) fn guard(&self) -> Guard {
        Guard {
            link_local: self.settings().outbound.allow_metadata_addresses,
        }
    }
}

/// The hooks of a job as they are kept: targets by id, each a webhook.
pub(super) fn checked_hooks(mut hooks: Vec<Hook>, known: &dyn References) -> Result<Vec<Hook>> {
    if hooks.len() > HOOKS {
        return Err(
            Error::invalid(format!("A job cannot have {} hooks", hooks.len()))
                .field("hooks", format!("must be at most {HOOKS}")),
        );
    }
    for hook in &mut hooks {
        let target = known.the_target(&hook.target)?;
        if target.kind != TargetKind::Webhook {
            return Err(
                Error::invalid(format!("\"{}\" is no webhook", target.name)).field(
                    "hooks",
                    format!("\"{}\" is a target of kind {}", target.name, target.kind),
                ),
            );
        }
        if !(1..=HOOK_SECONDS).contains(&hook.timeout_seconds) {
            return Err(Error::invalid("A hook cannot take so long").field(
                "hooks",
                format!("timeout_seconds must be 1 to {HOOK_SECONDS}"),
            ));
        }
        hook.target = target.id.to_string();
    }
    // In the order they are called.
    hooks.sort_by_key(|hook| hook.when != HookTime::Before);
    Ok(hooks)
}

fn without_bodies(mut delivery: Delivery) -> Delivery {
    for attempt in &mut delivery.attempts {
        attempt.request.body.clear();
        if let Some(answer) = &mut attempt.answer {
            answer.body.clear();
        }
    }
    delivery
}

/// Hooks of one job, and how long one may take.
const HOOKS: usize = 10;
const HOOK_SECONDS: u32 = 600;

fn gone(name: &str) -> Error {
    Error::new(
        Code::TargetNotFound,
        format!("The notification target \"{name}\" is gone"),
    )
}

fn no_delivery(key: &str) -> Error {
    Error::new(
        Code::DeliveryNotFound,
        format!("There is no delivery \"{key}\""),
    )
    .hint("`backstay notification deliveries NAME` shows those of a target")
}

fn deleted(id: DeliveryId) -> Error {
    no_delivery(&id.to_string())
}

fn taken(name: &str) -> impl Fn(Error) -> Error {
    move |error| match error.code() {
        Code::Conflict => Error::new(
            Code::Conflict,
            format!("There is a notification target \"{name}\" already"),
        )
        .hint("Choose another name, or change that one with `backstay notification edit`"),
        _ => error,
    }
}
