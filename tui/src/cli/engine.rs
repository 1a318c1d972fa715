//! The engine itself: `serve`, `status`, `stop`, `doctor`, and `backstay` alone.

use std::time::Duration;

use backstay_engine::config::{Listen, LogFormat, parse_address};
use backstay_engine::model::{CheckOutcome, DoctorReport, Health, Status, StopRequest};
use backstay_engine::{Code, Result};
use serde_json::json;

use super::args::{Serve, Stop};
use super::failure::{Done, Failure};
use super::output::{Paint, Table, Tone, bytes, clean, count, duration_ms, time};
use super::session::Session;
use crate::client::path;
use crate::{logging, serve as server};

/// Time between two looks whether the engine is gone.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// How long an engine that answers no more may take to end.
const ENDING: Duration = Duration::from_secs(10);

/// Runs the engine in the foreground.
pub(crate) async fn serve(session: &Session, serve: &Serve) -> Done {
    let mut config = session.config()?.clone();
    listening(&mut config.listen, serve)?;
    let start = server::Start {
        detached: serve.detached,
        password_file: serve.admin_password_file.clone(),
    };
    let json = serve.log_json || config.log_format == LogFormat::Json;
    logging::start(session.global.verbose, json);
    server::serve(config, start).await?;
    Ok(())
}

/// What the command line says wins over file and variables.
fn listening(listen: &mut Listen, serve: &Serve) -> Result<()> {
    if !serve.listen.is_empty() {
        let addresses = serve.listen.iter().map(|text| parse_address(text));
        listen.addresses = addresses.collect::<Result<_>>()?;
    }
    for (setting, given) in [
        (&mut listen.tls_cert, &serve.tls_cert),
        (&mut listen.tls_key, &serve.tls_key),
        (&mut listen.tls_client_ca, &serve.tls_client_ca),
    ] {
        if let Some(path) = given {
            *setting = Some(path.clone());
        }
    }
    listen.plain_http |= serve.plain_http;
    Ok(())
}

/// Shows whether an engine runs; never starts one.
pub(crate) async fn status(session: &Session) -> Done {
    let status: Result<Status> = session.client().get(&path(&["status"])).await;
    match status {
        Ok(status) => session.output.record(&status, view),
        Err(error) if error.code() == Code::EngineUnreachable => {
            if session.output.json {
                session.output.document(&json!({"running": false}))?;
            } else {
                session.output.text("No engine is running")?;
            }
            Err(Failure::Exit(Code::EngineUnreachable.exit()))
        }
        Err(error) => Err(error.into()),
    }
}

fn view(paint: Paint, status: &Status) -> String {
    let mut table = Table::facts();
    let state = if status.stopping {
        ("stopping", Tone::Warning)
    } else {
        ("running", Tone::Good)
    };
    table
        .fact("engine", format!("{}, version {}", state.0, status.version))
        .tone(1, state.1)
        .fact("process", status.pid.to_string())
        .fact(
            "up",
            format!(
                "{}, since {}",
                duration_ms(status.uptime_ms),
                time(status.started_at)
            ),
        )
        .fact("data", status.data_dir.clone())
        .fact("connections", count(status.connections))
        .fact("repositories", count(status.repositories))
        .fact("backups", count(status.backups));
    if let Some(backup) = &status.last_backup {
        table.fact(
            "last backup",
            format!(
                "{}/{}, {} ({} read)",
                backup.connection,
                backup.database,
                time(backup.created_at),
                bytes(backup.source_bytes)
            ),
        );
    }
    for run in &status.runs {
        let stage = run.progress.stage.as_deref().unwrap_or(run.status.as_str());
        table.fact(
            run.status.as_str(),
            format!("{}: {stage} ({})", run.title, run.id),
        );
    }
    for warning in &status.warnings {
        table
            .fact("warning", warning.clone())
            .tone(0, Tone::Warning);
    }
    table.render(paint)
}

