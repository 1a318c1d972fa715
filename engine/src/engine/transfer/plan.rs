//! What taking a document in would change.

mod people;
mod places;
mod repositories;
mod work;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use serde::Serialize;
use serde_json::Value;

use super::super::Engine;
use super::super::exports::Opened;
use super::super::lookup::References;
use super::apply::Changes;
use super::seal::Secrets;
use super::{BREATH, kind};
use crate::catalog::Record;
use crate::error::{Error, Result};
use crate::ids::{Id, JobId, Kind};
use crate::model::{
    ConfigConnection, ConfigDocument, ConfigEnvironment, ConfigItem, ConfigState, ConfigTask,
    Connection, Environment, Project, Repository, Target,
};

/// Documents by kind and name.
pub(super) type Seen = BTreeMap<String, Value>;

/// What became of a document.
pub(super) struct Plan {
    pub(super) items: Vec<ConfigItem>,
    pub(super) changes: Changes,
    /// Why nothing can be imported, where that is so.
    pub(super) refusal: Option<Error>,
    /// What is changed, as it was, by kind and name.
    pub(super) before: Seen,
    /// What is made and changed, as it will be.
    pub(super) after: Seen,
    /// The ids that jobs had where the document comes from.
    pub(super) job_ids: BTreeMap<String, JobId>,
}

/// Goes through a document and notes how each thing stands.
pub(super) struct Planner<'a> {
    engine: &'a Engine,
    secrets: &'a Secrets,
    overwrite: bool,
    paused: bool,
    plan: Plan,
    refused: Vec<(String, Error)>,
    /// Ids that new things of the document have.
    taken: HashSet<(u8, u128)>,
    /// What the document's names stand for.
    projects: HashMap<String, Project>,
    environments: HashMap<String, Environment>,
    repositories: HashMap<String, Repository>,
    connections: HashMap<String, Connection>,
    targets: HashMap<String, Target>,
    jobs: HashMap<String, JobId>,
    groups: HashSet<String>,
}

impl References for Planner<'_> {
    fn the_connection(&self, key: &str) -> Result<Connection> {
        let known = self.connections.get(key).cloned();
        known.map_or_else(|| self.engine.the_connection(key), Ok)
    }
    fn the_repository(&self, key: &str) -> Result<Repository> {
        let known = self.repositories.get(key).cloned();
        known.map_or_else(|| self.engine.the_repository(key), Ok)
    }
    fn the_target(&self, key: &str) -> Result<Target> {
        let known = self.targets.get(key).cloned();
        known.map_or_else(|| self.engine.the_target(key), Ok)
    }
    fn the_job(&self, key: &str) -> Result<JobId> {
        let known = self.jobs.get(key).copied();
        known.map_or_else(|| self.engine.the_job(key), Ok)
    }
}

/// Something of a document beside what is here under its name.
struct Weighing<'a> {
    kind: &'a str,
    name: &'a str,
    /// As a document says it.
    here: Option<Value>,
    wanted: Value,
    /// Fields of secrets that differ.
    secrets: Vec<String>,
    /// Fields of secrets that it should have and will not.
    lacks: Vec<String>,
    reason: Option<String>,
    /// Nobody has made what is here what it is.
    untouched: bool,
}

impl<'a> Weighing<'a> {
    fn of(kind: &'a str, name: &'a str, here: Option<Value>, wanted: Value) -> Self {
        Self {
            kind,
            name,
            here,
            wanted,
            secrets: Vec::new(),
            lacks: Vec::new(),
            reason: None,
            untouched: false,
        }
    }
}

impl<'a> Planner<'a> {
    /// Nothing is planned yet.
    pub(super) fn new(
        engine: &'a Engine,
        secrets: &'a Secrets,
        overwrite: bool,
        paused: bool,
    ) -> Self {
        Self {
            engine,
            secrets,
            overwrite,
            paused,
            plan: Plan {
                items: Vec::new(),
                changes: Changes::default(),
                refusal: None,
                before: BTreeMap::new(),
                after: BTreeMap::new(),
                job_ids: BTreeMap::new(),
            },
            refused: Vec::new(),
            taken: HashSet::new(),
            projects: HashMap::new(),
            environments: HashMap::new(),
            repositories: HashMap::new(),
            connections: HashMap::new(),
            targets: HashMap::new(),
            jobs: HashMap::new(),
            groups: HashSet::new(),
        }
    }

    /// Goes through all of a document. What is named comes before what names it.
    pub(super) async fn plan(&mut self, document: ConfigDocument) -> Result<()> {
        if let Err(error) = self.settings(document.settings) {
            self.refuse(kind::SETTINGS, kind::SETTINGS, error);
        }
        let name = |task: &ConfigTask| task.id.to_string();
        self.each(kind::TASK, document.system_tasks, name, Self::task)
            .await;
        let projects = document.projects;
        self.each(
            kind::PROJECT,
            projects,
            |own| own.name.clone(),
            Self::project,
        )
        .await;
        self.each_repository(document.repositories).await?;
        let environments = document.environments;
        let name = |own: &ConfigEnvironment| format!("{}/{}", own.project, own.name);
        self.each(kind::ENVIRONMENT, environments, name, Self::environment)
            .await;
        let connections = document.connections;
        let name = |own: &ConfigConnection| own.name.clone();
        self.each(kind::CONNECTION, connections, name, |planner, own| {
            planner.connection(&own)
        })
        .await;
        let groups = document.groups;
        self.groups
            .extend(groups.iter().map(|own| own.name.clone()));
        self.each(kind::GROUP, groups, |own| own.name.clone(), Self::group)
            .await;
        self.each(
            kind::USER,
            document.users,
            |own| own.name.clone(),
            |planner, own| planner.user(&own),
        )
        .await;
        self.keep_an_administrator()?;
        let keys = document.api_keys;
        self.each(kind::API_KEY, keys, |own| own.name.clone(), Self::api_key)
            .await;
        self.name_jobs(&document.jobs, document.job_ids)?;
        let targets = document.notifications;
        self.each(kind::TARGET, targets, |own| own.name.clone(), Self::target)
            .await;
        self.each(kind::JOB, document.jobs, |own| own.name.clone(), Self::job)
            .await;
        self.each(
            kind::DRILL,
            document.drills,
            |own| own.name.clone(),
            Self::drill,
        )
        .await;
        Ok(())
    }

