//! Exit codes of several runs, and what stands beside a bar.

use backstay_engine::model::{Progress, RunStatus};
use serde_json::json;

use super::*;

fn run(status: &str, code: Option<&str>) -> Run {
    serde_json::from_value(json!({
        "id": "run_01J0000000000000000000000A", "serial": 1, "kind": "backup", "status": status,
        "trigger": "socket", "title": "Backup of shop/orders", "job_id": null, "connection_id": null,
        "connection": null, "database": null, "repository_id": null, "repository": null,
        "backup_id": null, "restore_id": null, "created_at": "2026-03-01T00:00:00Z",
        "started_at": null, "finished_at": null, "duration_ms": null,
        "progress": Progress::default(),
        "error": code.map(|code| json!({"code": code, "message": "m", "hint": null})),
        "losses": [], "losses_total": 0, "cancel_requested": false, "result": null,
    }))
    .unwrap()
}

#[test]
fn several_runs_exit_as_the_worst_of_them() {
    let ok = || run("success", None);
    assert_eq!(exit_code(&[]), 0);
    assert_eq!(exit_code(&[ok(), ok()]), 0);
    assert_eq!(exit_code(&[ok(), run("partial", None)]), 5);
    assert_eq!(exit_code(&[run("failed", None), run("partial", None)]), 1);
    assert_eq!(exit_code(&[run("failed", Some("source.rights")), ok()]), 4);
    assert_eq!(exit_code(&[run("interrupted", None)]), 1);
    assert_eq!(
        exit_code(&[run("failed", None), run("cancelled", Some("run.cancelled"))]),
        130
    );
}

#[test]
fn what_is_unknown_is_not_shown() {
    let mut progress = Progress {
        stage: Some("copying rows".to_owned()),
        objects_done: 3,
        ..Progress::default()
    };
    assert_eq!(
        bar::message(RunStatus::Running, &progress),
        "copying rows · 3"
    );
    progress.objects_total = Some(1200);
    progress.read_bytes = 5_000_000;
    progress.stored_bytes = 1_000_000;
    progress.rate_bytes_per_second = Some(2_500_000);
    progress.eta_ms = Some(90_000);
    assert_eq!(
        bar::message(RunStatus::Running, &progress),
        "copying rows · 3/1,200 · 5.0 MB → 1.0 MB · 2.5 MB/s · 1 min 30 s left"
    );
    assert_eq!(
        bar::message(RunStatus::Pending, &progress),
        "waiting for its turn"
    );
}

#[test]
fn a_line_fits_narrow_terminals() {
    assert_eq!(
        bar::shortened("Backup of shop/orders", 21),
        "Backup of shop/orders"
    );
    assert_eq!(bar::shortened("Backup of shop/orders", 13), "Backup of sh…");
    assert_eq!(bar::shortened("数据库", 5), "数据…");
    for columns in [40, 60, 80, 120] {
        assert!(bar::template(columns, true).ends_with("{wide_msg}"));
    }
    assert!(!bar::template(40, true).contains("{bar"));
}
