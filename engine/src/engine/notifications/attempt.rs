//! One attempt to deliver a notification.

use std::time::Duration;

use chrono::TimeDelta;

use super::super::Engine;
use super::queue::new_delivery;
use super::{SECRET, URL, deleted};
use crate::catalog::records::{DeliveryRecord, TargetRecord};
use crate::error::Result;
use crate::ids::{DeliveryId, TargetId};
use crate::model::{
    Attempt, Delivery, DeliveryStatus, GotAnswer, SentRequest, Target, TargetKind, TargetTest,
};
use crate::notify::{Courier, Facts, Notice, call, described, events, logged, send_mail};
use crate::outbound::{self, parse_url};

/// How long one attempt may take.
const LIMIT: Duration = Duration::from_secs(30);
/// The wait after the first attempt; it doubles.
const FIRST_WAIT: TimeDelta = TimeDelta::seconds(5);
/// The longest wait, whatever the other side asks for.
const LONGEST_WAIT: TimeDelta = TimeDelta::hours(1);
/// The wait after an attempt that the engine itself failed at.
const AFTER_FAILURE: TimeDelta = TimeDelta::minutes(1);
/// Attempts that a delivery keeps.
const KEPT: usize = 20;

/// What came of one attempt.
struct Outcome {
    attempt: Attempt,
    delivered: bool,
    retry_after: Option<TimeDelta>,
}

impl Engine {
    pub(super) async fn attempt_or_log(&self, target: TargetId, id: DeliveryId) {
        if let Err(error) = self.attempt(id).await {
            tracing::error!(delivery = %id, error = error.report(), "a delivery was not tried");
            self.try_later(target, id);
        }
    }

    /// Plans another try of what could not be written down: told twice rather than never.
    pub(super) fn try_later(&self, target: TargetId, id: DeliveryId) {
        self.0.outbox.add(target, self.now() + AFTER_FAILURE, id);
    }

    /// Tries a delivery once and plans the next try where one is left.
    async fn attempt(&self, id: DeliveryId) -> Result<()> {
        let Some(record) = self.0.catalog.get::<DeliveryRecord>(id.bits())? else {
            return Ok(());
        };
        if record.delivery.status != DeliveryStatus::Pending {
            return Ok(());
        }
        let target_id = record.delivery.target_id;
        let Some(target) = self.0.catalog.get::<TargetRecord>(target_id.bits())? else {
            return Ok(());
        };
        if !target.target.enabled {
            return self.drop_delivery(id).await;
        }
        let outcome = self.send(&target, &record, LIMIT).await;
        let delivery = self.note(id, outcome, true).await?;
        if delivery.status == DeliveryStatus::Pending {
            let at = delivery.next_attempt_at.unwrap_or(delivery.created_at);
            self.0.outbox.add(delivery.target_id, at, id);
        }
        Ok(())
    }

    /// Delivers something to one target at once, without a second try; its log has it like any other.
    pub(super) async fn deliver_now(
        &self,
        target: &TargetRecord,
        notice: Notice,
        limit: Duration,
    ) -> Result<Delivery> {
        let mut record = new_delivery(&target.target, notice, self.now());
        // Not pending, so that nobody else takes it up.
        record.delivery.status = DeliveryStatus::Failed;
        record.delivery.next_attempt_at = None;
        let record = self.0.catalog.put(record).await?;
        let outcome = self.send(target, &record, limit).await;
        self.note(record.delivery.id, outcome, false).await
    }

    async fn send(
        &self,
        target: &TargetRecord,
        record: &DeliveryRecord,
        limit: Duration,
    ) -> Outcome {
        let (at, begun) = (self.now(), self.0.clock.boot());
        let id = record.delivery.id;
        let mut request = SentRequest::default();
        let mut retry_after = None;
        let answer = match self.courier(target) {
            Err(error) => Err(error),
            Ok(courier) if courier.target.kind == TargetKind::Email => {
                let (sent, answer) = send_mail(&courier, id, &record.notice, limit).await;
                request = sent;
                answer.map(|answer| (answer, true))
            }
            Ok(courier) => match call(&courier, id, &record.notice, at) {
                Err(error) => Err(error),
                Ok(call) => {
                    request = described(&courier, &call);
                    let answer = outbound::call(courier.guard, call, limit).await;
                    answer.map(|answer| {
                        retry_after = answer.retry_after_seconds;
                        let taken = (200..300).contains(&answer.status);
                        let answer = GotAnswer {
                            status: answer.status,
                            body: answer.body,
                        };
                        (answer, taken)
                    })
                }
            },
        };
        let took = self.0.clock.boot().saturating_sub(begun);
        let (answer, delivered, error) = match answer {
            Ok((answer, true)) => (Some(answer), true, None),
            Ok((answer, false)) => {
                let why = refusal(&answer);
                (Some(answer), false, Some(why))
            }
            Err(error) => (None, false, Some(logged(&error.report()))),
        };
        Outcome {
            attempt: Attempt {
                number: 0,
                at,
                duration_ms: took.as_millis() as u64,
                request,
                answer,
                error,
            },
            delivered,
            retry_after: retry_after
                .and_then(|seconds| TimeDelta::try_seconds(i64::try_from(seconds).ok()?)),
        }
    }

