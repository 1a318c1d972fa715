//! API keys: made, changed, rotated, revoked, and known again.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fmt::Display;

use parking_lot::Mutex;

use super::super::{Engine, names};
use super::{grant_of, must_cover, must_exist};
use crate::access::{Actor, Caller, Permissions, scope, token};
use crate::catalog::Query;
use crate::catalog::records::{ApiKeyRecord, api_key};
use crate::error::{Code, Error, Result};
use crate::ids::{ApiKeyId, ApiKeyKind};
use crate::model::{
    ApiKey, ApiKeyCreate, ApiKeyEdit, ApiKeyMade, KeyTier, Page, PageRequest, Time,
};

/// `last_used_at` is written no more often than this.
const USE_NOTED_EVERY: chrono::TimeDelta = chrono::TimeDelta::minutes(1);

impl Engine {
    /// API keys without their secrets, newest first.
    pub async fn api_keys(&self, page: &PageRequest) -> Result<Page<ApiKey>> {
        let query = Query::page(page.limit, page.cursor.as_deref())?;
        Ok(self
            .0
            .catalog
            .list::<ApiKeyRecord>(&query)?
            .page(|record| record.key))
    }

    /// One API key, by id or name.
    pub async fn api_key(&self, key: &str) -> Result<ApiKey> {
        Ok(self.find_key(key)?.key)
    }

    fn find_key(&self, key: &str) -> Result<ApiKeyRecord> {
        self.find::<ApiKeyRecord, ApiKeyKind>(key)?
            .ok_or_else(|| no_key(key))
    }

    /// Makes an API key; nobody gives what they do not have.
    pub async fn add_api_key(&self, create: ApiKeyCreate) -> Result<ApiKeyMade> {
        names::check("API key", &create.name)?;
        let caller = scope::current();
        let permissions = Permissions::read(&create.permissions)?.names();
        must_cover(&caller, &grant_of(&permissions, &create.projects)?)?;
        let now = self.now();
        if create.expires_at.is_some_and(|end| end <= now) {
            return Err(Error::invalid("The key would already have expired")
                .field("expires_at", "must lie in the future"));
        }
        let secret = token::generate(token::KEY_PREFIX);
        let key = ApiKey {
            id: ApiKeyId::generate(now),
            serial: 0,
            name: create.name,
            prefix: token::shown(&secret),
            enabled: true,
            permissions,
            projects: create.projects,
            tier: create.tier.unwrap_or(KeyTier::Enterprise),
            expires_at: create.expires_at,
            last_used_at: None,
            created_by: caller.actor.label(),
            created_at: now,
            rotated_at: None,
        };
        let hash = token::hash(secret.expose());
        let record = ApiKeyRecord { key, hash };
        let scribe = self.scribe();
        let added = self.0.catalog.write(move |tx| {
            let mut record = record.clone();
            must_exist(tx, &record.key.projects)?;
            tx.put(&mut record)?;
            scribe.note(
                tx,
                "api_key.add",
                record.key.id,
                None::<&()>,
                Some(&record.key),
            )?;
            Ok(record.key)
        });
        let record = added.await?;
        self.changed();
        Ok(ApiKeyMade {
            record,
            key: secret.expose().to_owned(),
        })
    }

    /// Changes an API key.
    pub async fn edit_api_key(&self, key: &str, edit: ApiKeyEdit) -> Result<ApiKey> {
        let id = self.find_key(key)?.key.id;
        if let Some(name) = &edit.name {
            names::check("API key", name)?;
        }
        if edit.never_expires == Some(true) && edit.expires_at.is_some() {
            let contradiction = "A time to expire cannot be given and taken away at once";
            return Err(
                Error::invalid(contradiction).field("never_expires", "contradicts expires_at")
            );
        }
        let permissions = edit.permissions.as_ref().map(Permissions::read);
        let permissions = permissions.transpose()?.map(|read| read.names());
        let (caller, scribe) = (scope::current(), self.scribe());
        let edited = self.0.catalog.write(move |tx| {
            let found = tx.get::<ApiKeyRecord>(id.bits())?;
            let mut record = found.ok_or_else(|| no_key(id))?;
            let before = record.key.clone();
            let changed = &mut record.key;
            if let Some(name) = &edit.name {
                changed.name.clone_from(name);
            }
            if let Some(permissions) = &permissions {
                changed.permissions.clone_from(permissions);
            }
            if let Some(projects) = &edit.projects {
                must_exist(tx, projects)?;
                changed.projects.clone_from(projects);
            }
            changed.enabled = edit.enabled.unwrap_or(changed.enabled);
            changed.tier = edit.tier.unwrap_or(changed.tier);
            changed.expires_at = match edit.never_expires {
                Some(true) => None,
                _ => edit.expires_at.or(changed.expires_at),
            };
            for key in [&before, &record.key] {
                must_cover(&caller, &grant_of(&key.permissions, &key.projects)?)?;
            }
            tx.put(&mut record)?;
            scribe.note(tx, "api_key.edit", id, Some(&before), Some(&record.key))?;
            Ok(record.key)
        });
        let after = edited.await?;
        self.changed();
        Ok(after)
    }

