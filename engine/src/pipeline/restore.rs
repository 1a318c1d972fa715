//! A logical restore of a PostgreSQL database, from a plan to a proved result.
//!
//! Definitions first, in one session; then, in several, the rows, what needs them, and the proof,
//! in parallel as far as dependencies and locks allow; privileges, event triggers and refreshes
//! last. A refused statement costs its object and makes the restore partial; what ends the
//! connection or the repository's reading fails it. A new database is filled under a name of its
//! own and gets the wanted one when all is there, so that nobody takes a part for the whole.

mod data;
mod destination;
mod flow;
mod large_objects;
mod post;
mod proof;
mod rename;
mod undo;

use std::collections::HashMap;
use std::num::NonZeroUsize;

use serde::{Deserialize, Serialize};

use super::archive::{Archive, ArchivedTable};
use super::backup::Outcome;
use super::plan::{Destination, Plan};
use crate::error::{Code, Error, Result};
use crate::monitor::{Loss, Task};
use crate::repository::Repository;
use crate::source::postgres::logical::object::{Object, ObjectKind, ObjectNumber, Section};
use crate::source::postgres::logical::restore::databases;
use crate::source::postgres::logical::restore::maker::{Maker, MakerOptions, lose};
use crate::source::postgres::target::Target;
use undo::Made;

pub(in crate::pipeline) use large_objects::push_hex;
pub use proof::TableProof;

/// What came of a restore.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RestoreOutcome {
    /// Whether everything was brought back.
    pub status: Outcome,
    /// The database that holds it.
    pub database: String,
    /// The database that was swapped aside, kept until it is dismissed.
    pub kept_database: Option<String>,
    /// What was not brought back, or differs.
    pub losses: Vec<Loss>,
    /// Objects made.
    pub objects: u64,
    /// Rows loaded.
    pub rows: u64,
    /// Tables compared with what was recorded.
    pub tables: Vec<TableProof>,
    /// How many of them are equal; with no losses and all equal the backup is proved restored.
    pub proved_tables: u64,
}

/// Everything a restore works with.
pub(super) struct Job<'a> {
    repository: &'a Repository,
    archive: &'a Archive,
    plan: &'a Plan,
    target: &'a Target,
    task: &'a Task,
    workers: usize,
    /// Where chosen tables go under another name, with their new definition.
    renamed: rename::Renamed,
}

/// Executes a plan. An error means that nothing was brought back: what was begun is undone.
pub async fn run(
    repository: &Repository,
    archive: &Archive,
    plan: &Plan,
    target: &Target,
    workers: NonZeroUsize,
    task: &Task,
) -> Result<RestoreOutcome> {
    plan.refuse()?;
    let mut job = Job {
        repository,
        archive,
        plan,
        target,
        task,
        workers: workers.get(),
        renamed: rename::Renamed::default(),
    };
    let mut made = Made::default();
    let filled = task.or_cancelled(job.run(&mut made)).await;
    let done = match filled {
        // Renames are not left half-way: from here on a cancellation comes too late.
        Ok(outcome) => job.complete(outcome, &mut made).await,
        Err(error) => Err(error),
    };
    match done {
        Ok(outcome) => {
            for loss in &outcome.losses {
                task.monitor.lost(loss.clone());
            }
            Ok(outcome)
        }
        Err(error) => Err(undo::undo(&job, &made, error).await),
    }
}

