//! Groups, users and API keys of a document.

use super::super::super::access::{ADMINISTRATORS, administers, group_from};
use super::super::super::exports::Opened;
use super::super::super::names;
use super::super::document::{HASH, HASHED, PREFIX, api_key_entry, group_entry, user_entry};
use super::super::kind;
use super::{Planner, Weighing, other_secrets, value};
use crate::access::password::PasswordRecord;
use crate::access::{Permissions, scope, token};
use crate::catalog::records::{ApiKeyRecord, GroupRecord, UserRecord};
use crate::error::{Code, Error, Result};
use crate::ids::ApiKeyId;
use crate::model::{
    ApiKey, ConfigApiKey, ConfigItem, ConfigState, ConfigUser, GroupCreate, KeyTier,
};
use crate::vault::unhex;

impl Planner<'_> {
    pub(super) fn group(&mut self, wanted: GroupCreate) -> Result<()> {
        let here = self.engine.0.catalog.by_name::<GroupRecord>(&wanted.name)?;
        let mut group = group_from(wanted, self.engine.now())?;
        if let Some(GroupRecord(here)) = &here {
            group.id = here.id;
            group.created_at = here.created_at;
        }
        let here = here.map(|own| value(&group_entry(&own.0))).transpose()?;
        let wanted = value(&group_entry(&group))?;
        if group.name == ADMINISTRATORS && here.as_ref() != Some(&wanted) {
            self.plan.items.push(ConfigItem {
                kind: kind::GROUP.to_owned(),
                name: group.name,
                state: ConfigState::Kept,
                fields: Vec::new(),
                reason: Some("This group is the same everywhere".to_owned()),
                lacks: Vec::new(),
            });
            return Ok(());
        }
        let written = self.weigh(Weighing::of(kind::GROUP, &group.name, here, wanted));
        if let Some(is_new) = written {
            let groups = &mut self.plan.changes.groups;
            groups.push(GroupRecord(group), is_new);
        }
        Ok(())
    }

    pub(super) fn user(&mut self, wanted: &ConfigUser) -> Result<()> {
        let engine = self.engine;
        names::check(kind::USER, &wanted.name)?;
        for group in &wanted.groups {
            let is_here = engine.0.catalog.by_name::<GroupRecord>(group)?.is_some();
            if !is_here && !self.groups.contains(group) {
                let text = format!("There is no group \"{group}\"");
                return Err(Error::new(Code::GroupNotFound, text).hint("Add it to the document"));
            }
        }
        let here = engine.0.catalog.by_name::<UserRecord>(&wanted.name)?;
        let given = self.secrets.of(kind::USER, &wanted.name);
        let hash = given.get(HASHED).map(|hash| {
            PasswordRecord::read(hash)
                .ok_or_else(|| Error::invalid("Their password is not hashed as this engine does"))
        });
        let hash = hash.transpose()?;
        let mut user =
            engine.new_user(&wanted.name, wanted.email.as_deref(), wanted.groups.clone())?;
        user.enabled = wanted.enabled.unwrap_or(true);
        user.password_given = hash.is_none();
        let mut known = Opened::new();
        let mut record = UserRecord {
            user,
            password: hash,
        };
        if let Some(here) = &here {
            let own = &mut record.user;
            own.id = here.user.id;
            own.created_at = here.user.created_at;
            own.last_login_at = here.user.last_login_at;
            if record.password.is_none() {
                record.password.clone_from(&here.password);
                own.password_given = here.user.password_given;
            }
            let hash = here.password.iter().map(|own| own.expose().to_owned());
            known.extend(hash.map(|hash| (HASHED.to_owned(), hash)));
        }
        let lacks = record.password.is_none().then(|| HASHED.to_owned());
        let here = here.map(|own| value(&user_entry(&own.user))).transpose()?;
        let written = self.weigh(Weighing {
            secrets: other_secrets(&given, &known),
            lacks: lacks.into_iter().collect(),
            ..Weighing::of(
                kind::USER,
                &record.user.name,
                here,
                value(&user_entry(&record.user))?,
            )
        });
        if let Some(is_new) = written {
            self.plan.changes.users.push(record, is_new);
        }
        Ok(())
    }

    /// Refuses what would leave nobody who could administer the engine over a network.
    pub(super) fn keep_an_administrator(&mut self) -> Result<()> {
        let here = self.engine.0.catalog.all::<UserRecord>()?;
        let changed = &self.plan.changes.users;
        let now = |own: &UserRecord| {
            let mut changed = changed.changed.iter();
            let after = changed.find(|after| after.user.id == own.user.id);
            administers(&after.unwrap_or(own).user)
        };
        let had = here.iter().any(|own| administers(&own.user));
        let has = here.iter().any(now) || changed.made.iter().any(|own| administers(&own.user));
        if had && !has {
            let text = "After this there would be no administrator";
            let error = Error::new(Code::Conflict, text);
            self.refuse(kind::GROUP, ADMINISTRATORS, error);
        }
        Ok(())
    }

    pub(super) fn api_key(&mut self, wanted: ConfigApiKey) -> Result<()> {
        let engine = self.engine;
        names::check("API key", &wanted.name)?;
        let here = engine.0.catalog.by_name::<ApiKeyRecord>(&wanted.name)?;
        let given = self.secrets.of(kind::API_KEY, &wanted.name);
        let now = engine.now();
        // Until it is rotated nobody has the key.
        let unknown = token::generate(token::KEY_PREFIX);
        let (mut prefix, mut hash) = (token::shown(&unknown), token::hash(unknown.expose()));
        if let Some(own) = given.get(HASH) {
            let is_one = own.len() == 64 && unhex(own).is_some();
            if !is_one {
                return Err(Error::invalid("Its key is not hashed as this engine does"));
            }
            hash.clone_from(own);
            prefix = given.get(PREFIX).cloned().unwrap_or_default();
        }
        let mut key = ApiKey {
            id: ApiKeyId::generate(now),
            serial: 0,
            name: wanted.name,
            prefix,
            enabled: wanted.enabled.unwrap_or(true),
            permissions: Permissions::read(&wanted.permissions)?.names(),
            projects: wanted.projects,
            tier: wanted.tier.unwrap_or(KeyTier::Enterprise),
            expires_at: wanted.expires_at,
            last_used_at: None,
            created_by: scope::current().actor.label(),
            created_at: now,
            rotated_at: None,
        };
        let has_key = here.is_some() || given.contains_key(HASH);
        let mut known = Opened::new();
        if let Some(ApiKeyRecord {
            key: own,
            hash: kept,
        }) = &here
        {
            known.insert(HASH.to_owned(), kept.clone());
            known.insert(PREFIX.to_owned(), own.prefix.clone());
            if !given.contains_key(HASH) {
                hash.clone_from(kept);
                key.prefix.clone_from(&own.prefix);
            } else if hash != *kept {
                // Whoever came with the old key is not let on.
                key.rotated_at = Some(now);
            }
            key.id = own.id;
            key.created_by.clone_from(&own.created_by);
            key.created_at = own.created_at;
            key.last_used_at = own.last_used_at;
        }
        let here = here
            .map(|own| value(&api_key_entry(&own.key)))
            .transpose()?;
        let written = self.weigh(Weighing {
            secrets: other_secrets(&given, &known),
            lacks: if has_key {
                Vec::new()
            } else {
                vec!["key".to_owned()]
            },
            ..Weighing::of(kind::API_KEY, &key.name, here, value(&api_key_entry(&key))?)
        });
        if let Some(is_new) = written {
            let keys = &mut self.plan.changes.api_keys;
            keys.push(ApiKeyRecord { key, hash }, is_new);
        }
        Ok(())
    }
}
