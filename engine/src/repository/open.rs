//! Creating and opening a repository.

use std::sync::Arc;

use bytes::Bytes;
use chrono::SubsecRound as _;

use super::cpu::CpuPool;
use super::format::derive::Role;
use super::format::header::{self, Features, Header};
use super::format::slot::{self, Bundle};
use super::index::ChunkIndex;
use super::keys::Keys;
use super::objects::damaged;
use super::slots::{read_slots, slot_header, slot_secret, try_slot};
use super::{Created, Credential, Inner, NewSlots, OpenOptions, Repository};
use crate::error::{Code, Error, Result};
use crate::secret::{SecretKey, random_bytes};
use crate::storage::{Storage, StorageError};

impl Repository {
    /// Creates a repository at a place that holds none.
    pub async fn create(
        storage: Arc<dyn Storage>,
        slots: &NewSlots,
        options: OpenOptions,
    ) -> Result<Created> {
        make_room(&*storage).await?;
        let now = options.clock.now();
        let uid = random_bytes();
        let bundle = Bundle {
            domain: slots.domain.clone().unwrap_or_else(SecretKey::random),
            repository: SecretKey::random(),
        };
        let header = Header {
            uid,
            created_at: now.trunc_subsecs(0),
            features: Features::default(),
        };
        let repository = assemble(storage, uid, bundle, options)?;
        let key = slots.key_file.then(SecretKey::random);
        if let Some(key) = &key {
            let credential = Credential::KeyFile(key.clone());
            repository.add_slot(&credential, "key file").await?;
        }
        if let Some(passphrase) = &slots.passphrase {
            let credential = Credential::Passphrase(passphrase.clone());
            repository.add_slot(&credential, "passphrase").await?;
        }
        let recovery_code = repository.add_recovery_code("recovery kit").await?;
        // The header comes last: before it there is no repository.
        let inner = &repository.inner;
        let body = header.encode(inner.keys.role(Role::Header));
        inner.storage.barrier().await?;
        inner.storage.create(header::KEY, Bytes::from(body)).await?;
        inner.storage.barrier().await?;
        Ok(Created {
            repository,
            recovery_code,
            key,
        })
    }

    /// Opens the repository at `storage` and refreshes the chunk index.
    pub async fn open(
        storage: Arc<dyn Storage>,
        credential: &Credential,
        options: OpenOptions,
    ) -> Result<Self> {
        let (header, unproved) = read_header(&*storage).await?;
        let Features {
            read,
            write,
            collect,
        } = &header.features;
        if let Some(feature) = [read, write, collect].into_iter().flatten().next() {
            return Err(Error::new(
                Code::RepositoryForeign,
                format!("The repository needs \"{feature}\", which this version does not know"),
            )
            .hint("Use a newer Backstay"));
        }
        let bundle = unlock(&*storage, &header.uid, credential).await?;
        let repository = assemble(storage, header.uid, bundle, options)?;
        unproved
            .prove(&header, repository.inner.keys.role(Role::Header))
            .map_err(|cause| damaged(header::KEY, cause))?;
        repository.refresh().await?;
        Ok(repository)
    }

    /// An error when nothing is where the repository was: its disk may have been taken away. Whatever is
    /// there instead is neither read nor written then.
    pub async fn ensure_there(&self) -> Result<()> {
        let storage = &*self.inner.storage;
        match storage.get(header::KEY, None).await {
            Err(StorageError::Missing { .. }) => {
                // One that lost no more than its header is for a check to tell.
                let keys = storage.list(slot::PREFIX).await.unwrap_or_default();
                if keys.is_empty() {
                    return Err(not_there(storage).await);
                }
                Ok(())
            }
            got => Ok(got.map(drop)?),
        }
    }

    /// The header and key slots that are damaged, as `(key, why)`.
    pub(crate) async fn damaged_keys(&self) -> Result<Vec<(String, String)>> {
        let mut damaged = Vec::new();
        let proved = match read_header(&*self.inner.storage).await {
            Ok((header, unproved)) => unproved
                .prove(&header, self.inner.keys.role(Role::Header))
                .map_err(Error::from),
            Err(error) => Err(error),
        };
        if let Err(error) = proved {
            damaged.push((header::KEY.to_owned(), error.report()));
        }
        for (key, bytes) in read_slots(&*self.inner.storage).await? {
            if let Err(error) = slot_header(&key, &bytes, &self.inner.keys.uid) {
                damaged.push((key, error.report()));
            }
        }
        Ok(damaged)
    }
}