    /// Writes down what came of an attempt, and when the next one is.
    async fn note(&self, id: DeliveryId, outcome: Outcome, again: bool) -> Result<Delivery> {
        let now = self.now();
        let changed = self
            .0
            .catalog
            .write(move |tx| {
                tx.change::<DeliveryRecord>(id.bits(), |record| {
                    noted(&mut record.delivery, &outcome, again, now);
                    Ok(())
                })
            })
            .await?
            .ok_or_else(|| deleted(id))?;
        let delivery = changed.delivery;
        if delivery.status == DeliveryStatus::Failed {
            let error = delivery.attempts.last().and_then(|last| last.error.clone());
            tracing::error!(delivery = %id, target_name = delivery.target, error, "a notification was given up");
        }
        let has_ended = delivery.status != DeliveryStatus::Pending;
        if has_ended {
            self.0.outbox.count(delivery.target_id, delivery.status);
        }
        // The tries in between would push everything else out of what streams go on from.
        if has_ended || delivery.attempts_total == 1 {
            self.publish("delivery.attempted", id, &delivery);
        }
        Ok(delivery)
    }

    /// The target with its secrets open.
    fn courier(&self, record: &TargetRecord) -> Result<Courier> {
        let (vault, id) = (self.0.catalog.vault(), record.target.id.to_string());
        let guard = self.guard();
        let url = match &record.url {
            Some(sealed) => Some(parse_url(guard, vault.open(&id, URL, sealed)?.expose())?),
            None => None,
        };
        let secret = record.secret.as_ref();
        let secret = secret.map(|sealed| vault.open(&id, SECRET, sealed));
        Ok(Courier {
            target: record.target.clone(),
            url,
            secret: secret.transpose()?,
            guard,
        })
    }

    /// Sends a target something to try it, once.
    pub async fn test_target(&self, key: &str) -> Result<TargetTest> {
        let record = self.find_target(key)?;
        let delivery = self
            .deliver_now(&record, test_notice(&record.target, self.now()), LIMIT)
            .await?;
        self.audit_bare("notification.test", record.target.id)
            .await?;
        let ok = delivery.status == DeliveryStatus::Delivered;
        let error = delivery.attempts.last().and_then(|last| last.error.clone());
        Ok(TargetTest {
            ok,
            message: match error {
                None => format!("\"{}\" took the notification", record.target.name),
                Some(error) => error,
            },
            delivery,
        })
    }

    /// Calls a hook once, and answers why it failed if it did.
    pub(super) async fn call_hook(
        &self,
        target: &str,
        notice: Notice,
        limit: Duration,
    ) -> Result<Option<String>> {
        let record = self.find_target(target)?;
        if !record.target.enabled {
            return Ok(None);
        }
        let delivery = self.deliver_now(&record, notice, limit).await?;
        if delivery.status == DeliveryStatus::Delivered {
            return Ok(None);
        }
        let last = delivery.attempts.last();
        Ok(Some(
            last.and_then(|last| last.error.clone()).unwrap_or_default(),
        ))
    }
}

fn test_notice(target: &Target, at: crate::model::Time) -> Notice {
    Notice {
        event: events::TEST.to_owned(),
        at,
        subject: Some(target.id.to_string()),
        title: "Backstay can reach you here".to_owned(),
        message: format!(
            "Somebody tried the notification target \"{}\". Nothing happened.",
            target.name
        ),
        facts: Facts::default(),
    }
}

fn refusal(answer: &GotAnswer) -> String {
    match answer.status {
        300..400 => format!(
            "It answers with a redirect ({}), which is not followed: give the address it leads to",
            answer.status
        ),
        status => format!("It answers with status {status}"),
    }
}

fn noted(delivery: &mut Delivery, outcome: &Outcome, again: bool, now: crate::model::Time) {
    delivery.attempts_total += 1;
    let mut attempt = outcome.attempt.clone();
    attempt.number = delivery.attempts_total;
    delivery.attempts.push(attempt);
    if delivery.attempts.len() > KEPT {
        delivery.attempts.remove(0);
    }
    let next = now + wait(delivery.attempts_total, outcome.retry_after);
    delivery.next_attempt_at = None;
    if outcome.delivered {
        delivery.status = DeliveryStatus::Delivered;
        delivery.finished_at = Some(now);
    } else if again && next < delivery.give_up_at {
        delivery.next_attempt_at = Some(next);
    } else {
        delivery.status = DeliveryStatus::Failed;
        delivery.finished_at = Some(now);
    }
}

/// How long to wait after that many attempts.
fn wait(attempts: u32, asked: Option<TimeDelta>) -> TimeDelta {
    let doubled = FIRST_WAIT * 2_i32.saturating_pow(attempts.saturating_sub(1).min(20));
    doubled.max(asked.unwrap_or_default()).min(LONGEST_WAIT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_an_hour() {
        assert_eq!(wait(1, None), TimeDelta::seconds(5));
        assert_eq!(wait(4, None), TimeDelta::seconds(40));
        assert_eq!(wait(11, None), LONGEST_WAIT);
        assert_eq!(wait(u32::MAX, None), LONGEST_WAIT);
        assert_eq!(wait(1, TimeDelta::try_seconds(90)), TimeDelta::seconds(90));
        assert_eq!(wait(1, Some(TimeDelta::days(9))), LONGEST_WAIT);
    }
}
