//! The example configuration documents every key, and its defaults are the real ones.

#![allow(missing_docs)]
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::path::Path;

use backstay_engine::config::Config;

const EXAMPLE: &str = include_str!("../../assets/backstay.example.toml");

/// The lines of the example that set something, by key.
fn settings() -> BTreeMap<&'static str, &'static str> {
    EXAMPLE
        .lines()
        .filter_map(|line| {
            let line = line.strip_prefix('#')?;
            let (key, _) = line.split_once(" = ")?;
            key.chars()
                .all(|c| c.is_ascii_lowercase() || c == '_')
                .then_some((key, line))
        })
        .collect()
}

fn load(text: &str) -> Config {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("backstay.toml");
    std::fs::write(&file, text).unwrap();
    let mut config = Config::load(Some(&file), &BTreeMap::new(), true).unwrap();
    config.paths.config_file = Path::new("the-example").to_path_buf();
    config
}

#[test]
fn every_key_is_there_and_no_other() {
    let mut keys: Vec<&str> = Config::KEYS.to_vec();
    keys.sort_unstable();
    let documented: Vec<&str> = settings().into_keys().collect();
    assert_eq!(documented, keys);
}

#[test]
fn the_defaults_are_the_real_ones() {
    // These depend on the machine, or have no default.
    let free = [
        "cpu_workers",
        "workers",
        "socket_group",
        "master_passphrase_file",
        "tls_cert",
        "tls_key",
        "tls_client_ca",
    ];
    let text: Vec<&str> = settings()
        .into_iter()
        .filter(|(key, _)| !free.contains(key))
        .map(|(_, line)| line)
        .collect();
    assert_eq!(load(&text.join("\n")), load(""));
    let all: Vec<&str> = settings().into_values().collect();
    load(&all.join("\n"));
}
