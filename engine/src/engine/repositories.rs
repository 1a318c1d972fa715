//! Repositories: create, check, prune, repair, rebuild, recovery kit, keys.

mod days;
mod keys;
mod maintenance;

use super::pool::{PASSPHRASE, RECOVERY_CODE, local_path, storage_at};
use super::{Engine, names};
use crate::catalog::records::{BackupRecord, RepositoryRecord, TrashRecord, backup, tally};
use crate::catalog::{Query, Record as _, Tx};
use crate::error::{Code, Error, Result};
use crate::ids::{NoteId, RepositoryId};
use crate::model::{
    KeyKind, Page, PageRequest, RecoveryKit, Repository, RepositoryCreate, RepositoryCreated,
    RepositoryEdit, RepositoryFile, RepositoryStats, RepositoryTest, RepositoryTry, checked_limit,
};
use crate::repository::{Credential, NewSlots};
use crate::secret::SecretText;
use crate::storage::StorageError;

/// The object every repository begins with.
const HEADER: &str = "backstay.json";

/// A repository that was just made or opened.
struct Joined {
    repository: crate::repository::Repository,
    key: KeyKind,
    key_file: Option<std::path::PathBuf>,
    recovery_code: Option<SecretText>,
    made: bool,
}

impl Engine {
    /// Repositories, newest first.
    pub async fn repositories(&self, page: &PageRequest) -> Result<Page<Repository>> {
        let query = Query::page(page.limit, page.cursor.as_deref())?;
        let slice = self.0.catalog.list::<RepositoryRecord>(&query)?;
        Ok(slice.page(|record| record.repository))
    }

    /// One repository, by id or name.
    pub async fn repository(&self, key: &str) -> Result<Repository> {
        Ok(self.find_repository(key)?.repository)
    }

    /// Creates a repository, or adds the one that is at the place already; that one needs its
    /// passphrase or recovery code.
    pub async fn add_repository(&self, create: RepositoryCreate) -> Result<RepositoryCreated> {
        names::check("repository", &create.name)?;
        create
            .passphrase
            .as_ref()
            .map_or(Ok(()), keys::refuse_empty)?;
        let place = local_path(&create.location)?;
        let all = self.0.catalog.all::<RepositoryRecord>()?;
        let location = place.display().to_string();
        for record in &all {
            let other = &record.repository;
            if other.name == create.name || other.location == location {
                return Err(exists(&other.name, &other.location));
            }
        }
        let id = RepositoryId::generate(self.now());
        let joined = self
            .join(id, &location, &create)
            .await
            .map_err(|error| error.context(format!("Repository \"{}\"", create.name)))?;
        let record = self.record_of(id, &location, &create, &joined, all.is_empty())?;
        let saved = self.save_repository(record).await?;
        self.0.pool.keep(id.bits(), joined.repository);
        self.publish("repository.added", id, &saved);
        Ok(RepositoryCreated {
            repository: saved,
            recovery_code: joined
                .recovery_code
                .filter(|_| joined.made)
                .map(|code| code.expose().to_owned()),
        })
    }

    async fn join(
        &self,
        id: RepositoryId,
        location: &str,
        create: &RepositoryCreate,
    ) -> Result<Joined> {
        let storage = storage_at(location).await?;
        if header_exists(&*storage).await? {
            let credential = match (&create.passphrase, &create.recovery_code) {
                (Some(passphrase), _) => Credential::Passphrase(passphrase.clone()),
                (None, Some(code)) => Credential::RecoveryCode(code.clone()),
                (None, None) => {
                    return Err(Error::new(
                        Code::RepositoryExists,
                        format!("There is a repository at {location} already"),
                    )
                    .hint(
                        "Give its passphrase or recovery code to add it, or choose another place",
                    ));
                }
            };
            let repository =
                crate::repository::Repository::open(storage, &credential, self.open_options())
                    .await?;
            return Ok(Joined {
                repository,
                key: KeyKind::Passphrase,
                key_file: None,
                recovery_code: create.recovery_code.clone(),
                made: false,
            });
        }
        let domain = match &create.same_domain_as {
            Some(other) => {
                let other = self.find_repository(other)?;
                Some(self.open_repository(&other).await?.domain_secret())
            }
            None => None,
        };
        let slots = NewSlots {
            key_file: create.passphrase.is_none(),
            passphrase: create.passphrase.clone(),
            domain,
        };
        let made =
            crate::repository::Repository::create(storage, &slots, self.open_options()).await?;
        let key_file = match &made.key {
            Some(key) => Some(self.write_key_file(id, key)?),
            None => None,
        };
        Ok(Joined {
            repository: made.repository,
            key: if key_file.is_some() {
                KeyKind::KeyFile
            } else {
                KeyKind::Passphrase
            },
            key_file,
            recovery_code: Some(made.recovery_code),
            made: true,
        })
    }