/// Whether a credential opens a slot of the repository there; what a drill of the kit asks.
pub async fn probe(storage: &dyn Storage, credential: &Credential) -> Result<[u8; 16]> {
    let (header, _) = read_header(storage).await?;
    unlock(storage, &header.uid, credential).await?;
    Ok(header.uid)
}

fn assemble(
    storage: Arc<dyn Storage>,
    uid: [u8; 16],
    bundle: Bundle,
    options: OpenOptions,
) -> Result<Repository> {
    Ok(Repository {
        inner: Arc::new(Inner {
            storage,
            keys: Keys::new(uid, bundle),
            index: Arc::new(ChunkIndex::open(&options.cache_dir, &uid)?),
            cpu: CpuPool::new(options.cpu_workers)?,
            clock: options.clock,
            cpu_workers: options.cpu_workers.min(256),
            suspects: super::unsound::Suspects::load(&options.cache_dir, &uid),
            cache_dir: options.cache_dir,
            verify_writes: options.verify_writes,
            unreadable: parking_lot::Mutex::default(),
            slots: tokio::sync::Mutex::default(),
        }),
    })
}

/// Refuses a place that is in use; removes the key slots of a creation that did not finish.
async fn make_room(storage: &dyn Storage) -> Result<()> {
    let listed = storage.list("").await?;
    if listed.iter().any(|info| info.key == header::KEY) {
        return Err(Error::new(
            Code::RepositoryExists,
            format!("There is a repository at {} already", storage.place()),
        )
        .hint("Open it, or choose another place"));
    }
    if let Some(info) = listed
        .iter()
        .find(|info| !info.key.starts_with(slot::PREFIX))
    {
        return Err(Error::new(
            Code::RepositoryForeign,
            format!("{} is not empty: it holds {}", storage.place(), info.key),
        )
        .hint("Choose an empty place"));
    }
    for info in listed {
        storage.delete(&info.key).await?;
    }
    Ok(())
}

/// Why a place without the header is no repository.
async fn not_there(storage: &dyn Storage) -> Error {
    let place = storage.place();
    match storage.list("").await {
        Ok(all) if all.is_empty() => Error::new(
            Code::RepositoryNotFound,
            format!("Nothing is at {place}, neither a repository nor anything else"),
        )
        .hint("Mount the disk that belongs there, or put the folder back, and try again"),
        _ => Error::new(
            Code::RepositoryNotFound,
            format!("There is no repository at {place}, but something else is"),
        )
        .hint("Mount the disk that belongs there, or choose the repository's own folder"),
    }
}

async fn read_header(storage: &dyn Storage) -> Result<(Header, header::Unproved)> {
    let bytes = match storage.get(header::KEY, None).await {
        Err(StorageError::Missing { .. }) => return Err(not_there(storage).await),
        bytes => bytes?,
    };
    Header::decode(&bytes).map_err(|cause| {
        Error::new(
            Code::RepositoryForeign,
            format!("Object {} cannot be used: {cause}", header::KEY),
        )
    })
}

async fn unlock(storage: &dyn Storage, uid: &[u8; 16], credential: &Credential) -> Result<Bundle> {
    slot_secret(credential)?;
    let mut trouble = None;
    for (key, bytes) in read_slots(storage).await? {
        if let Err(error) = slot_header(&key, &bytes, uid) {
            trouble = Some(error);
            continue;
        }
        match try_slot(key, bytes, credential).await {
            Ok(Some(bundle)) => return Ok(bundle),
            Ok(None) => {}
            Err(error) => trouble = Some(error),
        }
    }
    let what = match credential {
        Credential::KeyFile(_) => "The key file",
        Credential::Passphrase(_) => "The passphrase",
        Credential::RecoveryCode(_) => "The recovery code",
    };
    let refused = Error::new(
        Code::RepositoryKey,
        format!("{what} does not open the repository at {}", storage.place()),
    );
    Err(match trouble {
        Some(trouble) => refused
            .hint("A key slot is damaged; try another key or the recovery code")
            .because(trouble),
        None => refused.hint("Try another key, or the code of the recovery kit"),
    })
}

impl Inner {
    /// Runs slow work on the index off the runtime's threads, except in simulations, which must not
    /// depend on timing.
    pub(crate) async fn offload<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T> + Send + 'static,
    ) -> Result<T> {
        if self.cpu_workers == 0 {
            work()
        } else {
            blocking(work).await
        }
    }
}

/// Runs slow work off the runtime's threads.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    tokio::task::spawn_blocking(work)
        .await
        .unwrap_or_else(|lost| Err(Error::internal("Background work broke down").because(lost)))
}
