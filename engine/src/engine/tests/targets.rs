//! Notification targets: what goes to them, and what does not.

use super::*;
use crate::catalog::records::TargetRecord;
use crate::engine::notifications::new_delivery;
use crate::notify::{Facts, Notice};
use crate::secret::SecretText;

async fn target(engine: &Engine, name: &str, kind: TargetKind) -> Target {
    let create = TargetCreate {
        name: name.to_owned(),
        kind,
        url: Some(SecretText::new("http://127.0.0.1:1/one")),
        secret: Some(SecretText::new("a-token")),
        topic: (kind == TargetKind::Ntfy).then(|| "t".to_owned()),
        // Nothing goes there by itself.
        events: Some(vec!["check.failed".to_owned()]),
        ..serde_json::from_str(r#"{"name":"x","kind":"webhook"}"#).unwrap()
    };
    engine.add_target(create).await.unwrap().target
}

fn notice(engine: &Engine) -> Notice {
    Notice {
        event: "check.failed".to_owned(),
        at: engine.now(),
        subject: None,
        title: "t".to_owned(),
        message: "m".to_owned(),
        facts: Facts::default(),
    }
}

#[tokio::test]
async fn a_secret_does_not_follow_its_target_to_another_server() {
    let home = tempfile::tempdir().unwrap();
    let engine = opened(home.path()).await;
    let to = |url: &str, secret: Option<&str>| TargetEdit {
        url: Some(SecretText::new(url)),
        secret: secret.map(SecretText::new),
        ..TargetEdit::default()
    };
    for kind in [TargetKind::Ntfy, TargetKind::Gotify] {
        let name = kind.to_string();
        target(&engine, &name, kind).await;
        for kept in [None, Some(crate::model::MASK)] {
            let moved = engine
                .edit_target(&name, to("http://127.0.0.1:2/one", kept))
                .await;
            assert_eq!(moved.unwrap_err().fields()[0].field, "secret");
        }
        let same = to("http://127.0.0.1:1/two", None);
        engine.edit_target(&name, same).await.unwrap();
        let anew = to("http://127.0.0.1:2/one", Some("another-token"));
        engine.edit_target(&name, anew).await.unwrap();
    }
    // It signs and is not sent.
    target(&engine, "hook", TargetKind::Webhook).await;
    let moved = to("http://127.0.0.1:2/", None);
    engine.edit_target("hook", moved).await.unwrap();
    stopped(engine).await;
}

#[tokio::test]
async fn a_disabled_target_is_told_nothing_more() {
    let home = tempfile::tempdir().unwrap();
    let engine = opened(home.path()).await;
    let own = target(&engine, "hook", TargetKind::Webhook).await;
    let off = TargetEdit {
        enabled: Some(false),
        ..TargetEdit::default()
    };
    engine.edit_target("hook", off).await.unwrap();
    let waiting = new_delivery(&own, notice(&engine), engine.now());
    let id = engine.0.catalog.put(waiting).await.unwrap().delivery.id;
    engine.fill_outbox().unwrap();
    engine.0.outbox.look_again();
    let delivery = loop {
        let delivery = engine.delivery(&id.to_string()).await.unwrap();
        if delivery.status != DeliveryStatus::Pending {
            break delivery;
        }
        tokio::task::yield_now().await;
    };
    assert_eq!(delivery.status, DeliveryStatus::Dropped);
    assert_eq!(delivery.attempts_total, 0);
    stopped(engine).await;
}

#[tokio::test]
async fn lists_of_deliveries_leave_bodies_out_and_orphans_go() {
    let home = tempfile::tempdir().unwrap();
    let engine = opened(home.path()).await;
    let own = target(&engine, "hook", TargetKind::Webhook).await;
    let mut record = new_delivery(&own, notice(&engine), engine.now());
    record.delivery.status = DeliveryStatus::Failed;
    record.delivery.attempts.push(Attempt {
        number: 1,
        at: engine.now(),
        duration_ms: 1,
        request: SentRequest {
            body: "sent".to_owned(),
            ..SentRequest::default()
        },
        answer: Some(GotAnswer {
            status: 500,
            body: "got".to_owned(),
        }),
        error: None,
    });
    let id = engine
        .0
        .catalog
        .put(record.clone())
        .await
        .unwrap()
        .delivery
        .id;
    let list = engine
        .deliveries("hook", &DeliveryList::default())
        .await
        .unwrap();
    let shown = &list.items[0].attempts[0];
    assert_eq!(shown.request.body, "");
    assert_eq!(shown.answer.as_ref().unwrap().body, "");
    let whole = engine.delivery(&id.to_string()).await.unwrap();
    assert_eq!(whole.attempts[0].request.body, "sent");

    // A target that went while the engine ended, and what it left long ago.
    record.delivery.id =
        crate::ids::DeliveryId::generate(engine.now() - chrono::TimeDelta::days(40));
    engine.0.catalog.put(record).await.unwrap();
    let bits = own.id.bits();
    let gone = engine
        .0
        .catalog
        .write(move |tx| tx.remove::<TargetRecord>(bits).map(|_| ()));
    gone.await.unwrap();
    assert_eq!(engine.remove_old_deliveries().await.unwrap(), 2);
    stopped(engine).await;
}

#[tokio::test]
async fn an_alert_moves_with_what_it_is_about() {
    let home = tempfile::tempdir().unwrap();
    let engine = opened(home.path()).await;
    for (project, connection) in [("red", "one"), ("blue", "two")] {
        let draft = crate::engine::alerts::Draft {
            kind: AlertKind::SizeAnomaly,
            severity: Severity::Warning,
            subject: "a database".to_owned(),
            title: "t".to_owned(),
            message: "m".to_owned(),
            facts: Facts {
                project: Some(project.to_owned()),
                connection: Some(connection.to_owned()),
                ..Facts::default()
            },
        };
        engine.raise_alert(draft).await.unwrap();
        let all = engine.alerts(&AlertList::default()).await.unwrap().items;
        assert_eq!(all.len(), 1);
        assert_eq!(all[0].project.as_deref(), Some(project));
        assert_eq!(all[0].connection.as_deref(), Some(connection));
    }
    stopped(engine).await;
}
