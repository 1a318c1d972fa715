//! Backups by day, and how fresh the newest ones are.

use backstay_engine::model::{
    self, CalendarDay, DayList, Freshness, FreshnessState, Page, RunStatus, TrendDay,
};

use crate::cli::args::{self, BackupDays};
use crate::cli::connection::project;
use crate::cli::failure::Done;
use crate::cli::output::{Align, Table, Tone, bytes, count, duration_ms, none, time};
use crate::cli::session::Session;
use crate::client::{path, with_query};

fn query(args: BackupDays) -> DayList {
    let (project, environment) = project(args.environment.as_deref());
    let (connection, database) = args
        .target
        .map_or((None, None), |own| (Some(own.connection), own.database));
    DayList {
        connection,
        database,
        project,
        environment,
        from: args.from,
        to: args.to,
        ..DayList::default()
    }
}

pub(super) async fn trends(session: &Session, args: BackupDays) -> Done {
    let target = with_query(&path(&["backups", "trends"]), &query(args))?;
    let page: Page<TrendDay> = session.engine().await?.get(&target).await?;
    session.output.list(&page, "There are no days.", |_, days| {
        let mut table = Table::new(&[
            ("DAY", Align::Left),
            ("GOOD", Align::Right),
            ("PARTIAL", Align::Right),
            ("FAILED", Align::Right),
            ("READ", Align::Right),
            ("STORED", Align::Right),
            ("TOOK", Align::Right),
        ]);
        for day in days {
            let of = |status: RunStatus| day.runs.get(status.as_str()).copied().unwrap_or(0);
            let (good, partial) = (of(RunStatus::Success), of(RunStatus::Partial));
            let failed = day.runs.values().sum::<u64>() - good - partial;
            table
                .row([
                    day.date.to_string(),
                    count(good),
                    count(partial),
                    count(failed),
                    bytes(day.read_bytes),
                    bytes(day.stored_bytes),
                    duration_ms(day.duration_ms),
                ])
                .tone(3, if failed > 0 { Tone::Bad } else { Tone::Faint });
        }
        table
    })
}

pub(super) async fn calendar(session: &Session, args: BackupDays) -> Done {
    let target = with_query(&path(&["backups", "calendar"]), &query(args))?;
    let page: Page<CalendarDay> = session.engine().await?.get(&target).await?;
    session.output.list(&page, "There are no days.", |_, days| {
        let mut table = Table::new(&[
            ("DAY", Align::Left),
            ("GOOD", Align::Right),
            ("PARTIAL", Align::Right),
            ("FAILED", Align::Right),
        ]);
        for day in days {
            table
                .row([
                    day.date.to_string(),
                    count(day.success),
                    count(day.partial),
                    count(day.failed),
                ])
                .tone(
                    1,
                    if day.success > 0 {
                        Tone::Good
                    } else {
                        Tone::Faint
                    },
                );
        }
        table
    })
}

pub(super) async fn freshness(session: &Session, page: &args::Page) -> Done {
    let query = model::PageRequest::default();
    let target = path(&["backups", "freshness"]);
    let page: Page<Freshness> = session.list(&target, &query, page).await?;
    let empty = "No database is backed up; `backstay connection add` begins with one.";
    session.output.list(&page, empty, |_, all| {
        let mut table = Table::new(&[
            ("DATABASE", Align::Left),
            ("STATE", Align::Left),
            ("LAST GOOD", Align::Left),
            ("AGE", Align::Right),
            ("EXPECTED", Align::Left),
        ]);
        for own in all {
            let expected = own.jobs.iter().filter_map(|job| job.expected_at).min();
            table
                .row([
                    format!("{}/{}", own.connection, own.database),
                    own.state.to_string(),
                    own.last_good_at.map_or_else(none, time),
                    own.age_ms.map_or_else(none, duration_ms),
                    expected.map_or_else(none, time),
                ])
                .tone(1, tone(own.state));
        }
        table
    })
}

fn tone(state: FreshnessState) -> Tone {
    match state {
        FreshnessState::Fresh => Tone::Good,
        FreshnessState::Stale => Tone::Bad,
        FreshnessState::Due | FreshnessState::None => Tone::Warning,
        FreshnessState::Unscheduled => Tone::Faint,
    }
}
