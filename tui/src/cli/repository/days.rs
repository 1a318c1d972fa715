//! `repository trends`

use backstay_engine::model::{Page, RepositoryDay, RepositoryDays};

use crate::cli::args::RepositoryTrends;
use crate::cli::failure::Done;
use crate::cli::output::{Align, Table, bytes, count, none};
use crate::cli::session::Session;
use crate::client::{path, with_query};

pub(super) async fn trends(session: &Session, args: RepositoryTrends) -> Done {
    let query = RepositoryDays {
        from: args.from,
        to: args.to,
        ..RepositoryDays::default()
    };
    let target = path(&["repositories", &args.repository.name, "trends"]);
    let client = session.engine().await?;
    let page: Page<RepositoryDay> = client.get(&with_query(&target, &query)?).await?;
    let empty = "It was not measured yet; `backstay task run statistics` does it now.";
    session.output.list(&page, empty, |_, days| {
        let mut table = Table::new(&[
            ("DAY", Align::Left),
            ("BACKUPS", Align::Right),
            ("READ", Align::Right),
            ("STORED", Align::Right),
            ("FREE THERE", Align::Right),
        ]);
        for day in days {
            table.row([
                day.date.to_string(),
                count(day.backups),
                bytes(day.source_bytes),
                bytes(day.stored_bytes),
                day.free_bytes.map_or_else(none, bytes),
            ]);
        }
        table
    })
}
