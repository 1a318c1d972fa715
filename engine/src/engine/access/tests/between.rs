//! What happens between the reading of a record and its writing.

use futures_util::{FutureExt as _, poll};

use super::*;
use crate::model::ApiKeyMade;

impl Place {
    /// Holds up every write until the answer is dropped.
    async fn stopped_writes(&self) -> std::sync::mpsc::Sender<()> {
        let (go, wait) = std::sync::mpsc::channel::<()>();
        let (begun, has_begun) = tokio::sync::oneshot::channel();
        let catalog = self.engine.0.catalog.clone();
        tokio::spawn(async move {
            let (wait, mut begun) = (parking_lot::Mutex::new(wait), Some(begun));
            let held = catalog.write(move |_| {
                if let Some(begun) = begun.take() {
                    let _ = begun.send(());
                }
                let _ = wait.lock().recv();
                Ok(())
            });
            held.await
        });
        has_begun.await.unwrap();
        go
    }

    async fn key(&self, name: &str) -> ApiKeyMade {
        let create = ApiKeyCreate {
            name: name.to_owned(),
            permissions: vec!["backups:read".to_owned()],
            ..ApiKeyCreate::default()
        };
        self.engine.add_api_key(create).await.unwrap()
    }
}

fn locked() -> UserEdit {
    UserEdit {
        enabled: Some(false),
        ..UserEdit::default()
    }
}

fn given(password: &str) -> UserEdit {
    UserEdit {
        password: Some(SecretText::new(password)),
        ..UserEdit::default()
    }
}

#[tokio::test]
async fn a_login_with_a_password_that_was_just_changed_is_refused() {
    let place = Place::new().await;
    for (name, edit) in [("ann", given("another password")), ("bob", locked())] {
        place.user(name, &["viewers"]).await;
        let mut login = Box::pin(place.login(name, "a password of theirs"));
        assert!(
            poll!(&mut login).is_pending(),
            "the password is being verified"
        );
        place.engine.edit_user(name, edit).await.unwrap();
        assert_eq!(code(login.await), Code::Unauthenticated, "{name}");
    }
    let refused = AuditList {
        action: Some("login.refused".to_owned()),
        ..AuditList::default()
    };
    let refused = place.engine.audit_events(&refused).await.unwrap().items;
    let bob = place.engine.user("bob").await.unwrap().id.to_string();
    assert_eq!(refused[0].subject, Some(bob), "whose password was tried");
    place.end().await;
}

#[tokio::test]
async fn a_changed_password_puts_nothing_else_back() {
    let place = Place::new().await;
    place.user("ann", &["viewers"]).await;
    let token = place.login("ann", "a password of theirs").await.unwrap();
    let ann = place.caller(&token).await.unwrap();
    let change = |new: &str| PasswordChange {
        current_password: Some(SecretText::new("a password of theirs")),
        new_password: Some(SecretText::new(new)),
    };
    let changing = |new: &str| {
        let changing = place.engine.change_password(change(new));
        Box::pin(scope::acting_as(Arc::clone(&ann), changing))
    };
    let same = changing("a password of theirs").await.unwrap_err();
    assert_eq!(same.fields()[0].field, "new_password");
    let short = changing("short").await.unwrap_err();
    assert_eq!(short.fields()[0].field, "new_password");

    let mut first = changing("a better password");
    assert!(poll!(&mut first).is_pending());
    let out = UserEdit {
        groups: Some(Vec::new()),
        ..UserEdit::default()
    };
    place.engine.edit_user("ann", out).await.unwrap();
    let mut second = changing("yet another password");
    assert!(poll!(&mut second).is_pending());
    first.await.unwrap();
    assert!(place.engine.user("ann").await.unwrap().groups.is_empty());
    assert_eq!(code(second.await), Code::Conflict);
    place.login("ann", "a better password").await.unwrap();
    place.end().await;
}

#[tokio::test]
async fn an_edit_does_not_bring_back_the_secret_that_was_replaced() {
    let place = Place::new().await;
    let old = place.key("ci").await;
    let gone = place.key("gone").await;
    let go = place.stopped_writes().await;
    let edit = |name| {
        let edit = ApiKeyEdit {
            tier: Some(crate::model::KeyTier::Free),
            ..ApiKeyEdit::default()
        };
        place.engine.edit_api_key(name, edit)
    };
    let mut rotating = Box::pin(place.engine.rotate_api_key("ci"));
    let mut removing = Box::pin(place.engine.remove_api_key("gone"));
    assert!(poll!(&mut rotating).is_pending() && poll!(&mut removing).is_pending());
    let (mut one, mut other) = (Box::pin(edit("ci")), Box::pin(edit("gone")));
    assert!(poll!(&mut one).is_pending() && poll!(&mut other).is_pending());
    drop(go);
    let new = rotating.await.unwrap();
    removing.await.unwrap();
    assert_eq!(one.await.unwrap().tier, crate::model::KeyTier::Free);
    assert_eq!(code(other.await), Code::ApiKeyNotFound);
    place.caller(&new.key).await.unwrap();
    for secret in [old.key, gone.key] {
        assert_eq!(code(place.caller(&secret).await), Code::Unauthenticated);
    }
    place.end().await;
}

