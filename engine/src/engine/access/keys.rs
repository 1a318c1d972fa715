//! API keys: made, changed, rotated, revoked, and known again.

use super::super::{Engine, names};
use super::must_cover;
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
        self.find::<ApiKeyRecord, ApiKeyKind>(key)?.ok_or_else(|| {
            Error::new(Code::NotFound, format!("There is no API key \"{key}\""))
                .hint("`backstay api-key list` shows them")
        })
    }

    /// Makes an API key; nobody gives what they do not have.
    pub async fn add_api_key(&self, create: ApiKeyCreate) -> Result<ApiKeyMade> {
        names::check("API key", &create.name)?;
        let caller = scope::current();
        let permissions = Permissions::read(&create.permissions)?;
        must_cover(&caller, &permissions, &create.projects)?;
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
            permissions: permissions.names(),
            projects: create.projects,
            tier: create.tier.unwrap_or(KeyTier::Enterprise),
            expires_at: create.expires_at,
            last_used_at: None,
            created_by: caller.actor.label(),
            created_at: now,
            rotated_at: None,
        };
        let hash = token::hash(secret.expose());
        let record = self.0.catalog.put(ApiKeyRecord { key, hash }).await?.key;
        self.audit("api_key.add", record.id, None::<&()>, Some(&record))
            .await?;
        Ok(ApiKeyMade {
            record,
            key: secret.expose().to_owned(),
        })
    }

    /// Changes an API key.
    pub async fn edit_api_key(&self, key: &str, edit: ApiKeyEdit) -> Result<ApiKey> {
        let mut record = self.find_key(key)?;
        let before = record.key.clone();
        let changed = &mut record.key;
        if let Some(name) = edit.name {
            names::check("API key", &name)?;
            changed.name = name;
        }
        changed.enabled = edit.enabled.unwrap_or(changed.enabled);
        if let Some(names) = &edit.permissions {
            changed.permissions = Permissions::read(names)?.names();
        }
        if let Some(projects) = edit.projects {
            changed.projects = projects;
        }
        changed.tier = edit.tier.unwrap_or(changed.tier);
        changed.expires_at = edit.expires_at.or(changed.expires_at);
        let caller = scope::current();
        for key in [&before, &record.key] {
            must_cover(
                &caller,
                &Permissions::read(&key.permissions)?,
                &key.projects,
            )?;
        }
        let after = self.0.catalog.put(record).await?.key;
        self.audit("api_key.edit", after.id, Some(&before), Some(&after))
            .await?;
        Ok(after)
    }

    /// Replaces a key's secret; the old one stops working at once.
    pub async fn rotate_api_key(&self, key: &str) -> Result<ApiKeyMade> {
        let mut record = self.find_key(key)?;
        let permissions = Permissions::read(&record.key.permissions)?;
        must_cover(&scope::current(), &permissions, &record.key.projects)?;
        let secret = token::generate(token::KEY_PREFIX);
        record.hash = token::hash(secret.expose());
        record.key.prefix = token::shown(&secret);
        record.key.rotated_at = Some(self.now());
        let record = self.0.catalog.put(record).await?.key;
        self.audit("api_key.rotate", record.id, None::<&()>, Some(&record))
            .await?;
        Ok(ApiKeyMade {
            record,
            key: secret.expose().to_owned(),
        })
    }

    /// Revokes a key at once.
    pub async fn remove_api_key(&self, key: &str) -> Result<()> {
        let key = self.find_key(key)?.key;
        let id = key.id.bits();
        self.0
            .catalog
            .write(move |tx| tx.remove::<ApiKeyRecord>(id).map(|_| ()))
            .await?;
        self.audit("api_key.remove", key.id, Some(&key), None::<&()>)
            .await
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
        if key
            .last_used_at
            .is_none_or(|last| now - last >= USE_NOTED_EVERY)
        {
            let id = key.id.bits();
            let noted = self.0.catalog.write(move |tx| {
                tx.change::<ApiKeyRecord>(id, |record| {
                    record.key.last_used_at = Some(now);
                    Ok(())
                })
                .map(|_| ())
            });
            noted.await?;
        }
        let tier = key.tier;
        Ok(Some((caller_of(key)?, tier)))
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

fn caller_of(key: ApiKey) -> Result<Caller> {
    Ok(Caller {
        permissions: Permissions::read(&key.permissions)?,
        projects: (!key.projects.is_empty()).then_some(key.projects),
        actor: Actor::Key {
            id: key.id,
            name: key.name,
        },
        address: None,
    })
}

/// The answer to a token that is nobody's.
pub(super) fn unknown() -> Error {
    Error::new(
        Code::Unauthenticated,
        "The key or session is not known, or has ended",
    )
    .hint("Log in again, or use another API key")
}
