//! Logins, keys, groups and the audit log, on an engine of their own.

use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::access::chain::HEAD;
use crate::access::{Actor, Permissions, scope};
use crate::catalog::records::AuditRecord;
use crate::clock::{Clock as _, ManualClock};
use crate::config::Config;
use crate::model::{
    ApiKeyCreate, ApiKeyEdit, AuditList, GroupCreate, GroupEdit, LoginRequest, PageRequest,
    PasswordChange, ProjectCreate, StopRequest, UserCreate, UserEdit,
};
use crate::secret::SecretText;

mod between;

struct Place {
    engine: Engine,
    clock: Arc<ManualClock>,
    _home: tempfile::TempDir,
}

impl Place {
    async fn new() -> Self {
        let home = tempfile::tempdir().unwrap();
        let clock = Arc::new(ManualClock::new("2026-01-31T12:00:00Z".parse().unwrap()));
        let engine = Engine::open(Config::in_home(home.path()), Arc::clone(&clock) as _)
            .await
            .unwrap();
        Self {
            engine,
            clock,
            _home: home,
        }
    }

    async fn user(&self, name: &str, groups: &[&str]) {
        let create = UserCreate {
            name: name.to_owned(),
            password: Some(SecretText::new("a password of theirs")),
            groups: groups.iter().map(|&group| group.to_owned()).collect(),
            ..UserCreate::default()
        };
        self.engine.add_user(create).await.unwrap();
    }

    async fn project(&self, name: &str) {
        let create = ProjectCreate {
            name: name.to_owned(),
            description: None,
        };
        self.engine.add_project(create).await.unwrap();
    }

    async fn login(&self, name: &str, password: &str) -> Result<String> {
        let request = LoginRequest {
            username: name.to_owned(),
            password: Some(SecretText::new(password)),
        };
        Ok(self.engine.login(request, None).await?.token)
    }

    async fn caller(&self, token: &str) -> Result<Arc<Caller>> {
        Ok(Arc::new(self.engine.caller_of_token(token, None).await?.0))
    }

    async fn end(self) {
        self.engine.stop(&StopRequest { now: true });
        self.engine.stopped().await;
    }
}

fn code<T: std::fmt::Debug>(outcome: Result<T>) -> Code {
    outcome.unwrap_err().code()
}

#[tokio::test]
async fn the_first_administrator_is_made_once() {
    let place = Place::new().await;
    place.user("ann", &["viewers"]).await;
    let first = place.engine.make_administrator(None).await.unwrap();
    let first = first.unwrap();
    let (name, password) = (first.name, first.password.unwrap());
    let again = SecretText::new("another password");
    let again = place.engine.make_administrator(Some(again)).await.unwrap();
    assert!(again.is_none());
    assert!(place.engine.user(&name).await.unwrap().password_given);
    let token = place.login(&name, password.expose()).await.unwrap();
    let caller = place.caller(&token).await.unwrap();
    assert!(caller.permissions().covers(&Permissions::all()));
    assert_eq!(
        code(place.engine.remove_user("admin").await),
        Code::Conflict,
        "the last one"
    );
    let lock = UserEdit {
        enabled: Some(false),
        ..UserEdit::default()
    };
    assert_eq!(
        code(place.engine.edit_user("admin", lock).await),
        Code::Conflict
    );
    place.end().await;
}

#[tokio::test]
async fn nobody_is_made_where_a_key_can_do_everything() {
    let place = Place::new().await;
    let create = ApiKeyCreate {
        name: "root".to_owned(),
        permissions: vec!["*".to_owned()],
        ..ApiKeyCreate::default()
    };
    place.engine.add_api_key(create).await.unwrap();
    assert!(
        place
            .engine
            .make_administrator(None)
            .await
            .unwrap()
            .is_none()
    );
    let lock = ApiKeyEdit {
        enabled: Some(false),
        ..ApiKeyEdit::default()
    };
    place.engine.edit_api_key("root", lock).await.unwrap();
    let given = SecretText::new("from a file of theirs");
    let made = place.engine.make_administrator(Some(given)).await.unwrap();
    assert!(made.unwrap().password.is_none());
    assert!(!place.engine.user("admin").await.unwrap().password_given);
    place.login("admin", "from a file of theirs").await.unwrap();
    place.end().await;
}

