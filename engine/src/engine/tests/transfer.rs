//! Whole setups that go from one engine to another.

use serde_json::{Value, json};

use super::*;
use crate::access::{Actor, Caller, Grant, Permissions, scope};
use crate::catalog::records::ApiKeyRecord;
use crate::secret::SecretText;

const PASSPHRASE: &str = "correct horse";

fn request(document: Value) -> ConfigImportRequest {
    ConfigImportRequest {
        document,
        passphrase: None,
        dry_run: false,
        overwrite: false,
        paused: false,
    }
}

fn written(parts: &Value) -> Value {
    let mut document = json!({"format": "backstay-config", "version": 1});
    for (name, part) in parts.as_object().unwrap() {
        document[name] = part.clone();
    }
    document
}

async fn exported(engine: &Engine, passphrase: Option<&str>) -> Value {
    let request = ConfigExportRequest {
        passphrase: passphrase.map(SecretText::new),
    };
    serde_json::to_value(engine.export_config(request).await.unwrap()).unwrap()
}

fn item<'a>(plan: &'a ConfigImport, kind: &str, name: &str) -> &'a ConfigItem {
    let mut items = plan.items.iter();
    let found = items.find(|item| item.kind == kind && item.name == name);
    found.unwrap_or_else(|| panic!("no {kind} {name} in {plan:?}"))
}

fn states(plan: &ConfigImport, state: ConfigState) -> Vec<String> {
    let items = plan.items.iter().filter(|item| item.state == state);
    items
        .map(|item| format!("{} {}", item.kind, item.name))
        .collect()
}

/// An engine with something of everything, whose database server nobody can reach.
async fn furnished(home: &std::path::Path) -> Engine {
    let engine = opened(home).await;
    let mut second = create("second", &home.join("second"));
    second.passphrase = Some(SecretText::new("open sesame"));
    engine.add_repository(second).await.unwrap();
    engine.set_default_repository("second").await.unwrap();
    let mut shop = unreachable("shop");
    shop.project = Some("shop".to_owned());
    shop.environment = Some("production".to_owned());
    engine.add_connection(shop).await.unwrap();
    let schedule = json!({"repositories": ["second"], "db": {"cron": "daily"}});
    let schedule = serde_json::from_value(schedule).unwrap();
    engine
        .put_environment_schedule("shop/production", schedule)
        .await
        .unwrap();
    let ops = json!({"name": "ops", "kind": "webhook", "url": "https://ops.example.com/a?key=theirs",
        "secret": "to sign with", "jobs": ["production-shop"]});
    engine
        .add_target(serde_json::from_value(ops).unwrap())
        .await
        .unwrap();
    let job = json!({"name": "nightly", "connection": "shop", "repositories": ["second"],
        "schedule": {"cron": "0 2 * * *"}, "hooks": [{"when": "before", "target": "ops"}]});
    engine
        .add_job(serde_json::from_value(job).unwrap())
        .await
        .unwrap();
    let drill = json!({"name": "weekly", "connection": "shop", "repository": "second"});
    engine
        .add_drill(serde_json::from_value(drill).unwrap())
        .await
        .unwrap();
    let group = json!({"name": "keepers", "permissions": ["backups:*"], "projects": ["shop"]});
    engine
        .add_group(serde_json::from_value(group).unwrap())
        .await
        .unwrap();
    let ann = json!({"name": "ann", "password": "a password of hers", "groups": ["keepers"]});
    engine
        .add_user(serde_json::from_value(ann).unwrap())
        .await
        .unwrap();
    let key = json!({"name": "ci", "permissions": ["runs:read"]});
    engine
        .add_api_key(serde_json::from_value(key).unwrap())
        .await
        .unwrap();
    let edit = json!({"logs": {"run_days": 7}});
    engine
        .edit_settings(serde_json::from_value(edit).unwrap())
        .await
        .unwrap();
    engine
}

