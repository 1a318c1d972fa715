//! `connection databases`, `connection discover`.

use backstay_engine::model::{Database, DatabaseEdit, Page};
use backstay_engine::{Code, Error, Result};
use serde_json::json;

use crate::cli::args::{self, ConnectionDatabases};
use crate::cli::confirm;
use crate::cli::failure::Done;
use crate::cli::output::{Align, Table, Tone, bytes, none, time};
use crate::cli::session::Session;
use crate::client::path;

pub(super) async fn databases(session: &Session, args: ConnectionDatabases) -> Done {
    let mut page = every(session, &args.connection.name).await?;
    let changes = args.select.iter().map(|name| (name, true));
    let changes = changes.chain(args.deselect.iter().map(|name| (name, false)));
    for (name, selected) in changes {
        let database = page
            .items
            .iter_mut()
            .find(|database| &database.name == name)
            .ok_or_else(|| {
                Error::new(
                    Code::DatabaseNotFound,
                    format!("{} has no database \"{name}\"", args.connection.name),
                )
                .hint(format!(
                    "`backstay connection discover {}` looks for new ones",
                    confirm::shell_word(&args.connection.name)
                ))
            })?;
        let edit = path(&["connections", "databases", &database.id.to_string()]);
        *database = session
            .client()
            .put(&edit, &DatabaseEdit { selected })
            .await?;
    }
    print_databases(session, &page)
}

/// Every database known of a connection.
async fn every(session: &Session, name: &str) -> Result<Page<Database>> {
    let target = path(&["connections", name, "databases"]);
    let all = args::Page {
        limit: 100_000,
        cursor: None,
    };
    session.list(&target, &json!({}), &all).await
}

fn print_databases(session: &Session, page: &Page<Database>) -> Done {
    let empty = "No databases are known yet; `backstay connection discover NAME` looks for them.";
    session.output.list(page, empty, |_, items| {
        let mut table = Table::new(&[
            ("DATABASE", Align::Left),
            ("BACKED UP", Align::Left),
            ("SIZE", Align::Right),
            ("OWNER", Align::Left),
            ("ENCODING", Align::Left),
            ("SEEN", Align::Left),
        ]);
        for item in items {
            let selected = match (item.present, item.selected) {
                (false, _) => ("gone", Tone::Warning),
                (true, true) => ("yes", Tone::Good),
                (true, false) => ("no", Tone::Faint),
            };
            table
                .row([
                    item.name.clone(),
                    selected.0.to_owned(),
                    item.size_bytes.map_or_else(none, bytes),
                    item.owner.clone().unwrap_or_else(none),
                    item.encoding.clone().unwrap_or_else(none),
                    time(item.seen_at),
                ])
                .tone(1, selected.1);
        }
        table
    })
}

/// Looks for databases that came or went.
pub(super) async fn discover(session: &Session, name: &str) -> Done {
    let client = session.engine().await?;
    let discover = path(&["connections", name, "discover"]);
    let _: Page<Database> = client.post(&discover, &json!({})).await?;
    print_databases(session, &every(session, name).await?)
}
