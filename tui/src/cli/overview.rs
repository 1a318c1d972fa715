//! `overview`

use backstay_engine::Result;
use backstay_engine::model::{
    self, ConnectionOverview, DatabaseOverview, DayResults, OverviewList, OverviewSummary,
    Protection,
};

use super::args::Overview;
use super::connection;
use super::failure::Done;
use super::output::{Align, Paint, Table, Tone, count, duration_ms, none, time};
use super::session::Session;
use crate::client::{Client, path, with_query};

/// Connections asked for at once.
const AT_ONCE: u32 = 200;

/// Says of each connection and database whether it is protected.
pub(crate) async fn overview(session: &Session, args: Overview) -> Done {
    let (project, environment) = connection::project(args.environment.as_deref());
    let list = OverviewList {
        project,
        environment,
        limit: Some(AT_ONCE),
        cursor: None,
    };
    let overview = whole(session.engine().await?, list).await?;
    session.output.record(&overview, view)
}

/// All pages as one.
async fn whole(client: &Client, mut list: OverviewList) -> Result<model::Overview> {
    let target = path(&["overview"]);
    let mut whole: model::Overview = client.get(&with_query(&target, &list)?).await?;
    while whole.next_cursor.is_some() {
        list.cursor.clone_from(&whole.next_cursor);
        let next: model::Overview = client.get(&with_query(&target, &list)?).await?;
        whole.items.extend(next.items);
        whole.next_cursor = next.next_cursor;
    }
    Ok(whole)
}

fn view(paint: Paint, overview: &model::Overview) -> String {
    if overview.items.is_empty() {
        return "There are no connections; `backstay connection add NAME URL` adds one".to_owned();
    }
    let mut table = Table::new(&[
        ("DATABASE", Align::Left),
        ("PROTECTED", Align::Left),
        ("AGE", Align::Right),
        ("PROOF", Align::Left),
        ("DAYS", Align::Left),
        ("NEXT RUN", Align::Left),
        ("WHY", Align::Left),
    ]);
    for own in &overview.items {
        if own.databases.is_empty() {
            empty(&mut table, own);
        }
        for database in &own.databases {
            row(&mut table, own, database);
        }
    }
    let mut text = table.render(paint);
    if let Some(summary) = &overview.summary {
        text.push_str("\n\n");
        text.push_str(&in_short(summary));
    }
    text
}

fn row(table: &mut Table, own: &ConnectionOverview, database: &DatabaseOverview) {
    let proof = database.proof.as_ref();
    table
        .row([
            format!("{}/{}", own.connection, database.database),
            database.protection.to_string(),
            database.age_ms.map_or_else(none, duration_ms),
            proof.map_or_else(none, |proof| proof.level.to_string()),
            database.days.iter().map(mark).collect(),
            database.next_run_at.map_or_else(none, time),
            database.reason.clone(),
        ])
        .tone(1, tone(database.protection));
}

fn empty(table: &mut Table, own: &ConnectionOverview) {
    table
        .row([
            own.connection.clone(),
            own.protection.to_string(),
            none(),
            none(),
            none(),
            none(),
            own.reason.clone(),
        ])
        .tone(1, tone(own.protection));
}

/// How a day went.
fn mark(day: &DayResults) -> char {
    let wrong = day.partial + day.failed + day.cancelled;
    match (day.success, wrong) {
        (0, 0) => '·',
        (_, 0) => '+',
        (0, _) if day.partial == 0 => 'x',
        _ => '!',
    }
}

fn tone(protection: Protection) -> Tone {
    match protection {
        Protection::Protected => Tone::Good,
        Protection::AtRisk => Tone::Warning,
        Protection::Unprotected => Tone::Bad,
    }
}

fn in_short(summary: &OverviewSummary) -> String {
    format!(
        "{} connections, {} databases: {} protected, {} at risk, {} unprotected",
        count(summary.connections),
        count(summary.databases),
        count(summary.protected),
        count(summary.at_risk),
        count(summary.unprotected)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_is_marked_by_how_it_went() {
        let day = |success, partial, failed, cancelled| {
            mark(&DayResults {
                success,
                partial,
                failed,
                cancelled,
                ..DayResults::default()
            })
        };
        assert_eq!(day(0, 0, 0, 0), '·');
        assert_eq!(day(2, 0, 0, 0), '+');
        assert_eq!(day(1, 0, 1, 0), '!');
        assert_eq!(day(0, 1, 0, 0), '!');
        assert_eq!(day(0, 0, 2, 1), 'x');
    }
}
