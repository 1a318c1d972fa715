//! Records that an export holds as they are in the catalog, with their secrets opened: jobs, drills,
//! notification targets, who may do what, settings.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::super::notifications::{SECRET, URL};
use super::super::pool::{PASSPHRASE, RECOVERY_CODE};
use super::super::servers::{PASSWORD, SSH_KEY, SSH_PASSPHRASE, SSH_PASSWORD};
use crate::catalog::records::{
    ApiKeyRecord, ConnectionRecord, DrillRecord, EnvironmentRecord, GroupRecord, JobRecord,
    ProjectRecord, RepositoryRecord, SettingsRecord, TargetRecord, UserRecord,
};
use crate::catalog::{Catalog, Record};
use crate::error::{Error, Result};
use crate::repository::format::records::Verbatim;
use crate::secret::SecretText;
use crate::vault::{Sealed, Vault};

/// A kind of record that goes from one catalog to another.
pub(in crate::engine) trait Portable: Record {
    /// Its secrets: whose the vault says they are, and each under its field.
    fn secrets(&mut self) -> (String, Vec<(&'static str, &mut Option<Sealed>)>) {
        (String::new(), Vec::new())
    }
}

impl Portable for GroupRecord {}
impl Portable for UserRecord {}
impl Portable for ApiKeyRecord {}
impl Portable for ProjectRecord {}
impl Portable for EnvironmentRecord {}
impl Portable for JobRecord {}
impl Portable for DrillRecord {}
impl Portable for SettingsRecord {}
impl Portable for ConnectionRecord {
    fn secrets(&mut self) -> (String, Vec<(&'static str, &mut Option<Sealed>)>) {
        let fields = vec![
            (PASSWORD, &mut self.password),
            (SSH_KEY, &mut self.ssh_key),
            (SSH_PASSPHRASE, &mut self.ssh_passphrase),
            (SSH_PASSWORD, &mut self.ssh_password),
        ];
        (self.connection.id.to_string(), fields)
    }
}
impl Portable for RepositoryRecord {
    fn secrets(&mut self) -> (String, Vec<(&'static str, &mut Option<Sealed>)>) {
        let fields = vec![
            (PASSPHRASE, &mut self.passphrase),
            (RECOVERY_CODE, &mut self.recovery_code),
        ];
        (self.repository.id.to_string(), fields)
    }
}
impl Portable for TargetRecord {
    fn secrets(&mut self) -> (String, Vec<(&'static str, &mut Option<Sealed>)>) {
        let fields = vec![(URL, &mut self.url), (SECRET, &mut self.secret)];
        (self.target.id.to_string(), fields)
    }
}

/// Secrets of a record in clear, by field.
pub(in crate::engine) type Opened = BTreeMap<String, String>;

/// Takes the secrets out of a record, in clear.
pub(in crate::engine) fn opened<R: Portable>(record: &mut R, vault: &Vault) -> Result<Opened> {
    let mut secrets = Opened::new();
    let (owner, sealed) = record.secrets();
    for (field, slot) in sealed {
        if let Some(secret) = slot.take() {
            let secret = vault.open(&owner, field, &secret)?;
            secrets.insert(field.to_owned(), secret.expose().to_owned());
        }
    }
    Ok(secrets)
}

/// Puts secrets into a record, sealed for that vault; a field that is not among them stays as it is.
pub(in crate::engine) fn put_secrets<R: Portable>(
    record: &mut R,
    secrets: &Opened,
    vault: &Vault,
) -> Result<()> {
    let (owner, sealed) = record.secrets();
    for (field, slot) in sealed {
        if let Some(secret) = secrets.get(field) {
            *slot = Some(vault.seal(&owner, field, &SecretText::new(secret.clone()))?);
        }
    }
    Ok(())
}

/// A record as an export holds it.
#[derive(Clone, Serialize, Deserialize)]
pub(in crate::engine) struct Kept {
    /// [`crate::catalog::Table`] as a number.
    kind: u8,
    version: u8,
    document: Verbatim,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    secrets: Opened,
}

impl std::fmt::Debug for Kept {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Kept")
            .field("kind", &self.kind)
            .finish_non_exhaustive()
    }
}

impl Kept {
    fn of<R: Portable>(mut record: R, vault: &Vault) -> Result<Self> {
        let secrets = opened(&mut record, vault)?;
        let document = Verbatim::of(&record)?;
        Ok(Self {
            kind: R::TABLE as u8,
            version: R::VERSION,
            document,
            secrets,
        })
    }

    /// The record, its secrets sealed for that vault, without a serial; nothing where it is of
    /// another kind.
    pub(in crate::engine) fn record<R: Portable>(&self, vault: &Vault) -> Result<Option<R>> {
        if self.kind != R::TABLE as u8 {
            return Ok(None);
        }
        if self.version > R::VERSION {
            return Err(
                Error::invalid("A record in the exported catalog is of a newer version")
                    .hint("Use that version of Backstay"),
            );
        }
        let read = if self.version == R::VERSION {
            self.document.read()
        } else {
            self.document.read().and_then(|mut document| {
                for from in self.version..R::VERSION {
                    document = R::upgrade(from, document);
                }
                serde_json::from_value(document)
            })
        };
        let mut record: R = read.map_err(|error| {
            Error::invalid("A record in the exported catalog cannot be read").because(error)
        })?;
        record.set_serial(0);
        put_secrets(&mut record, &self.secrets, vault)?;
        Ok(Some(record))
    }
}

/// Everything of these kinds.
pub(super) fn all(catalog: &Catalog) -> Result<Vec<Kept>> {
    let mut all = Vec::new();
    gather::<GroupRecord>(catalog, &mut all)?;
    gather::<UserRecord>(catalog, &mut all)?;
    gather::<ApiKeyRecord>(catalog, &mut all)?;
    gather::<ProjectRecord>(catalog, &mut all)?;
    gather::<EnvironmentRecord>(catalog, &mut all)?;
    gather::<TargetRecord>(catalog, &mut all)?;
    gather::<JobRecord>(catalog, &mut all)?;
    gather::<DrillRecord>(catalog, &mut all)?;
    gather::<SettingsRecord>(catalog, &mut all)?;
    Ok(all)
}

fn gather<R: Portable>(catalog: &Catalog, all: &mut Vec<Kept>) -> Result<()> {
    for record in catalog.all::<R>()? {
        all.push(Kept::of(record, catalog.vault())?);
    }
    Ok(())
}
