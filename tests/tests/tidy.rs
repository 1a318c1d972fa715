//! Rules of the house that no compiler checks. Each failure names the file and the rule.

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use backstay_tests::places::checkout;

/// What may lie at the top of the checkout, beside dotfiles.
const TOP: [&str; 8] = [
    "Cargo.lock",
    "Cargo.toml",
    "README.md",
    "assets",
    "engine",
    "httpd",
    "tests",
    "tui",
];

/// Every file under version control, and every new one that is not ignored.
fn files() -> Vec<PathBuf> {
    let output = Command::new("git")
        .args([
            "-c",
            "safe.directory=*",
            "ls-files",
            "-z",
            "-co",
            "--exclude-standard",
        ])
        .current_dir(checkout())
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let names = String::from_utf8(output.stdout).unwrap();
    let files: BTreeSet<_> = names
        .split('\0')
        .filter(|name| !name.is_empty() && checkout().join(name).is_file())
        .map(PathBuf::from)
        .collect();
    assert!(files.len() > 20);
    files.into_iter().collect()
}

fn rust_files() -> impl Iterator<Item = (PathBuf, String)> {
    files()
        .into_iter()
        .filter(|path| path.extension().is_some_and(|extension| extension == "rs"))
        .map(|path| (path.clone(), read(&path)))
}

/// Rust files of a folder without unit tests and comments.
fn code_of(folder: &str) -> Vec<(PathBuf, String)> {
    let code: Vec<_> = rust_files()
        .filter(|(path, _)| path.starts_with(folder) && !is_test(path))
        .map(|(path, text)| {
            let lines: Vec<_> = text.lines().filter(|line| !is_comment(line)).collect();
            (path, lines.join("\n"))
        })
        .collect();
    assert!(!code.is_empty(), "nothing lies in {folder}");
    code
}

fn is_test(path: &Path) -> bool {
    path.ends_with("tests.rs") || path.components().any(|part| part.as_os_str() == "tests")
}

fn is_comment(line: &str) -> bool {
    line.trim_start().starts_with("//")
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(checkout().join(path)).unwrap()
}

/// Fails with every breach, so that one run shows all of them.
#[track_caller]
fn none(rule: &str, breaches: impl IntoIterator<Item = String>) {
    let breaches: Vec<_> = breaches.into_iter().collect();
    assert!(breaches.is_empty(), "{rule}\n  {}", breaches.join("\n  "));
}

/// The places where code of a folder says one of these words.
fn saying(folder: &str, words: &[&str], except: &[&str]) -> Vec<String> {
    let mut places = Vec::new();
    for (path, code) in code_of(folder) {
        if except.iter().any(|excepted| path.starts_with(excepted)) {
            continue;
        }
        let said = words.iter().filter(|word| code.contains(**word));
        places.extend(said.map(|word| format!("{}: {word}", path.display())));
    }
    places
}

#[test]
fn rust_files_say_what_they_are_for_and_are_short() {
    none(
        "a Rust file begins with `//!`",
        rust_files()
            .filter(|(_, text)| !text.starts_with("//! "))
            .map(|(path, _)| path.display().to_string()),
    );
    none(
        "a Rust file has at most 800 lines",
        rust_files()
            .filter(|(_, text)| text.lines().count() > 800)
            .map(|(path, text)| format!("{}: {}", path.display(), text.lines().count())),
    );
    none(
        "a module lies in a file of its own name",
        files()
            .into_iter()
            .filter(|path| path.ends_with("mod.rs"))
            .map(|p| p.display().to_string()),
    );
}

#[test]
fn the_top_level_holds_what_the_design_names() {
    let tops: BTreeSet<_> = files()
        .iter()
        .map(|path| path.iter().next().unwrap().to_string_lossy().into_owned())
        .filter(|name| !name.starts_with('.') && !TOP.contains(&name.as_str()))
        .collect();
    none(
        "the top level holds the workspace's members, assets and the README",
        tops,
    );
}

