//! Drills and what they found, for a person.

use backstay_engine::model::{self, Drill, DrillReport, Page};

use crate::cli::args;
use crate::cli::failure::Done;
use crate::cli::job::when;
use crate::cli::output::{Align, Paint, Table, Tone, clean, count, duration_ms, none, time};
use crate::cli::run;
use crate::cli::session::Session;
use crate::client::path;

/// Differences and answers that a report shows; `--json` has all.
const SHOWN: usize = 20;

pub(super) async fn list(session: &Session, args: args::DrillList) -> Done {
    let query = model::DrillList {
        connection: args.connection,
        ..model::DrillList::default()
    };
    let page: Page<Drill> = session.list(&path(&["drills"]), &query, &args.page).await?;
    let empty = "There are no such drills; `backstay drill add NAME CONNECTION` adds one.";
    session.output.list(&page, empty, |_, drills| {
        let mut table = Table::new(&[
            ("NAME", Align::Left),
            ("OF", Align::Left),
            ("ON", Align::Left),
            ("SCHEDULE", Align::Left),
            ("NEXT", Align::Left),
            ("LAST", Align::Left),
        ]);
        for drill in drills {
            let next = match (drill.enabled, drill.next_run_at) {
                (false, _) => "paused".to_owned(),
                (true, next) => next.map_or_else(none, time),
            };
            let last = drill.last_run.as_ref();
            let schedule = drill.schedule.as_ref();
            table
                .row([
                    drill.name.clone(),
                    of(drill),
                    drill.scratch_connection.clone(),
                    schedule.map_or_else(none, |schedule| schedule.cron.clone()),
                    next,
                    last.map_or_else(none, |run| run.status.to_string()),
                ])
                .tone(5, last.map_or(Tone::Faint, |run| Tone::of(run.status)));
        }
        table
    })
}

fn of(drill: &Drill) -> String {
    match &drill.database {
        Some(database) => format!("{}/{database}", drill.connection),
        None => drill.connection.clone(),
    }
}

/// A drill for a person.
pub(super) fn view(paint: Paint, drill: &Drill) -> String {
    let mut table = Table::facts();
    let which = match drill.backup_id {
        Some(id) => id.to_string(),
        None => match drill.choose {
            model::DrillChoice::Newest => "the newest good one".to_owned(),
            model::DrillChoice::LeastProved => "the one restored longest ago".to_owned(),
        },
    };
    table
        .fact("drill", format!("{} ({})", drill.name, drill.id))
        .fact("backups of", of(drill))
        .maybe("in", drill.repository.clone())
        .fact("restores", which)
        .fact("on", drill.scratch_connection.clone())
        .maybe(
            "objects",
            Some(drill.work.objects.join(", ")).filter(|text| !text.is_empty()),
        )
        .fact(
            "schedule",
            drill
                .schedule
                .as_ref()
                .map_or_else(|| "none; `drill run` runs it".to_owned(), when),
        );
    if !drill.enabled {
        table.fact("", "paused").tone(1, Tone::Warning);
    }
    table.maybe("next run", drill.next_run_at.map(time));
    for check in &drill.work.checks {
        let text = format!("{} must answer {}", check.sql, check.expect);
        table.fact("check", clean(&text).into_owned());
    }
    if let Some(run) = &drill.last_run {
        table
            .fact(
                "last run",
                format!("{}, {} ({})", run.status, time(run.created_at), run.run_id),
            )
            .tone(1, Tone::of(run.status));
        table.maybe("restored in", run.restore_ms.map(duration_ms));
    }
    table.render(paint)
}

pub(super) async fn reports(session: &Session, args: args::DrillReports) -> Done {
    let query = model::DrillReportList {
        status: args.status.map(|status| status.parse()).transpose()?,
        ..model::DrillReportList::default()
    };
    let target = path(&["drills", &args.drill.drill, "reports"]);
    let page: Page<DrillReport> = session.list(&target, &query, &args.page).await?;
    let empty = "It has not run so far; `backstay drill run` runs it.";
    session.output.list(&page, empty, |_, reports| {
        let mut table = Table::new(&[
            ("RUN", Align::Left),
            ("BACKUP", Align::Left),
            ("BEGAN", Align::Left),
            ("STATUS", Align::Left),
            ("EQUAL", Align::Right),
            ("RESTORED IN", Align::Right),
            ("DIFFERENCES", Align::Right),
        ]);
        for report in reports {
            table
                .row([
                    report.run_id.to_string(),
                    report.backup_id.to_string(),
                    time(report.started_at.unwrap_or(report.created_at)),
                    report.status.to_string(),
                    equal(report),
                    report.restore_ms.map_or_else(none, duration_ms),
                    count(report.differences.len() as u64),
                ])
                .tone(3, Tone::of(report.status));
        }
        table
    })
}

fn equal(report: &DrillReport) -> String {
    format!(
        "{} of {} tables",
        count(report.tables_equal),
        count(report.tables_compared)
    )
}

/// What a run of a drill found.
pub(super) fn report(paint: Paint, report: &DrillReport) -> String {
    let mut table = Table::facts();
    table
        .fact("drill", format!("{} of {}", report.drill, report.source))
        .fact("status", report.status.to_string())
        .tone(1, Tone::of(report.status))
        .fact("backup", report.backup_id.to_string())
        .maybe("state of", report.point_at.map(time))
        .maybe("restored in", report.restore_ms.map(duration_ms))
        .fact("equal", equal(report))
        .fact("rows", count(report.rows))
        .fact(
            "scratch database",
            format!(
                "{} on {}: {}",
                report.scratch_database, report.scratch_connection, report.scratch
            ),
        );
    for answer in report.checks.iter().take(SHOWN) {
        let outcome = match (&answer.error, &answer.found) {
            (Some(error), _) => format!("failed: {error}"),
            (None, found) => found.clone().unwrap_or_default(),
        };
        let text = format!("{}: {outcome}", answer.sql);
        let tone = if answer.ok { Tone::Good } else { Tone::Bad };
        table.fact("check", clean(&text).into_owned()).tone(1, tone);
    }
    run::problem(&mut table, report.error.as_ref());
    let mut text = table.render(paint);
    for (heading, losses) in [
        ("Differs", &report.differences),
        ("Not taken by the scratch server", &report.refused),
    ] {
        if losses.is_empty() {
            continue;
        }
        text.push_str(&format!("\n\n{}", paint.strong(heading)));
        for loss in losses.iter().take(SHOWN) {
            text.push_str(&format!(
                "\n  {}: {}",
                clean(&loss.object),
                clean(&loss.reason)
            ));
        }
        if losses.len() > SHOWN {
            text.push_str(&format!("\n  … and {} more", losses.len() - SHOWN));
        }
    }
    text
}
