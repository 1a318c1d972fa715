//! Whether a database is protected, and the sentence that says why.

use std::time::Duration;

use crate::model::{
    Backup, DatabaseOverview, Freshness, FreshnessState, Protection, Run, RunStatus, Time,
};
use crate::units::format_duration;

/// Letters of an error that a reason repeats.
const MESSAGE_CHARS: usize = 160;

/// What is known of a database.
pub(super) struct Facts<'a> {
    pub(super) fresh: &'a Freshness,
    /// The newest run that should have made a backup and has ended.
    pub(super) attempt: Option<&'a Run>,
    /// The newest backup, where a proof found it damaged.
    pub(super) damaged: Option<&'a Backup>,
    /// Whether the server answered when it was last asked.
    pub(super) reachable: Option<bool>,
    pub(super) now: Time,
}

/// Whether it is protected, and why.
pub(super) fn judged(facts: &Facts<'_>) -> (Protection, String) {
    let Some(last) = facts.fresh.last_good_at else {
        return (Protection::Unprotected, none_yet(facts));
    };
    let last = format!("the last good backup is {} old", ago(last, facts.now));
    // Not to make one at all, or to have it cut off on purpose, says nothing of the last one.
    let trouble = facts.attempt.and_then(|run| trouble_of(run, facts));
    if facts.fresh.state == FreshnessState::Stale {
        let due = overdue(facts);
        let why = trouble.map_or(String::new(), |text| format!("; {text}"));
        return (
            Protection::Unprotected,
            sentence(&format!("{last}, and {due}{why}")),
        );
    }
    let risk = if let Some(damaged) = facts.damaged {
        let at = damaged.failed_rung.as_ref().map(|rung| rung.at);
        let when = at.map_or(String::new(), |at| format!(" {} ago", ago(at, facts.now)));
        Some(format!("the newest backup was found damaged{when}"))
    } else if trouble.is_some() {
        trouble
    } else if facts.fresh.state == FreshnessState::Unscheduled {
        Some("no job backs it up by itself".to_owned())
    } else if facts.reachable == Some(false) {
        Some("the server did not answer when it was last asked".to_owned())
    } else {
        None
    };
    match risk {
        Some(risk) => (Protection::AtRisk, sentence(&format!("{risk}; {last}"))),
        None if facts.fresh.state == FreshnessState::Due => (
            Protection::Protected,
            sentence(&format!("{last}, and a newer one is due")),
        ),
        None => (Protection::Protected, sentence(&last)),
    }
}

/// The worst of a connection's databases, and which it is.
pub(super) fn worst(databases: &[DatabaseOverview]) -> (Protection, String) {
    let worst = databases.iter().map(|own| own.protection).max();
    let Some(worst) = worst else {
        let reason = "None of its databases is backed up, or chosen to be";
        return (Protection::Unprotected, reason.to_owned());
    };
    let mut all = databases.iter().filter(|own| own.protection == worst);
    let number = all.clone().count();
    let Some(first) = all.next() else {
        return (worst, String::new());
    };
    let reason = match (databases.len(), number) {
        (1, _) => first.reason.clone(),
        (all, same) if all == same && worst == Protection::Protected => {
            format!("All {all} databases have a good backup that is as new as it should be")
        }
        (_, 1) => format!("{}: {}", first.database, first.reason),
        (all, same) => format!(
            "{same} of {all} databases, the first {}: {}",
            first.database, first.reason
        ),
    };
    (worst, reason)
}

fn none_yet(facts: &Facts<'_>) -> String {
    if let Some(damaged) = facts.damaged {
        let (id, none) = (damaged.id, "and there is no other good one");
        return format!("The newest backup, {id}, was found damaged, {none}");
    }
    if let Some(text) = facts.attempt.and_then(|run| trouble_of(run, facts)) {
        return format!("There is no good backup of it: {text}");
    }
    match facts.fresh.state {
        FreshnessState::Unscheduled => {
            "There is no backup of it, and no job makes one by itself".to_owned()
        }
        FreshnessState::Stale | FreshnessState::Due => {
            format!("There is no good backup of it, and {}", overdue(facts))
        }
        _ => "There is no good backup of it yet".to_owned(),
    }
}

/// What went wrong with the newest attempt, where that is newer than the last good backup.
fn trouble_of(run: &Run, facts: &Facts<'_>) -> Option<String> {
    let at = run.finished_at.unwrap_or(run.created_at);
    if facts.fresh.last_good_at.is_some_and(|last| last >= at) {
        return None;
    }
    let word = match run.status {
        RunStatus::Failed => "failed",
        RunStatus::Interrupted => "was cut off",
        RunStatus::Partial => "is not complete",
        RunStatus::Cancelled | RunStatus::Success | RunStatus::Pending | RunStatus::Running => {
            return None;
        }
    };
    let why = run.error.as_ref().map(|error| short(&error.message));
    let why = why.map_or(String::new(), |text| format!(": {text}"));
    let when = ago(at, facts.now);
    Some(format!("the last attempt, {when} ago, {word}{why}"))
}

fn overdue(facts: &Facts<'_>) -> String {
    let late = facts.fresh.jobs.iter();
    let late = late.filter(|own| own.state == facts.fresh.state);
    match late.min_by_key(|own| own.expected_at) {
        Some(job) => {
            let at = job.expected_at;
            let at = at.map_or(String::new(), |at| {
                format!(" at {}", at.format("%Y-%m-%d %H:%M UTC"))
            });
            format!("the job \"{}\" should have made one{at}", job.job)
        }
        None => "a newer one is overdue".to_owned(),
    }
}

fn ago(at: Time, now: Time) -> String {
    format_duration((now - at).to_std().unwrap_or(Duration::ZERO))
}

/// As much of a message as a reason takes.
fn short(message: &str) -> String {
    let message = message.trim_end_matches('.');
    match message.char_indices().nth(MESSAGE_CHARS) {
        None => message.to_owned(),
        Some((end, _)) => format!("{}…", message.get(..end).unwrap_or_default()),
    }
}

/// With a capital letter.
fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    let first = letters.next().map(|first| first.to_ascii_uppercase());
    first.into_iter().chain(letters).collect()
}

#[cfg(test)]
mod tests;
