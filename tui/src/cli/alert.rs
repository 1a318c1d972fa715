//! `alert …`

use backstay_engine::model::{self, Alert, AlertCount, Page, Severity};
use serde_json::json;

use super::args::{AlertCommand, AlertList};
use super::failure::Done;
use super::output::{Align, Paint, Table, Tone, time};
use super::session::Session;
use crate::client::path;

/// Does what `alert …` says.
pub(crate) async fn alert(session: &Session, command: AlertCommand) -> Done {
    match command {
        AlertCommand::List(args) => list(session, args).await,
        AlertCommand::Count => {
            let target = path(&["alerts", "count"]);
            let count: AlertCount = session.engine().await?.get(&target).await?;
            session.output.record(&count, |_, count| {
                format!("{} wait, {} unread", count.undismissed, count.unread)
            })
        }
        AlertCommand::Read(name) => mark(session, &name.alert, "read").await,
        AlertCommand::Dismiss(name) => mark(session, &name.alert, "dismiss").await,
    }
}

async fn list(session: &Session, args: AlertList) -> Done {
    let query = model::AlertList {
        include_dismissed: args.all.then_some(true),
        kind: args.kind.as_deref().map(str::parse).transpose()?,
        project: args.project,
        ..model::AlertList::default()
    };
    let page: Page<Alert> = session.list(&path(&["alerts"]), &query, &args.page).await?;
    let empty = "Nothing waits for you.";
    session.output.list(&page, empty, |_, alerts| {
        let mut table = Table::new(&[
            ("ALERT", Align::Left),
            ("SINCE", Align::Left),
            ("STATE", Align::Left),
            ("WHAT", Align::Left),
        ]);
        for alert in alerts {
            table
                .row([
                    alert.id.to_string(),
                    time(alert.opened_at),
                    state(alert).to_owned(),
                    alert.title.clone(),
                ])
                .tone(2, tone(alert));
        }
        table
    })
}

fn state(alert: &Alert) -> &'static str {
    if !alert.is_open() {
        "over"
    } else if alert.dismissed_at.is_some() {
        "dismissed"
    } else if alert.read_at.is_some() {
        "read"
    } else {
        "new"
    }
}

fn tone(alert: &Alert) -> Tone {
    match alert.severity {
        _ if !alert.is_open() || alert.dismissed_at.is_some() => Tone::Faint,
        Severity::Warning => Tone::Warning,
        Severity::Critical => Tone::Bad,
    }
}

async fn mark(session: &Session, key: &str, verb: &str) -> Done {
    let target = path(&["alerts", key, verb]);
    let alert: Alert = session.engine().await?.post(&target, &json!({})).await?;
    session.output.record(&alert, view)
}

fn view(paint: Paint, alert: &Alert) -> String {
    let mut table = Table::facts();
    table
        .fact("alert", format!("{} ({})", alert.title, alert.id))
        .fact("kind", format!("{}, {}", alert.kind, alert.severity))
        .fact("says", alert.message.clone())
        .fact("since", time(alert.opened_at))
        .fact("state", state(alert))
        .tone(1, tone(alert))
        .maybe("run", alert.run_id.map(|id| id.to_string()));
    table.render(paint)
}
