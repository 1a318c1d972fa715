//! The doctor: looks at everything and says what to do.

mod schedule;

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use super::{Engine, probe};
use crate::catalog::records::{ConnectionRecord, RepositoryRecord};
use crate::catalog::{Closed, inspect_closed};
use crate::config::Config;
use crate::error::{Error, Result};
use crate::model::{CheckOutcome, DoctorCheck, DoctorReport};
use crate::storage::Capacity;
use crate::units::format_bytes;

/// Less free space than this is worth a warning.
const LOW_SPACE_BYTES: u64 = 1 << 30;
/// A repository that no check found whole for so long is worth a warning.
const CHECKED_DAYS: i64 = 45;
/// Clocks may differ by this much.
const SKEW: chrono::TimeDelta = chrono::TimeDelta::seconds(30);

/// What can be checked while no engine answers: folders, space, keys, the socket.
pub fn offline(config: &Config) -> DoctorReport {
    let mut checks = files(config);
    checks.push(closed_catalog(config));
    let socket = &config.socket;
    checks.push(if socket.exists() {
        check(
            "engine",
            CheckOutcome::Warning,
            format!("Nobody answers on {}", socket.display()),
            Some("Start the engine with `backstay serve`; it replaces a stale socket"),
        )
    } else {
        check("engine", CheckOutcome::Ok, "It is not running", None)
    });
    report(checks)
}

impl Engine {
    /// Checks catalog, keys, repositories, connections, space.
    pub async fn doctor(&self) -> Result<DoctorReport> {
        let mut checks = files(&self.0.config);
        checks.push(match self.0.catalog.inspect().await {
            Ok(()) => check("catalog", CheckOutcome::Ok, "All of it can be read", None),
            Err(error) => failed("catalog", &error),
        });
        // What cannot be read was told just now.
        let repositories = self.0.catalog.all::<RepositoryRecord>();
        let is_readable = repositories.is_ok();
        let repositories = repositories.unwrap_or_default();
        if is_readable
            && !repositories
                .iter()
                .any(|record| record.repository.is_default)
        {
            checks.push(check(
                "repositories",
                CheckOutcome::Failed,
                "There is no default repository",
                Some("Add one with `backstay repository add NAME LOCATION`"),
            ));
        }
        for record in &repositories {
            self.look_at_repository(record, &mut checks).await;
        }
        let connections = self.0.catalog.all::<ConnectionRecord>();
        for record in connections.unwrap_or_default() {
            self.look_at_connection(&record, &mut checks).await;
        }
        if let Err(error) = self.look_at_schedule(&mut checks).await {
            checks.push(failed("schedule", &error));
        }
        Ok(report(checks))
    }

    async fn look_at_repository(&self, record: &RepositoryRecord, checks: &mut Vec<DoctorCheck>) {
        let name = format!("repository {}", record.repository.name);
        match self.open_repository(record).await {
            Err(error) => checks.push(failed(&name, &error)),
            Ok(repository) => match repository.storage().capacity().await {
                Err(error) => checks.push(failed(&name, &error.into())),
                Ok(capacity) => {
                    let most = self.settings().alerts.repository_full_percent;
                    checks.push(room(&name, capacity, most));
                }
            },
        }
        if record.repository.kit_taken_at.is_none() {
            let advice = format!(
                "Run `backstay repository recovery-kit {} -o FILE` and keep the file elsewhere",
                record.repository.name
            );
            let message = "Its recovery kit was never taken";
            checks.push(check(&name, CheckOutcome::Warning, message, Some(&advice)));
        }
        let age = |at: crate::model::Time| (self.now() - at).num_days();
        let unread = |at: crate::model::Time| age(at) > CHECKED_DAYS;
        let since = record.repository.checked_at;
        if since.map_or(unread(record.repository.created_at), unread) {
            checks.push(check(
                &name,
                CheckOutcome::Warning,
                format!("No check found it whole in the last {CHECKED_DAYS} days"),
                Some("Run `backstay task run check`, and see that the task is enabled"),
            ));
        }
    }

    async fn look_at_connection(&self, record: &ConnectionRecord, checks: &mut Vec<DoctorCheck>) {
        let name = format!("connection {}", record.connection.name);
        let tried = match self.target(record) {
            Ok(target) => probe::probe(&target, &self.0.clock).await,
            Err(error) => Err(error),
        };
        if let Ok(skew) = tried.as_ref().map(|found| found.skew)
            && skew.abs() > SKEW
        {
            let seconds = skew.num_seconds();
            let (by, way) = (seconds.abs(), if seconds > 0 { "fast" } else { "slow" });
            checks.push(check(
                &name,
                CheckOutcome::Warning,
                format!("The server's clock is {by} s {way} beside this machine's"),
                Some("Set both by NTP: schedules, retention and points in time go by these clocks"),
            ));
        }
        checks.push(match tried {
            Err(error) => failed(&name, &error),
            Ok(found) if found.test.warnings.is_empty() => {
                check(&name, CheckOutcome::Ok, found.test.message, None)
            }
            Ok(found) => check(
                &name,
                CheckOutcome::Warning,
                found.test.warnings.join("; "),
                Some("Use a role that may read everything: `backstay connection readonly-user`"),
            ),
        });
    }
}

