//! Users: add, change, remove; the first administrator.

use std::fmt::Display;

use super::super::{Engine, names};
use super::groups::no_group;
use super::logins::end_logins;
use super::{ADMINISTRATORS, grant_of, must_cover};
use crate::access::password::{self, PasswordRecord};
use crate::access::{Caller, Permissions, scope};
use crate::catalog::records::{ApiKeyRecord, GroupRecord, UserRecord};
use crate::catalog::{Query, Tx};
use crate::error::{Code, Error, Result};
use crate::ids::{UserId, UserKind};
use crate::model::{Page, PageRequest, User, UserCreate, UserEdit};
use crate::secret::SecretText;

/// The user that the first start makes.
const ADMIN: &str = "admin";
/// Where the catalog keeps whom [`Engine::make_administrator`] made.
pub(in super::super) const FIRST_ADMINISTRATOR: &str = "first_administrator";

/// The administrator of a first start.
#[derive(Debug)]
pub struct FirstAdministrator {
    /// What they log in as.
    pub name: String,
    /// Their password where it was made: the only time anybody sees it.
    pub password: Option<SecretText>,
}

impl Engine {
    /// Users, newest first.
    pub async fn users(&self, page: &PageRequest) -> Result<Page<User>> {
        let query = Query::page(page.limit, page.cursor.as_deref())?;
        Ok(self
            .0
            .catalog
            .list::<UserRecord>(&query)?
            .page(|record| record.user))
    }

    /// One user, by id or name.
    pub async fn user(&self, key: &str) -> Result<User> {
        Ok(self.find_user(key)?.user)
    }

    pub(super) fn find_user(&self, key: &str) -> Result<UserRecord> {
        self.find::<UserRecord, UserKind>(key)?
            .ok_or_else(|| no_user(key))
    }

    /// Adds a user, who is to change the password they were given.
    pub async fn add_user(&self, create: UserCreate) -> Result<User> {
        names::check("user", &create.name)?;
        let record = UserRecord {
            user: self.new_user(&create.name, create.email.as_deref(), create.groups)?,
            password: hashed("password", create.password).await?,
        };
        let user = self.write_user(record, false).await?;
        self.publish("user.added", user.id, &user);
        Ok(user)
    }

    async fn write_user(&self, record: UserRecord, is_first: bool) -> Result<User> {
        let (caller, scribe) = (scope::current(), self.scribe());
        let added = self.0.catalog.write(move |tx| {
            let mut record = record.clone();
            may_give(tx, &caller, &record.user.groups)?;
            tx.put(&mut record)?;
            if is_first {
                tx.set_meta(FIRST_ADMINISTRATOR, &record.user.id.to_string())?;
            }
            scribe.note(
                tx,
                "user.add",
                record.user.id,
                None::<&()>,
                Some(&record.user),
            )?;
            Ok(record.user)
        });
        let user = added.await?;
        self.changed();
        Ok(user)
    }

    /// Changes a user; a new password or a lock ends their logins.
    pub async fn edit_user(&self, key: &str, edit: UserEdit) -> Result<User> {
        let id = self.find_user(key)?.user.id;
        let email = edit.email.as_deref().map(checked_email).transpose()?;
        let password = hashed("password", edit.password).await?;
        let (groups, enabled) = (edit.groups, edit.enabled);
        let (caller, scribe) = (scope::current(), self.scribe());
        let edited = self.0.catalog.write(move |tx| {
            let mut record = tx
                .get::<UserRecord>(id.bits())?
                .ok_or_else(|| no_user(id))?;
            let before = record.user.clone();
            may_give(tx, &caller, &before.groups)?;
            if let Some(groups) = &groups {
                may_give(tx, &caller, groups)?;
                record.user.groups.clone_from(groups);
            }
            if let Some(email) = &email {
                record.user.email.clone_from(email);
            }
            record.user.enabled = enabled.unwrap_or(record.user.enabled);
            if let Some(hash) = &password {
                record.password = Some(hash.clone());
                record.user.password_given = true;
            }
            keep_an_administrator(tx, &before, Some(&record.user))?;
            tx.put(&mut record)?;
            if password.is_some() || !record.user.enabled {
                end_logins(tx, id)?;
            }
            scribe.note(tx, "user.edit", id, Some(&before), Some(&record.user))?;
            Ok(record.user)
        });
        let user = edited.await?;
        self.changed();
        self.publish("user.changed", user.id, &user);
        Ok(user)
    }

