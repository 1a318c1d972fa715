//! Connections: add, edit, test, remove.

use super::Engine;
use super::probe::{self, Probe};
use super::projects::{DEFAULT, hand_jobs_over};
use super::servers::{self, PASSWORD, SSH_KEY, SSH_PASSPHRASE, SSH_PASSWORD};
use super::visible::{must_see_project, of_own_projects};
use super::{names, servers::ssh_info};
use crate::catalog::records::{ConnectionRecord, DatabaseRecord, HealthRecord, connection};
use crate::catalog::{Query, Tx};
use crate::error::{Code, Error, Result};
use crate::ids::ConnectionId;
use crate::model::{
    Connection, ConnectionCreate, ConnectionEdit, ConnectionList, ConnectionTest, ConnectionTry,
    Page, ServerKind, TestSummary,
};
use crate::secret::SecretText;
use crate::source::postgres::Target;
use crate::vault::Sealed;

const DEFAULT_DATABASE: &str = "postgres";

impl Engine {
    /// Saved connections, newest first.
    pub async fn connections(&self, list: &ConnectionList) -> Result<Page<Connection>> {
        let query = Query::page(list.limit, list.cursor.as_deref())?
            .only(connection::PROJECT, list.project.as_ref())
            .only(connection::ENVIRONMENT, list.environment.as_ref())
            .only(connection::ENGINE, list.engine);
        let query = of_own_projects(query);
        let slice = self.0.catalog.list::<ConnectionRecord>(&query)?;
        Ok(slice.page(|record| record.connection))
    }

    /// One connection, by id or name.
    pub async fn connection(&self, key: &str) -> Result<Connection> {
        Ok(self.find_connection(key)?.connection)
    }

    /// Saves a connection; it is tested first unless the request says otherwise.
    pub async fn add_connection(&self, create: ConnectionCreate) -> Result<Connection> {
        names::check("connection", &create.name)?;
        if self
            .0
            .catalog
            .by_name::<ConnectionRecord>(&create.name)?
            .is_some()
        {
            return Err(exists(&create.name));
        }
        let target = self.target_of_request(&create)?;
        let id = ConnectionId::generate(self.now());
        let mut record = self.new_record(id, &create, &target)?;
        must_see_project(&record.connection.project)?;
        let probe = if create.test.unwrap_or(true) {
            Some(self.must_work(&target).await?)
        } else {
            None
        };
        self.take_over(&mut record.connection, probe.as_ref());
        let (project, environment) = place_of(&record.connection);
        self.ensure_environment(&project, &environment).await?;
        let name = create.name.clone();
        let added = self.put_audited("connection.add", id, record, |record| &record.connection);
        let saved = added.await.map_err(|error| match error.code() {
            Code::Conflict => exists(&name),
            _ => error,
        })?;
        if let Some(probe) = probe {
            self.remember_databases(&saved.connection, probe.databases, None)
                .await?;
        }
        self.publish("connection.added", saved.connection.id, &saved.connection);
        self.changed();
        self.follow_schedule_of(&project, &environment).await;
        Ok(saved.connection)
    }

