//! Repositories of a document. They are where their backups are, so what is here is never made another one.

use std::collections::HashSet;

use super::super::super::exports::put_secrets;
use super::super::super::pool::{PASSPHRASE, RECOVERY_CODE, existing_storage_at, local_path};
use super::super::super::{Engine, names};
use super::super::apply::NewRepository;
use super::super::document::{KEY, repository_entry};
use super::super::kind;
use super::{Planner, Secrets, Weighing, differing, twice, value};
use crate::catalog::Query;
use crate::catalog::records::{BackupRecord, RepositoryRecord, backup};
use crate::error::{Code, Error, Result};
use crate::ids::{NoteId, RepositoryId};
use crate::model::{ConfigItem, ConfigRepository, ConfigState, KeyKind, Repository};
use crate::repository::{Credential, Repository as Opened};
use crate::secret::SecretText;
use crate::vault::parse_key;

impl Planner<'_> {
    pub(super) async fn each_repository(&mut self, wanted: Vec<ConfigRepository>) -> Result<()> {
        let mut default = None;
        let mut seen = HashSet::new();
        for wanted in wanted {
            let (name, is_default) = (wanted.name.clone(), wanted.default);
            let planned = if seen.insert(name.clone()) {
                self.repository(wanted).await
            } else {
                Err(twice())
            };
            match planned {
                Err(error) => self.refuse(kind::REPOSITORY, &name, error),
                Ok(()) if is_default => default = Some(name),
                Ok(()) => {}
            }
        }
        let default = default.and_then(|name| self.repositories.get(&name).cloned());
        default.map_or(Ok(()), |default| self.default_repository(&default))
    }

    async fn repository(&mut self, wanted: ConfigRepository) -> Result<()> {
        names::check(kind::REPOSITORY, &wanted.name)?;
        let place = local_path(&wanted.location)?.display().to_string();
        let all = self.engine.0.catalog.all::<RepositoryRecord>()?;
        let named = all.iter().find(|own| own.repository.name == wanted.name);
        let same = all
            .iter()
            .find(|own| wanted.uid.as_ref() == Some(&own.repository.uid));
        if let Some(here) = named.or(same) {
            self.known_repository(&wanted, &place, &here.repository);
            return Ok(());
        }
        if let Some(other) = all.iter().find(|own| own.repository.location == place) {
            let name = &other.repository.name;
            return Err(Error::new(
                Code::RepositoryExists,
                format!("Another repository, \"{name}\", lies at {place}"),
            ));
        }
        let new = open_new(self.engine, &wanted, place, self.secrets).await?;
        let own = new.record.repository.clone();
        let lies_there = self.plan.changes.repositories.iter().any(|other| {
            let other = &other.record.repository;
            other.uid == own.uid || other.location == own.location
        });
        if lies_there {
            return Err(twice());
        }
        self.weigh(Weighing {
            reason: Some(format!(
                "What is in it is listed after `backstay repository rebuild {}`",
                own.location
            )),
            ..Weighing::of(
                kind::REPOSITORY,
                &own.name,
                None,
                value(&repository_entry(&new.record))?,
            )
        });
        self.repositories.insert(own.name.clone(), own);
        self.plan.changes.repositories.push(new);
        Ok(())
    }

    /// A repository is where its backups are: an import never makes another one of it.
    fn known_repository(&mut self, wanted: &ConfigRepository, place: &str, here: &Repository) {
        self.repositories.insert(wanted.name.clone(), here.clone());
        let uid = wanted.uid.as_ref().unwrap_or(&here.uid);
        let mut fields = Vec::new();
        let (old, new) = (
            serde_json::json!({"location": here.location, "uid": here.uid}),
            serde_json::json!({"location": place, "uid": uid}),
        );
        differing("", &old, &new, &mut fields);
        let (state, reason) = if here.name != wanted.name {
            let text = format!("It is here as \"{}\"", here.name);
            (ConfigState::Unchanged, Some(text))
        } else if fields.is_empty() {
            (ConfigState::Unchanged, None)
        } else {
            let text = "The one here stays where it is; rename it to take in the other";
            (ConfigState::Kept, Some(text.to_owned()))
        };
        self.plan.items.push(ConfigItem {
            kind: kind::REPOSITORY.to_owned(),
            name: wanted.name.clone(),
            state,
            fields,
            reason,
            lacks: Vec::new(),
        });
    }

    /// Backups go where the document says when nothing was ever stored where they go here.
    fn default_repository(&mut self, wanted: &Repository) -> Result<()> {
        let all = self.engine.0.catalog.all::<RepositoryRecord>()?;
        let here = all.into_iter().map(|own| own.repository);
        let here = here.into_iter().find(|own| own.is_default);
        let mut is_used = false;
        if let Some(here) = &here {
            let stored = Query::newest(1).only(backup::REPOSITORY, Some(here.id));
            is_used = self.engine.0.catalog.count_of::<BackupRecord>(&stored)? > 0;
        }
        let written = self.weigh(Weighing {
            untouched: !is_used,
            ..Weighing::of(
                kind::DEFAULT_REPOSITORY,
                &wanted.name,
                here.map(|own| serde_json::json!({"repository": own.name})),
                serde_json::json!({"repository": wanted.name}),
            )
        });
        if written.is_some() {
            self.plan.changes.default_repository = Some(wanted.id);
        }
        Ok(())
    }
}