impl Job<'_> {
    async fn run(&mut self, made: &mut Made) -> Result<RestoreOutcome> {
        let mut losses = Vec::new();
        self.task.monitor.stage("preparing the target");
        if self.plan.options.globals {
            self.make_globals(&mut losses).await?;
        }
        self.renamed = rename::prepare(self, made).await?;
        losses.append(&mut self.renamed.losses);
        destination::prepare(self, made, &mut losses).await?;
        let mut maker = self.maker().await?;
        let mut objects = self.make_definitions(&mut maker, made, &mut losses).await?;
        if self.plan.chosen.is_none() {
            large_objects::load(self, &mut losses).await?;
        }
        self.set_sequences(&mut maker, &mut losses).await?;
        let flowed = flow::run(self, made, &mut losses).await?;
        objects += flowed.objects;
        objects += self.finish_objects(&mut maker, made, &mut losses).await?;
        drop(maker);
        let proved_tables = flowed.tables.iter().filter(|table| table.equal).count() as u64;
        Ok(RestoreOutcome {
            status: Outcome::of(&losses),
            database: self.plan.database.clone(),
            kept_database: None,
            losses,
            objects,
            rows: flowed.rows,
            tables: flowed.tables,
            proved_tables,
        })
    }

    async fn maker(&self) -> Result<Maker> {
        Maker::open(
            self.target,
            self.plan.working_database(),
            self.maker_options(),
        )
        .await
    }

    fn maker_options(&self) -> MakerOptions {
        MakerOptions {
            no_owner: self.plan.options.no_owner,
            tablespaces: self.plan.tablespaces.clone(),
        }
    }

    /// The objects to make, in order: the backup's, or for renamed tables their new definition.
    fn objects(&self) -> impl Iterator<Item = &Object> {
        let own = self
            .archive
            .objects
            .iter()
            .filter(|object| self.plan.wants(object) && !self.renamed.replaces(object.number));
        own.chain(self.renamed.objects.iter())
    }

    async fn make_globals(&self, losses: &mut Vec<Loss>) -> Result<()> {
        let admin = self.target.maintenance().await?;
        for global in &self.archive.globals {
            for statement in &global.create {
                match admin.run(statement).await {
                    Ok(_) => {}
                    // It is there already, and stays as it is.
                    Err(error) if matches!(error.sqlstate(), Some("42710" | "42P06")) => break,
                    Err(error) => lose(&format!("{} {}", global.kind, global.name), error, losses)?,
                }
            }
        }
        Ok(())
    }

    async fn make_definitions(
        &self,
        maker: &mut Maker,
        made: &mut Made,
        losses: &mut Vec<Loss>,
    ) -> Result<u64> {
        self.task.monitor.stage("making definitions");
        let wanted: Vec<&Object> = self
            .objects()
            .filter(|object| object.section() == Section::Pre)
            .collect();
        self.task.monitor.foresee(Some(wanted.len() as u64), None);
        let mut count = 0;
        for object in wanted {
            let before = losses.len();
            self.note(made, object);
            maker.make(object, losses).await?;
            if self.is_needed_only(object.number) {
                if losses.len() == before {
                    made.objects.push(object.number);
                }
                // What was not asked for may be there already; then it stays as it is.
                let found = losses.split_off(before);
                losses.extend(found.into_iter().filter(|loss| !exists_already(loss)));
            }
            count += u64::from(losses.len() == before);
            self.task.monitor.advance(1, 0, 0);
        }
        Ok(count)
    }

    /// Notes an object before it is made, for undoing. What is only needed may be there already, and
    /// what a restore did not make it does not drop: that is noted afterwards.
    fn note(&self, made: &mut Made, object: &Object) {
        if !self.is_needed_only(object.number) {
            made.objects.push(object.number);
        }
    }

    fn is_needed_only(&self, number: ObjectNumber) -> bool {
        self.plan
            .chosen
            .as_ref()
            .is_some_and(|chosen| chosen.needed.contains(&number))
    }

    async fn set_sequences(&self, maker: &mut Maker, losses: &mut Vec<Loss>) -> Result<()> {
        for object in self.objects() {
            if object.kind == ObjectKind::SequenceValue {
                maker.make(object, losses).await?;
            }
        }
        Ok(())
    }

    /// Privileges, then what must not see the restore (event triggers) and what must see all of it.
    async fn finish_objects(
        &self,
        maker: &mut Maker,
        made: &mut Made,
        losses: &mut Vec<Loss>,
    ) -> Result<u64> {
        self.task.monitor.stage("granting privileges");
        let mut count = 0;
        if !self.plan.options.no_privileges {
            for object in self.objects() {
                maker.grant(object, losses).await?;
            }
            for object in self
                .objects()
                .filter(|object| object.kind == ObjectKind::DefaultAcl)
            {
                maker.make(object, losses).await?;
                count += 1;
            }
        }
        self.task.monitor.stage("refreshing materialized views");
        for object in self.objects() {
            if matches!(
                object.kind,
                ObjectKind::EventTrigger | ObjectKind::RefreshMaterializedView
            ) {
                self.note(made, object);
                post::beating(self.task, maker.make(object, losses)).await?;
                count += 1;
            }
        }
        Ok(count)
    }

    /// Gives a database that was made its name and properties.
    async fn complete(
        &self,
        mut outcome: RestoreOutcome,
        made: &mut Made,
    ) -> Result<RestoreOutcome> {
        match &self.plan.destination {
            Destination::New { working } => {
                let name = &self.plan.database;
                self.task.monitor.stage("naming the database");
                let admin = databases::admin(self.target, working).await?;
                databases::rename(&admin, working, name).await?;
                made.databases.retain(|made| made != working);
                made.databases.push(name.clone());
                destination::finish(self, name, &mut outcome.losses).await?;
                outcome.status = Outcome::of(&outcome.losses);
                Ok(outcome)
            }
            Destination::Swap { working, kept } => self.swap(outcome, working, kept).await,
            Destination::Existing | Destination::Cleaned => Ok(outcome),
        }
    }

    /// The second half of a restore in place; only a whole result takes the old one's name.
    async fn swap(
        &self,
        mut outcome: RestoreOutcome,
        working: &str,
        kept: &str,
    ) -> Result<RestoreOutcome> {
        destination::finish(self, working, &mut outcome.losses).await?;
        outcome.status = Outcome::of(&outcome.losses);
        if let Some(first) = outcome.losses.first() {
            return Err(Error::new(
                Code::Partial,
                format!(
                    "The restored database is not whole, so \"{}\" stays as it is; {} losses, the first: {}: {}",
                    self.plan.database,
                    outcome.losses.len(),
                    first.object,
                    first.reason
                ),
            )
            .hint("Restore to a new database to see what can be had"));
        }
        self.task.monitor.stage("swapping databases");
        let admin = databases::admin(self.target, &self.plan.database).await?;
        databases::swap(&admin, &self.plan.database, working, kept).await?;
        outcome.kept_database = Some(kept.to_owned());
        Ok(outcome)
    }

    /// The tables whose rows are to be loaded.
    fn tables(&self) -> Vec<&ArchivedTable> {
        let kinds: HashMap<ObjectNumber, ObjectKind> = self
            .archive
            .objects
            .iter()
            .map(|object| (object.number, object.kind))
            .collect();
        self.archive
            .tables
            .iter()
            .filter(|table| {
                let number = table.entry.number;
                let of_extension = kinds.get(&number) == Some(&ObjectKind::Extension);
                match &self.plan.chosen {
                    Some(chosen) => chosen.tables.contains(&number),
                    None => !(of_extension && self.plan.options.no_extensions),
                }
            })
            .collect()
    }
}

fn exists_already(loss: &Loss) -> bool {
    // duplicate schema, table, object, function; what only an owner may say again.
    ["42P06", "42P07", "42710", "42723"]
        .iter()
        .any(|state| loss.reason.contains(&format!("SQLSTATE {state}")))
}