#[test]
fn the_engine_neither_prints_nor_exits_nor_runs_programs_nor_reads_the_wall_clock() {
    none(
        "the engine does not print",
        saying(
            "engine/src",
            &["println!", "eprintln!", "print!(", "dbg!("],
            &[],
        ),
    );
    none(
        "the engine does not exit",
        saying("engine/src", &["process::exit", "process::abort"], &[]),
    );
    none(
        "the engine runs no program",
        saying("engine/src", &["Command::new"], &[]),
    );
    none(
        "the engine reads the wall clock through `Clock` only",
        saying(
            "engine/src",
            &["SystemTime::now", "Utc::now", "Local::now"],
            &["engine/src/clock.rs"],
        ),
    );
}

#[test]
fn the_console_does_io_at_its_edges_only() {
    let edges = [
        "worker",
        "terminal",
        "editor",
        "open",
        "event_loop",
        "config",
    ];
    let edges = edges.map(|name| format!("tui/src/console/{name}.rs"));
    let edges: Vec<&str> = edges.iter().map(String::as_str).collect();
    none(
        "screens and state of the console do no IO and read no clock",
        saying(
            "tui/src/console",
            &["tokio::", "std::fs", "std::env", "Utc::now", ".await"],
            &edges,
        ),
    );
}

#[test]
fn the_format_does_no_io() {
    none(
        "`repository/format` does no IO",
        saying(
            "engine/src/repository/format",
            &[
                "tokio",
                "std::fs",
                "std::net",
                "async fn",
                ".await",
                "crate::storage",
            ],
            &[],
        ),
    );
}

#[test]
fn the_engine_knows_no_http_server_and_no_terminal() {
    let words = ["axum", "tower", "ratatui", "crossterm", "indicatif", "clap"];
    let manifest = read(Path::new("engine/Cargo.toml"));
    none(
        "the engine depends on no HTTP server and no terminal",
        words
            .iter()
            .filter(|word| manifest.contains(*word))
            .map(ToString::to_string),
    );
    none(
        "the engine speaks HTTP as a client only",
        saying("engine/src", &["hyper::server", "hyper_util::server"], &[]),
    );
    for member in ["engine", "tui", "tests"] {
        let manifest = read(&Path::new(member).join("Cargo.toml"));
        assert!(
            !manifest.contains("axum"),
            "only httpd speaks HTTP as a server, not {member}"
        );
    }
}

#[test]
fn the_api_and_the_command_line_go_through_the_engine() {
    let inner = [
        "backstay_engine::repository",
        "backstay_engine::catalog",
        "backstay_engine::pipeline",
        "backstay_engine::source",
        "backstay_engine::storage",
    ];
    // `backstay demo` is a client of the user's server as well, to make a database there and damage it.
    for folder in ["httpd/src", "tui/src"] {
        none(
            "the engine is used through its façade",
            saying(folder, &inner, &["tui/src/cli/demo.rs"]),
        );
    }
}

#[test]
fn every_kind_of_record_is_known_where_all_are_gone_through() {
    let all = read(Path::new("engine/src/catalog/records.rs"));
    let records = code_of("engine/src/catalog");
    let kinds = records.iter().flat_map(|(_, text)| {
        let implementations = text.split("impl Record for ").skip(1);
        implementations.filter_map(|rest| rest.split([' ', '<']).next())
    });
    let is_forgotten = |kind: &&str| !all.contains(&format!("::<kinds::{kind}>("));
    let forgotten = kinds.filter(is_forgotten).map(str::to_owned);
    none("a kind missing from for_every_kind", forgotten);
}

#[test]
fn no_test_is_switched_off() {
    // Put together here, so that this file does not say it.
    let ignore = format!("#[{}", "ignore");
    none(
        "a test that does not run is no test",
        rust_files()
            .filter(|(_, text)| text.contains(&ignore))
            .map(|(path, _)| path.display().to_string()),
    );
}

#[test]
fn nothing_names_a_developers_folders() {
    // Where this checkout lies is the one folder of a developer that is known here.
    let checkout_folder = format!("{}/", checkout().display());
    let mut places = Vec::new();
    for path in files() {
        let Ok(text) = String::from_utf8(std::fs::read(checkout().join(&path)).unwrap()) else {
            continue;
        };
        for (number, line) in text.lines().enumerate() {
            if line.contains(&checkout_folder) {
                places.push(format!("{}:{}", path.display(), number + 1));
            }
        }
    }
    none("no file names folders of one machine", places);
}