/// Opens a repository that is new here with what the document has for it.
async fn open_new(
    engine: &Engine,
    wanted: &ConfigRepository,
    place: String,
    secrets: &Secrets,
) -> Result<NewRepository> {
    let given = secrets.of(kind::REPOSITORY, &wanted.name);
    let secret = |field: &str| given.get(field).map(SecretText::new);
    let no_key = |text: &str| {
        Error::new(Code::RepositoryKey, text).hint(format!(
            "Export with a passphrase, or add it first: `backstay repository add {} {place}`",
            wanted.name
        ))
    };
    let key = given
        .get(KEY)
        .map(|text| parse_key(text).ok_or_else(|| no_key("Its key is not one")))
        .transpose()?;
    let credential = if let Some(key) = &key {
        Credential::KeyFile(key.clone())
    } else if let Some(passphrase) = secret(PASSPHRASE) {
        Credential::Passphrase(passphrase)
    } else if let Some(code) = secret(RECOVERY_CODE) {
        Credential::RecoveryCode(code)
    } else {
        return Err(no_key("Its key is not in the document"));
    };
    let elsewhere = |error: Error| {
        let text = "Change its location in the document if it lies elsewhere here";
        match error.code() {
            Code::RepositoryNotFound => error.hint(text),
            _ => error,
        }
    };
    let storage = existing_storage_at(&place).await.map_err(elsewhere)?;
    let open = Opened::open(storage, &credential, engine.open_options()).await?;
    let uid = NoteId::from_bytes(open.uid()).uuid();
    if wanted.uid.as_ref().is_some_and(|wanted| *wanted != uid) {
        let text = format!("Another repository than the document's lies at {place}");
        return Err(Error::new(Code::RepositoryForeign, text));
    }
    let now = engine.now();
    let mut record = RepositoryRecord {
        repository: Repository {
            id: RepositoryId::generate(now),
            serial: 0,
            name: wanted.name.clone(),
            location: place,
            uid,
            is_default: false,
            key: match key {
                Some(_) => KeyKind::KeyFile,
                None => KeyKind::Passphrase,
            },
            kit_taken_at: None,
            created_at: now,
            checked_at: None,
            pruned_at: None,
        },
        key_file: None,
        passphrase: None,
        recovery_code: None,
        taken_in: Vec::new(),
    };
    put_secrets(&mut record, &given, engine.0.catalog.vault())?;
    Ok(NewRepository { record, key, open })
}
