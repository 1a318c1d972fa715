//! Logins: a password becomes a token that ends.

use std::net::IpAddr;

use chrono::TimeDelta;

use super::super::Engine;
use super::grant_of;
use super::keys::unknown;
use super::users::hashed;
use crate::access::{Actor, Caller, password, scope, token};
use crate::catalog::records::{GroupRecord, LoginRecord, Maker, UserRecord, login};
use crate::catalog::{Query, Tx};
use crate::error::{Code, Error, Result};
use crate::ids::{LoginId, UserId};
use crate::model::{
    KeyTier, LoginMade, LoginRequest, PasswordChange, Session, SessionGrant, Time, User,
};
use crate::secret::SecretText;

/// Logins that one user may have; the oldest end.
const LOGINS_MAX: usize = 50;

impl Engine {
    /// Turns a name and a password into a login. Takes as long for a name nobody has.
    pub async fn login(&self, request: LoginRequest, address: Option<IpAddr>) -> Result<LoginMade> {
        let record = self.0.catalog.by_name::<UserRecord>(&request.username)?;
        let known = record.as_ref().and_then(|record| record.password.clone());
        let given = request.password.unwrap_or_else(|| SecretText::new(""));
        let verified = known.clone();
        let right =
            password::unhurried(move || password::verify(&given, verified.as_ref())).await?;
        let made = match record {
            Some(record) if right && record.user.enabled => {
                self.write_login(record, address).await?
            }
            Some(record) => Err(record.user.id.to_string()),
            // The name may be a password typed into the wrong field, so it is not written down.
            None => Err(String::new()),
        };
        match made {
            Ok(made) => Ok(made),
            Err(subject) => {
                self.audit_bare("login.refused", subject).await?;
                Err(
                    Error::new(Code::Unauthenticated, "The name or the password is wrong")
                        .hint("Try again; an administrator can set a new password"),
                )
            }
        }
    }

    /// Lets in who knows the password of `verified`, unless that was changed or they were locked meanwhile.
    async fn write_login(
        &self,
        verified: UserRecord,
        address: Option<IpAddr>,
    ) -> Result<std::result::Result<LoginMade, String>> {
        let now = self.now();
        let life = self.settings().sessions.lifetime_seconds;
        let secret = token::generate(token::SESSION_PREFIX);
        let user_id = verified.user.id;
        let record = LoginRecord {
            id: LoginId::generate(now),
            serial: 0,
            user: user_id,
            hash: token::hash(secret.expose()),
            address: address.map(|address| address.to_string()),
            created_at: now,
            expires_at: now + TimeDelta::seconds(life.into()),
        };
        let (id, expires_at) = (record.id, record.expires_at);
        let caller = self.caller_of_user(&verified.user, id, address)?;
        let scribe = self.scribe_of(&caller);
        let written = self.0.catalog.write(move |tx| {
            let found = tx.get::<UserRecord>(user_id.bits())?;
            let still = found.filter(|it| it.user.enabled && it.password == verified.password);
            let Some(mut user) = still else {
                return Ok(None);
            };
            drop_old_logins(tx, user_id, now)?;
            tx.put(&mut record.clone())?;
            user.user.last_login_at = Some(now);
            tx.put(&mut user)?;
            scribe.note_bare(tx, "login", user_id)?;
            Ok(Some(user.user))
        });
        let Some(user) = written.await? else {
            return Ok(Err(user_id.to_string()));
        };
        Ok(Ok(LoginMade {
            session: session_of(&caller, Some(user), Some(expires_at)),
            token: secret.expose().to_owned(),
        }))
    }

    /// Ends the caller's login.
    pub async fn logout(&self) -> Result<()> {
        let caller = scope::current();
        let Actor::User { login, .. } = caller.actor else {
            return Ok(());
        };
        let scribe = self.scribe();
        let ended = self.0.catalog.write(move |tx| {
            tx.remove::<LoginRecord>(login.bits())?;
            scribe.note_bare(tx, "logout", login)
        });
        ended.await
    }