#[tokio::test]
async fn a_setup_moves_with_its_secrets_and_keeps_its_ids() {
    let (old_home, new_home) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let old = furnished(old_home.path()).await;
    let document = exported(&old, Some(PASSPHRASE)).await;
    let text = document.to_string();
    for secret in [
        "secret@",
        "open sesame",
        "to sign with",
        "theirs",
        "argon2id$",
    ] {
        assert!(!text.contains(secret), "{secret} is in {text}");
    }
    let new = opened(new_home.path()).await;
    let mut import = request(document.clone());
    import.passphrase = Some(SecretText::new(PASSPHRASE));
    import.dry_run = true;
    let plan = new.import_config(import.clone()).await.unwrap();
    assert_eq!(states(&plan, ConfigState::Refused), [""; 0]);
    assert!(new.connection("shop").await.is_err(), "it was a dry run");
    import.dry_run = false;
    let done = new.import_config(import.clone()).await.unwrap();
    assert_eq!(done.items, plan.items);
    assert!(
        done.items.iter().all(|item| item.lacks.is_empty()),
        "{done:?}"
    );
    // The engine's own first repository has the name, and stays.
    assert_eq!(states(&done, ConfigState::Kept), ["repository local"]);

    let (was, is) = (old.connection("shop").await, new.connection("shop").await);
    assert_eq!(was.unwrap().id, is.unwrap().id);
    let record = new.find_connection("shop").unwrap();
    let target = new.target(&record).unwrap();
    assert_eq!(target.password.unwrap().expose(), "secret");
    for job in ["nightly", "production-shop"] {
        let (was, is) = (old.job(job).await.unwrap(), new.job(job).await.unwrap());
        assert_eq!((was.id, was.enabled), (is.id, is.enabled), "{job}");
        assert_eq!(
            (was.repositories, was.schedule),
            (is.repositories, is.schedule)
        );
        assert_eq!(was.work.retention, is.work.retention);
    }
    let hook = new.job("nightly").await.unwrap().work.hooks.remove(0);
    assert_eq!(hook.target, "ops");
    let mut ops = new.find_target("ops").unwrap();
    assert_eq!(
        ops.target.job_ids,
        [new.job("production-shop").await.unwrap().id]
    );
    let secrets = crate::engine::exports::opened(&mut ops, new.0.catalog.vault()).unwrap();
    assert_eq!(secrets["secret"], "to sign with");
    assert_eq!(secrets["url"], "https://ops.example.com/a?key=theirs");
    let hash = |engine: &Engine| {
        let found = engine.0.catalog.by_name::<ApiKeyRecord>("ci").unwrap();
        found.unwrap().hash
    };
    assert_eq!(hash(&old), hash(&new));
    let login = LoginRequest {
        username: "ann".to_owned(),
        password: Some(SecretText::new("a password of hers")),
    };
    new.login(login, None).await.unwrap();
    assert_eq!(new.settings().logs.run_days, 7);
    assert!(new.repository("second").await.unwrap().is_default);
    assert!(new.test_repository("second").await.unwrap().ok);
    assert_eq!(
        new.drill("weekly").await.unwrap().repository.unwrap(),
        "second"
    );

    let again = new.import_config(import).await.unwrap();
    for state in [ConfigState::Created, ConfigState::Changed] {
        assert_eq!(states(&again, state), [""; 0]);
    }
    let entry = new.audit_events(&AuditList::default()).await.unwrap();
    let entry = entry.items.iter().find(|own| own.action == "config.import");
    let entry = serde_json::to_string(&entry.unwrap()).unwrap();
    assert!(
        !entry.contains("sesame") && !entry.contains("theirs"),
        "{entry}"
    );
    stopped(old).await;
    stopped(new).await;
}