    /// Removes a user and ends their logins.
    pub async fn remove_user(&self, key: &str) -> Result<()> {
        let id = self.find_user(key)?.user.id;
        let (caller, scribe) = (scope::current(), self.scribe());
        let removed = self.0.catalog.write(move |tx| {
            let removed = tx.remove::<UserRecord>(id.bits())?;
            let user = removed.ok_or_else(|| no_user(id))?.user;
            may_give(tx, &caller, &user.groups)?;
            keep_an_administrator(tx, &user, None)?;
            end_logins(tx, id)?;
            scribe.note(tx, "user.remove", id, Some(&user), None::<&()>)?;
            Ok(user)
        });
        let user = removed.await?;
        self.changed();
        self.publish("user.removed", user.id, &user);
        Ok(())
    }

    /// Makes an administrator where nobody could administer the engine over a network, with that password
    /// or a made one, which nobody sees again. Nothing when there is somebody already.
    pub async fn make_administrator(
        &self,
        given: Option<SecretText>,
    ) -> Result<Option<FirstAdministrator>> {
        if self.is_administered()? {
            return Ok(None);
        }
        let made = given.is_none().then(password::generate);
        let mut name = ADMIN.to_owned();
        while self.0.catalog.by_name::<UserRecord>(&name)?.is_some() {
            name.push('1');
        }
        let groups = vec![ADMINISTRATORS.to_owned()];
        let mut user = self.new_user(&name, None, groups)?;
        user.password_given = made.is_some();
        let password = hashed("password", given.or_else(|| made.clone())).await?;
        let record = UserRecord { user, password };
        let user = self.write_user(record, true).await?;
        Ok(Some(FirstAdministrator {
            name: user.name,
            password: made,
        }))
    }

    /// Whether somebody could administer the engine over a network.
    pub fn is_administered(&self) -> Result<bool> {
        let users = self.0.catalog.all::<UserRecord>()?;
        if users.iter().any(|record| administers(&record.user)) {
            return Ok(true);
        }
        let now = self.now();
        for ApiKeyRecord { key, .. } in self.0.catalog.all::<ApiKeyRecord>()? {
            let works = key.enabled && key.expires_at.is_none_or(|end| now < end);
            let permissions = Permissions::read(&key.permissions)?;
            if works && key.projects.is_empty() && permissions.covers(&Permissions::all()) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    pub(in super::super) fn new_user(
        &self,
        name: &str,
        email: Option<&str>,
        groups: Vec<String>,
    ) -> Result<User> {
        let now = self.now();
        Ok(User {
            id: UserId::generate(now),
            serial: 0,
            name: name.to_owned(),
            email: email.map_or(Ok(None), checked_email)?,
            enabled: true,
            groups,
            password_given: true,
            created_at: now,
            last_login_at: None,
        })
    }
}

/// Refuses groups that do not exist or allow more than the caller may do.
fn may_give(tx: &Tx<'_>, caller: &Caller, groups: &[String]) -> Result<()> {
    for name in groups {
        let Some(GroupRecord(group)) = tx.by_name(name)? else {
            return Err(no_group(name).field("groups", "takes names of groups"));
        };
        must_cover(caller, &grant_of(&group.permissions, &group.projects)?)?;
    }
    Ok(())
}

/// Refuses a change after which nobody could administer the engine over the network.
fn keep_an_administrator(tx: &Tx<'_>, before: &User, after: Option<&User>) -> Result<()> {
    if !administers(before) || after.is_some_and(administers) {
        return Ok(());
    }
    let users = tx.all::<UserRecord>()?;
    if users
        .iter()
        .any(|record| record.user.id != before.id && administers(&record.user))
    {
        return Ok(());
    }
    Err(Error::new(
        Code::Conflict,
        format!("{} is the last administrator", before.name),
    )
    .hint("Make another user an administrator first"))
}

fn no_user(key: impl Display) -> Error {
    Error::new(Code::UserNotFound, format!("There is no user \"{key}\""))
        .hint("`backstay user list` shows them")
}

/// Whether that user may do everything.
pub(in super::super) fn administers(user: &User) -> bool {
    user.enabled && user.groups.iter().any(|group| group == ADMINISTRATORS)
}

/// The hash of a password given in that field, made where blocking is fine.
pub(super) async fn hashed(
    field: &str,
    password: Option<SecretText>,
) -> Result<Option<PasswordRecord>> {
    let Some(text) = password else {
        return Ok(None);
    };
    password::check(field, &text)?;
    password::unhurried(move || password::hash(&text))
        .await?
        .map(Some)
}

fn checked_email(text: &str) -> Result<Option<String>> {
    let text = text.trim();
    if text.is_empty() {
        return Ok(None);
    }
    let plain = text.len() <= 254 && !text.chars().any(|c| c.is_control() || c.is_whitespace());
    match text.split_once('@') {
        Some((local, host)) if plain && !local.is_empty() && !host.is_empty() => {
            Ok(Some(text.to_owned()))
        }
        _ => Err(
            Error::invalid(format!("\"{text}\" is not an email address"))
                .field("email", "must look like name@host"),
        ),
    }
}
