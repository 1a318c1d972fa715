//! Projects, environments and connections of a document.

use super::super::super::exports::{Opened, Portable as _};
use super::super::super::jobs::repository_ids;
use super::super::super::names;
use super::super::super::projects::{check_plan, environment_from, project_from};
use super::super::super::servers::{PASSWORD, SSH_KEY, SSH_PASSPHRASE, SSH_PASSWORD};
use super::super::document::project_entry;
use super::super::kind;
use super::{Planner, Weighing, other_secrets, value};
use crate::catalog::records::{
    ConnectionRecord, DatabaseRecord, EnvironmentRecord, ProjectRecord, database_key,
    environment_key,
};
use crate::error::{Code, Error, Result};
use crate::ids::DatabaseId;
use crate::model::{
    ConfigConnection, ConfigEnvironment, Connection, ConnectionCreate, Database, EnvironmentCreate,
    Project, ProjectCreate, SshCreate,
};
use crate::secret::SecretText;

impl Planner<'_> {
    pub(super) fn project(&mut self, wanted: ProjectCreate) -> Result<()> {
        let now = self.engine.now();
        let here = self
            .engine
            .0
            .catalog
            .by_name::<ProjectRecord>(&wanted.name)?;
        let mut project = project_from(wanted, now)?;
        if let Some(ProjectRecord(here)) = &here {
            project.id = here.id;
            project.created_at = here.created_at;
        }
        self.projects.insert(project.name.clone(), project.clone());
        let here = here.map(|own| value(&project_entry(&own.0))).transpose()?;
        let written = self.weigh(Weighing::of(
            kind::PROJECT,
            &project.name,
            here,
            value(&project_entry(&project))?,
        ));
        if let Some(is_new) = written {
            let projects = &mut self.plan.changes.projects;
            projects.push(ProjectRecord(project), is_new);
        }
        Ok(())
    }

    fn project_named(&self, name: &str) -> Result<Option<Project>> {
        if let Some(project) = self.projects.get(name) {
            return Ok(Some(project.clone()));
        }
        let found = self.engine.0.catalog.by_name::<ProjectRecord>(name)?;
        Ok(found.map(|found| found.0))
    }

    pub(super) fn environment(&mut self, mut wanted: ConfigEnvironment) -> Result<()> {
        let engine = self.engine;
        let missing = || {
            let text = format!("There is no project \"{}\"", wanted.project);
            Error::new(Code::ProjectNotFound, text).hint("Add it to the document")
        };
        let project = self.project_named(&wanted.project)?.ok_or_else(missing)?;
        let name = environment_key(&project.name, &wanted.name);
        let create = EnvironmentCreate {
            name: wanted.name.clone(),
            description: wanted.description.clone(),
        };
        let mut record = environment_from(&project, create, engine.now())?;
        let here = engine.0.catalog.by_name::<EnvironmentRecord>(&name)?;
        if let Some(schedule) = &mut wanted.schedule {
            check_plan(schedule)?;
            record.repository_ids = repository_ids(&schedule.repositories, self)?;
            schedule.enabled &= !(self.paused && here.is_none());
        }
        record.schedule.clone_from(&wanted.schedule);
        if let Some(here) = &here {
            record.environment.id = here.environment.id;
            record.environment.created_at = here.environment.created_at;
        }
        let own = record.environment.clone();
        wanted.description.clone_from(&own.description);
        self.environments.insert(name.clone(), own);
        let here = here.map(|own| engine.environment_entry(&own)).transpose()?;
        let written = self.weigh(Weighing::of(
            kind::ENVIRONMENT,
            &name,
            here.map(|own| value(&own)).transpose()?,
            value(&wanted)?,
        ));
        if let Some(is_new) = written {
            self.plan.changes.environments.push(record, is_new);
        }
        Ok(())
    }

    /// Makes the project and environment of a connection, where they are neither here nor in the document.
    fn place(&mut self, project: &str, environment: &str) -> Result<()> {
        if self.project_named(project)?.is_none() {
            self.project(ProjectCreate {
                name: project.to_owned(),
                description: None,
            })?;
        }
        let name = environment_key(project, environment);
        let catalog = &self.engine.0.catalog;
        if self.environments.contains_key(&name)
            || catalog.by_name::<EnvironmentRecord>(&name)?.is_some()
        {
            return Ok(());
        }
        self.environment(ConfigEnvironment {
            project: project.to_owned(),
            name: environment.to_owned(),
            description: None,
            schedule: None,
        })
    }

    pub(super) fn connection(&mut self, wanted: &ConfigConnection) -> Result<()> {
        let engine = self.engine;
        names::check(kind::CONNECTION, &wanted.name)?;
        let here = engine.0.catalog.by_name::<ConnectionRecord>(&wanted.name)?;
        let given = self.secrets.of(kind::CONNECTION, &wanted.name);
        let create = create_of(wanted, &given);
        let target = engine.target_of_request(&create)?;
        let id = match &here {
            Some(here) => here.connection.id,
            None => self.id::<_, ConnectionRecord>(wanted.id)?,
        };
        let mut record = engine.new_record(id, &create, &target)?;
        let given = engine.opened(record.clone())?;
        let mut known = Opened::new();
        if let Some(here) = &here {
            known = engine.opened(here.clone())?;
            let mut kept = here.clone();
            let (_, kept) = kept.secrets();
            for ((_, slot), (_, kept)) in record.secrets().1.into_iter().zip(kept) {
                if slot.is_none() {
                    slot.clone_from(kept);
                }
            }
            let (own, here) = (&mut record.connection, &here.connection);
            own.created_at = here.created_at;
            own.server_version.clone_from(&here.server_version);
            own.last_test.clone_from(&here.last_test);
        }
        record.connection.has_password = record.password.is_some();
        let own = record.connection.clone();
        self.place(&own.project, &own.environment)?;
        self.connections.insert(own.name.clone(), own.clone());
        let has = engine.opened(record.clone())?;
        let lacks = wanted
            .secrets
            .iter()
            .filter(|field| !has.contains_key(*field));
        let lacks = lacks.cloned().collect();
        let plain = |mut entry: ConfigConnection| {
            entry.secrets.clear();
            entry
                .databases
                .retain(|name, _| wanted.databases.contains_key(name));
            value(&entry)
        };
        let mut shown = engine.connection_entry(record.clone())?;
        shown.databases.clone_from(&wanted.databases);
        let here = here.map(|own| engine.connection_entry(own)).transpose()?;
        let is_new = here.is_none();
        let written = self.weigh(Weighing {
            secrets: other_secrets(&given, &known),
            lacks,
            ..Weighing::of(
                kind::CONNECTION,
                &own.name,
                here.map(plain).transpose()?,
                plain(shown)?,
            )
        });
        if written.is_some() {
            self.plan.changes.connections.push(record, is_new);
            self.databases(&own, wanted)?;
        }
        Ok(())
    }

    fn databases(&mut self, own: &Connection, wanted: &ConfigConnection) -> Result<()> {
        let now = self.engine.now();
        for (name, selected) in &wanted.databases {
            let key = database_key(own.id, name);
            let here = self.engine.0.catalog.by_name::<DatabaseRecord>(&key)?;
            let is_new = here.is_none();
            let mut record = here.unwrap_or_else(|| {
                DatabaseRecord(Database {
                    id: DatabaseId::generate(now),
                    serial: 0,
                    connection_id: own.id,
                    name: name.clone(),
                    selected: *selected,
                    owner: None,
                    encoding: None,
                    size_bytes: None,
                    present: true,
                    discovered_at: now,
                    seen_at: now,
                })
            });
            record.0.selected = *selected;
            self.plan.changes.databases.push(record, is_new);
        }
        Ok(())
    }
}

fn create_of(wanted: &ConfigConnection, given: &Opened) -> ConnectionCreate {
    let secret = |field: &str| given.get(field).map(SecretText::new);
    ConnectionCreate {
        name: wanted.name.clone(),
        url: wanted.url.clone(),
        password: secret(PASSWORD),
        ssh: wanted.ssh.clone().map(|ssh| SshCreate {
            host: ssh.host,
            port: Some(ssh.port),
            user: ssh.user,
            private_key: secret(SSH_KEY),
            passphrase: secret(SSH_PASSPHRASE),
            password: secret(SSH_PASSWORD),
            host_key: ssh.host_key,
        }),
        project: wanted.project.clone(),
        environment: wanted.environment.clone(),
        include_new_databases: wanted.include_new_databases,
        test: Some(false),
    }
}
