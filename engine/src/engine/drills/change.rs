//! What a drill may be.

use super::super::jobs::check_schedule;
use super::super::lookup::References;
use super::super::{Engine, names};
use crate::error::{Error, Result};
use crate::ids::{BackupId, DrillId, RepositoryId};
use crate::model::{Drill, DrillCheck, DrillChoice, DrillCreate, DrillEdit, DrillWork, Time};
use crate::source::postgres::logical::restore::choose::Choice;

/// Queries of one drill.
const CHECKS_MAX: usize = 100;
/// Bytes of a query, and of its answer.
const CHECK_BYTES_MAX: usize = crate::pipeline::scratch::ANSWER_BYTES_MAX;
/// Objects chosen for one drill.
const OBJECTS_MAX: usize = 1000;

impl Engine {
    /// The drill that a request describes.
    pub(in super::super) fn drill_from(
        &self,
        create: DrillCreate,
        known: &dyn References,
        now: Time,
    ) -> Result<Drill> {
        let connection = known.the_connection(&create.connection)?;
        let scratch = match given(create.scratch_connection.as_ref()) {
            Some(key) => known.the_connection(key)?,
            None => connection.clone(),
        };
        let elsewhere = scratch.id != connection.id;
        let drill = Drill {
            id: DrillId::generate(now),
            serial: 0,
            name: create.name,
            enabled: create.enabled.unwrap_or(true),
            connection_id: connection.id,
            connection: connection.name,
            database: create.database.filter(|name| !name.is_empty()),
            repository_id: drill_repository(create.repository.as_ref(), known)?,
            repository: None,
            choose: create.choose.unwrap_or(DrillChoice::Newest),
            backup_id: self.drill_backup(create.backup.as_ref())?,
            scratch_connection_id: scratch.id,
            scratch_connection: scratch.name,
            work: DrillWork {
                objects: create.objects,
                checks: create.checks,
                no_owner: create.no_owner.unwrap_or(elsewhere),
                no_privileges: create.no_privileges.unwrap_or(elsewhere),
                max_runtime_seconds: create.max_runtime_seconds,
            },
            schedule: create.schedule,
            next_run_at: None,
            last_run: None,
            created_at: now,
            updated_at: now,
        };
        checked(drill)
    }

    pub(super) fn edited_drill(&self, before: &Drill, edit: DrillEdit, now: Time) -> Result<Drill> {
        if edit.unschedule == Some(true) && edit.schedule.is_some() {
            return Err(
                Error::invalid("A schedule cannot be given and taken away at once")
                    .field("unschedule", "contradicts schedule"),
            );
        }
        let mut drill = before.clone();
        drill.name = edit.name.unwrap_or(drill.name);
        drill.enabled = edit.enabled.unwrap_or(drill.enabled);
        drill.choose = edit.choose.unwrap_or(drill.choose);
        if edit.database.is_some() {
            drill.database = edit.database.filter(|name| !name.is_empty());
        }
        if edit.repository.is_some() {
            drill.repository_id = drill_repository(edit.repository.as_ref(), self)?;
        }
        if edit.backup.is_some() {
            drill.backup_id = self.drill_backup(edit.backup.as_ref())?;
        }
        if let Some(key) = given(edit.scratch_connection.as_ref()) {
            let scratch = self.find_connection(key)?.connection;
            drill.scratch_connection_id = scratch.id;
            drill.scratch_connection = scratch.name;
        }
        let work = &mut drill.work;
        work.objects = edit.objects.unwrap_or(std::mem::take(&mut work.objects));
        work.checks = edit.checks.unwrap_or(std::mem::take(&mut work.checks));
        work.no_owner = edit.no_owner.unwrap_or(work.no_owner);
        work.no_privileges = edit.no_privileges.unwrap_or(work.no_privileges);
        work.max_runtime_seconds = edit.max_runtime_seconds.or(work.max_runtime_seconds);
        if edit.schedule.is_some() || edit.unschedule == Some(true) {
            drill.schedule = edit.schedule;
        }
        drill.updated_at = now;
        checked(drill)
    }

    fn drill_backup(&self, key: Option<&String>) -> Result<Option<BackupId>> {
        let found = given(key).map(|key| self.restorable_backup(key));
        Ok(found.transpose()?.map(|found| found.id))
    }
}

fn drill_repository(key: Option<&String>, known: &dyn References) -> Result<Option<RepositoryId>> {
    let found = given(key).map(|key| known.the_repository(key));
    Ok(found.transpose()?.map(|found| found.id))
}

fn given(key: Option<&String>) -> Option<&str> {
    key.map(String::as_str).filter(|key| !key.is_empty())
}

fn checked(mut drill: Drill) -> Result<Drill> {
    names::check("drill", &drill.name)?;
    let work = &mut drill.work;
    work.max_runtime_seconds = work.max_runtime_seconds.filter(|seconds| *seconds > 0);
    if work.objects.len() > OBJECTS_MAX {
        return Err(Error::invalid("So many objects cannot be chosen")
            .field("objects", format!("must be at most {OBJECTS_MAX}")));
    }
    for text in &work.objects {
        Choice::parse(text)?;
    }
    if work.checks.len() > CHECKS_MAX {
        return Err(Error::invalid("A drill cannot have so many checks")
            .field("checks", format!("must be at most {CHECKS_MAX}")));
    }
    for check in &work.checks {
        check_query(check)?;
    }
    check_schedule(drill.schedule.as_ref(), drill.id.bits(), drill.updated_at)?;
    Ok(drill)
}

fn check_query(check: &DrillCheck) -> Result<()> {
    let query = check.sql.trim().trim_end_matches(';').trim();
    if query.is_empty() {
        return Err(Error::invalid("A check of a drill has no query")
            .field("checks", "must have a query each"));
    }
    if check.sql.len() > CHECK_BYTES_MAX || check.expect.len() > CHECK_BYTES_MAX {
        return Err(Error::invalid("A check of a drill is too long").field(
            "checks",
            format!("must have at most {CHECK_BYTES_MAX} bytes in query and answer"),
        ));
    }
    if check.sql.contains('\0') {
        return Err(
            Error::invalid("A query cannot hold a zero byte").field("checks", "must be text")
        );
    }
    Ok(())
}