    /// Replaces a key's secret; the old one stops working at once.
    pub async fn rotate_api_key(&self, key: &str) -> Result<ApiKeyMade> {
        let id = self.find_key(key)?.key.id;
        let secret = token::generate(token::KEY_PREFIX);
        let (hash, prefix) = (token::hash(secret.expose()), token::shown(&secret));
        let now = self.now();
        let (caller, scribe) = (scope::current(), self.scribe());
        let rotated = self.0.catalog.write(move |tx| {
            let found = tx.get::<ApiKeyRecord>(id.bits())?;
            let mut record = found.ok_or_else(|| no_key(id))?;
            must_cover(
                &caller,
                &grant_of(&record.key.permissions, &record.key.projects)?,
            )?;
            record.hash.clone_from(&hash);
            record.key.prefix.clone_from(&prefix);
            record.key.rotated_at = Some(now);
            tx.put(&mut record)?;
            scribe.note(tx, "api_key.rotate", id, None::<&()>, Some(&record.key))?;
            Ok(record.key)
        });
        let record = rotated.await?;
        self.changed();
        Ok(ApiKeyMade {
            record,
            key: secret.expose().to_owned(),
        })
    }

    /// Revokes a key at once.
    pub async fn remove_api_key(&self, key: &str) -> Result<()> {
        let id = self.find_key(key)?.key.id;
        let scribe = self.scribe();
        let removed = self.0.catalog.write(move |tx| {
            let removed = tx.remove::<ApiKeyRecord>(id.bits())?;
            let key = removed.ok_or_else(|| no_key(id))?.key;
            scribe.note(tx, "api_key.remove", id, Some(&key), None::<&()>)
        });
        removed.await?;
        self.changed();
        Ok(())
    }

    /// Who a key stands for; nothing when it is not known, disabled or expired.
    pub(super) async fn caller_of_key(&self, secret: &str) -> Result<Option<(Caller, KeyTier)>> {
        let hash = token::hash(secret);
        let query = Query::newest(1).only(api_key::HASH, Some(&hash));
        let found = self.0.catalog.list::<ApiKeyRecord>(&query)?.records.pop();
        let now = self.now();
        let Some(record) = found.filter(|record| {
            record.hash == hash
                && record.key.enabled
                && record.key.expires_at.is_none_or(|end| now < end)
        }) else {
            return Ok(None);
        };
        let key = record.key;
        self.note_use(&key, now);
        let tier = key.tier;
        Ok(Some((caller_of(key)?, tier)))
    }

    /// Writes down that a key was used, now and then and behind the request: whoever asks is not kept
    /// out when it cannot be written.
    fn note_use(&self, key: &ApiKey, now: Time) {
        let is_due = |last: Time| now - last >= USE_NOTED_EVERY;
        let id = key.id;
        if !key.last_used_at.is_none_or(is_due) || !self.0.uses.begin(id, is_due, now) {
            return;
        }
        let engine = self.clone();
        tokio::spawn(async move {
            let noted = engine.0.catalog.write(move |tx| {
                tx.change::<ApiKeyRecord>(id.bits(), |record| {
                    record.key.last_used_at = Some(now);
                    Ok(())
                })
                .map(|_| ())
            });
            if let Err(error) = noted.await {
                tracing::warn!(key = %id, error = error.report(), "a key's use was not written down");
            }
        });
    }

    /// Who a key stands for that was let in at `since`; nothing when it would not be let in again.
    pub(super) fn key_holds(&self, id: ApiKeyId, since: Time, now: Time) -> Result<Option<Caller>> {
        let record = self.0.catalog.get::<ApiKeyRecord>(id.bits())?;
        let key = record.map(|record| record.key).filter(|key| {
            let rotated = key.rotated_at.is_some_and(|rotated| rotated > since);
            key.enabled && !rotated && key.expires_at.is_none_or(|end| now < end)
        });
        key.map(caller_of).transpose()
    }
}

/// When keys were last seen in use: writing that down is tried once a minute, not with every request.
#[derive(Debug, Default)]
pub(in super::super) struct Uses(Mutex<HashMap<ApiKeyId, Time>>);

impl Uses {
    /// Whether it is time to write that one down.
    fn begin(&self, key: ApiKeyId, is_due: impl Fn(Time) -> bool, now: Time) -> bool {
        let mut all = self.0.lock();
        all.retain(|_, last| !is_due(*last));
        match all.entry(key) {
            Entry::Occupied(_) => false,
            Entry::Vacant(free) => {
                free.insert(now);
                true
            }
        }
    }
}

fn caller_of(key: ApiKey) -> Result<Caller> {
    let grant = grant_of(&key.permissions, &key.projects)?;
    let actor = Actor::Key {
        id: key.id,
        name: key.name,
        since: key.rotated_at.unwrap_or(key.created_at),
    };
    Ok(Caller::new(actor, None, vec![grant]))
}

fn no_key(key: impl Display) -> Error {
    Error::new(
        Code::ApiKeyNotFound,
        format!("There is no API key \"{key}\""),
    )
    .hint("`backstay api-key list` shows them")
}

/// The answer to a token that is nobody's.
pub(super) fn unknown() -> Error {
    Error::new(
        Code::Unauthenticated,
        "The key or session is not known, or has ended",
    )
    .hint("Log in again, or use another API key")
}
