//! What opens a repository: added, used, removed.

use super::*;
use crate::secret::SecretText;

fn passphrase(text: &str) -> KeyCreate {
    KeyCreate {
        passphrase: Some(SecretText::new(text)),
        ..KeyCreate::default()
    }
}

/// The keys of the repository, by what tells them apart.
async fn keys(engine: &Engine) -> Vec<KeySlot> {
    let page = PageRequest::default();
    engine.repository_keys("local", &page).await.unwrap().items
}

async fn used(engine: &Engine) -> KeySlot {
    let mut used = keys(engine).await;
    used.retain(|slot| slot.used_here);
    assert_eq!(used.len(), 1, "{used:?}");
    used.remove(0)
}

#[tokio::test]
async fn the_key_the_engine_needs_goes_when_it_has_another_one() {
    let home = tempfile::tempdir().unwrap();
    let engine = opened(home.path()).await;
    let first = used(&engine).await;
    assert_eq!(first.kind, Some(KeySlotKind::KeyFile));
    let mut spare = passphrase("a passphrase");
    spare.label = Some(" for the safe ".to_owned());
    let spare = engine.add_repository_key("local", spare).await.unwrap();
    assert_eq!((spare.recovery_code, spare.key), (None, None));
    assert_eq!(spare.slot.label.as_deref(), Some("for the safe"));
    assert!(!spare.slot.used_here);
    assert_eq!(keys(&engine).await.len(), 3);
    // The spare one opens it for people, but the engine does not know it.
    let refused = engine.remove_repository_key("local", &first.id).await;
    let refused = refused.unwrap_err();
    assert_eq!(refused.code(), Code::Conflict);
    assert!(refused.report().contains("itself opens"), "{refused:?}");

    let mut own = passphrase("another passphrase");
    own.use_here = true;
    let own = engine.add_repository_key("local", own).await.unwrap().slot;
    assert_eq!(used(&engine).await, own);
    let shown = engine.repository("local").await.unwrap();
    assert_eq!(shown.key, KeyKind::Passphrase);
    engine
        .remove_repository_key("local", &first.id)
        .await
        .unwrap();
    stopped(engine).await;

    let engine = opened(home.path()).await;
    assert!(engine.test_repository("local").await.unwrap().ok);
    let file = KeyCreate {
        key_file: true,
        use_here: true,
        ..KeyCreate::default()
    };
    let file = engine.add_repository_key("local", file).await.unwrap();
    engine
        .remove_repository_key("local", &own.id)
        .await
        .unwrap();
    // The first key file opens nothing any more and still lies there.
    let id = shown.id;
    for (name, is_own) in [(format!("{id}.key"), false), (format!("{id}-2.key"), true)] {
        let text = std::fs::read_to_string(home.path().join("data/keys").join(name)).unwrap();
        assert_eq!(Some(text.trim()) == file.key.as_deref(), is_own);
    }
    stopped(engine).await;
    let engine = opened(home.path()).await;
    assert_eq!(used(&engine).await, file.slot);
    stopped(engine).await;
}

#[tokio::test]
async fn a_kit_that_opens_nothing_any_more_is_to_be_taken_anew() {
    let home = tempfile::tempdir().unwrap();
    let engine = opened(home.path()).await;
    let code = async || {
        let kit = engine.recovery_kit("local").await.unwrap();
        let kit = crate::repository::kit::RecoveryKit::parse(&kit.bytes).unwrap();
        Credential::RecoveryCode(kit.recovery_code)
    };
    let opens = async |code: &Credential| {
        let record = engine.find_repository("local").unwrap();
        let repository = engine.open_repository(&record).await.unwrap();
        !repository.opened_by(code).await.unwrap().is_empty()
    };
    let before = code().await;
    let made = KeyCreate {
        recovery_code: true,
        ..KeyCreate::default()
    };
    let other = engine.add_repository_key("local", made).await.unwrap();
    let other = SecretText::new(other.recovery_code.unwrap());
    let in_kit: Vec<_> = { keys(&engine).await }
        .into_iter()
        .filter(|slot| slot.in_kit)
        .collect();
    assert_eq!(in_kit.len(), 1);
    assert!(opens(&before).await);
    engine
        .remove_repository_key("local", &in_kit[0].id)
        .await
        .unwrap();
    assert!(!opens(&before).await);
    assert!(opens(&Credential::RecoveryCode(other)).await);
    let shown = engine.repository("local").await.unwrap();
    assert_eq!(shown.kit_taken_at, None);
    assert!(opens(&code().await).await);
    stopped(engine).await;
}

#[tokio::test]
async fn damaged_keys_are_named_and_can_go() {
    let home = tempfile::tempdir().unwrap();
    let engine = opened(home.path()).await;
    let spare = engine.add_repository_key("local", passphrase("a passphrase"));
    let spare = spare.await.unwrap().slot;
    let folder = engine.repository("local").await.unwrap().location;
    let folder = std::path::Path::new(&folder).join("keys");
    let object = folder.join(spare.id.strip_prefix("key_").unwrap());
    let mut bytes = std::fs::read(&object).unwrap();
    bytes[100] ^= 1;
    std::fs::remove_file(&object).unwrap();
    std::fs::write(&object, bytes).unwrap();
    std::fs::write(folder.join("odd"), "something").unwrap();
    let listed = keys(&engine).await;
    assert_eq!(listed.len(), 4);
    for (id, named) in [(spare.id.as_str(), true), ("keys/odd", false)] {
        let slot = listed.iter().find(|slot| slot.id == id).unwrap();
        assert_eq!((slot.kind, slot.used_here), (None, false));
        assert!(slot.problem.is_some());
        let removed = engine.remove_repository_key("local", id).await;
        assert_eq!(removed.is_ok(), named, "{removed:?}");
    }
    assert!(!object.exists());
    let gone = engine.remove_repository_key("local", &spare.id).await;
    assert_eq!(gone.unwrap_err().code(), Code::SlotNotFound);
    stopped(engine).await;
}

#[tokio::test]
async fn what_is_no_key_or_two_is_refused() {
    let home = tempfile::tempdir().unwrap();
    let engine = opened(home.path()).await;
    let nothing = KeyCreate::default();
    let two = KeyCreate {
        key_file: true,
        ..passphrase("a passphrase")
    };
    let code_to_use = KeyCreate {
        recovery_code: true,
        use_here: true,
        ..KeyCreate::default()
    };
    let mut long = passphrase("a passphrase");
    long.label = Some("x".repeat(300));
    for wrong in [nothing, two, passphrase(""), code_to_use, long] {
        let refused = engine.add_repository_key("local", wrong).await;
        assert_eq!(refused.unwrap_err().code(), Code::Invalid);
    }
    assert_eq!(keys(&engine).await.len(), 2);
    let mut empty = create("second", &home.path().join("second"));
    empty.passphrase = Some(SecretText::new(""));
    let refused = engine.add_repository(empty).await.unwrap_err();
    assert_eq!(refused.code(), Code::Invalid);
    // Without its own key at hand the engine removes none.
    let other = { keys(&engine).await }
        .into_iter()
        .find(|slot| !slot.used_here);
    let id = engine.repository("local").await.unwrap().id;
    std::fs::remove_file(home.path().join(format!("data/keys/{id}.key"))).unwrap();
    assert_eq!(keys(&engine).await.len(), 2);
    let refused = engine
        .remove_repository_key("local", &other.unwrap().id)
        .await;
    assert!(refused.is_err());
    assert_eq!(keys(&engine).await.len(), 2);
    stopped(engine).await;
}