fn room(name: &str, capacity: Option<Capacity>, most_percent: u8) -> DoctorCheck {
    match capacity {
        Some(room) if is_full(room, most_percent) => check(
            name,
            CheckOutcome::Warning,
            format!(
                "More than {most_percent} % of its place are taken; {} are free",
                format_bytes(room.free_bytes)
            ),
            Some("Free space there, or run `backstay repository prune`"),
        ),
        Some(room) if room.free_bytes < LOW_SPACE_BYTES => check(
            name,
            CheckOutcome::Warning,
            format!("Only {} are free", format_bytes(room.free_bytes)),
            Some("Free space there, or run `backstay repository prune`"),
        ),
        Some(room) => check(
            name,
            CheckOutcome::Ok,
            format!("It opens; {} are free", format_bytes(room.free_bytes)),
            None,
        ),
        None => check(name, CheckOutcome::Ok, "It opens", None),
    }
}

fn is_full(room: Capacity, most_percent: u8) -> bool {
    let taken = room.total_bytes.saturating_sub(room.free_bytes);
    u128::from(taken) * 100 > u128::from(room.total_bytes) * u128::from(most_percent)
}

fn files(config: &Config) -> Vec<DoctorCheck> {
    let mut checks = Vec::new();
    for (name, folder) in [
        ("data folder", &config.paths.data),
        ("cache folder", &config.paths.cache),
    ] {
        checks.push(folder_check(name, folder));
    }
    checks.extend(space_check(&config.paths.data));
    if config.master_key.is_none() && config.master_passphrase_file.is_none() {
        checks.push(key_check(&config.master_key_file));
    }
    checks
}

fn folder_check(name: &str, folder: &Path) -> DoctorCheck {
    let place = folder.display();
    match std::fs::metadata(folder) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => check(
            name,
            CheckOutcome::Ok,
            format!("{place} will be made by the first start"),
            None,
        ),
        Err(error) => check(
            name,
            CheckOutcome::Failed,
            format!("{place}: {error}"),
            Some("Make it readable and writable for the engine"),
        ),
        Ok(facts) if !facts.is_dir() => check(
            name,
            CheckOutcome::Failed,
            format!("{place} is not a folder"),
            Some("Move it away"),
        ),
        Ok(_) => check(name, CheckOutcome::Ok, format!("{place} is there"), None),
    }
}

/// The catalog needs room too; nothing where that cannot be known.
fn space_check(folder: &Path) -> Option<DoctorCheck> {
    let facts = rustix::fs::statvfs(folder).ok()?;
    let free = facts.f_bavail.saturating_mul(facts.f_frsize);
    (free < LOW_SPACE_BYTES).then(|| {
        check(
            "data folder",
            CheckOutcome::Warning,
            format!("Only {} are free", format_bytes(free)),
            Some("Free space there: the catalog, the logs of runs and the keys lie in it"),
        )
    })
}

fn closed_catalog(config: &Config) -> DoctorCheck {
    let path = config.paths.data.join(super::opening::CATALOG);
    let place = path.display();
    let (outcome, message) = match inspect_closed(&path) {
        Err(error) => return failed("catalog", &error),
        Ok(Closed::Missing) => (
            CheckOutcome::Ok,
            format!("{place} will be made by the first start"),
        ),
        Ok(Closed::Sound) => (CheckOutcome::Ok, format!("All of {place} can be read")),
        Ok(Closed::Unfinished) => (
            CheckOutcome::Ok,
            format!("{place} was not closed in order; the next start puts it right"),
        ),
        Ok(Closed::Open) => (
            CheckOutcome::Warning,
            format!("{place} is in use by a process that does not answer"),
        ),
    };
    let advice = "Look for that process, end it, and start the engine again";
    let advice = (outcome == CheckOutcome::Warning).then_some(advice);
    check("catalog", outcome, message, advice)
}

fn key_check(path: &Path) -> DoctorCheck {
    let place = path.display();
    match std::fs::metadata(path) {
        Ok(facts) if facts.permissions().mode() & 0o077 != 0 => check(
            "master key",
            CheckOutcome::Failed,
            format!("Others can read {place}"),
            Some("Take their rights away with chmod 600"),
        ),
        Ok(_) => check(
            "master key",
            CheckOutcome::Ok,
            format!("{place} is private"),
            None,
        ),
        Err(_) => check(
            "master key",
            CheckOutcome::Ok,
            format!("{place} will be made by the first start"),
            None,
        ),
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
        advice: advice.map(ToOwned::to_owned),
    }
}

fn failed(name: &str, error: &Error) -> DoctorCheck {
    check(
        name,
        CheckOutcome::Failed,
        error.report(),
        error.hint_text(),
    )
}

fn report(checks: Vec<DoctorCheck>) -> DoctorReport {
    DoctorReport {
        ok: checks
            .iter()
            .all(|check| check.outcome != CheckOutcome::Failed),
        checks,
    }
}