#[tokio::test]
async fn what_was_let_in_is_looked_at_again() {
    let place = Place::new().await;
    place.user("ann", &["viewers"]).await;
    let token = place.login("ann", "a password of theirs").await.unwrap();
    let ann = place.caller(&token).await.unwrap();
    let create = ApiKeyCreate {
        name: "ci".to_owned(),
        permissions: vec!["events:read".to_owned()],
        ..ApiKeyCreate::default()
    };
    let made = place.engine.add_api_key(create).await.unwrap();
    let key = place.caller(&made.key).await.unwrap();
    let begun = place.clock.now();
    let holds = async |caller: &Caller| place.engine.still_holds(caller, begun).await;
    assert!(holds(&ann).await && holds(&key).await);
    place.clock.advance(Duration::from_secs(1));
    place.engine.rotate_api_key("ci").await.unwrap();
    assert!(!holds(&key).await, "its secret is another");
    let out = UserEdit {
        groups: Some(vec![]),
        ..UserEdit::default()
    };
    place.engine.edit_user("ann", out).await.unwrap();
    assert!(!holds(&ann).await, "she may do less");
    let back = UserEdit {
        groups: Some(vec!["viewers".to_owned()]),
        ..UserEdit::default()
    };
    place.engine.edit_user("ann", back).await.unwrap();
    assert!(holds(&ann).await);
    scope::acting_as(Arc::clone(&ann), place.engine.logout())
        .await
        .unwrap();
    assert!(!holds(&ann).await);
    place.end().await;
}

#[tokio::test]
async fn logins_end_by_time_by_logout_and_by_a_new_password() {
    let place = Place::new().await;
    place.user("ann", &["viewers"]).await;
    assert_eq!(
        code(place.login("ann", "another").await),
        Code::Unauthenticated
    );
    assert_eq!(
        code(place.login("nobody", "a password of theirs").await),
        Code::Unauthenticated
    );
    let first = place.login("ann", "a password of theirs").await.unwrap();
    let second = place.login("ann", "a password of theirs").await.unwrap();
    let caller = place.caller(&first).await.unwrap();
    caller.require("backups:read").unwrap();
    assert_eq!(code(caller.require("backups:delete")), Code::Forbidden);

    scope::acting_as(Arc::clone(&caller), place.engine.logout())
        .await
        .unwrap();
    assert_eq!(code(place.caller(&first).await), Code::Unauthenticated);
    let caller = place.caller(&second).await.unwrap();
    let change = |current: &str| PasswordChange {
        current_password: Some(SecretText::new(current)),
        new_password: Some(SecretText::new("a better password")),
    };
    let wrong = scope::acting_as(
        Arc::clone(&caller),
        place.engine.change_password(change("no")),
    )
    .await;
    assert_eq!(code(wrong), Code::Forbidden);
    let right = place.engine.change_password(change("a password of theirs"));
    scope::acting_as(caller, right).await.unwrap();
    assert_eq!(code(place.caller(&second).await), Code::Unauthenticated);

    let third = place.login("ann", "a better password").await.unwrap();
    place.clock.advance(Duration::from_hours(11));
    place.caller(&third).await.unwrap();
    place.clock.advance(Duration::from_hours(2));
    assert_eq!(code(place.caller(&third).await), Code::Unauthenticated);

    let fourth = place.login("ann", "a better password").await.unwrap();
    let lock = UserEdit {
        enabled: Some(false),
        ..UserEdit::default()
    };
    place.engine.edit_user("ann", lock).await.unwrap();
    assert_eq!(code(place.caller(&fourth).await), Code::Unauthenticated);
    assert_eq!(
        code(place.login("ann", "a better password").await),
        Code::Unauthenticated
    );
    place.end().await;
}

