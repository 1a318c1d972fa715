//! What opens and what does not.

use std::os::unix::fs::PermissionsExt as _;

use super::*;
use crate::config::Config;

#[test]
fn a_sealed_secret_opens_only_in_its_place_and_with_its_key() {
    let vault = Vault::new(&SecretKey::random()).unwrap();
    let sealed = vault
        .seal("con_1", "password", &SecretText::new("pässword"))
        .unwrap();
    assert_eq!(
        vault.open("con_1", "password", &sealed).unwrap().expose(),
        "pässword"
    );
    assert!(vault.open("con_2", "password", &sealed).is_err());
    assert!(vault.open("con_1", "ssh_key", &sealed).is_err());
    let other = Vault::new(&SecretKey::random()).unwrap();
    assert!(other.open("con_1", "password", &sealed).is_err());
    let first = if sealed.0.starts_with("00") {
        "01"
    } else {
        "00"
    };
    let rest = &sealed.0[2..];
    for damaged in ["", "zz", "00", rest, &format!("{first}{rest}")] {
        let error = vault
            .open("con_1", "password", &Sealed(damaged.to_owned()))
            .unwrap_err();
        assert_eq!(error.code(), Code::CatalogFailed);
    }
    assert!(!sealed.0.contains(&hex("pässword".as_bytes())));
}

#[test]
fn the_key_file_is_made_once_private_and_kept() {
    let home = tempfile::tempdir().unwrap();
    let config = Config::in_home(home.path());
    let key = load_master_key(&config, false).unwrap();
    let mode = std::fs::metadata(&config.master_key_file)
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
    assert!(load_master_key(&config, true).unwrap() == key);
    std::fs::set_permissions(
        &config.master_key_file,
        std::fs::Permissions::from_mode(0o644),
    )
    .unwrap();
    assert!(
        load_master_key(&config, true)
            .unwrap_err()
            .hint_text()
            .unwrap()
            .contains("chmod")
    );
}

#[test]
fn a_catalog_without_its_key_is_an_error_not_a_new_key() {
    let home = tempfile::tempdir().unwrap();
    let config = Config::in_home(home.path());
    assert!(load_master_key(&config, true).is_err());
    assert!(!config.master_key_file.exists());
}

#[test]
fn a_passphrase_gives_the_same_key_again() {
    let home = tempfile::tempdir().unwrap();
    let mut config = Config::in_home(home.path());
    let file = home.path().join("passphrase");
    std::fs::write(&file, "correct horse\n").unwrap();
    config.master_passphrase_file = Some(file.clone());
    let key = load_master_key(&config, false).unwrap();
    assert!(load_master_key(&config, true).unwrap() == key);
    std::fs::write(&file, "wrong horse\n").unwrap();
    assert!(load_master_key(&config, true).unwrap() != key);
    assert!(!config.master_key_file.exists());
}