    /// Who the caller is and what they may do.
    pub async fn session(&self) -> Result<Session> {
        let caller = scope::current();
        let Actor::User { id, login, .. } = &caller.actor else {
            return Ok(session_of(&caller, None, None));
        };
        let user = self
            .0
            .catalog
            .get::<UserRecord>(id.bits())?
            .map(|record| record.user);
        let record = self.0.catalog.get::<LoginRecord>(login.bits())?;
        Ok(session_of(
            &caller,
            user,
            record.map(|record| record.expires_at),
        ))
    }

    /// Replaces the caller's password and ends every login of theirs, this one too.
    pub async fn change_password(&self, change: PasswordChange) -> Result<()> {
        let caller = scope::current();
        let Actor::User { id, .. } = &caller.actor else {
            return Err(
                Error::new(Code::Conflict, "Only somebody who logged in has a password")
                    .hint("An administrator sets a user's password with `backstay user edit`"),
            );
        };
        let id = *id;
        let record = self.0.catalog.get::<UserRecord>(id.bits())?;
        let known = record.ok_or_else(unknown)?.password;
        let given = change
            .current_password
            .unwrap_or_else(|| SecretText::new(""));
        let new = change.new_password.ok_or_else(|| {
            Error::invalid("The new password is missing").field("new_password", "is missing")
        })?;
        let is_same = new.expose() == given.expose();
        let verified = known.clone();
        let right =
            password::unhurried(move || password::verify(&given, verified.as_ref())).await?;
        if !right {
            return Err(Error::new(Code::Forbidden, "The current password is wrong")
                .field("current_password", "is not the one that holds"));
        }
        if is_same {
            return Err(Error::invalid("The new password is the current one")
                .field("new_password", "must differ from the current one"));
        }
        let hash = hashed("new_password", Some(new)).await?;
        let scribe = self.scribe();
        let changed = self.0.catalog.write(move |tx| {
            let found = tx.get::<UserRecord>(id.bits())?;
            let found = found.filter(|record| record.user.enabled);
            let mut record = found.ok_or_else(unknown)?;
            if record.password != known {
                return Err(
                    Error::new(Code::Conflict, "The password was changed meanwhile")
                        .hint("Log in with the one that holds now"),
                );
            }
            record.password.clone_from(&hash);
            record.user.password_given = false;
            tx.put(&mut record)?;
            end_logins(tx, id)?;
            scribe.note_bare(tx, "user.password", id)
        });
        changed.await?;
        self.changed();
        Ok(())
    }

    /// Who a bearer token stands for, and how much they may ask for.
    pub async fn caller_of_token(
        &self,
        secret: &str,
        address: Option<IpAddr>,
    ) -> Result<(Caller, KeyTier)> {
        if secret.starts_with(token::KEY_PREFIX) {
            let (mut caller, tier) = self.caller_of_key(secret).await?.ok_or_else(unknown)?;
            caller.address = address;
            return Ok((caller, tier));
        }
        let hash = token::hash(secret);
        let query = Query::newest(1).only(login::HASH, Some(&hash));
        let found = self.0.catalog.list::<LoginRecord>(&query)?.records.pop();
        let now = self.now();
        let record = found
            .filter(|record| record.hash == hash && now < record.expires_at)
            .ok_or_else(unknown)?;
        let user = self.0.catalog.get::<UserRecord>(record.user.bits())?;
        let user = user.map(|record| record.user).filter(|user| user.enabled);
        let user = user.ok_or_else(unknown)?;
        Ok((
            self.caller_of_user(&user, record.id, address)?,
            KeyTier::Enterprise,
        ))
    }

    /// Whether a caller who was let in at `since` would be let in again, with no less than they had.
    pub async fn still_holds(&self, caller: &Caller, since: Time) -> bool {
        let now = self.now();
        let holds = match &caller.actor {
            Actor::User { id, login, .. } => self.login_holds(*id, *login, now).map(|user| {
                let again = user.and_then(|user| self.caller_of_user(&user, *login, None).ok());
                again.is_some_and(|again| again.covers(caller))
            }),
            Actor::Key { id, .. } => self
                .key_holds(*id, since, now)
                .map(|again| again.is_some_and(|again| again.covers(caller))),
            Actor::Process { .. } | Actor::Engine | Actor::Nobody => Ok(true),
        };
        holds.unwrap_or(false)
    }