    /// What came of it.
    pub(super) fn finish(mut self) -> Plan {
        let count = self.refused.len();
        let mut refused = self.refused.into_iter();
        if let Some((what, first)) = refused.next() {
            let more = match count - 1 {
                0 => String::new(),
                more => format!(" (and {more} more of the document cannot be taken in)"),
            };
            let message = format!("Nothing was imported: {what}: {}{more}", first.report());
            let hint = first
                .hint_text()
                .unwrap_or("Change the document; a dry run shows what becomes of each part");
            let error = Error::new(first.code(), message).hint(hint);
            let error = error.field(what, first.report());
            let error = refused.fold(error, |error, (what, own)| error.field(what, own.report()));
            self.plan.refusal = Some(error);
        }
        self.plan
    }

    async fn each<T>(
        &mut self,
        kind: &str,
        entries: Vec<T>,
        name: impl Fn(&T) -> String,
        plan: impl Fn(&mut Self, T) -> Result<()>,
    ) {
        let mut seen = HashSet::new();
        for entry in entries {
            if seen.len().is_multiple_of(BREATH) {
                tokio::task::yield_now().await;
            }
            let name = name(&entry);
            let planned = if seen.insert(name.clone()) {
                plan(self, entry)
            } else {
                Err(twice())
            };
            if let Err(error) = planned {
                self.refuse(kind, &name, error);
            }
        }
    }

    fn refuse(&mut self, kind: &str, name: &str, error: Error) {
        let mut reason = error.report();
        if let Some(hint) = error.hint_text() {
            reason = format!("{reason}. {hint}");
        }
        self.plan.items.push(ConfigItem {
            kind: kind.to_owned(),
            name: name.to_owned(),
            state: ConfigState::Refused,
            fields: Vec::new(),
            reason: Some(reason),
            lacks: Vec::new(),
        });
        self.refused.push((format!("{kind} \"{name}\""), error));
    }

    /// Notes how something stands; answers whether it is to be written, and whether it is new.
    fn weigh(&mut self, weighing: Weighing<'_>) -> Option<bool> {
        let Weighing {
            kind,
            name,
            here,
            wanted,
            secrets,
            lacks,
            mut reason,
            untouched,
        } = weighing;
        let mut fields = Vec::new();
        if let Some(here) = &here {
            differing("", here, &wanted, &mut fields);
            fields.extend(secrets);
        }
        let (state, written) = match &here {
            None => (ConfigState::Created, Some(true)),
            Some(_) if fields.is_empty() => (ConfigState::Unchanged, None),
            Some(_) if self.overwrite || untouched => (ConfigState::Changed, Some(false)),
            Some(_) => {
                reason =
                    Some("What is here stays as it is, unless it may be overwritten".to_owned());
                (ConfigState::Kept, None)
            }
        };
        if written.is_some() {
            let key = format!("{kind} {name}");
            if let Some(here) = here {
                self.plan.before.insert(key.clone(), here);
            }
            self.plan.after.insert(key, wanted);
        }
        self.plan.items.push(ConfigItem {
            kind: kind.to_owned(),
            name: name.to_owned(),
            state,
            fields,
            reason,
            lacks,
        });
        written
    }

    /// The id that something had elsewhere, if nothing has it here; else a new one.
    fn id<K: Kind, R: Record>(&mut self, wished: Option<Id<K>>) -> Result<Id<K>> {
        if let Some(id) = wished
            && self.engine.0.catalog.get::<R>(id.bits())?.is_none()
            && self.taken.insert((R::TABLE as u8, id.bits()))
        {
            return Ok(id);
        }
        Ok(Id::generate(self.engine.now()))
    }
}

fn twice() -> Error {
    Error::invalid("It is in the document twice").hint("Leave one of them out")
}

/// What a document says of something, to be compared.
fn value<T: Serialize>(entry: &T) -> Result<Value> {
    serde_json::to_value(entry)
        .map_err(|error| Error::internal("A part of a setup is not JSON").because(error))
}

/// Names of the fields in which two documents differ, those of their parts with a dot.
fn differing(above: &str, here: &Value, wanted: &Value, names: &mut Vec<String>) {
    let (Some(old), Some(new)) = (here.as_object(), wanted.as_object()) else {
        if here != wanted {
            names.push(above.trim_end_matches('.').to_owned());
        }
        return;
    };
    let keys: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    for key in keys {
        let (old, new) = (&here[key], &wanted[key]);
        differing(&format!("{above}{key}."), old, new, names);
    }
}

/// Fields of secrets that a document has and that are others here.
fn other_secrets(given: &Opened, here: &Opened) -> Vec<String> {
    let others = given
        .iter()
        .filter(|(field, own)| here.get(*field) != Some(*own));
    others.map(|(field, _)| field.clone()).collect()
}
