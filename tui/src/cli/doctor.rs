//! What can be examined while no engine runs.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use backstay_engine::config::Config;
use backstay_engine::model::{CheckOutcome, DoctorCheck, DoctorReport};

/// Looks at configuration, folders and socket; touches nothing.
pub(crate) fn offline(config: &Config) -> DoctorReport {
    let checks = vec![
        check(
            "engine",
            CheckOutcome::Warning,
            "none is running, so connections and repositories were not examined",
            Some("Start one with `backstay serve`; other commands start one by themselves"),
        ),
        config_file(&config.paths.config_file),
        folder("data", &config.paths.data),
        folder("cache", &config.paths.cache),
        socket(&config.socket),
        key(&config.master_key_file),
    ];
    DoctorReport {
        ok: checks
            .iter()
            .all(|check| check.outcome != CheckOutcome::Failed),
        checks,
    }
}

fn check(
    name: &str,
    outcome: CheckOutcome,
    message: impl Into<String>,
    advice: Option<&str>,
) -> DoctorCheck {
    DoctorCheck {
        name: name.to_owned(),
        outcome,
        message: message.into(),
        advice: advice.map(str::to_owned),
    }
}

fn config_file(path: &Path) -> DoctorCheck {
    // A file that could not be understood would have ended the command already.
    let state = if path.exists() {
        "was read"
    } else {
        "does not exist, so the defaults hold"
    };
    let message = format!("{} {state}", path.display());
    check("configuration", CheckOutcome::Ok, message, None)
}

/// The folder, or the nearest one above it that exists, must be writable.
fn folder(name: &str, path: &Path) -> DoctorCheck {
    let existing = path.ancestors().find(|folder| folder.exists());
    let writable = existing.is_some_and(|folder| {
        rustix::fs::access(
            folder,
            rustix::fs::Access::WRITE_OK | rustix::fs::Access::EXEC_OK,
        )
        .is_ok()
    });
    let shown = path.display();
    match (path.is_dir(), writable) {
        (true, true) => check(
            name,
            CheckOutcome::Ok,
            format!("{shown} can be written"),
            None,
        ),
        (false, true) if existing.is_some_and(Path::is_dir) => check(
            name,
            CheckOutcome::Ok,
            format!("{shown} will be made at the first start"),
            None,
        ),
        _ => check(
            name,
            CheckOutcome::Failed,
            format!("{shown} cannot be written"),
            Some("Set BACKSTAY_HOME to a folder you may write to, or run as its owner"),
        ),
    }
}

fn socket(path: &Path) -> DoctorCheck {
    let shown = path.display();
    if path.exists() {
        check(
            "socket",
            CheckOutcome::Warning,
            format!("{shown} was left behind by an engine that did not end well"),
            Some("The next engine replaces it"),
        )
    } else {
        let message = format!("{shown} is free");
        check("socket", CheckOutcome::Ok, message, None)
    }
}

fn key(path: &Path) -> DoctorCheck {
    let shown = path.display();
    match std::fs::metadata(path) {
        Ok(file) if file.permissions().mode() & 0o077 != 0 => check(
            "key",
            CheckOutcome::Failed,
            format!("{shown} can be read by others"),
            Some("Take their rights away with chmod 600, and consider its secrets known"),
        ),
        Ok(_) => check(
            "key",
            CheckOutcome::Ok,
            format!("{shown} is yours alone"),
            None,
        ),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => check(
            "key",
            CheckOutcome::Ok,
            format!("{shown} will be made at the first start"),
            None,
        ),
        Err(error) => check(
            "key",
            CheckOutcome::Failed,
            format!("{shown} cannot be examined: {error}"),
            None,
        ),
    }
}