    /// Changes a connection; it is tested first unless the request says otherwise.
    pub async fn edit_connection(&self, key: &str, edit: ConnectionEdit) -> Result<Connection> {
        let mut record = self.find_connection(key)?;
        let id = record.connection.id;
        let new_password = edit.password.is_some();
        let reaches_elsewhere = edit.url.is_some()
            || edit.password.is_some()
            || edit.ssh.is_some()
            || edit.remove_ssh == Some(true);
        self.apply(&mut record, &edit)?;
        must_see_project(&record.connection.project)?;
        let mut probe = None;
        if reaches_elsewhere && edit.test.unwrap_or(true) {
            let target = self.target(&record)?;
            probe = Some(self.must_work(&target).await?);
        }
        let (project, environment) = place_of(&record.connection);
        self.ensure_environment(&project, &environment).await?;
        let name = record.connection.name.clone();
        // The probe took its time: what others changed meanwhile stays.
        let change = |record: &ConnectionRecord| {
            let mut record = record.clone();
            self.apply(&mut record, &edit)?;
            self.take_over(&mut record.connection, probe.as_ref());
            record.connection.updated_at = self.now();
            Ok(record)
        };
        let scribe = self.scribe();
        let note = move |tx: &Tx<'_>, before: &ConnectionRecord, after: &ConnectionRecord| {
            let after = Changed {
                connection: &after.connection,
                new_password,
            };
            let before = &before.connection;
            scribe.note(tx, "connection.edit", id, Some(before), Some(&after))?;
            hand_jobs_over(tx, &scribe, before, after.connection)
        };
        let edited = self.0.catalog.edit_with(id.bits(), change, note);
        let edited = edited.await.map_err(|error| match error.code() {
            Code::Conflict => exists(&name),
            _ => error,
        })?;
        let (
            ConnectionRecord {
                connection: before, ..
            },
            saved,
        ) = edited.ok_or_else(|| Error::new(Code::ConnectionNotFound, "The connection is gone"))?;
        self.publish("connection.changed", id, &saved.connection);
        self.changed();
        if place_of(&before) != place_of(&saved.connection) {
            for place in [&before, &saved.connection] {
                self.follow_schedule_of(&place.project, &place.environment)
                    .await;
            }
            self.publish_jobs_of(id)?;
        }
        Ok(saved.connection)
    }

    /// Removes a connection; its backups stay. Refused while a run works on it.
    pub async fn remove_connection(&self, key: &str) -> Result<()> {
        let record = self.find_connection(key)?;
        let id = record.connection.id;
        let what = format!("the connection \"{}\"", record.connection.name);
        self.refuse_used_by_job(&what, |job| {
            job.connection_id == id && job.environment_id.is_none()
        })?;
        self.refuse_used_by_drill(&what, |drill| {
            drill.connection_id == id || drill.scratch_connection_id == id
        })?;
        if self.0.runs.touches(id) {
            return Err(Error::new(
                Code::RunBusy,
                format!("A run works on connection \"{}\"", record.connection.name),
            )
            .hint("Wait for it or cancel it; `backstay run list` shows it"));
        }
        let databases: Vec<u128> = self
            .databases_of(id)?
            .iter()
            .map(|record| record.0.id.bits())
            .collect();
        self.audited(move |tx, scribe| {
            if let Some(ConnectionRecord { connection, .. }) = tx.remove(id.bits())? {
                let gone = Some(&connection);
                scribe.note(tx, "connection.remove", id, gone, None::<&()>)?;
            }
            tx.remove::<HealthRecord>(id.bits())?;
            for database in &databases {
                tx.remove::<DatabaseRecord>(*database)?;
            }
            Ok(())
        })
        .await?;
        self.publish("connection.removed", id, &record.connection);
        self.watch_targets_now().await;
        self.follow_schedule_of(&record.connection.project, &record.connection.environment)
            .await;
        Ok(())
    }

    /// Tries a saved connection. An unreachable server is an answer with `ok: false`, not an error.
    pub async fn test_connection(&self, key: &str) -> Result<ConnectionTest> {
        let record = self.find_connection(key)?;
        let target = self.target(&record)?;
        let (test, probe) = match probe::probe(&target, &self.0.clock).await {
            Ok(probe) => (probe.test.clone(), Some(probe)),
            Err(error) => (probe::failed_test(&error), None),
        };
        let tried = record.connection.clone();
        let summary = self.summary(&test);
        let version = test.server_version.clone();
        self.0
            .catalog
            .write(move |tx| {
                tx.change::<ConnectionRecord>(record.connection.id.bits(), |record| {
                    record.connection.last_test = Some(summary.clone());
                    if version.is_some() {
                        record.connection.server_version.clone_from(&version);
                    }
                    Ok(())
                })
            })
            .await?;
        self.connection_tried(&tried, (!test.ok).then_some(&test.message))
            .await?;
        if let Some(probe) = probe {
            let connection = self.find_connection(key)?.connection;
            self.remember_databases(&connection, probe.databases, None)
                .await?;
        }
        Ok(test)
    }

    /// Tries a connection before it is saved.
    pub async fn test_new_connection(&self, tried: ConnectionTry) -> Result<ConnectionTest> {
        let target = self.target_of(&tried.url, tried.password.as_ref(), tried.ssh.as_ref())?;
        Ok(match probe::probe(&target, &self.0.clock).await {
            Ok(probe) => probe.test,
            Err(error) => probe::failed_test(&error),
        })
    }

    async fn must_work(&self, target: &Target) -> Result<Probe> {
        probe::probe(target, &self.0.clock).await.map_err(|error| {
            if error.hint_text().is_some() {
                return error;
            }
            error.hint("Mend it, or save the connection as it is with --no-test")
        })
    }

    fn summary(&self, test: &ConnectionTest) -> TestSummary {
        TestSummary {
            at: self.now(),
            ok: test.ok,
            message: test.message.clone(),
            facts: test.facts.clone(),
            warnings: test.warnings.clone(),
        }
    }

    fn take_over(&self, connection: &mut Connection, probe: Option<&Probe>) {
        if let Some(probe) = probe {
            connection.last_test = Some(self.summary(&probe.test));
            connection
                .server_version
                .clone_from(&probe.test.server_version);
        }
    }

    fn seal(
        &self,
        id: ConnectionId,
        field: &str,
        secret: Option<&SecretText>,
    ) -> Result<Option<Sealed>> {
        let vault = self.0.catalog.vault();
        secret
            .filter(|secret| !secret.expose().is_empty())
            .map(|secret| vault.seal(&id.to_string(), field, secret))
            .transpose()
    }

    pub(super) fn new_record(
        &self,
        id: ConnectionId,
        create: &ConnectionCreate,
        target: &Target,
    ) -> Result<ConnectionRecord> {
        let now = self.now();
        let group = |field: &str, name: &Option<String>| {
            let name = name.clone().unwrap_or_else(|| DEFAULT.to_owned());
            names::check_group(field, &name).map(|()| name)
        };
        let (host, port) = servers::place(target);
        let ssh = create.ssh.as_ref();
        Ok(ConnectionRecord {
            connection: Connection {
                id,
                serial: 0,
                name: create.name.clone(),
                engine: ServerKind::Postgres,
                url: target.to_url(),
                host,
                port,
                user: target.user.clone(),
                database: database_name(target),
                has_password: target.password.is_some(),
                tls_mode: target.tls.mode.name().to_owned(),
                ssh: ssh.map(ssh_info).transpose()?,
                project: group("project", &create.project)?,
                environment: group("environment", &create.environment)?,
                include_new_databases: create.include_new_databases.unwrap_or(true),
                server_version: None,
                last_test: None,
                created_at: now,
                updated_at: now,
            },
            password: self.seal(id, PASSWORD, target.password.as_ref())?,
            ssh_key: self.seal(id, SSH_KEY, ssh.and_then(|s| s.private_key.as_ref()))?,
            ssh_passphrase: self.seal(
                id,
                SSH_PASSPHRASE,
                ssh.and_then(|s| s.passphrase.as_ref()),
            )?,
            ssh_password: self.seal(id, SSH_PASSWORD, ssh.and_then(|s| s.password.as_ref()))?,
        })
    }

    fn apply(&self, record: &mut ConnectionRecord, edit: &ConnectionEdit) -> Result<()> {
        let id = record.connection.id;
        if let Some(name) = &edit.name {
            names::check("connection", name)?;
            record.connection.name.clone_from(name);
        }
        if let Some(project) = &edit.project {
            names::check_group("project", project)?;
            record.connection.project.clone_from(project);
        }
        if let Some(environment) = &edit.environment {
            names::check_group("environment", environment)?;
            record.connection.environment.clone_from(environment);
        }
        if let Some(include) = edit.include_new_databases {
            record.connection.include_new_databases = include;
        }
        if let Some(url) = &edit.url {
            let target = servers::read_url(url)?;
            if edit.password.is_none() && target.password.is_none() && record.password.is_some() {
                refuse_to_send_elsewhere(&record.connection, &target)?;
            }
            let connection = &mut record.connection;
            (connection.host, connection.port) = servers::place(&target);
            connection.url = target.to_url();
            connection.user.clone_from(&target.user);
            connection.database = database_name(&target);
            target.tls.mode.name().clone_into(&mut connection.tls_mode);
            if target.password.is_some() {
                record.password = self.seal(id, PASSWORD, target.password.as_ref())?;
            }
        }
        if let Some(password) = &edit.password {
            record.password = self.seal(id, PASSWORD, Some(password))?;
        }
        record.connection.has_password = record.password.is_some();
        if edit.remove_ssh == Some(true) {
            record.connection.ssh = None;
            record.ssh_key = None;
            record.ssh_passphrase = None;
            record.ssh_password = None;
        }
        if let Some(ssh) = &edit.ssh {
            let info = ssh_info(ssh)?;
            let there = record.connection.ssh.as_ref();
            if there.is_none_or(|old| (&old.host, old.port) != (&info.host, info.port)) {
                // What a tunnel leads to is for its host to say.
                let given = edit.password.is_some() || url_brings_a_password(edit);
                if record.password.is_some() && !given {
                    return Err(not_sent_elsewhere("the tunnel"));
                }
                if record.ssh_password.is_some() && ssh.password.is_none() {
                    return Err(not_sent_elsewhere("the tunnel, its own password included,"));
                }
            }
            record.connection.ssh = Some(info);
            for (field, secret, place) in [
                (SSH_KEY, &ssh.private_key, &mut record.ssh_key),
                (SSH_PASSPHRASE, &ssh.passphrase, &mut record.ssh_passphrase),
                (SSH_PASSWORD, &ssh.password, &mut record.ssh_password),
            ] {
                if secret.is_some() {
                    *place = self.seal(id, field, secret.as_ref())?;
                }
            }
        }
        Ok(())
    }
}