#[tokio::test]
async fn without_a_passphrase_what_lacks_its_secret_is_named() {
    let (old_home, new_home) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let old = furnished(old_home.path()).await;
    let document = exported(&old, None).await;
    assert!(document.get("secrets").is_none());
    let new = opened(new_home.path()).await;
    let refused = new
        .import_config(request(document.clone()))
        .await
        .unwrap_err();
    assert_eq!(refused.code(), Code::RepositoryKey);
    assert!(
        refused.message().contains("repository \"second\""),
        "{refused}"
    );
    assert!(
        new.connection("shop").await.is_err(),
        "nothing was imported"
    );
    // Somebody who has the passphrase adds it by hand.
    let mut second = create("second", &old_home.path().join("second"));
    second.passphrase = Some(SecretText::new("open sesame"));
    new.add_repository(second).await.unwrap();
    let mut import = request(document);
    import.paused = true;
    let done = new.import_config(import).await.unwrap();
    for (kind, name, lacks) in [
        ("connection", "shop", "password"),
        ("user", "ann", "password"),
        ("api_key", "ci", "key"),
    ] {
        assert_eq!(item(&done, kind, name).lacks, [lacks], "{kind} {name}");
    }
    assert_eq!(item(&done, "notification", "ops").lacks, ["url", "secret"]);
    let ops = new.target_named("ops").await.unwrap();
    assert!(!ops.enabled);
    for job in ["nightly", "production-shop"] {
        assert!(!new.job(job).await.unwrap().enabled, "{job}");
    }
    stopped(old).await;
    stopped(new).await;
}

#[tokio::test]
async fn what_is_here_stays_unless_it_may_be_overwritten() {
    let home = tempfile::tempdir().unwrap();
    let engine = furnished(home.path()).await;
    let id = engine.connection("shop").await.unwrap().id;
    let document = written(&json!({
        "connections": [{"name": "shop", "url": "postgres://other@db.internal/shop", "project": "shop",
            "environment": "production"}],
        "settings": {"logs": {"run_days": 30}},
        "groups": [{"name": "administrators", "permissions": []}],
    }));
    let kept = engine
        .import_config(request(document.clone()))
        .await
        .unwrap();
    let shop = item(&kept, "connection", "shop");
    assert_eq!(
        (shop.state, &shop.fields[..]),
        (ConfigState::Kept, &["url".to_owned()][..])
    );
    assert_eq!(
        item(&kept, "settings", "settings").fields,
        ["logs.run_days"]
    );
    assert_eq!(engine.connection("shop").await.unwrap().user, "shop");
    let mut import = request(document);
    import.overwrite = true;
    let changed = engine.import_config(import).await.unwrap();
    assert_eq!(
        item(&changed, "connection", "shop").state,
        ConfigState::Changed
    );
    assert_eq!(
        states(&changed, ConfigState::Kept),
        ["group administrators"]
    );
    let shop = engine.connection("shop").await.unwrap();
    assert_eq!((shop.id, shop.user.as_str()), (id, "other"));
    let target = engine.find_connection("shop").unwrap();
    let target = engine.target(&target).unwrap();
    assert_eq!(target.password.unwrap().expose(), "secret", "it stays");
    assert_eq!(engine.settings().logs.run_days, 30);
    stopped(engine).await;
}

