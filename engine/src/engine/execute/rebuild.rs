//! A rebuild: the catalog from a repository alone. What the catalog knows already stays as it is.

mod catalogs;
mod kept;

use std::collections::HashMap;

use super::Engine;
use super::adopt::backup_of_snapshot;
use crate::catalog::Record;
use crate::catalog::records::{
    BackupRecord, ConnectionRecord, Remark, RepositoryRecord, TrashRecord,
};
use crate::engine::exports::{CatalogExport, ConnectionExport};
use crate::engine::pool::existing_storage_at;
use crate::engine::servers::{PASSWORD, SSH_KEY, SSH_PASSPHRASE, SSH_PASSWORD};
use crate::error::{Code, Error, Result};
use crate::ids::{BackupId, NoteId, RepositoryId};
use crate::model::{Backup, Deletion, KeyKind, Level, RebuildReport, Repository as Shown, Time};
use crate::monitor::Task;
use crate::repository::{Credential, NoteState, Repository};
use crate::runs::{Credentials, Finish};
use crate::secret::{SecretKey, SecretText};
use crate::vault::{Sealed, parse_key};

/// As good as never, in seconds since 1970.
const FOREVER_SECONDS: i64 = 253_370_764_800;

/// What became of a record of an exported catalog.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Put {
    New,
    Known,
    /// Another one has its name.
    LeftOut,
}

impl Engine {
    pub(super) async fn do_rebuild(&self, credentials: Credentials, task: &Task) -> Result<Finish> {
        let (name, location) = credentials
            .place
            .clone()
            .ok_or_else(|| Error::internal("The rebuild has no place"))?;
        task.monitor.stage("opening the repository");
        let credential = credential(&credentials)?;
        let storage = existing_storage_at(&location).await?;
        let repository = task
            .or_cancelled(Repository::open(storage, &credential, self.open_options()))
            .await?;
        let mut report = RebuildReport::default();
        let (exports, mut taken_in) = self.read_exports(&repository, &mut report).await?;
        let (origins, exports): (Vec<_>, Vec<_>) = exports.into_iter().unzip();
        let record = self
            .known_or_new(name, &location, &repository, &exports, &credential)
            .await?;
        self.0
            .pool
            .keep(record.repository.id.bits(), repository.clone());
        task.monitor.stage("bringing connections back");
        for (origin, export) in origins.iter().zip(&exports) {
            if !self.take_in(export, &mut report, task).await? {
                // A later rebuild looks at it again.
                taken_in.retain(|taken| taken != origin);
            }
        }
        self.ensure_environments().await?;
        self.take_backups(&repository, &record, &exports, &mut report, task)
            .await?;
        self.remember_taken_in(&record, taken_in).await?;
        self.choose_default(record, task).await?;
        for message in &report.messages {
            task.monitor.note(Level::Warning, message);
        }
        Ok(Finish {
            partial: !report.messages.is_empty(),
            result: serde_json::to_value(&report).unwrap_or_default(),
            ..Finish::default()
        })
    }