/// A connection as the audit log shows it after a change: that a secret was replaced shows nowhere else.
#[derive(Debug, serde::Serialize)]
struct Changed<'a> {
    #[serde(flatten)]
    connection: &'a Connection,
    new_password: bool,
}

/// Refuses a URL with which the stored password would go to somebody it was not given for: to another host
/// or account, or under weaker encryption.
fn refuse_to_send_elsewhere(now: &Connection, then: &Target) -> Result<()> {
    let before = servers::read_url(&now.url)?;
    let is_weaker = then.tls.mode.strength() < before.tls.mode.strength();
    if servers::place(then) != servers::place(&before) {
        Err(not_sent_elsewhere("host or port"))
    } else if then.user != before.user {
        Err(not_sent_elsewhere("user"))
    } else if is_weaker || then.tls.root_cert != before.tls.root_cert {
        Err(not_sent_elsewhere("the encryption"))
    } else {
        Ok(())
    }
}

fn not_sent_elsewhere(what: &str) -> Error {
    Error::invalid(format!(
        "The stored password is not used where {what} changes: give it again"
    ))
    .field("password", "must be given with this change")
    .hint("Put it into the URL or into `password`; an empty one removes what is stored")
}

fn url_brings_a_password(edit: &ConnectionEdit) -> bool {
    let target = edit.url.as_deref().map(servers::read_url);
    target.is_some_and(|target| target.is_ok_and(|target| target.password.is_some()))
}

fn place_of(connection: &Connection) -> (String, String) {
    (connection.project.clone(), connection.environment.clone())
}

fn database_name(target: &Target) -> String {
    let named = target.database.clone();
    named.unwrap_or_else(|| DEFAULT_DATABASE.to_owned())
}

fn exists(name: &str) -> Error {
    Error::new(
        Code::ConnectionExists,
        format!("There is a connection \"{name}\" already"),
    )
    .hint("Choose another name, or change that one with `backstay connection edit`")
}
