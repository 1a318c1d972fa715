//! What a restore made and takes away again when it fails or is cancelled.
//!
//! A database that it made is dropped. In one that was there before, only what the restore put
//! there goes: everything, where it was empty at first; otherwise the objects that it made, last
//! one first. What could not be taken away is named.

use std::collections::HashMap;
use std::time::Duration;

use super::Job;
use crate::error::{Error, Result};
use crate::monitor::{Level, Loss};
use crate::source::postgres::logical::object::{Object, ObjectNumber};
use crate::source::postgres::logical::restore::databases;
use crate::source::postgres::logical::restore::maker::{ends_the_session, label, lose};

/// How long undoing may take after a failure or a cancellation.
const UNDO_TIMEOUT: Duration = Duration::from_mins(1);

/// How many names an error lists; the run's log has all.
const NAMES_MAX: usize = 10;

/// What a restore made so far.
#[derive(Debug, Default)]
pub(super) struct Made {
    /// Databases; each is noted before it exists, because a cancellation may strike in between.
    pub(super) databases: Vec<String>,
    /// Whether a database that was empty before is being filled.
    pub(super) fills_empty: bool,
    /// Objects in a database that held others before, in the order in which they were made.
    pub(super) objects: Vec<ObjectNumber>,
}

/// Takes away what was made; the answer is the error that a person gets to see.
pub(super) async fn undo(job: &Job<'_>, made: &Made, error: Error) -> Error {
    let mut stays = Vec::new();
    let undone = tokio::time::timeout(UNDO_TIMEOUT, take_away(job, made, &mut stays)).await;
    let failure = match undone {
        Ok(Ok(())) if stays.is_empty() => return error,
        Ok(Ok(())) => "the server refused".to_owned(),
        Ok(Err(error)) => error.report(),
        Err(_) => "the server takes too long".to_owned(),
    };
    let database = job.plan.working_database();
    if stays.is_empty() {
        stays.push(format!("DATABASE {database}"));
    }
    for name in &stays {
        let text =
            format!("{name} was made by this restore and stays in \"{database}\": {failure}");
        job.task.monitor.note(Level::Error, &text);
    }
    let more = if stays.len() > NAMES_MAX { ", …" } else { "" };
    stays.truncate(NAMES_MAX);
    error.hint(format!(
        "What the restore made stays in \"{database}\" and should be dropped: {}{more}",
        stays.join(", ")
    ))
}

async fn take_away(job: &Job<'_>, made: &Made, stays: &mut Vec<String>) -> Result<()> {
    for name in &made.databases {
        let admin = databases::admin(job.target, name).await?;
        databases::drop_database(&admin, name).await?;
    }
    let working = job.plan.working_database();
    if made.databases.iter().any(|name| name == working) {
        return Ok(());
    }
    if made.fills_empty {
        let sql = job.target.sql(working).await?;
        let mut losses: Vec<Loss> = Vec::new();
        databases::empty(&sql, &mut losses).await?;
        stays.extend(losses.into_iter().map(|loss| loss.object));
        return Ok(());
    }
    if made.objects.is_empty() {
        return Ok(());
    }
    let by_number: HashMap<ObjectNumber, &Object> = job
        .objects()
        .map(|object| (object.number, object))
        .collect();
    let mut doomed: Vec<&Object> = made
        .objects
        .iter()
        .filter_map(|number| by_number.get(number).copied())
        .filter(|object| !object.drop.is_empty())
        .collect();
    stays.extend(doomed.iter().map(|object| label(object)));
    let sql = job.target.sql(job.plan.working_database()).await?;
    sql.run(databases::WRITABLE).await?;
    while let Some(object) = doomed.pop() {
        match sql.run(&object.drop).await {
            Ok(_) => stays.retain(|name| *name != label(object)),
            // Its table is gone, so it is too.
            Err(error) if matches!(error.sqlstate(), Some("42P01" | "3F000" | "42704")) => {
                stays.retain(|name| *name != label(object));
            }
            Err(error) if ends_the_session(&error) => return Err(error),
            Err(error) => {
                let mut refused = Vec::new();
                lose(&label(object), error, &mut refused)?;
                for loss in refused {
                    let text = format!("{} could not be dropped: {}", loss.object, loss.reason);
                    job.task.monitor.note(Level::Warning, &text);
                }
            }
        }
    }
    Ok(())
}
