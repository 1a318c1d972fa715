//! The database that is filled: made, emptied, and finished with its properties.

use super::Job;
use super::undo::Made;
use crate::error::{Code, Error, Result};
use crate::monitor::Loss;
use crate::pipeline::plan::Destination;
use crate::source::postgres::logical::database;
use crate::source::postgres::logical::object::{Object, ObjectKind};
use crate::source::postgres::logical::restore::choose::is_relation;
use crate::source::postgres::logical::restore::maker::Maker;
use crate::source::postgres::logical::restore::renaming::Place;
use crate::source::postgres::logical::restore::{databases, doomed};

/// Makes the database, empties it, or drops the chosen objects in it.
pub(super) async fn prepare(job: &Job<'_>, made: &mut Made, losses: &mut Vec<Loss>) -> Result<()> {
    let name = job.plan.working_database();
    match &job.plan.destination {
        Destination::New { .. } | Destination::Swap { .. } => create(job, name, made).await?,
        Destination::Existing => {}
        Destination::Cleaned if job.plan.chosen.is_none() => {
            let sql = job.target.sql(name).await?;
            databases::empty(&sql, losses).await?;
        }
        Destination::Cleaned => drop_chosen(job).await?,
    }
    // Only now: what `--clean` did not get to is none of ours.
    made.fills_empty = !job.plan.creates_database() && job.plan.chosen.is_none();
    Ok(())
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
        Ok(_) => {
            // Whoever finds it after a crash knows what it is.
            let text = format!(
                "{} of backup {}",
                databases::UNFINISHED,
                job.archive.snapshot.id
            );
            let mark = database::comment(name, Some(&text));
            admin.run(&mark).await.map(drop)
        }
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

/// Drops the relations asked for, the last made first, with all that belongs to them; what they need
/// stays.
async fn drop_chosen(job: &Job<'_>) -> Result<()> {
    let Some(chosen) = &job.plan.chosen else {
        return Ok(());
    };
    let sql = job.target.sql(job.plan.working_database()).await?;
    sql.run(databases::WRITABLE).await?;
    let mut relations: Vec<&Object> = job
        .objects()
        .filter(|object| !chosen.needed.contains(&object.number) && is_relation(object.kind))
        .collect();
    relations.reverse();
    // Views let go of tables, and tables, with their defaults, of sequences.
    relations.sort_by_key(|object| match object.kind {
        ObjectKind::View | ObjectKind::MaterializedView => 0,
        ObjectKind::Sequence => 2,
        _ => 1,
    });
    let places: Vec<Place> = relations
        .iter()
        .map(|object| {
            (
                object.schema.clone().unwrap_or_default(),
                object.name.clone(),
            )
        })
        .collect();
    let statements: Vec<&str> = relations
        .iter()
        .map(|object| object.drop.as_str())
        .filter(|statement| !statement.is_empty())
        .collect();
    doomed::drop_all(&sql, &places, &statements).await
}

/// Gives a database that was made its owner, comment, settings and privileges.
pub(super) async fn finish(job: &Job<'_>, name: &str, losses: &mut Vec<Loss>) -> Result<()> {
    let facts = &job.archive.database;
    let what = format!("database {}", job.plan.database);
    let maker = Maker::open(job.target, name, job.maker_options()).await?;
    // Whoever owns it from here on may not be us.
    let comment = facts
        .comment
        .as_deref()
        .filter(|_| job.plan.chosen.is_none());
    let statements = [database::comment(name, comment)];
    maker
        .each(&format!("comment on {what}"), &statements, losses)
        .await?;
    if job.plan.chosen.is_some() {
        return Ok(());
    }
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