#[tokio::test]
async fn what_cannot_be_meant_is_refused_and_nothing_is_taken_in() {
    let home = tempfile::tempdir().unwrap();
    let engine = opened(home.path()).await;
    let group = json!({"name": "new", "permissions": []});
    let shop = json!({"name": "shop", "url": "postgres://h/d"});
    for (code, said, parts) in [
        (
            Code::ConnectionNotFound,
            "job \"j\": There is no connection \"gone\"",
            json!({"jobs": [{"name": "j", "connection": "gone"}]}),
        ),
        (
            Code::RepositoryNotFound,
            "There is no repository \"gone\"",
            json!({"connections": [shop], "drills": [{"name": "d", "connection": "shop", "repository": "gone"}]}),
        ),
        (
            Code::GroupNotFound,
            "There is no group \"gone\"",
            json!({"users": [{"name": "u", "groups": ["gone"]}]}),
        ),
        (
            Code::ProjectNotFound,
            "There is no project \"gone\"",
            json!({"environments": [{"project": "gone", "name": "e"}]}),
        ),
        (
            Code::Invalid,
            "connection \"shop\": It is in the document twice",
            json!({"connections": [shop, shop]}),
        ),
        (
            Code::Invalid,
            "is not a permission",
            json!({"groups": [{"name": "g", "permissions": ["no:such"]}]}),
        ),
        (
            Code::Invalid,
            "../up",
            json!({"connections": [{"name": "../up", "url": "postgres://h/d"}]}),
        ),
        (
            Code::Invalid,
            "system_task \"prune\"",
            json!({"system_tasks":
            [{"id": "prune", "enabled": true, "cron": "61 * * * *", "time_zone": "UTC"}]}),
        ),
        (
            Code::Invalid,
            "run_count",
            json!({"settings": {"logs": {"run_count": 0}}}),
        ),
        (
            Code::RepositoryKey,
            "Its key is not in the document",
            json!({"repositories": [{"name": "r", "location": "/nowhere/r"}]}),
        ),
        (
            Code::Invalid,
            "jobs[0]",
            json!({"jobs": [{"name": "j", "connection": "c", "colour": 1}]}),
        ),
    ] {
        let mut document = written(&parts);
        if document.get("groups").is_none() {
            document["groups"] = json!([group]);
        }
        let refused = engine.import_config(request(document)).await.unwrap_err();
        assert_eq!(refused.code(), code, "{refused}");
        assert!(refused.message().contains(said), "{said}: {refused}");
        assert!(
            engine.group("new").await.is_err(),
            "{said}: something was taken in"
        );
        assert!(engine.connection("shop").await.is_err(), "{said}");
    }
    stopped(engine).await;
}

#[tokio::test]
async fn what_is_no_document_of_this_version_is_refused() {
    let home = tempfile::tempdir().unwrap();
    let engine = opened(home.path()).await;
    let things = vec![json!({"name": "x"}); 20_001];
    for (said, document) in [
        (
            "is of version 2",
            json!({"format": "backstay-config", "version": 2, "new": 1}),
        ),
        ("has no version", json!({"format": "backstay-config"})),
        ("not a configuration", json!({"version": 1})),
        (
            "more than 20000 things",
            written(&json!({"projects": things})),
        ),
    ] {
        let refused = engine.import_config(request(document)).await.unwrap_err();
        assert_eq!(refused.code(), Code::Invalid);
        assert!(refused.message().contains(said), "{said}: {refused}");
    }
    let mut sealed = request(exported(&engine, Some(PASSPHRASE)).await);
    sealed.passphrase = Some(SecretText::new("another horse"));
    let refused = engine.import_config(sealed).await.unwrap_err();
    assert_eq!(refused.code(), Code::ConfigPassphrase);
    stopped(engine).await;
}

#[tokio::test]
async fn only_who_may_do_everything_takes_a_setup_in_and_somebody_still_can_afterwards() {
    let home = tempfile::tempdir().unwrap();
    let engine = opened(home.path()).await;
    let caller = |permissions: &[&str], projects: &[String]| {
        let permissions = Permissions::read(permissions).unwrap();
        let grants = vec![Grant::new(permissions, projects)];
        Caller::new(Actor::Nobody, None, grants)
    };
    let document = written(&json!({"groups": [{"name": "g", "permissions": ["*"]}]}));
    for caller in [
        caller(&["settings:*", "groups:*"], &[]),
        caller(&["*"], &["shop".to_owned()]),
    ] {
        let import = engine.import_config(request(document.clone()));
        let refused = scope::acting_as(std::sync::Arc::new(caller), import).await;
        assert_eq!(refused.unwrap_err().code(), Code::Forbidden);
    }
    engine.make_administrator(None).await.unwrap().unwrap();
    let mut import = request(written(
        &json!({"users": [{"name": "admin", "groups": []}]}),
    ));
    import.overwrite = true;
    let refused = engine.import_config(import).await.unwrap_err();
    assert_eq!(refused.code(), Code::Conflict, "{refused}");
    stopped(engine).await;
}