#[tokio::test]
async fn keys_are_rotated_locked_expired_and_revoked() {
    let place = Place::new().await;
    let create = ApiKeyCreate {
        name: "ci".to_owned(),
        permissions: vec!["backups:*".to_owned()],
        expires_at: Some("2026-02-01T00:00:00Z".parse().unwrap()),
        ..ApiKeyCreate::default()
    };
    let made = place.engine.add_api_key(create.clone()).await.unwrap();
    assert!(made.key.starts_with("bks_") && made.key.starts_with(&made.record.prefix));
    let caller = place.caller(&made.key).await.unwrap();
    assert!(matches!(&caller.actor, Actor::Key { name, .. } if name == "ci"));
    // That is written behind the request.
    while place
        .engine
        .api_key("ci")
        .await
        .unwrap()
        .last_used_at
        .is_none()
    {
        tokio::task::yield_now().await;
    }
    assert_eq!(
        code(place.engine.add_api_key(create).await),
        Code::Conflict,
        "names are unique"
    );

    let rotated = place.engine.rotate_api_key("ci").await.unwrap();
    assert_eq!(code(place.caller(&made.key).await), Code::Unauthenticated);
    place.caller(&rotated.key).await.unwrap();
    let enabled = |enabled| ApiKeyEdit {
        enabled: Some(enabled),
        ..ApiKeyEdit::default()
    };
    place
        .engine
        .edit_api_key("ci", enabled(false))
        .await
        .unwrap();
    assert_eq!(
        code(place.caller(&rotated.key).await),
        Code::Unauthenticated
    );
    place
        .engine
        .edit_api_key("ci", enabled(true))
        .await
        .unwrap();
    place.caller(&rotated.key).await.unwrap();
    place.clock.advance(Duration::from_hours(12));
    assert_eq!(
        code(place.caller(&rotated.key).await),
        Code::Unauthenticated,
        "expired"
    );
    place.engine.remove_api_key("ci").await.unwrap();
    assert_eq!(code(place.engine.api_key("ci").await), Code::ApiKeyNotFound);
    place.end().await;
}

#[tokio::test]
async fn nobody_gives_what_they_do_not_have() {
    let place = Place::new().await;
    let limited = GroupCreate {
        name: "shop-keepers".to_owned(),
        permissions: vec![
            "backups:*".to_owned(),
            "api_keys:*".to_owned(),
            "groups:*".to_owned(),
            "users:*".to_owned(),
        ],
        projects: vec!["shop".to_owned()],
        ..GroupCreate::default()
    };
    let unknown = place.engine.add_group(limited.clone()).await;
    assert_eq!(unknown.unwrap_err().fields()[0].field, "projects");
    place.project("shop").await;
    place.engine.add_group(limited).await.unwrap();
    place.user("ann", &["shop-keepers"]).await;
    let token = place.login("ann", "a password of theirs").await.unwrap();
    let ann = place.caller(&token).await.unwrap();
    assert!(ann.sees("shop") && !ann.sees("bank"));
    place.project("bank").await;
    let key = |permissions: &str, projects: &[&str]| ApiKeyCreate {
        name: "k".to_owned(),
        permissions: vec![permissions.to_owned()],
        projects: projects.iter().map(|&project| project.to_owned()).collect(),
        ..ApiKeyCreate::default()
    };
    for wrong in [
        key("*", &["shop"]),
        key("backups:read", &[]),
        key("backups:read", &["shop", "bank"]),
    ] {
        let made = scope::acting_as(Arc::clone(&ann), place.engine.add_api_key(wrong)).await;
        assert_eq!(code(made), Code::Forbidden);
    }
    let made = place.engine.add_api_key(key("backups:read", &["shop"]));
    scope::acting_as(Arc::clone(&ann), made).await.unwrap();

    let wider = GroupEdit {
        projects: Some(Vec::new()),
        ..GroupEdit::default()
    };
    let edited = scope::acting_as(
        Arc::clone(&ann),
        place.engine.edit_group("shop-keepers", wider),
    )
    .await;
    // Users and groups are not of any project, so she does not find them.
    assert_eq!(code(edited), Code::GroupNotFound);
    let climb = UserEdit {
        groups: Some(vec!["administrators".to_owned()]),
        ..UserEdit::default()
    };
    let climbed = scope::acting_as(ann, place.engine.edit_user("ann", climb)).await;
    assert_eq!(code(climbed), Code::UserNotFound);
    assert_eq!(
        code(place.engine.remove_group("shop-keepers").await),
        Code::Conflict,
        "somebody is in it"
    );
    assert_eq!(
        code(place.engine.remove_group("administrators").await),
        Code::Conflict
    );
    place.end().await;
}