#[tokio::test]
async fn a_key_is_let_in_while_nothing_can_be_written() {
    let place = Place::new().await;
    let key = place.key("ci").await;
    let go = place.stopped_writes().await;
    let known = place.caller(&key.key).now_or_never();
    known.expect("no write is waited for").unwrap();
    drop(go);
    place.end().await;
}

#[tokio::test]
async fn two_administrators_cannot_lock_each_other_out() {
    let place = Place::new().await;
    place.user("ann", &["administrators"]).await;
    place.user("bob", &["administrators"]).await;
    let group = GroupCreate {
        name: "night".to_owned(),
        ..GroupCreate::default()
    };
    place.engine.add_group(group).await.unwrap();
    let go = place.stopped_writes().await;
    let mut first = Box::pin(place.engine.remove_user("ann"));
    let mut second = Box::pin(place.engine.edit_user("bob", locked()));
    let into = UserEdit {
        groups: Some(vec!["administrators".to_owned(), "night".to_owned()]),
        ..UserEdit::default()
    };
    let mut joining = Box::pin(place.engine.edit_user("bob", into));
    let mut dropping = Box::pin(place.engine.remove_group("night"));
    assert!(poll!(&mut first).is_pending() && poll!(&mut second).is_pending());
    assert!(poll!(&mut joining).is_pending() && poll!(&mut dropping).is_pending());
    drop(go);
    first.await.unwrap();
    assert_eq!(code(second.await), Code::Conflict);
    joining.await.unwrap();
    assert_eq!(code(dropping.await), Code::Conflict);
    assert!(place.engine.verify_audit().await.unwrap().whole);
    place.end().await;
}

#[tokio::test]
async fn limited_groups_do_not_add_up_across_projects() {
    let place = Place::new().await;
    for (project, permission) in [("a", "backups:*"), ("b", "backups:read")] {
        place.project(project).await;
        let group = GroupCreate {
            name: format!("of-{project}"),
            permissions: vec![permission.to_owned()],
            projects: vec![project.to_owned()],
            ..GroupCreate::default()
        };
        place.engine.add_group(group).await.unwrap();
    }
    place.user("ann", &["of-a", "of-b"]).await;
    let token = place.login("ann", "a password of theirs").await.unwrap();
    let ann = place.caller(&token).await.unwrap();
    let reading = ann.doing("backups:read").unwrap();
    assert!(reading.sees("a") && reading.sees("b"));
    let deleting = ann.doing("backups:delete").unwrap();
    assert!(deleting.sees("a") && !deleting.sees("b"));
    let session = scope::acting_as(ann, place.engine.session()).await.unwrap();
    assert_eq!(session.grants[1].permissions, ["backups:read"]);
    assert_eq!(session.grants[1].projects, ["b"]);
    assert_eq!(session.projects, ["a", "b"]);
    place.end().await;
}

#[tokio::test]
async fn over_the_network_a_given_password_is_changed_first() {
    let place = Place::new().await;
    place.user("ann", &["viewers"]).await;
    let request = |password: &str| LoginRequest {
        username: "ann".to_owned(),
        password: Some(SecretText::new(password)),
    };
    let address = Some(std::net::IpAddr::from([192, 0, 2, 1]));
    let token = place.login("ann", "a password of theirs").await.unwrap();
    let here = place.engine.caller_of_token(&token, None).await.unwrap().0;
    assert!(!here.has_given_password);
    let there = place
        .engine
        .caller_of_token(&token, address)
        .await
        .unwrap()
        .0;
    assert!(there.has_given_password);
    let change = PasswordChange {
        current_password: Some(SecretText::new("a password of theirs")),
        new_password: Some(SecretText::new("a better password")),
    };
    let changed = place.engine.change_password(change);
    scope::acting_as(there.into(), changed).await.unwrap();
    let login = place.engine.login(request("a better password"), address);
    let token = login.await.unwrap().token;
    let there = place
        .engine
        .caller_of_token(&token, address)
        .await
        .unwrap()
        .0;
    assert!(!there.has_given_password);
    place.end().await;
}
