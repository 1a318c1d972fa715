//! What moves in the document of a job: the names of what it is about, its next start, its last run. Pages
//! of jobs are what is stored, with these put in.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;

use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;

use super::super::Engine;
use crate::catalog::records::{ConnectionRecord, JobRecord, RepositoryRecord, RunRecord, run};
use crate::catalog::{Look, Query, undecodable};
use crate::error::{Error, Result};
use crate::ids::{ConnectionId, JobId, RepositoryId, RunId};
use crate::model::{Hook, Job, JobRun, JobSchedule, Page, RunKind, RunStatus, Stored, Time};

/// Runs of one job that began together, as far as one that failed is looked for, and how near that is.
const ROUND: usize = 50;
const TOGETHER: chrono::TimeDelta = chrono::TimeDelta::seconds(2);

/// What is to be known of a job to say what moves.
struct About<'a> {
    id: JobId,
    enabled: bool,
    connection: ConnectionId,
    repositories: Cow<'a, [RepositoryId]>,
    databases: usize,
    schedule: Option<Cow<'a, JobSchedule>>,
    handled: Time,
    /// When the first of those that failed is tried again.
    retry: Option<Time>,
}

/// What moves.
struct Moving {
    /// Nothing where the connection is gone: it is called as it was.
    connection: Option<String>,
    repositories: Vec<String>,
    next_run_at: Option<Time>,
    last_run: Option<JobRun>,
}

/// Names that were looked up.
#[derive(Default)]
struct Names {
    connections: HashMap<ConnectionId, Option<String>>,
    repositories: HashMap<RepositoryId, String>,
}

impl Names {
    fn connection(&mut self, look: &Look<'_>, id: ConnectionId) -> Result<Option<String>> {
        if let Some(known) = self.connections.get(&id) {
            return Ok(known.clone());
        }
        let found = look.get::<ConnectionRecord>(id.bits())?;
        let name = found.map(|found| found.connection.name);
        self.connections.insert(id, name.clone());
        Ok(name)
    }

    fn repository(&mut self, look: &Look<'_>, id: RepositoryId) -> Result<String> {
        if let Some(known) = self.repositories.get(&id) {
            return Ok(known.clone());
        }
        let found = look.get::<RepositoryRecord>(id.bits())?;
        let name = found.map_or_else(|| id.to_string(), |found| found.repository.name);
        self.repositories.insert(id, name.clone());
        Ok(name)
    }
}

impl Engine {
    /// The job with what is known of it at this moment.
    pub(in super::super) fn shown(&self, record: JobRecord) -> Result<Job> {
        let mut job = record.job;
        let about = About {
            id: job.id,
            enabled: job.enabled,
            connection: job.connection_id,
            repositories: Cow::Borrowed(&job.repository_ids),
            databases: job.work.databases.len(),
            schedule: job.schedule.as_ref().map(Cow::Borrowed),
            handled: record.handled,
            retry: record.retries.iter().map(|retry| retry.at).min(),
        };
        let mut names = Names::default();
        let look = |look: &Look<'_>| self.moving(look, &about, &mut names);
        let moving = self.0.catalog.look(look)?;
        if let Some(name) = moving.connection {
            job.connection = name;
        }
        job.repositories = moving.repositories;
        job.next_run_at = moving.next_run_at;
        job.last_run = moving.last_run;
        self.name_targets(&mut job.work.hooks, &mut HashMap::new());
        Ok(job)
    }

    /// A page of jobs, passed on as they are stored but for what moves.
    pub(super) fn page_of_jobs(&self, query: &Query) -> Result<Stored<Page<Job>>> {
        let found = self.0.catalog.documents::<JobRecord>(query)?;
        let documents = found.records.iter();
        let kept = documents.map(|document| Kept::read(document));
        let kept = kept.collect::<Result<Vec<_>>>()?;
        let moving = self.0.catalog.look(|look| {
            let mut names = Names::default();
            let each = kept.iter();
            each.map(|kept| self.moving(look, &kept.about()?, &mut names))
                .collect::<Result<Vec<_>>>()
        })?;
        let mut targets = HashMap::new();
        let items = kept.iter().zip(moving).map(|(kept, moving)| {
            let mut hooks: Vec<Hook> = kept.job.get("hooks")?;
            self.name_targets(&mut hooks, &mut targets);
            kept.job.with(&moving, &hooks)
        });
        let items = items.collect::<Result<Vec<_>>>()?;
        Ok(Stored::page(&items, found.next_cursor.as_deref()))
    }

    fn moving(&self, look: &Look<'_>, about: &About<'_>, names: &mut Names) -> Result<Moving> {
        let ids = about.repositories.iter();
        let repositories = ids
            .map(|id| names.repository(look, *id))
            .collect::<Result<_>>()?;
        let mut next_run_at = None;
        if about.enabled {
            let (starts, now) = (&self.0.starts, self.now());
            let next = about.schedule.as_deref();
            let next = next.and_then(|own| starts.next(own, about.id.bits(), about.handled, now));
            next_run_at = [about.retry, next].into_iter().flatten().min();
        }
        Ok(Moving {
            connection: names.connection(look, about.connection)?,
            repositories,
            next_run_at,
            last_run: last_round(look, about)?,
        })
    }