    /// The record of this repository: the one that is known, or a new one with a key file of its own.
    async fn known_or_new(
        &self,
        name: Option<String>,
        location: &str,
        repository: &Repository,
        exports: &[CatalogExport],
        credential: &Credential,
    ) -> Result<RepositoryRecord> {
        let uid = NoteId::from_bytes(repository.uid()).uuid();
        let all = self.0.catalog.all::<RepositoryRecord>()?;
        if let Some(known) = all.iter().find(|record| record.repository.uid == uid) {
            return Ok(known.clone());
        }
        let exported = exports
            .iter()
            .flat_map(|export| &export.repositories)
            .find(|exported| exported.uid == uid);
        let wished = name.or_else(|| exported.map(|exported| exported.name.clone()));
        let wished = wished.unwrap_or_else(|| "rebuilt".to_owned());
        crate::engine::names::check("repository", &wished)?;
        let taken = |name: &str| all.iter().any(|record| record.repository.name == name);
        let mut name = wished.clone();
        let mut number = 2;
        while taken(&name) {
            name = format!("{wished}-{number}");
            number += 1;
        }
        let id = exported.map_or_else(
            || RepositoryId::generate(self.now()),
            |exported| exported.id,
        );
        // The engine opens it by itself from now on, whatever opened it this time.
        let key = SecretKey::random();
        repository
            .add_slot(&Credential::KeyFile(key.clone()), &self.identity())
            .await?;
        let path = self.write_key_file(id, &key)?;
        let recovery_code = match credential {
            Credential::RecoveryCode(code) => {
                let vault = self.0.catalog.vault();
                Some(vault.seal(&id.to_string(), crate::engine::pool::RECOVERY_CODE, code)?)
            }
            _ => None,
        };
        let record = RepositoryRecord {
            repository: Shown {
                id,
                serial: 0,
                name,
                location: location.to_owned(),
                uid,
                is_default: all.is_empty(),
                key: KeyKind::KeyFile,
                kit_taken_at: exported.and_then(|exported| exported.kit_taken_at),
                created_at: exported.map_or_else(|| self.now(), |exported| exported.created_at),
                checked_at: None,
                pruned_at: None,
            },
            key_file: Some(path),
            passphrase: None,
            recovery_code,
            taken_in: Vec::new(),
        };
        self.0.catalog.put(record).await
    }

    /// Takes in what the catalog lacks; whether nothing had to be left out.
    async fn take_in(
        &self,
        export: &CatalogExport,
        report: &mut RebuildReport,
        task: &Task,
    ) -> Result<bool> {
        let mut left_out = 0u64;
        for exported in &export.connections {
            let name = &exported.connection.name;
            let known = self
                .0
                .catalog
                .get::<ConnectionRecord>(exported.connection.id.bits())?;
            if known.is_some() {
                continue;
            }
            let record = self.connection_from(exported)?;
            match self.0.catalog.put(record).await {
                Ok(_) => report.connections += 1,
                Err(error) if error.code() == Code::Conflict => {
                    left_out += 1;
                    report.messages.push(format!(
                        "Connection \"{name}\" was left out: another one has its name"
                    ));
                }
                Err(error) => return Err(error),
            }
        }
        let mut count = |put: Put| {
            left_out += u64::from(put == Put::LeftOut);
            u64::from(put == Put::New)
        };
        for record in &export.databases {
            let put = self.put_if_new(record.clone(), task);
            count(put.await?);
        }
        for record in export.runs.iter().rev() {
            let put = self.put_if_new(record.clone(), task);
            report.runs += count(put.await?);
        }
        for record in export.restores.iter().rev() {
            let put = self.put_if_new(record.clone(), task);
            report.restores += count(put.await?);
        }
        left_out += self.take_in_kept(export, report, task).await?;
        Ok(left_out == 0)
    }

    /// Saves a record unless one of its id or name is known.
    async fn put_if_new<R: Record>(&self, mut record: R, task: &Task) -> Result<Put> {
        if self.0.catalog.get::<R>(record.id())?.is_some() {
            return Ok(Put::Known);
        }
        record.set_serial(0);
        match self.0.catalog.put(record).await {
            Ok(_) => Ok(Put::New),
            Err(error) if error.code() == Code::Conflict => {
                let text = format!("Left out: {}", error.report());
                task.monitor.note(Level::Warning, &text);
                Ok(Put::LeftOut)
            }
            Err(error) => Err(error),
        }
    }

    fn connection_from(&self, exported: &ConnectionExport) -> Result<ConnectionRecord> {
        let mut connection = exported.connection.clone();
        connection.serial = 0;
        let id = connection.id.to_string();
        let seal = |field: &str, secret: &Option<String>| -> Result<Option<Sealed>> {
            let Some(secret) = secret else {
                return Ok(None);
            };
            let vault = self.0.catalog.vault();
            vault
                .seal(&id, field, &SecretText::new(secret.clone()))
                .map(Some)
        };
        Ok(ConnectionRecord {
            password: seal(PASSWORD, &exported.password)?,
            ssh_key: seal(SSH_KEY, &exported.ssh_key)?,
            ssh_passphrase: seal(SSH_PASSPHRASE, &exported.ssh_passphrase)?,
            ssh_password: seal(SSH_PASSWORD, &exported.ssh_password)?,
            connection,
        })
    }

