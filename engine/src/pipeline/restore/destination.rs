//! The database that is filled: made, emptied, and finished with its properties.

use super::Job;
use crate::error::{Code, Error, Result};
use crate::monitor::Loss;
use crate::pipeline::plan::Destination;
use crate::source::postgres::logical::database;
use crate::source::postgres::logical::object::Object;
use crate::source::postgres::logical::restore::databases;
use crate::source::postgres::logical::restore::maker::{Maker, lose};

/// What a restore made and drops again when it fails.
#[derive(Debug, Default)]
pub(super) struct Made {
    /// Databases.
    pub(super) databases: Vec<String>,
}

/// Makes the database, empties it, or drops the chosen objects in it.
pub(super) async fn prepare(job: &Job<'_>, made: &mut Made, losses: &mut Vec<Loss>) -> Result<()> {
    let name = job.plan.working_database();
    match &job.plan.destination {
        Destination::New | Destination::Swap { .. } => create(job, name, made).await,
        Destination::Existing => Ok(()),
        Destination::Cleaned if job.plan.chosen.is_none() => {
            let sql = job.target.sql(name).await?;
            databases::empty(&sql, losses).await
        }
        Destination::Cleaned => drop_chosen(job, losses).await,
    }
}

pub(super) async fn create(job: &Job<'_>, name: &str, made: &mut Made) -> Result<()> {
    let admin = databases::admin(job.target, name).await?;
    let facts = &job.archive.database;
    let place = facts.tablespace.as_ref();
    let has_place = place.is_some_and(|place| job.plan.tablespaces.contains(place));
    let statement = database::create(facts, name, admin.version(), has_place);
    // Noted before it exists: a cancellation may strike while the server makes it.
    made.databases.push(name.to_owned());
    match admin.run(&statement).await {
        Ok(_) => Ok(()),
        Err(error) if error.sqlstate() == Some("42P04") => {
            made.databases.pop();
            Err(Error::new(
                Code::Conflict,
                format!("Database \"{name}\" exists already"),
            )
            .hint("Plan the restore again")
            .because(error))
        }
        Err(error) => {
            made.databases.pop();
            Err(error.context(format!("database \"{name}\"")))
        }
    }
}

/// Drops the objects asked for, the last made first; what they need stays.
async fn drop_chosen(job: &Job<'_>, losses: &mut Vec<Loss>) -> Result<()> {
    let Some(chosen) = &job.plan.chosen else {
        return Ok(());
    };
    let sql = job.target.sql(job.plan.working_database()).await?;
    let doomed: Vec<&Object> = job
        .objects()
        .filter(|object| !chosen.needed.contains(&object.number) && !object.drop.is_empty())
        .collect();
    for object in doomed.into_iter().rev() {
        match sql.run(&object.drop).await {
            Ok(_) => {}
            // Its table is not there, so neither is it.
            Err(error) if matches!(error.sqlstate(), Some("42P01" | "3F000" | "42704")) => {}
            Err(error) => lose(&format!("dropping: {}", object.drop), error, losses)?,
        }
    }
    Ok(())
}

/// Gives a database that was made its owner, comment, settings and privileges.
pub(super) async fn finish(job: &Job<'_>, maker: &Maker, losses: &mut Vec<Loss>) -> Result<()> {
    let facts = &job.archive.database;
    let name = job.plan.working_database();
    let what = format!("database {}", job.plan.database);
    if !job.plan.options.no_owner {
        let statement = database::owner(facts, name);
        maker
            .each(&format!("owner of {what}"), &[statement], losses)
            .await?;
    }
    if !job.plan.options.no_privileges {
        let statements = database::privileges(facts, name);
        maker
            .each(&format!("privileges on {what}"), &statements, losses)
            .await?;
    }
    let statements = database::properties(facts, name);
    maker
        .each(&format!("properties of {what}"), &statements, losses)
        .await
}