#[tokio::test]
async fn the_audit_log_tells_who_did_what_and_shows_tampering() {
    let place = Place::new().await;
    place.user("ann", &["administrators"]).await;
    let token = place.login("ann", "a password of theirs").await.unwrap();
    let ann = place.caller(&token).await.unwrap();
    place.login("ann", "guess").await.unwrap_err();
    for number in 0..5 {
        let group = GroupCreate {
            name: format!("g{number}"),
            ..GroupCreate::default()
        };
        scope::acting_as(Arc::clone(&ann), place.engine.add_group(group))
            .await
            .unwrap();
    }
    let of_ann = AuditList {
        actor: Some("user:ann".to_owned()),
        action: Some("group.add".to_owned()),
        ..AuditList::default()
    };
    let page = place.engine.audit_events(&of_ann).await.unwrap();
    assert_eq!(page.items.len(), 5);
    assert_eq!(page.items[0].after.as_ref().unwrap()["name"], "g4");
    let text = serde_json::to_string(
        &place
            .engine
            .audit_events(&AuditList::default())
            .await
            .unwrap(),
    )
    .unwrap();
    assert!(
        !text.contains("a password of theirs") && !text.contains("argon2"),
        "{text}"
    );
    let whole = place.engine.verify_audit().await.unwrap();
    assert!(whole.whole && whole.entries >= 8, "{whole:?}");

    let catalog = &place.engine.0.catalog;
    let mut changed = catalog.by_serial::<AuditRecord>(4).unwrap().unwrap();
    let original = changed.clone();
    changed.0.actor = "user:eve".to_owned();
    catalog.put(changed).await.unwrap();
    let verdict = place.engine.verify_audit().await.unwrap();
    assert_eq!((verdict.whole, verdict.broken_at), (false, Some(4)));
    catalog.put(original).await.unwrap();
    assert!(place.engine.verify_audit().await.unwrap().whole);
    let last = place
        .engine
        .audit_events(&AuditList::default())
        .await
        .unwrap()
        .items[0]
        .clone();
    let id = last.id.bits();
    catalog
        .write(move |tx| tx.remove::<AuditRecord>(id).map(|_| ()))
        .await
        .unwrap();
    let verdict = place.engine.verify_audit().await.unwrap();
    assert_eq!(verdict.broken_at, Some(last.serial), "{verdict:?}");
    let users = place.engine.users(&PageRequest::default()).await.unwrap();
    assert!(users.items[0].last_login_at.is_some());

    // The head that fits to what is left was never sealed.
    let before = place
        .engine
        .0
        .catalog
        .by_serial::<AuditRecord>(last.serial - 1);
    let hash = before.unwrap().unwrap().0.hash;
    let head = format!("{} {hash}", last.serial - 1);
    for forged in [head.clone(), format!("{head} {}", "00".repeat(32))] {
        let written = move |tx: &Tx<'_>| tx.set_meta(HEAD, &forged);
        place.engine.0.catalog.write(written).await.unwrap();
        assert!(!place.engine.verify_audit().await.unwrap().whole);
    }
    place.engine.audit_bare("test", "").await.unwrap();
    let verdict = place.engine.verify_audit().await.unwrap();
    assert_eq!(
        verdict.broken_at,
        Some(last.serial),
        "going on hides nothing"
    );
    place.end().await;
}
