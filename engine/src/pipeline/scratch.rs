//! Scratch databases of drills: asked questions, and dropped whatever came before.

use std::time::Duration;

use crate::error::{Code, Error, Result};
use crate::monitor::Task;
use crate::source::postgres::Target;
use crate::source::postgres::logical::quote::literal;
use crate::source::postgres::logical::restore::databases;

/// An answer that is longer is cut off and cannot be the expected one.
pub const ANSWER_BYTES_MAX: usize = 64 << 10;

/// How long a server may still be busy making a database whose maker is gone.
const MAKING: Duration = Duration::from_secs(30);
const PAUSE: Duration = Duration::from_millis(500);

/// What a query answers in `database`: a line for each row, as CSV with `|` between columns.
pub async fn answer(target: &Target, database: &str, query: &str, task: &Task) -> Result<String> {
    task.or_cancelled(async {
        let mut session = target.wire(database).await?;
        // The question is a user's: it means what it would mean to the database's users.
        session.run("RESET search_path").await?;
        let query = query.trim().trim_end_matches(';');
        let statement =
            format!("COPY ({query}\n) TO STDOUT WITH (FORMAT csv, DELIMITER '|', NULL '')");
        let mut out = session.copy_out(&statement, None).await?;
        let mut bytes = Vec::new();
        while let Some(block) = out.next().await? {
            let room = ANSWER_BYTES_MAX - bytes.len();
            bytes.extend_from_slice(block.get(..block.len().min(room)).unwrap_or_default());
            task.monitor.advance(0, block.len() as u64, 0);
            if block.len() > room {
                break;
            }
        }
        let text = String::from_utf8_lossy(&bytes);
        Ok(text.trim_end_matches('\n').to_owned())
    })
    .await
}

/// Drops every database whose name begins with `prefix`, which nobody but a drill uses. Waits until
/// the server has ended making one.
pub async fn drop_all(target: &Target, prefix: &str) -> Result<u64> {
    let admin = databases::admin(target, "").await?;
    let mut waited = Duration::ZERO;
    let mut dropped = 0;
    loop {
        let making = admin
            .row(&format!(
                "SELECT pg_catalog.count(*) AS busy FROM pg_catalog.pg_stat_activity \
                 WHERE pid <> pg_catalog.pg_backend_pid() AND state = 'active' \
                 AND pg_catalog.strpos(query, {}) > 0 AND query ~* '^\\s*(CREATE|ALTER)\\s+DATABASE'",
                literal(prefix)
            ))
            .await?
            .int("busy")?;
        let rows = admin
            .rows(&format!(
                "SELECT datname FROM pg_catalog.pg_database \
                 WHERE pg_catalog.strpos(datname::pg_catalog.text, {}) = 1",
                literal(prefix)
            ))
            .await?;
        for row in &rows {
            databases::drop_database(&admin, row.text("datname")?).await?;
            dropped += 1;
        }
        if making == 0 {
            return Ok(dropped);
        }
        if waited >= MAKING {
            return Err(Error::new(
                Code::RunBusy,
                format!("The server is still making a database \"{prefix}…\""),
            ));
        }
        tokio::time::sleep(PAUSE).await;
        waited += PAUSE;
    }
}