    fn record_of(
        &self,
        id: RepositoryId,
        location: &str,
        create: &RepositoryCreate,
        joined: &Joined,
        first: bool,
    ) -> Result<RepositoryRecord> {
        let vault = self.0.catalog.vault();
        let seal = |field: &str, secret: Option<&SecretText>| {
            secret
                .map(|secret| vault.seal(&id.to_string(), field, secret))
                .transpose()
        };
        Ok(RepositoryRecord {
            repository: Repository {
                id,
                serial: 0,
                name: create.name.clone(),
                location: location.to_owned(),
                uid: NoteId::from_bytes(joined.repository.uid()).uuid(),
                is_default: create.default || first,
                key: joined.key,
                kit_taken_at: None,
                created_at: self.now(),
                checked_at: None,
                pruned_at: None,
            },
            key_file: joined.key_file.clone(),
            passphrase: seal(PASSPHRASE, create.passphrase.as_ref())?,
            recovery_code: seal(RECOVERY_CODE, joined.recovery_code.as_ref())?,
            taken_in: Vec::new(),
        })
    }

    /// Saves a new repository; when it is the default, the others are not any more.
    async fn save_repository(&self, record: RepositoryRecord) -> Result<Repository> {
        let saved = self.audited(move |tx, scribe| {
            let RepositoryRecord { repository, .. } = {
                let mut record = record.clone();
                tx.put(&mut record)?;
                record
            };
            if repository.is_default {
                be_the_only_default(tx, repository.id)?;
            }
            let added = Some(&repository);
            scribe.note(tx, "repository.add", repository.id, None::<&()>, added)?;
            Ok(repository)
        });
        saved.await.map_err(name_taken)
    }

    /// Changes a repository's name.
    pub async fn edit_repository(&self, key: &str, edit: RepositoryEdit) -> Result<Repository> {
        let id = self.find_repository(key)?.repository.id;
        if let Some(name) = &edit.name {
            names::check("repository", name)?;
        }
        let change = |record: &RepositoryRecord| {
            let mut record = record.clone();
            if let Some(name) = &edit.name {
                record.repository.name.clone_from(name);
            }
            Ok(record)
        };
        let edited = self.edit_audited("repository.edit", (id.bits(), id), change, |record| {
            &record.repository
        });
        let saved = edited
            .await
            .map_err(name_taken)?
            .map(|(_, after)| after.repository)
            .ok_or_else(|| gone(key))?;
        self.publish("repository.changed", saved.id, &saved);
        Ok(saved)
    }

    /// Forgets a repository and its backups; its objects and its key file stay where they are.
    /// Refused for the default one and while a run works on it.
    pub async fn remove_repository(&self, key: &str) -> Result<()> {
        let record = self.find_repository(key)?;
        let (id, name) = (record.repository.id, record.repository.name.clone());
        if record.repository.is_default {
            return Err(Error::new(
                Code::Conflict,
                format!("\"{name}\" is the default repository"),
            )
            .hint("Make another one the default first: `backstay repository set-default`"));
        }
        let what = format!("the repository \"{name}\"");
        self.refuse_used_by_job(&what, |job| job.repository_ids.contains(&id))?;
        self.refuse_used_by_drill(&what, |drill| drill.repository_id == Some(id))?;
        self.refuse_used_by_environment(&what, id)?;
        if self.0.runs.active() > 0 {
            return Err(Error::new(Code::RunBusy, "Runs are in progress")
                .hint("Wait for them or cancel them; `backstay run list` shows them"));
        }
        let all = Query::newest(usize::MAX).only(backup::REPOSITORY, Some(id));
        let backups = self.0.catalog.list::<BackupRecord>(&all)?.records;
        self.audited(move |tx, scribe| {
            for backup in &backups {
                tx.remove::<BackupRecord>(backup.id())?;
            }
            if let Some(RepositoryRecord { repository, .. }) = tx.remove(id.bits())? {
                let gone = Some(&repository);
                scribe.note(tx, "repository.remove", id, gone, None::<&()>)?;
            }
            Ok(())
        })
        .await?;
        self.0.pool.forget(id.bits());
        self.publish("repository.removed", id, &record.repository);
        Ok(())
    }

