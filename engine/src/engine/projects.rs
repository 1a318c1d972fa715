//! Projects and their environments.

mod contents;
mod schedule;

pub(super) use schedule::{check_plan, hand_jobs_over};

use super::visible::must_see_project;
use super::{Engine, names};
use crate::access::scope;
use crate::catalog::records::{
    ApiKeyRecord, ConnectionRecord, EnvironmentRecord, GroupRecord, ProjectRecord, connection,
    environment, environment_key,
};
use crate::catalog::{Query, Record};
use crate::error::{Code, Error, Result};
use crate::ids::{EnvironmentId, EnvironmentKind, ProjectId, ProjectKind};
use crate::model::{
    Environment, EnvironmentCreate, EnvironmentEdit, EnvironmentList, Page, PageRequest, Project,
    ProjectCreate, ProjectEdit, Time,
};

/// The project, and the environment in it, where connections are when nothing is said.
pub(super) const DEFAULT: &str = "default";

impl Engine {
    /// Projects that the caller may see, newest first.
    pub async fn projects(&self, page: &PageRequest) -> Result<Page<Project>> {
        let Some(own) = scope::current().projects.clone() else {
            let query = Query::page(page.limit, page.cursor.as_deref())?;
            let slice = self.0.catalog.list::<ProjectRecord>(&query)?;
            return Ok(slice.page(|record| record.0));
        };
        let mut items = Vec::new();
        for name in &own {
            items.extend(
                self.0
                    .catalog
                    .by_name::<ProjectRecord>(name)?
                    .map(|record| record.0),
            );
        }
        items.sort_by_key(|project| std::cmp::Reverse(project.id));
        items.dedup();
        Page::cut(items, page, |project| project.id)
    }

    /// One project, by id or name.
    pub async fn project(&self, key: &str) -> Result<Project> {
        Ok(self.find_project(key)?.0)
    }

    pub(super) fn find_project(&self, key: &str) -> Result<ProjectRecord> {
        self.find::<ProjectRecord, ProjectKind>(key)?
            .ok_or_else(|| {
                Error::new(
                    Code::ProjectNotFound,
                    format!("There is no project \"{key}\""),
                )
                .hint("`backstay project list` shows them")
            })
    }

    pub(super) fn find_environment(&self, key: &str) -> Result<EnvironmentRecord> {
        self.find::<EnvironmentRecord, EnvironmentKind>(key)?
            .ok_or_else(|| {
                Error::new(
                    Code::EnvironmentNotFound,
                    format!("There is no environment \"{key}\""),
                )
                .hint("Write PROJECT/ENVIRONMENT; `backstay environment list` shows them")
            })
    }

    /// Adds a project.
    pub async fn add_project(&self, create: ProjectCreate) -> Result<Project> {
        let project = project_from(create, self.now())?;
        must_see_project(&project.name)?;
        let (id, name) = (project.id, project.name.clone());
        let record = ProjectRecord(project);
        let added = self.put_audited("project.add", id, record, |record| &record.0);
        let ProjectRecord(project) = added.await.map_err(taken("project", &name))?;
        self.watch_targets_now().await;
        Ok(project)
    }

    /// Changes what a project is said to be for.
    pub async fn edit_project(&self, key: &str, edit: ProjectEdit) -> Result<Project> {
        let id = self.find_project(key)?.0.id;
        let change = |record: &ProjectRecord| {
            let ProjectRecord(mut project) = record.clone();
            if let Some(text) = &edit.description {
                project.description = described(Some(text))?;
            }
            project.updated_at = self.now();
            Ok(ProjectRecord(project))
        };
        let id = (id.bits(), id);
        let edited = self.edit_audited("project.edit", id, change, |record| &record.0);
        let (_, ProjectRecord(after)) = edited
            .await?
            .ok_or_else(|| gone(Code::ProjectNotFound, "project", key))?;
        Ok(after)
    }

