//! The dependency policy of `.deny.toml`: banned crates, licences, and where crates come from.

use std::collections::BTreeSet;
use std::process::Command;

use backstay_tests::places;
use serde_json::Value;

/// The packages that a build for Linux really takes, features resolved.
fn packages() -> Vec<Value> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version=1", "--locked"])
        .args(["--filter-platform", "x86_64-unknown-linux-gnu"])
        .current_dir(places::checkout())
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    let nodes = metadata["resolve"]["nodes"].as_array().unwrap();
    let used: BTreeSet<_> = nodes.iter().map(|node| text(&node["id"])).collect();
    let packages = metadata["packages"].as_array().unwrap();
    let taken: Vec<_> = packages
        .iter()
        .filter(|package| used.contains(text(&package["id"])))
        .cloned()
        .collect();
    assert!(
        taken.len() > 100,
        "the workspace takes hundreds of packages, not {}",
        taken.len()
    );
    taken
}

fn policy() -> toml::Table {
    let text = std::fs::read_to_string(places::checkout().join(".deny.toml")).unwrap();
    text.parse().unwrap()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}

#[test]
fn no_banned_crate_is_taken() {
    let policy = policy();
    let banned: Vec<_> = policy["bans"]["deny"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| {
            (
                entry["crate"].as_str().unwrap(),
                entry["reason"].as_str().unwrap(),
            )
        })
        .collect();
    assert!(banned.iter().any(|(name, _)| *name == "openssl"));
    for package in packages() {
        if let Some((name, reason)) = banned
            .iter()
            .find(|(name, _)| *name == text(&package["name"]))
        {
            panic!("{name} is a dependency, but {reason}");
        }
    }
}

#[test]
fn every_crate_comes_from_crates_io_or_this_workspace() {
    for package in packages() {
        let source = package["source"].as_str();
        assert!(
            source.is_none_or(
                |source| source == "registry+https://github.com/rust-lang/crates.io-index"
            ),
            "{} comes from {source:?}",
            package["name"]
        );
    }
}

#[test]
fn every_licence_is_allowed() {
    let policy = policy();
    let allowed: BTreeSet<_> = policy["licenses"]["allow"]
        .as_array()
        .unwrap()
        .iter()
        .map(|licence| licence.as_str().unwrap())
        .collect();
    for package in packages() {
        let licence = package["license"].as_str().unwrap_or("none");
        assert!(
            permits(licence, &allowed),
            "{} is under {licence}",
            package["name"]
        );
    }
}

/// Whether an SPDX expression can be met with the allowed licences. `AND` binds tighter than `OR`;
/// the old way to write `OR` is a slash.
fn permits(expression: &str, allowed: &BTreeSet<&str>) -> bool {
    let spaced = expression
        .replace('/', " OR ")
        .replace('(', " ( ")
        .replace(')', " ) ");
    let words: Vec<_> = spaced.split_whitespace().collect();
    let mut rest = words.as_slice();
    let met = any(&mut rest, allowed);
    assert!(rest.is_empty(), "not a licence expression: {expression}");
    met
}

fn any(words: &mut &[&str], allowed: &BTreeSet<&str>) -> bool {
    let mut met = all(words, allowed);
    while take(words, "OR") {
        met |= all(words, allowed);
    }
    met
}

fn all(words: &mut &[&str], allowed: &BTreeSet<&str>) -> bool {
    let mut met = one(words, allowed);
    while take(words, "AND") {
        met &= one(words, allowed);
    }
    met
}

fn one(words: &mut &[&str], allowed: &BTreeSet<&str>) -> bool {
    if take(words, "(") {
        let met = any(words, allowed);
        assert!(take(words, ")"), "a parenthesis is not closed");
        return met;
    }
    let (name, rest) = words.split_first().expect("a licence's name");
    *words = rest;
    if take(words, "WITH") {
        let (exception, rest) = words.split_first().expect("an exception's name");
        *words = rest;
        return allowed.contains(format!("{name} WITH {exception}").as_str());
    }
    allowed.contains(name)
}

fn take(words: &mut &[&str], word: &str) -> bool {
    let found = words.first() == Some(&word);
    if found {
        *words = &words[1..];
    }
    found
}

#[test]
fn licence_expressions_are_understood() {
    let allowed = BTreeSet::from(["MIT", "Unicode-3.0"]);
    for met in [
        "MIT",
        "MIT/GPL-3.0",
        "GPL-3.0 OR MIT",
        "(MIT OR GPL-3.0) AND Unicode-3.0",
    ] {
        assert!(permits(met, &allowed), "{met}");
    }
    for unmet in [
        "GPL-3.0",
        "MIT AND GPL-3.0",
        "MIT WITH odd-exception",
        "GPL-3.0 OR (MIT AND X)",
    ] {
        assert!(!permits(unmet, &allowed), "{unmet}");
    }
}