    /// Makes it the one backups go to when nothing else is said.
    pub async fn set_default_repository(&self, key: &str) -> Result<Repository> {
        let id = self.find_repository(key)?.repository.id;
        let saved = self.audited(move |tx, scribe| {
            let Some(mut record) = tx.get::<RepositoryRecord>(id.bits())? else {
                return Ok(None);
            };
            be_the_only_default(tx, id)?;
            let before = record.repository.clone();
            record.repository.is_default = true;
            tx.put(&mut record)?;
            let (before, after) = (Some(&before), Some(&record.repository));
            scribe.note(tx, "repository.set_default", id, before, after)?;
            Ok(Some(record.repository))
        });
        let saved = saved.await?.ok_or_else(|| gone(key))?;
        self.publish("repository.changed", saved.id, &saved);
        Ok(saved)
    }

    /// Opens it and looks how much room there is.
    pub async fn test_repository(&self, key: &str) -> Result<RepositoryTest> {
        let record = self.find_repository(key)?;
        let tried = async {
            let repository = self.open_repository(&record).await?;
            repository.snapshots().await?;
            // A writer that begins and ends: the place takes objects, and our key seals them.
            let writer = repository.begin(&self.identity()).await?;
            writer.vanish().await?;
            Ok::<_, Error>(repository.storage().capacity().await?)
        };
        Ok(match tried.await {
            Ok(capacity) => test_answer("It opens, and can be read and written", true, capacity),
            Err(error) => failed_test(&error, true),
        })
    }

    /// Looks at a place before it is added; writes nothing there.
    pub async fn test_new_repository(&self, place: RepositoryTry) -> Result<RepositoryTest> {
        let tried = async {
            let storage = storage_at(&place.location).await?;
            let there = header_exists(&*storage).await?;
            Ok::<_, Error>((there, storage.capacity().await?))
        };
        Ok(match tried.await {
            Ok((true, capacity)) => test_answer("A repository is there", true, capacity),
            Ok((false, capacity)) => test_answer("A repository can be made there", false, capacity),
            Err(error) => failed_test(&error, false),
        })
    }

    /// Numbers about it. Lists all its objects, so it takes a while on a large one.
    pub async fn repository_stats(&self, key: &str) -> Result<RepositoryStats> {
        let record = self.find_repository(key)?;
        let id = record.repository.id;
        let repository = self.open_repository(&record).await?;
        let (all, sizes) = [tally::BACKUPS, tally::SOURCE_BYTES]
            .map(|name| tally::within(id, name))
            .into();
        let catalog = &self.0.catalog;
        let files = repository.storage().list("").await?;
        let capacity = repository.storage().capacity().await?;
        let packs = || files.iter().filter(|file| file.key.starts_with("packs/"));
        Ok(RepositoryStats {
            id,
            backups: catalog.tally::<BackupRecord>(&all)?,
            source_bytes: catalog.tally::<BackupRecord>(&sizes)?,
            stored_bytes: files.iter().map(|file| file.size_bytes).sum(),
            objects: files.len() as u64,
            packs: packs().count() as u64,
            pack_bytes: packs().map(|file| file.size_bytes).sum(),
            trash: catalog.tally::<TrashRecord>(&all)?,
            total_bytes: capacity.map(|room| room.total_bytes),
            free_bytes: capacity.map(|room| room.free_bytes),
        })
    }