    /// Removes a project and its environments, none of which has a connection. Refused while a group or an
    /// API key is limited to it: another project of its name would be theirs.
    pub async fn remove_project(&self, key: &str) -> Result<()> {
        let ProjectRecord(project) = self.find_project(key)?;
        refuse_default(&project.name)?;
        let what = format!("The project \"{}\"", project.name);
        let connections = Query::newest(3).only(connection::PROJECT, Some(&project.name));
        self.refuse_filled(&what, &connections)?;
        let limited = |what: &str, name: &str| {
            Err(Error::new(
                Code::Conflict,
                format!(
                    "The {what} \"{name}\" is limited to the project \"{}\"",
                    project.name
                ),
            )
            .hint("Change or remove it first"))
        };
        for GroupRecord(group) in self.0.catalog.all::<GroupRecord>()? {
            if group.projects.contains(&project.name) {
                return limited("group", &group.name);
            }
        }
        for ApiKeyRecord { key, .. } in self.0.catalog.all::<ApiKeyRecord>()? {
            if key.projects.contains(&project.name) {
                return limited("API key", &key.name);
            }
        }
        let environments: Vec<u128> = self
            .environments_of(project.id)?
            .iter()
            .map(Record::id)
            .collect();
        let id = project.id;
        self.audited(move |tx, scribe| {
            for environment in &environments {
                tx.remove::<EnvironmentRecord>(*environment)?;
            }
            match tx.remove::<ProjectRecord>(id.bits())? {
                Some(ProjectRecord(gone)) => {
                    scribe.note(tx, "project.remove", id, Some(&gone), None::<&()>)
                }
                None => Ok(()),
            }
        })
        .await?;
        self.watch_targets_now().await;
        Ok(())
    }

    fn environments_of(&self, id: ProjectId) -> Result<Vec<EnvironmentRecord>> {
        let query = Query::newest(usize::MAX).only(environment::PROJECT, Some(id));
        Ok(self.0.catalog.list::<EnvironmentRecord>(&query)?.records)
    }

    /// Environments that the caller may see, newest first.
    pub async fn environments(&self, list: &EnvironmentList) -> Result<Page<Environment>> {
        let mut query = Query::page(list.limit, list.cursor.as_deref())?;
        if let Some(project) = list.project.as_deref().filter(|key| !key.is_empty()) {
            query = query.only(environment::PROJECT, Some(self.find_project(project)?.0.id));
        }
        if let Some(own) = &scope::current().projects {
            let mut seen = Vec::new();
            for name in own {
                seen.extend(
                    self.0
                        .catalog
                        .by_name::<ProjectRecord>(name)?
                        .map(|record| record.0.id),
                );
            }
            query = query.any_of(environment::PROJECT, seen);
        }
        let slice = self.0.catalog.list::<EnvironmentRecord>(&query)?;
        Ok(slice.page(|record| record.environment))
    }

    /// One environment, by id or as `PROJECT/ENVIRONMENT`.
    pub async fn environment(&self, key: &str) -> Result<Environment> {
        Ok(self.find_environment(key)?.environment)
    }

    /// Adds an environment to a project.
    pub async fn add_environment(
        &self,
        project: &str,
        create: EnvironmentCreate,
    ) -> Result<Environment> {
        let ProjectRecord(project) = self.find_project(project)?;
        let name = environment_key(&project.name, &create.name);
        let record = environment_from(&project, create, self.now())?;
        let id = record.environment.id;
        let added = self.put_audited("environment.add", id, record, |record| &record.environment);
        let added = added.await.map_err(taken("environment", &name))?;
        Ok(added.environment)
    }

    /// Changes what an environment is said to be for.
    pub async fn edit_environment(&self, key: &str, edit: EnvironmentEdit) -> Result<Environment> {
        let change = |record: &mut EnvironmentRecord| {
            if let Some(text) = &edit.description {
                record.environment.description = described(Some(text))?;
            }
            Ok(())
        };
        let edited = self.edit_environment_record("environment.edit", key, change, |record| {
            &record.environment
        });
        Ok(edited.await?.environment)
    }