    /// Calls the targets of hooks as they are called now; `known` has those that were looked up.
    fn name_targets(&self, hooks: &mut [Hook], known: &mut HashMap<String, String>) {
        for hook in hooks {
            if let Some(name) = known.get(&hook.target) {
                hook.target.clone_from(name);
            } else if let Ok(found) = self.find_target(&hook.target) {
                known.insert(hook.target.clone(), found.target.name.clone());
                hook.target = found.target.name;
            }
        }
    }
}

/// The newest run, or the one that went worst of those begun with it: one that failed is not to be hidden
/// by its neighbours.
fn last_round(look: &Look<'_>, about: &About<'_>) -> Result<Option<JobRun>> {
    #[derive(Deserialize)]
    struct Known {
        run: Begun,
    }
    #[derive(Deserialize)]
    struct Begun {
        id: RunId,
        status: RunStatus,
        created_at: Time,
        finished_at: Option<Time>,
    }
    let at_once = if about.databases == 1 { 1 } else { ROUND };
    let newest = Query::newest(at_once)
        .only(run::JOB, Some(about.id))
        .only(run::KIND, Some(RunKind::Backup));
    let newest = look.documents::<RunRecord>(&newest)?.records.into_iter();
    let newest = newest.map(|document| {
        let known: Known = serde_json::from_slice(&document).map_err(undecodable)?;
        Ok(known.run)
    });
    let newest = newest.collect::<Result<Vec<Begun>>>()?;
    let Some(begun) = newest.first().map(|run| run.created_at) else {
        return Ok(None);
    };
    let round = newest
        .into_iter()
        .take_while(|run| begun - run.created_at < TOGETHER);
    let worst = round.min_by_key(|run| {
        let well = !run.status.is_final() || run.status == RunStatus::Success;
        (run.status != RunStatus::Failed, well)
    });
    Ok(worst.map(|run| JobRun {
        run_id: run.id,
        status: run.status,
        created_at: run.created_at,
        finished_at: run.finished_at,
    }))
}

/// A stored record, of which no more is read than what moves takes.
#[derive(Deserialize)]
struct Kept<'a> {
    #[serde(borrow)]
    job: Fields<'a>,
    handled: Time,
    retries: Vec<Again>,
}

#[derive(Deserialize)]
struct Again {
    at: Time,
}

impl<'a> Kept<'a> {
    fn read(document: &'a [u8]) -> Result<Self> {
        serde_json::from_slice(document).map_err(undecodable)
    }

    fn about(&self) -> Result<About<'a>> {
        let job = &self.job;
        Ok(About {
            id: job.get("id")?,
            enabled: job.get("enabled")?,
            connection: job.get("connection_id")?,
            repositories: Cow::Owned(job.get("repository_ids")?),
            databases: job.get::<Vec<serde::de::IgnoredAny>>("databases")?.len(),
            schedule: job.get::<Option<_>>("schedule")?.map(Cow::Owned),
            handled: self.handled,
            retry: self.retries.iter().map(|retry| retry.at).min(),
        })
    }
}

/// The fields of a document, each as it is written.
struct Fields<'a>(Vec<(&'a str, &'a RawValue)>);

impl<'a> Fields<'a> {
    fn get<T: Deserialize<'a>>(&self, name: &str) -> Result<T> {
        let found = self.0.iter().find(|(known, _)| *known == name);
        let text = found.map_or("null", |(_, value)| value.get());
        serde_json::from_str(text).map_err(undecodable)
    }

    /// The document, with what moves put in.
    fn with(&self, moving: &Moving, hooks: &[Hook]) -> Result<Vec<u8>> {
        let stored = self.0.iter().map(|(_, value)| value.get().len() + 24);
        let mut json = Vec::with_capacity(stored.sum::<usize>() + 256);
        for (place, (name, value)) in self.0.iter().enumerate() {
            json.push(if place == 0 { b'{' } else { b',' });
            put(&mut json, name)?;
            json.push(b':');
            match (*name, &moving.connection) {
                ("connection", Some(name)) => put(&mut json, name)?,
                ("repositories", _) => put(&mut json, &moving.repositories)?,
                ("hooks", _) => put(&mut json, hooks)?,
                ("next_run_at", _) => put(&mut json, &moving.next_run_at)?,
                ("last_run", _) => put(&mut json, &moving.last_run)?,
                _ => json.extend_from_slice(value.get().as_bytes()),
            }
        }
        json.push(b'}');
        Ok(json)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Fields<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        struct Reader;
        impl<'de> Visitor<'de> for Reader {
            type Value = Vec<(&'de str, &'de RawValue)>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(
                self,
                mut map: A,
            ) -> std::result::Result<Self::Value, A::Error> {
                let mut fields = Vec::with_capacity(32);
                while let Some(field) = map.next_entry()? {
                    fields.push(field);
                }
                Ok(fields)
            }
        }
        deserializer.deserialize_map(Reader).map(Fields)
    }
}

fn put(json: &mut Vec<u8>, value: &(impl Serialize + ?Sized)) -> Result<()> {
    serde_json::to_writer(json, value)
        .map_err(|error| Error::internal("A job could not be written").because(error))
}
