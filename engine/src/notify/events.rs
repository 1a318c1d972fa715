//! Every event that targets can ask for.

use crate::error::{Error, Result};

/// One event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event {
    /// `subject.happening`.
    pub name: &'static str,
    /// When it happens.
    pub description: &'static str,
    /// Whether it is bad news, which is sent more urgently.
    pub is_bad: bool,
}

macro_rules! events {
    ($($(#[$doc:meta])* $constant:ident = $name:literal, $bad:literal, $description:literal;)*) => {
        $($(#[$doc])* pub const $constant: &str = $name;)*

        /// All of them, by name.
        pub const EVENTS: &[Event] =
            &[$(Event { name: $name, description: $description, is_bad: $bad },)*];
    };
}

events! {
    /// A backup is far smaller or larger than usual.
    BACKUP_ANOMALY = "backup.anomaly", true, "A backup is far smaller or larger than those before it";
    /// A backup succeeded.
    BACKUP_COMPLETED = "backup.completed", false, "A backup succeeded";
    /// A backup is damaged.
    BACKUP_DAMAGED = "backup.damaged", true, "A check, a proof or a drill found a backup damaged that was whole before";
    /// A backup failed.
    BACKUP_FAILED = "backup.failed", true, "A backup failed, was interrupted or took too long";
    /// A backup lacks something.
    BACKUP_PARTIAL = "backup.partial", true, "A backup was made, but some objects are not in it";
    /// A job lacks good backups.
    BACKUP_STALE = "backup.stale", true, "A job has no good backup for longer than its schedule lets expect";
    /// A backup began.
    BACKUP_STARTED = "backup.started", false, "A backup began";
    /// The catalog can be written again.
    CATALOG_RECOVERED = "catalog.recovered", true, "The engine could not write its catalog for a while, and can again";
    /// A check found nothing.
    CHECK_COMPLETED = "check.completed", false, "A check of a repository found no damage";
    /// A check found damage.
    CHECK_FAILED = "check.failed", true, "A check of a repository found damage, or failed";
    /// The clock was wrong.
    CLOCK_SET_BACK = "clock.set_back", true, "The clock was far ahead and has returned; schedules go on from now";
    /// A server is not reachable.
    CONNECTION_DOWN = "connection.down", true, "A database server does not let the engine in any more";
    /// A server is reachable again.
    CONNECTION_UP = "connection.up", false, "A database server lets the engine in again";
    /// The engine's disk is nearly full.
    DISK_FILLING = "disk.filling", true, "The disk with the engine's own data is nearly full";
    /// A drill succeeded.
    DRILL_COMPLETED = "drill.completed", false, "A restore drill brought back what was saved";
    /// A drill failed.
    DRILL_FAILED = "drill.failed", true, "A restore drill failed, found a difference, or could not begin";
    /// Scheduled times of a drill passed without a run.
    DRILL_MISSED = "drill.missed", true, "Scheduled times of a drill passed without a run, because no engine ran";
    /// A drill was left out.
    DRILL_SKIPPED = "drill.skipped", true, "A drill was left out, because its run before goes on";
    /// For hooks before runs.
    HOOK_BEFORE = "hook.before", false, "A run of a job is about to begin; sent to the job's hooks alone";
    /// For hooks after runs.
    HOOK_AFTER = "hook.after", false, "A run of a job has ended; sent to the job's hooks alone";
    /// A job could not begin.
    JOB_FAILED = "job.failed", true, "A job could not begin its runs";
    /// Scheduled times passed without a run.
    JOB_MISSED = "job.missed", true, "Scheduled times passed without a run, because no engine ran";
    /// A job's retention would delete too much.
    JOB_RETENTION_REFUSED = "job.retention_refused", true, "A job's retention would delete more than it may, and deleted nothing";
    /// A job left something out.
    JOB_SKIPPED = "job.skipped", true, "A job left databases out, because their backups before go on";
    /// A target cannot tell anything.
    NOTIFICATION_SILENT = "notification.silent", true, "Another target is limited to things that are all gone, and tells nothing any more";
    /// A repository is nearly full.
    REPOSITORY_FULL = "repository.full", true, "A repository's place is nearly full";
    /// A repository cannot be opened.
    REPOSITORY_UNREACHABLE = "repository.unreachable", true, "A repository cannot be opened";
    /// A repository can be used again.
    REPOSITORY_RECOVERED = "repository.recovered", false, "A repository can be opened again, or has room again";
    /// A restore succeeded.
    RESTORE_COMPLETED = "restore.completed", false, "A restore succeeded";
    /// A restore failed.
    RESTORE_FAILED = "restore.failed", true, "A restore failed, or was interrupted";
    /// A restore lacks something.
    RESTORE_PARTIAL = "restore.partial", true, "A restore was made, but some objects are missing";
    /// Something else the engine did failed.
    TASK_FAILED = "task.failed", true, "Upkeep of a repository failed: a prune, a repair, a copy, a rebuild";
    /// Somebody tried the target.
    TEST = "test", false, "Somebody pressed the test button; sent to that target alone";
    /// A proof succeeded.
    VERIFY_COMPLETED = "verify.completed", false, "A backup was proved";
    /// A proof failed.
    VERIFY_FAILED = "verify.failed", true, "A proof of a backup found damage, or failed";
}

/// Whether the event is bad news.
pub fn is_bad(name: &str) -> bool {
    EVENTS
        .iter()
        .any(|event| event.name == name && event.is_bad)
}

/// Whether a pattern (`*`, `backup.*`, `*.failed`, a name) stands for an event.
pub fn matches(pattern: &str, event: &str) -> bool {
    match pattern.split_once('*') {
        Some((start, end)) => {
            event.len() >= start.len() + end.len()
                && event.starts_with(start)
                && event.ends_with(end)
        }
        None => pattern == event,
    }
}

/// Refuses a pattern that stands for no event.
pub fn check(pattern: &str) -> Result<()> {
    // A star is a whole word: what looks like half a name is a slip.
    let whole = pattern
        .split('.')
        .all(|word| word == "*" || !word.contains('*'));
    if whole && EVENTS.iter().any(|event| matches(pattern, event.name)) {
        return Ok(());
    }
    Err(Error::invalid(format!("\"{pattern}\" is not an event"))
        .field("events", format!("\"{pattern}\" is not an event"))
        .hint("`backstay notification events` lists them; `backup.*`, `*.failed` and `*` stand for several"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_stand_for_whole_words() {
        for good in ["*", "backup.*", "*.failed", "backup.failed", "test"] {
            check(good).unwrap();
        }
        for bad in [
            "",
            "backup",
            "back*",
            "backup.",
            "backup.f*",
            "**",
            "x.*",
            "*.*",
        ] {
            assert!(check(bad).is_err(), "{bad}");
        }
        assert!(matches("backup.*", BACKUP_FAILED) && matches("*", BACKUP_FAILED));
        assert!(matches("*.failed", BACKUP_FAILED) && !matches("*.failed", BACKUP_STALE));
        assert!(!matches("backup.*", RESTORE_FAILED));
        assert!(is_bad(BACKUP_FAILED) && !is_bad(BACKUP_COMPLETED));
    }
}
