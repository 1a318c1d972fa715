//! Deliveries by a clock that tests move.

use super::jobs::{at, opened_at};
use super::*;
use crate::clock::ManualClock;
use crate::engine::notifications::new_delivery;
use crate::notify::{Facts, Notice, events};
use crate::secret::SecretText;

pub(super) fn dead_webhook() -> TargetCreate {
    TargetCreate {
        name: "dead".to_owned(),
        kind: TargetKind::Webhook,
        enabled: None,
        url: Some(SecretText::new("http://127.0.0.1:1/")),
        secret: None,
        mail: None,
        chat_id: None,
        topic: None,
        priority: None,
        events: None,
        connections: Vec::new(),
        jobs: Vec::new(),
        projects: Vec::new(),
        title: None,
        body: None,
    }
}

fn news(engine: &Engine) -> Notice {
    Notice {
        event: events::BACKUP_FAILED.to_owned(),
        at: engine.now(),
        subject: None,
        title: "News".to_owned(),
        message: String::new(),
        facts: Facts::default(),
    }
}

async fn only_delivery(engine: &Engine) -> Delivery {
    let list = DeliveryList::default();
    let mut all = engine.deliveries("dead", &list).await.unwrap().items;
    assert_eq!(all.len(), 1);
    all.remove(0)
}

#[tokio::test]
async fn a_notification_is_given_up_after_a_day_of_attempts() {
    let home = tempfile::tempdir().unwrap();
    let clock = Arc::new(ManualClock::new(at("2026-03-01T01:00:00Z")));
    let engine = opened_at(home.path(), &clock).await;
    engine.add_target(dead_webhook()).await.unwrap();
    engine.notify(news(&engine)).await;
    let mut tried = 0;
    let given_up = loop {
        let delivery = only_delivery(&engine).await;
        if delivery.status == DeliveryStatus::Failed {
            break delivery;
        }
        if delivery.attempts_total > tried {
            tried = delivery.attempts_total;
            let next = delivery.next_attempt_at.unwrap();
            let wait = (next - engine.now()).to_std().unwrap();
            assert!(wait <= Duration::from_hours(1));
            clock.advance(wait);
            engine.0.outbox.look_again();
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    };
    let took = given_up.finished_at.unwrap() - given_up.created_at;
    assert!((23..=24).contains(&took.num_hours()), "{took}");
    assert!(given_up.attempts_total > 20);
    assert_eq!(given_up.attempts.len(), 20);
    let last = given_up.attempts.last().unwrap();
    assert_eq!(last.number, given_up.attempts_total);
    assert!(last.error.is_some() && last.answer.is_none());
    // Somebody who mended the other side can have it once more, for another day.
    let again = engine.redeliver(&given_up.id.to_string()).await.unwrap();
    assert_eq!(again.status, DeliveryStatus::Pending);
    assert!(again.give_up_at > engine.now());
    stopped(engine).await;
}

#[tokio::test]
async fn the_oldest_makes_room_when_too_much_waits() {
    let home = tempfile::tempdir().unwrap();
    let clock = Arc::new(ManualClock::new(at("2026-03-01T01:00:00Z")));
    let engine = opened_at(home.path(), &clock).await;
    let target = engine.add_target(dead_webhook()).await.unwrap().target;
    let later = engine.now() + chrono::TimeDelta::hours(1);
    let mut waiting = Vec::new();
    for _ in 0..1000 {
        let mut record = new_delivery(&target, news(&engine), engine.now());
        record.delivery.next_attempt_at = Some(later);
        waiting.push(record);
    }
    let oldest = waiting[0].delivery.id;
    engine
        .0
        .catalog
        .write(move |tx| waiting.iter().try_for_each(|own| tx.put(&mut own.clone())))
        .await
        .unwrap();
    engine.notify(news(&engine)).await;
    let dropped = engine.delivery(&oldest.to_string()).await.unwrap();
    assert_eq!(dropped.status, DeliveryStatus::Dropped);
    stopped(engine).await;
}