/// Ends the engine and waits until it is gone.
pub(crate) async fn stop(session: &Session, stop: &Stop) -> Done {
    let request = StopRequest { now: stop.now };
    let status: Result<Status> = session.client().get(&path(&["status"])).await;
    let asked: Result<serde_json::Value> = session.client().post(&path(&["stop"]), &request).await;
    match asked {
        Ok(_) => {}
        Err(error) if error.code() == Code::EngineUnreachable => {
            if session.output.json {
                return session
                    .output
                    .document(&json!({"stopped": false, "running": false}));
            }
            session.output.note("No engine is running");
            return Ok(());
        }
        Err(error) => return Err(error.into()),
    }
    loop {
        let health: Result<Health> = session.client().get(&path(&["health"])).await;
        if health.is_err_and(|error| error.code() == Code::EngineUnreachable) {
            break;
        }
        tokio::select! {
            () = tokio::time::sleep(LOOK_EVERY) => {}
            _ = tokio::signal::ctrl_c() => {
                session.output.note("The engine goes on stopping");
                return Err(Failure::Exit(Code::Cancelled.exit()));
            }
        }
    }
    if let Ok(status) = status {
        ended(status.pid).await;
    }
    if session.output.json {
        return session
            .output
            .document(&json!({"stopped": true, "running": false}));
    }
    session.output.note("The engine has stopped");
    Ok(())
}

/// Waits until a process has ended: it has its files open a moment longer than it answers, and the next engine
/// could not open them. Not for long, since the number may be that of a process elsewhere.
async fn ended(pid: u32) {
    let waiting = async {
        loop {
            let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
            // The state follows the name, which may hold anything; see proc_pid_stat(5).
            let state = stat
                .rsplit_once(") ")
                .and_then(|(_, rest)| rest.chars().next());
            if matches!(state, None | Some('Z' | 'X')) {
                return;
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    };
    let _ = tokio::time::timeout(ENDING, waiting).await;
}

/// Checks everything; without an engine, what can be seen without one.
pub(crate) async fn doctor(session: &Session) -> Done {
    let answered: Result<DoctorReport> = session.client().get(&path(&["doctor"])).await;
    let report = match answered {
        Ok(report) => report,
        Err(error) if error.code() == Code::EngineUnreachable => {
            backstay_engine::engine::doctor_offline(session.config()?)
        }
        Err(error) => return Err(error.into()),
    };
    session.output.record(&report, |paint, report| {
        let lines: Vec<String> = report
            .checks
            .iter()
            .map(|check| {
                let (mark, tone) = match check.outcome {
                    CheckOutcome::Ok => ("ok     ", Tone::Good),
                    CheckOutcome::Warning => ("warning", Tone::Warning),
                    CheckOutcome::Failed => ("failed ", Tone::Bad),
                };
                let advice = check.advice.as_ref().map_or_else(String::new, |advice| {
                    format!("\n         {}", paint.tone(Tone::Accent, &clean(advice)))
                });
                format!(
                    "{}  {}: {}{advice}",
                    paint.tone(tone, mark),
                    clean(&check.name),
                    clean(&check.message)
                )
            })
            .collect();
        lines.join("\n")
    })?;
    if report.ok {
        Ok(())
    } else {
        Err(Failure::Exit(1))
    }
}

/// `backstay` alone: where things stand and what to do next.
pub(crate) async fn overview(session: &Session) -> Done {
    let client = session.engine().await?;
    let status: Status = client.get(&path(&["status"])).await?;
    session.output.record(&status, |paint, status| {
        let next: &[&str] = if status.connections == 0 {
            &[
                "backstay connection add NAME URL   add a database server",
                "backstay demo URL                  see it work on a server of yours",
            ]
        } else if status.backups == 0 {
            &["backstay backup run NAME           back a server up"]
        } else {
            &[
                "backstay backup list               what can be restored",
                "backstay restore run BACKUP        bring it back, beside the original",
            ]
        };
        format!(
            "{}\n\n{}\n  {}\n  backstay --help                    everything else",
            view(paint, status),
            paint.strong("Next"),
            next.join("\n  ")
        )
    })
}