#[test]
fn every_fixture_is_used() {
    let sources: Vec<_> = files()
        .into_iter()
        .filter(|path| {
            let extension = path.extension().unwrap_or_default();
            extension == "rs" || extension == "py" || !path.to_string_lossy().contains('.')
        })
        .map(|path| std::fs::read_to_string(checkout().join(path)).unwrap_or_default())
        .collect();
    let mut unused = Vec::new();
    for path in files() {
        let Ok(inner) = path.strip_prefix("tests/fixtures") else {
            continue;
        };
        // A fixture may be used by its own name or as part of its folder.
        let used = inner.iter().any(|part| {
            let part = part.to_string_lossy();
            sources.iter().any(|source| source.contains(&*part))
        });
        if !used {
            unused.push(path.display().to_string());
        }
    }
    none("every fixture is used by a test", unused);
}

#[test]
fn scripts_stop_at_the_first_error() {
    let mut scripts = 0;
    for path in files() {
        let Ok(text) = String::from_utf8(std::fs::read(checkout().join(&path)).unwrap()) else {
            continue;
        };
        if text.starts_with("#!") && text.lines().next().unwrap().ends_with("bash") {
            scripts += 1;
            assert!(
                text.contains("\nset -euo pipefail\n"),
                "{} goes on",
                path.display()
            );
            let mode = std::fs::metadata(checkout().join(&path)).unwrap();
            assert_ne!(
                mode.permissions().mode() & 0o111,
                0,
                "{} cannot run",
                path.display()
            );
        }
    }
    assert!(scripts >= 3);
}

#[test]
fn links_between_pages_lead_somewhere() {
    let mut broken = Vec::new();
    for page in files()
        .into_iter()
        .filter(|path| path.extension().is_some_and(|e| e == "md"))
    {
        let text = read(&page);
        for target in link_targets(&text) {
            let (file, anchor) = target.split_once('#').unwrap_or((target, ""));
            if file.contains("://") || file.starts_with("mailto:") {
                continue;
            }
            let path = if file.is_empty() {
                checkout().join(&page)
            } else {
                checkout().join(page.parent().unwrap()).join(file)
            };
            let found = path.exists()
                && (anchor.is_empty()
                    || anchors(&std::fs::read_to_string(&path).unwrap()).contains(anchor));
            if !found {
                broken.push(format!("{}: {target}", page.display()));
            }
        }
    }
    none(
        "every link in a page leads to a file and a heading that exist",
        broken,
    );
}

/// The targets of `[text](target)` and `![text](target)`.
fn link_targets(page: &str) -> Vec<&str> {
    page.split("](")
        .skip(1)
        .filter_map(|rest| rest.split_once(')').map(|(link, _)| link))
        .collect()
}

/// The anchors that headings have when a page is shown.
fn anchors(page: &str) -> BTreeSet<String> {
    page.lines()
        .filter(|line| line.starts_with('#'))
        .map(|line| {
            line.trim_start_matches('#')
                .trim()
                .to_lowercase()
                .chars()
                .filter(|c| c.is_alphanumeric() || *c == ' ' || *c == '-' || *c == '_')
                .map(|c| if c == ' ' { '-' } else { c })
                .collect()
        })
        .collect()
}

#[test]
fn the_map_names_places_that_exist() {
    let page = read(Path::new("assets/docs/ARCHITECTURE.md"));
    let missing: Vec<_> = page
        .split('`')
        .skip(1)
        .step_by(2)
        .filter(|word| word.contains('/') && !word.contains([' ', '<', '*', ':', '{']))
        .filter(|word| TOP.iter().any(|top| word.starts_with(&format!("{top}/"))))
        .filter(|word| !checkout().join(word).exists())
        .map(ToOwned::to_owned)
        .collect();
    none("the architecture page names places that exist", missing);
}
