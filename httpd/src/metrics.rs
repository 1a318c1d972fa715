//! `/metrics`: figures in the text format of Prometheus.
//!
//! <https://prometheus.io/docs/instrumenting/exposition_formats/>; names carry their unit and counters
//! end in `_total`, as <https://prometheus.io/docs/practices/naming/> asks for.

use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use backstay_engine::model::{Backup, Figures, HealthStatus, RepositoryStats};

use crate::native::App;
use crate::native::answers::Figured;
use crate::problem::Answer;

/// Requests answered since the start, by the class of their status.
#[derive(Clone, Debug, Default)]
pub(crate) struct Requests(Arc<[AtomicU64; 5]>);

impl Requests {
    fn answered(&self, status: u16) {
        let class = usize::from(status / 100).wrapping_sub(1);
        if let Some(count) = self.0.get(class) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// Counts every answer.
pub(crate) async fn layer(
    State(requests): State<Requests>,
    request: Request,
    next: Next,
) -> Response {
    let response = next.run(request).await;
    requests.answered(response.status().as_u16());
    response
}

/// Figures for monitoring, in the text format of Prometheus.
#[utoipa::path(get, path = "/metrics")]
pub(crate) async fn metrics(State(app): State<App>) -> Answer<Figured> {
    let figures = app.engine.figures().await?;
    let mut text = Text::default();
    text.engine(&figures);
    text.runs(&figures);
    text.backups(&figures);
    text.repositories(&figures);
    text.connections(&figures);
    text.notifications(&figures);
    text.requests(&app.requests);
    Ok(Figured(text.0))
}

#[derive(Default)]
struct Text(String);

/// A figure of the newest backup of a database.
type OfBackup = fn(&Backup, &Figures) -> Option<f64>;
/// A figure of a repository.
type OfRepository = fn(&RepositoryStats) -> Option<u64>;
/// Names of labels and their values.
type Labels<'a> = &'a [(&'a str, &'a str)];

impl Text {
    fn head(&mut self, name: &str, kind: &str, help: &str) {
        let _ = write!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}\n");
    }

    #[expect(
        clippy::needless_pass_by_value,
        reason = "numbers of every kind come here, none of them large"
    )]
    fn value(&mut self, name: &str, labels: Labels<'_>, value: impl ToString) {
        self.0.push_str(name);
        for (place, (label, text)) in labels.iter().enumerate() {
            self.0.push(if place == 0 { '{' } else { ',' });
            let text = text
                .replace('\\', "\\\\")
                .replace('"', "\\\"")
                .replace('\n', "\\n");
            let _ = write!(self.0, "{label}=\"{text}\"");
        }
        if !labels.is_empty() {
            self.0.push('}');
        }
        let _ = writeln!(self.0, " {}", value.to_string());
    }

    fn gauge(&mut self, name: &str, help: &str, value: impl ToString) {
        self.head(name, "gauge", help);
        self.value(name, &[], value);
    }

    fn engine(&mut self, figures: &Figures) {
        let name = "backstay_build_info";
        self.head(name, "gauge", "The engine's version, as a label.");
        let version = env!("CARGO_PKG_VERSION");
        self.value(name, &[("version", version)], 1);
        self.gauge(
            "backstay_start_time_seconds",
            "When the engine started, since 1970.",
            figures.started_at.timestamp(),
        );
        self.gauge(
            "backstay_catalog_size_bytes",
            "Size of the catalog's file.",
            figures.catalog_bytes,
        );
        self.gauge(
            "backstay_scheduler_silence_seconds",
            "Time since the scheduler last looked what is due.",
            figures.scheduler_silence.as_secs_f64(),
        );
        self.head(
            "backstay_jobs",
            "gauge",
            "Jobs, by whether they run by themselves.",
        );
        for (state, count) in [("enabled", figures.jobs.0), ("paused", figures.jobs.1)] {
            self.value("backstay_jobs", &[("state", state)], count);
        }
        if let Some(bytes) = resident_bytes() {
            self.gauge(
                "process_resident_memory_bytes",
                "Memory the process holds.",
                bytes,
            );
        }
    }

    fn runs(&mut self, figures: &Figures) {
        self.gauge(
            "backstay_runs_active",
            "Runs in progress and waiting.",
            figures.active_runs,
        );
        let name = "backstay_runs_total";
        self.head(
            name,
            "counter",
            "Runs that have ended since the start, by outcome.",
        );
        for ((kind, status), count) in &figures.ended_runs {
            let labels = [("kind", kind.as_str()), ("status", status.as_str())];
            self.value(name, &labels, count);
        }
        let name = "backstay_run_stage_seconds_total";
        self.head(
            name,
            "counter",
            "Time that ended runs spent in each stage since the start.",
        );
        for ((kind, stage), took) in &figures.stages {
            let labels = [("kind", kind.as_str()), ("stage", stage.as_str())];
            self.value(name, &labels, took.as_secs_f64());
        }
    }

    fn backups(&mut self, figures: &Figures) {
        self.gauge(
            "backstay_backups",
            "Backups that can be restored.",
            figures.backups,
        );
        self.gauge(
            "backstay_databases_left_out",
            "Databases without figures of their own, because there are too many.",
            figures.databases_left_out,
        );
        let all: [(&str, &str, OfBackup); 6] = [
            (
                "backstay_backup_last_timestamp_seconds",
                "When the newest restorable backup was begun, since 1970.",
                |backup, _| Some(backup.created_at.timestamp() as f64),
            ),
            (
                "backstay_backup_age_seconds",
                "Age of the newest restorable backup.",
                |backup, figures| {
                    let age = figures.now - backup.created_at;
                    Some((age.num_milliseconds() as f64 / 1000.0).max(0.0))
                },
            ),
            (
                "backstay_backup_last_source_bytes",
                "Bytes the server sent for the newest backup.",
                |backup, _| Some(backup.source_bytes as f64),
            ),
            (
                "backstay_backup_last_stored_bytes",
                "Bytes the newest backup added to its repository.",
                |backup, _| Some(backup.stored_bytes as f64),
            ),
            (
                "backstay_backup_last_duration_seconds",
                "How long the newest backup took.",
                |backup, _| Some(backup.duration_ms? as f64 / 1000.0),
            ),
            (
                "backstay_backup_last_rate_bytes_per_second",
                "Bytes the server sent in a second of the newest backup.",
                |backup, _| {
                    let seconds = backup.duration_ms.filter(|ms| *ms > 0)? as f64 / 1000.0;
                    Some(backup.source_bytes as f64 / seconds)
                },
            ),
        ];
        for (name, help, figure) in all {
            self.head(name, "gauge", help);
            for backup in &figures.newest {
                let labels = [
                    ("connection", backup.connection.as_str()),
                    ("database", backup.database.as_str()),
                ];
                if let Some(value) = figure(backup, figures) {
                    self.value(name, &labels, value);
                }
            }
        }
    }

    fn repositories(&mut self, figures: &Figures) {
        let name = "backstay_repository_up";
        let help = "Whether it could be reached when it was last looked at.";
        self.head(name, "gauge", help);
        for (repository, up) in &figures.reachable {
            self.value(name, &[("repository", repository)], u64::from(*up));
        }
        let all: [(&str, &str, OfRepository); 6] = [
            (
                "backstay_repository_size_bytes",
                "Bytes of all objects, as last measured.",
                |stats| Some(stats.stored_bytes),
            ),
            (
                "backstay_repository_source_bytes",
                "Bytes the servers sent for the backups in it.",
                |stats| Some(stats.source_bytes),
            ),
            ("backstay_repository_backups", "Backups in it.", |stats| {
                Some(stats.backups)
            }),
            (
                "backstay_repository_packs",
                "Files of data in it.",
                |stats| Some(stats.packs),
            ),
            (
                "backstay_repository_capacity_bytes",
                "Bytes the place has, where that can be known.",
                |stats| stats.total_bytes,
            ),
            (
                "backstay_repository_free_bytes",
                "Bytes still free there.",
                |stats| stats.free_bytes,
            ),
        ];
        for (name, help, figure) in all {
            self.head(name, "gauge", help);
            for (repository, stats) in &figures.repositories {
                if let Some(value) = figure(stats) {
                    self.value(name, &[("repository", repository)], value);
                }
            }
        }
    }

    fn connections(&mut self, figures: &Figures) {
        let name = "backstay_connection_up";
        self.head(
            name,
            "gauge",
            "Whether the server answered when it was last asked.",
        );
        for (connection, health) in &figures.connections {
            let up = u8::from(health.status == HealthStatus::Up);
            self.value(name, &[("connection", connection)], up);
        }
        let name = "backstay_connection_latency_seconds";
        self.head(name, "gauge", "How long it took to get in.");
        for (connection, health) in &figures.connections {
            if let Some(latency) = health.latency_ms {
                let seconds = latency as f64 / 1000.0;
                self.value(name, &[("connection", connection)], seconds);
            }
        }
    }

    fn notifications(&mut self, figures: &Figures) {
        let name = "backstay_notification_deliveries_total";
        let help = "Deliveries of notifications that have ended since the start, by outcome.";
        self.head(name, "counter", help);
        for target in &figures.targets {
            for (outcome, count) in &target.ended {
                let labels = [
                    ("target", target.name.as_str()),
                    ("outcome", outcome.as_str()),
                ];
                self.value(name, &labels, count);
            }
        }
        let name = "backstay_notification_waiting";
        self.head(name, "gauge", "Deliveries that wait for an attempt.");
        for target in &figures.targets {
            self.value(name, &[("target", &target.name)], target.waiting);
        }
        let name = "backstay_notification_oldest_waiting_seconds";
        let help = "How long the oldest of these has waited; 0 where none does.";
        self.head(name, "gauge", help);
        for target in &figures.targets {
            let waited = target.oldest_waiting.as_secs_f64();
            self.value(name, &[("target", &target.name)], waited);
        }
    }

    fn requests(&mut self, requests: &Requests) {
        let name = "backstay_http_requests_total";
        self.head(
            name,
            "counter",
            "Requests answered since the start, by class of status.",
        );
        for (place, count) in requests.0.iter().enumerate() {
            let class = format!("{}xx", place + 1);
            self.value(name, &[("class", &class)], count.load(Ordering::Relaxed));
        }
    }
}

/// What the process holds, as the kernel counts it.
fn resident_bytes() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: u64 = line.split_whitespace().next()?.parse().ok()?;
    Some(kib * 1024)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use backstay_engine::model::{DeliveryStatus, TargetFigures};

    use super::*;

    #[test]
    fn each_target_has_its_deliveries_by_outcome_and_its_queue() {
        let figures = Figures {
            targets: vec![TargetFigures {
                name: "on call".to_owned(),
                ended: vec![(DeliveryStatus::Delivered, 7), (DeliveryStatus::Failed, 2)],
                waiting: 3,
                oldest_waiting: Duration::from_secs(90),
            }],
            ..Figures::default()
        };
        let mut text = Text::default();
        text.notifications(&figures);
        for line in [
            "# TYPE backstay_notification_deliveries_total counter",
            "backstay_notification_deliveries_total{target=\"on call\",outcome=\"delivered\"} 7",
            "backstay_notification_deliveries_total{target=\"on call\",outcome=\"failed\"} 2",
            "backstay_notification_waiting{target=\"on call\"} 3",
            "backstay_notification_oldest_waiting_seconds{target=\"on call\"} 90",
        ] {
            assert!(text.0.lines().any(|own| own == line), "{line}\n{}", text.0);
        }
    }
}