    /// Its stored objects, in key order.
    pub async fn repository_files(
        &self,
        key: &str,
        page: &PageRequest,
    ) -> Result<Page<RepositoryFile>> {
        let limit = checked_limit(page.limit)?;
        let repository = self.open_repository(&self.find_repository(key)?).await?;
        let files = repository.storage().list("").await?;
        let after = page.cursor.as_deref().unwrap_or_default();
        let start = files.partition_point(|file| file.key.as_str() <= after);
        let rest = &files[start..];
        let items: Vec<_> = rest
            .iter()
            .take(limit)
            .map(|file| RepositoryFile {
                path: file.key.clone(),
                size_bytes: file.size_bytes,
                modified_at: file.modified_at,
            })
            .collect();
        let next_cursor = items
            .last()
            .filter(|_| rest.len() > limit)
            .map(|file| file.path.clone());
        Ok(Page { items, next_cursor })
    }

    /// A ZIP with everything needed to open the repository elsewhere. Makes a new recovery code
    /// where none is known here.
    pub async fn recovery_kit(&self, key: &str) -> Result<RecoveryKit> {
        let record = self.find_repository(key)?;
        let repository = &record.repository;
        let id = repository.id.to_string();
        let vault = self.0.catalog.vault();
        let (code, fresh) = if let Some(sealed) = &record.recovery_code {
            (vault.open(&id, RECOVERY_CODE, sealed)?, None)
        } else {
            let open = self.open_repository(&record).await?;
            let code = open.add_recovery_code("recovery kit").await?;
            let sealed = vault.seal(&id, RECOVERY_CODE, &code)?;
            (code, Some(sealed))
        };
        let uid: crate::ids::NoteId = repository.uid.parse()?;
        let kit = crate::repository::kit::RecoveryKit {
            name: repository.name.clone(),
            location: repository.location.clone(),
            uid: uid.to_bytes(),
            recovery_code: code,
        };
        let bytes = kit.zip()?;
        let (id, now) = (repository.id, self.now());
        self.audited(move |tx, scribe| {
            tx.change::<RepositoryRecord>(id.bits(), |record| {
                record.repository.kit_taken_at = Some(now);
                if fresh.is_some() {
                    record.recovery_code.clone_from(&fresh);
                }
                Ok(())
            })?;
            scribe.note_bare(tx, "repository.recovery_kit", id)
        })
        .await?;
        Ok(RecoveryKit {
            file_name: format!("backstay-{}-recovery-kit.zip", repository.name),
            bytes: bytes.into(),
        })
    }
}

/// No other repository is the default one any more.
fn be_the_only_default(tx: &Tx<'_>, id: RepositoryId) -> Result<()> {
    for mut other in tx.all::<RepositoryRecord>()? {
        if other.repository.is_default && other.repository.id != id {
            other.repository.is_default = false;
            tx.put(&mut other)?;
        }
    }
    Ok(())
}

fn gone(key: &str) -> Error {
    let text = format!("The repository \"{key}\" is gone");
    Error::new(Code::RepositoryNotFound, text)
}

fn name_taken(error: Error) -> Error {
    match error.code() {
        Code::Conflict => Error::new(Code::RepositoryExists, "A repository of that name exists"),
        _ => error,
    }
}

pub(super) async fn header_exists(storage: &dyn crate::storage::Storage) -> Result<bool> {
    match storage.get(HEADER, None).await {
        Ok(_) => Ok(true),
        Err(StorageError::Missing { .. }) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

fn exists(name: &str, location: &str) -> Error {
    Error::new(
        Code::RepositoryExists,
        format!("Repository \"{name}\" exists already, at {location}"),
    )
    .hint("Choose another name and another place")
}

fn test_answer(
    message: &str,
    exists: bool,
    room: Option<crate::storage::Capacity>,
) -> RepositoryTest {
    RepositoryTest {
        ok: true,
        message: message.to_owned(),
        hint: None,
        code: None,
        exists,
        total_bytes: room.map(|room| room.total_bytes),
        free_bytes: room.map(|room| room.free_bytes),
    }
}

fn failed_test(error: &Error, exists: bool) -> RepositoryTest {
    RepositoryTest {
        ok: false,
        message: error.report(),
        hint: error.hint_text().map(ToOwned::to_owned),
        code: Some(error.code().name().to_owned()),
        exists,
        total_bytes: None,
        free_bytes: None,
    }
}