    /// What somebody may do now who asked for something before; nothing when they are not let in any more.
    pub(in super::super) fn maker_now(&self, maker: &Maker, now: Time) -> Result<Option<Caller>> {
        match maker {
            Maker::Key(id, since) => self.key_holds(*id, *since, now),
            Maker::User(id) => {
                let user = self.0.catalog.get::<UserRecord>(id.bits())?;
                let user = user.map(|record| record.user).filter(|user| user.enabled);
                let caller = |user| self.caller_of_user(&user, LoginId::from_bits(0), None);
                user.map(caller).transpose()
            }
        }
    }

    fn login_holds(&self, id: UserId, login: LoginId, now: Time) -> Result<Option<User>> {
        let record = self.0.catalog.get::<LoginRecord>(login.bits())?;
        if record.is_none_or(|record| record.expires_at <= now) {
            return Ok(None);
        }
        let user = self.0.catalog.get::<UserRecord>(id.bits())?;
        Ok(user.map(|record| record.user).filter(|user| user.enabled))
    }

    /// What a user's groups allow, each where it does.
    fn caller_of_user(
        &self,
        user: &User,
        login: LoginId,
        address: Option<IpAddr>,
    ) -> Result<Caller> {
        let mut grants = Vec::new();
        for name in &user.groups {
            if let Some(GroupRecord(group)) = self.0.catalog.by_name::<GroupRecord>(name)? {
                grants.push(grant_of(&group.permissions, &group.projects)?);
            }
        }
        let actor = Actor::User {
            id: user.id,
            name: user.name.clone(),
            login,
        };
        let mut caller = Caller::new(actor, address, grants);
        caller.has_given_password = user.password_given && address.is_some();
        Ok(caller)
    }
}

/// Ends every login of a user.
pub(in super::super) fn end_logins(tx: &Tx<'_>, user: UserId) -> Result<()> {
    logins_of(tx, user)?
        .iter()
        .try_for_each(|login| end(tx, login))
}

/// Ends what has run out, and the oldest where a user has too many.
fn drop_old_logins(tx: &Tx<'_>, user: UserId, now: Time) -> Result<()> {
    let all = logins_of(tx, user)?;
    let too_many = (all.len() + 1).saturating_sub(LOGINS_MAX);
    let mut old = all
        .iter()
        .enumerate()
        .filter(|(place, record)| *place < too_many || record.expires_at <= now);
    old.try_for_each(|(_, login)| end(tx, login))
}

/// Oldest first.
fn logins_of(tx: &Tx<'_>, user: UserId) -> Result<Vec<LoginRecord>> {
    let mut logins = tx.all::<LoginRecord>()?;
    logins.retain(|login| login.user == user);
    Ok(logins)
}

fn end(tx: &Tx<'_>, login: &LoginRecord) -> Result<()> {
    tx.remove::<LoginRecord>(login.id.bits()).map(|_| ())
}

fn session_of(caller: &Caller, user: Option<User>, expires_at: Option<Time>) -> Session {
    let id = match &caller.actor {
        Actor::User { login, .. } => Some(*login),
        _ => None,
    };
    let mut projects: Vec<String> = Vec::new();
    let is_limited = caller.grants.iter().all(|grant| grant.projects.is_some());
    for name in caller
        .grants
        .iter()
        .filter_map(|grant| grant.projects.as_ref())
        .flatten()
    {
        if is_limited && !projects.contains(name) {
            projects.push(name.clone());
        }
    }
    let grants = caller.grants.iter().map(|grant| SessionGrant {
        permissions: grant.permissions.names(),
        projects: grant.projects.clone().unwrap_or_default(),
    });
    Session {
        id,
        actor: caller.actor.label(),
        user,
        permissions: caller.permissions().names(),
        projects,
        grants: grants.collect(),
        expires_at,
    }
}
