//! Sentences for every state.

use super::*;
use crate::ids::{ConnectionId, JobId, RunId};
use crate::model::{JobFreshness, Problem, RunKind, Trigger};

fn at(text: &str) -> Time {
    chrono::DateTime::parse_from_rfc3339(text).unwrap().to_utc()
}

fn now() -> Time {
    at("2026-03-02T12:00:00Z")
}

fn fresh(state: FreshnessState, last: Option<&str>) -> Freshness {
    let last_good_at = last.map(at);
    let job = JobFreshness {
        job_id: JobId::generate(now()),
        job: "night".to_owned(),
        state,
        last_good_at,
        expected_at: Some(at("2026-03-01T02:00:00Z")),
        interval_ms: Some(86_400_000),
    };
    Freshness {
        connection_id: ConnectionId::generate(now()),
        connection: "shop".to_owned(),
        database: "orders".to_owned(),
        state,
        backup_id: None,
        last_good_at,
        age_ms: None,
        jobs: if state == FreshnessState::Unscheduled {
            Vec::new()
        } else {
            vec![job]
        },
    }
}

fn run(status: RunStatus, ended: &str) -> Run {
    let mut run = Run::pending(
        RunId::generate(now()),
        RunKind::Backup,
        Trigger::Schedule,
        "run",
        at(ended),
    );
    run.status = status;
    run.finished_at = Some(at(ended));
    run.error = (status == RunStatus::Failed).then(|| Problem {
        code: "connection.unreachable".to_owned(),
        message: "Could not reach db:5432.".to_owned(),
        hint: None,
    });
    run
}

fn said(fresh: &Freshness, attempt: Option<&Run>, reachable: Option<bool>) -> (Protection, String) {
    judged(&Facts {
        fresh,
        attempt,
        damaged: None,
        reachable,
        now: now(),
    })
}

#[test]
fn what_is_as_new_as_it_should_be_is_protected() {
    let own = fresh(FreshnessState::Fresh, Some("2026-03-02T09:00:00Z"));
    let good = (
        Protection::Protected,
        "The last good backup is 3 h old".to_owned(),
    );
    assert_eq!(said(&own, None, None), good);
    assert_eq!(said(&own, None, Some(true)), good);
    // What went wrong before that backup is over, and stopping a run is no trouble.
    let before = run(RunStatus::Failed, "2026-03-02T08:00:00Z");
    assert_eq!(said(&own, Some(&before), None), good);
    let stopped = run(RunStatus::Cancelled, "2026-03-02T11:00:00Z");
    assert_eq!(said(&own, Some(&stopped), None), good);
    let due = fresh(FreshnessState::Due, Some("2026-03-01T11:00:00Z"));
    let (protection, reason) = said(&due, None, None);
    assert_eq!(protection, Protection::Protected);
    assert_eq!(
        reason,
        "The last good backup is 1 d 1 h old, and a newer one is due"
    );
}

#[test]
fn a_good_backup_with_something_wrong_beside_it_is_at_risk() {
    let own = fresh(FreshnessState::Fresh, Some("2026-03-02T09:00:00Z"));
    let failed = run(RunStatus::Failed, "2026-03-02T11:50:00Z");
    let (protection, reason) = said(&own, Some(&failed), Some(false));
    assert_eq!(protection, Protection::AtRisk);
    assert_eq!(
        reason,
        "The last attempt, 10 min ago, failed: Could not reach db:5432; the last good backup is 3 h old"
    );
    let (protection, reason) = said(&own, None, Some(false));
    assert_eq!(protection, Protection::AtRisk);
    assert!(reason.starts_with("The server did not answer"), "{reason}");
    let alone = fresh(FreshnessState::Unscheduled, Some("2026-03-02T09:00:00Z"));
    let (protection, reason) = said(&alone, None, None);
    assert_eq!(protection, Protection::AtRisk);
    assert!(
        reason.starts_with("No job backs it up by itself"),
        "{reason}"
    );
}

#[test]
fn without_a_good_backup_or_with_an_old_one_nothing_is_protected() {
    let stale = fresh(FreshnessState::Stale, Some("2026-02-28T02:00:00Z"));
    let failed = run(RunStatus::Failed, "2026-03-02T11:50:00Z");
    let (protection, reason) = said(&stale, Some(&failed), None);
    assert_eq!(protection, Protection::Unprotected);
    assert_eq!(
        reason,
        "The last good backup is 2 d 10 h old, and the job \"night\" should have made one at \
         2026-03-01 02:00 UTC; the last attempt, 10 min ago, failed: Could not reach db:5432"
    );
    for (state, attempt, begins) in [
        (
            FreshnessState::None,
            None,
            "There is no good backup of it yet",
        ),
        (
            FreshnessState::Unscheduled,
            None,
            "There is no backup of it, and no job",
        ),
        (
            FreshnessState::Stale,
            None,
            "There is no good backup of it, and the job \"night\"",
        ),
        (
            FreshnessState::Stale,
            Some(&failed),
            "There is no good backup of it: the last attempt",
        ),
    ] {
        let (protection, reason) = said(&fresh(state, None), attempt, None);
        assert_eq!(protection, Protection::Unprotected);
        assert!(reason.starts_with(begins), "{state}: {reason}");
    }
}

#[test]
fn a_connection_is_as_well_as_its_worst_database() {
    let database = |name: &str, protection| DatabaseOverview {
        database: name.to_owned(),
        protection,
        reason: format!("Because of {name}"),
        freshness: FreshnessState::Fresh,
        backup_id: None,
        last_good_at: None,
        age_ms: None,
        goal_ms: None,
        expected_at: None,
        next_run_at: None,
        proof: None,
        damaged_backup_id: None,
        days: Vec::new(),
    };
    let (good, risky) = (Protection::Protected, Protection::AtRisk);
    assert_eq!(worst(&[]).0, Protection::Unprotected);
    let one = [database("a", risky)];
    assert_eq!(worst(&one), (risky, "Because of a".to_owned()));
    let two = [database("a", good), database("b", risky)];
    assert_eq!(worst(&two), (risky, "b: Because of b".to_owned()));
    let three = [
        database("a", risky),
        database("b", good),
        database("c", risky),
    ];
    let (_, reason) = worst(&three);
    assert_eq!(reason, "2 of 3 databases, the first a: Because of a");
    let well = [database("a", good), database("b", good)];
    assert!(worst(&well).1.starts_with("All 2 databases"));
}