    /// Changes an environment; answers what it became.
    async fn edit_environment_record<V: serde::Serialize + 'static>(
        &self,
        action: &str,
        key: &str,
        change: impl Fn(&mut EnvironmentRecord) -> Result<()>,
        shown: fn(&EnvironmentRecord) -> &V,
    ) -> Result<EnvironmentRecord> {
        let id = self.find_environment(key)?.environment.id;
        let edit = |record: &EnvironmentRecord| {
            let mut record = record.clone();
            change(&mut record)?;
            record.environment.updated_at = self.now();
            Ok(record)
        };
        let edited = self.edit_audited(action, (id.bits(), id), edit, shown);
        let (_, after) = edited
            .await?
            .ok_or_else(|| gone(Code::EnvironmentNotFound, "environment", key))?;
        Ok(after)
    }

    /// Removes an environment that has no connection.
    pub async fn remove_environment(&self, key: &str) -> Result<()> {
        let own = self.find_environment(key)?.environment;
        if own.name == DEFAULT {
            refuse_default(&own.project)?;
        }
        let name = environment_key(&own.project, &own.name);
        let connections = Query::newest(3)
            .only(connection::PROJECT, Some(&own.project))
            .only(connection::ENVIRONMENT, Some(&own.name));
        self.refuse_filled(&format!("The environment \"{name}\""), &connections)?;
        let id = (own.id.bits(), own.id);
        self.remove_audited::<EnvironmentRecord, _>("environment.remove", id, |record| {
            &record.environment
        })
        .await
    }

    fn refuse_filled(&self, what: &str, connections: &Query) -> Result<()> {
        let slice = self.0.catalog.list::<ConnectionRecord>(connections)?;
        if slice.records.is_empty() {
            return Ok(());
        }
        let mut named: Vec<_> = slice
            .records
            .into_iter()
            .map(|record| record.connection.name)
            .collect();
        if slice.next_cursor.is_some() {
            named.push("…".to_owned());
        }
        Err(Error::new(
            Code::Conflict,
            format!("{what} still has connections: {}", named.join(", ")),
        )
        .hint("Move them with `backstay connection edit NAME --environment P/E`, or remove them"))
    }

    /// Makes the project and environment that a connection is put into, where they are missing and the
    /// caller may add them.
    pub(super) async fn ensure_environment(&self, project: &str, environment: &str) -> Result<()> {
        let catalog = &self.0.catalog;
        if catalog.by_name::<ProjectRecord>(project)?.is_none() {
            scope::current().require_in("projects:create", project)?;
            let create = ProjectCreate {
                name: project.to_owned(),
                description: None,
            };
            self.add_project(create).await?;
        }
        let name = environment_key(project, environment);
        if catalog.by_name::<EnvironmentRecord>(&name)?.is_none() {
            scope::current().require_in("environments:create", project)?;
            let create = EnvironmentCreate {
                name: environment.to_owned(),
                description: None,
            };
            self.add_environment(project, create).await?;
        }
        Ok(())
    }

    /// Makes what connections name and nobody has made: in a catalog of an older version, after a rebuild,
    /// at the first start. And brings the jobs of schedules in line with them.
    pub(super) async fn ensure_environments(&self) -> Result<()> {
        self.ensure_environment(DEFAULT, DEFAULT).await?;
        for record in self.0.catalog.all::<ConnectionRecord>()? {
            let own = &record.connection;
            self.ensure_environment(&own.project, &own.environment)
                .await?;
        }
        for EnvironmentRecord { environment, .. } in self.0.catalog.all()? {
            self.follow_schedule_of(&environment.project, &environment.name)
                .await;
        }
        Ok(())
    }
}

/// The project that a request describes.
pub(super) fn project_from(create: ProjectCreate, now: Time) -> Result<Project> {
    names::check_group("project", &create.name)?;
    Ok(Project {
        id: ProjectId::generate(now),
        serial: 0,
        name: create.name,
        description: described(create.description.as_deref())?,
        created_at: now,
        updated_at: now,
    })
}

/// The environment that a request describes.
pub(super) fn environment_from(
    project: &Project,
    create: EnvironmentCreate,
    now: Time,
) -> Result<EnvironmentRecord> {
    names::check_group("environment", &create.name)?;
    Ok(EnvironmentRecord {
        environment: Environment {
            id: EnvironmentId::generate(now),
            serial: 0,
            project_id: project.id,
            project: project.name.clone(),
            name: create.name,
            description: described(create.description.as_deref())?,
            created_at: now,
            updated_at: now,
        },
        schedule: None,
        repository_ids: Vec::new(),
    })
}

fn refuse_default(project: &str) -> Result<()> {
    if project != DEFAULT {
        return Ok(());
    }
    Err(Error::new(
        Code::Conflict,
        "Connections are in default/default when nothing is said, so it stays",
    ))
}

fn gone(code: Code, noun: &str, key: &str) -> Error {
    Error::new(code, format!("The {noun} \"{key}\" is gone"))
}

fn described(text: Option<&str>) -> Result<Option<String>> {
    text.map_or(Ok(None), |text| names::remark("description", text))
}

fn taken<'a>(noun: &'a str, name: &'a str) -> impl Fn(Error) -> Error + 'a {
    move |error| match error.code() {
        Code::Conflict => Error::new(
            Code::Conflict,
            format!("There is a {noun} \"{name}\" already"),
        )
        .hint("Choose another name"),
        _ => error,
    }
}
