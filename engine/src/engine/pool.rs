//! Open repositories, and where repositories can be.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;

use super::Engine;
use crate::catalog::records::RepositoryRecord;
use crate::error::{Code, Error, Result};
use crate::ids::RepositoryId;
use crate::model::KeyKind;
use crate::repository::format::digest::hex;
use crate::repository::{Credential, OpenOptions, Repository};
use crate::secret::SecretKey;
use crate::storage::Storage;
use crate::storage::local::LocalStorage;
use crate::vault::{create_private, parse_key, read_private};

/// Name of the sealed fields.
pub(super) const PASSPHRASE: &str = "passphrase";
pub(super) const RECOVERY_CODE: &str = "recovery_code";

/// Repositories that are open; each is opened when it is first needed, and waits for no other one.
#[derive(Debug, Default)]
pub(super) struct Pool(Mutex<HashMap<u128, Arc<Place>>>);

pub(super) type Place = tokio::sync::Mutex<Option<Repository>>;

impl Pool {
    pub(super) fn keep(&self, id: u128, repository: Repository) {
        let place = Arc::new(Place::new(Some(repository)));
        self.0.lock().insert(id, place);
    }

    pub(super) fn forget(&self, id: u128) {
        self.0.lock().remove(&id);
    }

    pub(super) fn close(&self) {
        self.0.lock().clear();
    }

    pub(super) fn place(&self, id: u128) -> Arc<Place> {
        Arc::clone(self.0.lock().entry(id).or_default())
    }
}

impl Engine {
    /// The repository, open.
    pub(super) async fn open_repository(&self, record: &RepositoryRecord) -> Result<Repository> {
        let place = self.0.pool.place(record.repository.id.bits());
        let named =
            |error: Error| error.context(format!("Repository \"{}\"", record.repository.name));
        let mut place = place.lock().await;
        if let Some(repository) = place.clone() {
            drop(place);
            repository.ensure_there().await.map_err(named)?;
            return Ok(repository);
        }
        let storage = existing_storage_at(&record.repository.location)
            .await
            .map_err(named)?;
        let credential = self.credential(record)?;
        let repository = Repository::open(storage, &credential, self.open_options())
            .await
            .map_err(named)?;
        *place = Some(repository.clone());
        Ok(repository)
    }

    pub(super) fn open_options(&self) -> OpenOptions {
        OpenOptions {
            cache_dir: self.0.config.paths.cache.join("repositories"),
            clock: Arc::clone(&self.0.clock),
            cpu_workers: self.0.config.cpu_workers,
            verify_writes: self.0.config.verify_writes,
        }
    }

    /// Writes a new key file of a repository. One that lies there already stays as it is: it may be what
    /// opens the repository elsewhere.
    pub(super) fn write_key_file(&self, id: RepositoryId, key: &SecretKey) -> Result<PathBuf> {
        let keys = self.0.config.paths.data.join("keys");
        let names = (1..).map(|number| match number {
            1 => format!("{id}.key"),
            number => format!("{id}-{number}.key"),
        });
        let mut free = names
            .map(|name| keys.join(name))
            .filter(|path| !path.exists());
        let path = free
            .next()
            .ok_or_else(|| Error::internal("There is no free name for a key file"))?;
        create_private(&path, format!("{}\n", hex(key.expose())).as_bytes())?;
        Ok(path)
    }

    pub(super) fn credential(&self, record: &RepositoryRecord) -> Result<Credential> {
        let vault = self.0.catalog.vault();
        let id = record.repository.id.to_string();
        match (&record.repository.key, &record.key_file, &record.passphrase) {
            (KeyKind::KeyFile, Some(path), _) => read_key_file(path).map(Credential::KeyFile),
            (KeyKind::Passphrase, _, Some(sealed)) => vault
                .open(&id, PASSPHRASE, sealed)
                .map(Credential::Passphrase),
            _ => match &record.recovery_code {
                Some(sealed) => vault
                    .open(&id, RECOVERY_CODE, sealed)
                    .map(Credential::RecoveryCode),
                None => Err(Error::new(
                    Code::RepositoryKey,
                    format!(
                        "No key of repository \"{}\" is known",
                        record.repository.name
                    ),
                )),
            },
        }
    }
}

fn read_key_file(path: &Path) -> Result<SecretKey> {
    let text = read_private(path)?;
    parse_key(&text).ok_or_else(|| {
        Error::new(
            Code::RepositoryKey,
            format!("The key file {} does not hold a key", path.display()),
        )
        .hint("Put the key file back, or open the repository with its recovery code")
    })
}

/// The storage a location names.
pub(super) async fn storage_at(location: &str) -> Result<Arc<dyn Storage>> {
    let path = local_path(location)?;
    Ok(Arc::new(LocalStorage::open(path).await?))
}

/// The storage a location names, where something is stored already: no folder is made.
pub(super) async fn existing_storage_at(location: &str) -> Result<Arc<dyn Storage>> {
    let path = local_path(location)?;
    match tokio::fs::metadata(&path).await {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Err(Error::new(
            Code::RepositoryNotFound,
            format!("Nothing is at {}: the folder is missing", path.display()),
        )
        .hint("Mount the disk that it is on, or put the folder back, and try again")),
        _ => storage_at(location).await,
    }
}

/// The folder a location names.
pub(super) fn local_path(location: &str) -> Result<PathBuf> {
    let refused = |why: &str| {
        Error::invalid(format!("\"{location}\" cannot hold a repository: {why}"))
            .field("location", why.to_owned())
    };
    if let Some((scheme, _)) = location.split_once("://")
        && scheme != "file"
    {
        return Err(refused(
            "this version keeps repositories in local folders only",
        ));
    }
    let path = PathBuf::from(location.strip_prefix("file://").unwrap_or(location));
    if !path.is_absolute() {
        return Err(refused("the path must begin with /")
            .hint("Write the whole path of a folder, like /var/backups/shop"));
    }
    Ok(path)
}