    async fn take_backups(
        &self,
        repository: &Repository,
        record: &RepositoryRecord,
        exports: &[CatalogExport],
        report: &mut RebuildReport,
        task: &Task,
    ) -> Result<()> {
        task.monitor.stage("reading backups");
        let ids = repository.snapshots().await?;
        task.monitor.foresee(Some(ids.len() as u64), None);
        let notes = repository.notes().await?;
        let trash: HashMap<BackupId, _> = repository
            .trash()
            .await?
            .into_iter()
            .map(|entry| (entry.backup, entry))
            .collect();
        let remarks: HashMap<BackupId, &Remark> = exports
            .iter()
            .rev()
            .flat_map(|export| &export.remarks)
            .map(|remark| (remark.backup, remark))
            .collect();
        for id in ids {
            task.check()?;
            task.monitor.advance(1, 0, 0);
            if let Some(BackupRecord(known)) = self.0.catalog.get(id.bits())? {
                if !trash.contains_key(&id) && self.adopt_late(&known, repository).await? {
                    report.backups += 1;
                }
                continue;
            }
            let read = async {
                let snapshot = repository.snapshot(id).await?;
                backup_of_snapshot(repository, record, &snapshot).await
            };
            let mut backup = match read.await {
                Ok(backup) => backup,
                Err(error) => {
                    report
                        .messages
                        .push(format!("Backup {id}: {}", error.report()));
                    continue;
                }
            };
            remember(&mut backup, notes.get(&id), remarks.get(&id).copied());
            if let Some(entry) = trash.get(&id) {
                let deletion = Deletion {
                    backup_id: id,
                    source: format!("{}/{}", backup.connection, backup.database),
                    deleted_at: entry.deleted_at,
                    purge_after: entry.purge_after,
                };
                let trashed = TrashRecord {
                    serial: 0,
                    backup,
                    deletion,
                };
                self.0.catalog.put(trashed).await?;
                continue;
            }
            self.0.catalog.put(BackupRecord(backup)).await?;
            report.backups += 1;
        }
        Ok(())
    }
}

/// What people and proofs said of the backup since it was made.
fn remember(backup: &mut Backup, note: Option<&NoteState>, remark: Option<&Remark>) {
    if let Some(note) = note {
        backup.label = note.label.clone().or(backup.label.take());
        backup.note = note.annotation.clone().or(backup.note.take());
    }
    if let Some(remark) = remark {
        backup.pinned_until = remark.pinned_until;
        backup.job_id.clone_from(&remark.job);
        for rung in &remark.verified {
            backup.climbed(rung.level, rung.at);
        }
        if let Some(failed) = remark.failed_rung.clone() {
            backup.broke(failed);
        }
    }
    // The repository knows that it is pinned, but not for how long.
    if note.is_some_and(|note| note.pinned) && backup.pinned_until.is_none() {
        backup.pinned_until = Time::from_timestamp(FOREVER_SECONDS, 0);
    }
}

fn credential(credentials: &Credentials) -> Result<Credential> {
    if let Some(code) = &credentials.recovery_code {
        return Ok(Credential::RecoveryCode(code.clone()));
    }
    if let Some(passphrase) = &credentials.passphrase {
        return Ok(Credential::Passphrase(passphrase.clone()));
    }
    let key = credentials
        .key
        .as_ref()
        .and_then(|key| parse_key(key.expose()));
    key.map(Credential::KeyFile).ok_or_else(|| {
        Error::new(Code::RepositoryKey, "The key is not one")
            .hint("A key file holds 64 hexadecimal digits")
    })
}
