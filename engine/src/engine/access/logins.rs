//! Logins: a password becomes a token that ends.

use std::net::IpAddr;

use chrono::TimeDelta;

use super::super::Engine;
use super::keys::unknown;
use super::users::hashed;
use crate::access::{Actor, Caller, Permissions, password, scope, token};
use crate::catalog::Query;
use crate::catalog::records::{GroupRecord, LoginRecord, UserRecord, login};
use crate::error::{Code, Error, Result};
use crate::ids::{LoginId, UserId};
use crate::model::{KeyTier, LoginMade, LoginRequest, PasswordChange, Session, Time, User};
use crate::secret::SecretText;

/// Logins that one user may have; the oldest end.
const LOGINS_MAX: usize = 50;

impl Engine {
    /// Turns a name and a password into a login. Takes as long for a name nobody has.
    pub async fn login(&self, request: LoginRequest, address: Option<IpAddr>) -> Result<LoginMade> {
        let record = self.0.catalog.by_name::<UserRecord>(&request.username)?;
        let known = record.as_ref().and_then(|record| record.password.clone());
        let given = request.password.unwrap_or_else(|| SecretText::new(""));
        let right = password::unhurried(move || password::verify(&given, known.as_ref())).await?;
        let Some(user) = record
            .map(|record| record.user)
            .filter(|user| right && user.enabled)
        else {
            // The name may be a password typed into the wrong field, so it is not written down.
            self.audit_bare("login.refused", "").await?;
            return Err(
                Error::new(Code::Unauthenticated, "The name or the password is wrong")
                    .hint("Try again; an administrator can set a new password"),
            );
        };
        let now = self.now();
        let life = self.settings().sessions.lifetime_seconds;
        let secret = token::generate(token::SESSION_PREFIX);
        let record = LoginRecord {
            id: LoginId::generate(now),
            serial: 0,
            user: user.id,
            hash: token::hash(secret.expose()),
            address: address.map(|address| address.to_string()),
            created_at: now,
            expires_at: now + TimeDelta::seconds(life.into()),
        };
        self.drop_old_logins(user.id).await?;
        let (id, expires_at) = (record.id, record.expires_at);
        let user_id = user.id.bits();
        self.0
            .catalog
            .write(move |tx| {
                tx.put(&mut record.clone())?;
                tx.change::<UserRecord>(user_id, |record| {
                    record.user.last_login_at = Some(now);
                    Ok(())
                })
                .map(|_| ())
            })
            .await?;
        let caller = self.caller_of_user(&user, id, address)?;
        scope::acting_as(caller.clone().into(), self.audit_bare("login", user.id)).await?;
        Ok(LoginMade {
            session: session_of(&caller, Some(user), Some(expires_at)),
            token: secret.expose().to_owned(),
        })
    }

    /// Ends the caller's login.
    pub async fn logout(&self) -> Result<()> {
        let caller = scope::current();
        let Actor::User { login, .. } = caller.actor else {
            return Ok(());
        };
        let id = login.bits();
        self.0
            .catalog
            .write(move |tx| tx.remove::<LoginRecord>(id).map(|_| ()))
            .await?;
        self.audit_bare("logout", login).await
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
        let mut record = self
            .0
            .catalog
            .get::<UserRecord>(id.bits())?
            .ok_or_else(unknown)?;
        let known = record.password.clone();
        let given = change
            .current_password
            .unwrap_or_else(|| SecretText::new(""));
        let right = password::unhurried(move || password::verify(&given, known.as_ref())).await?;
        if !right {
            return Err(Error::new(Code::Forbidden, "The current password is wrong")
                .field("current_password", "is not the one that holds"));
        }
        let hash = hashed(change.new_password).await?;
        record.password = Some(hash.ok_or_else(|| {
            Error::invalid("The new password is missing").field("new_password", "is missing")
        })?);
        record.user.password_given = false;
        self.0.catalog.put(record).await?;
        self.end_logins(*id).await?;
        self.audit_bare("user.password", *id).await
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

    fn login_holds(&self, id: UserId, login: LoginId, now: Time) -> Result<Option<User>> {
        let record = self.0.catalog.get::<LoginRecord>(login.bits())?;
        if record.is_none_or(|record| record.expires_at <= now) {
            return Ok(None);
        }
        let user = self.0.catalog.get::<UserRecord>(id.bits())?;
        Ok(user.map(|record| record.user).filter(|user| user.enabled))
    }

    /// What a user's groups add up to. A group limited to projects gives nothing outside them, so the
    /// permissions of unlimited groups count alone where there are any.
    fn caller_of_user(
        &self,
        user: &User,
        login: LoginId,
        address: Option<IpAddr>,
    ) -> Result<Caller> {
        let mut everywhere = Permissions::default();
        let mut within = (Permissions::default(), Vec::new());
        for name in &user.groups {
            let Some(GroupRecord(group)) = self.0.catalog.by_name::<GroupRecord>(name)? else {
                continue;
            };
            let permissions = Permissions::read(&group.permissions)?;
            if group.projects.is_empty() {
                everywhere = everywhere.and(&permissions);
            } else {
                within.0 = within.0.and(&permissions);
                within.1.extend(group.projects);
            }
        }
        let limited = everywhere == Permissions::default();
        let (permissions, projects) = if limited {
            (within.0, Some(within.1))
        } else {
            (everywhere, None)
        };
        Ok(Caller {
            actor: Actor::User {
                id: user.id,
                name: user.name.clone(),
                login,
            },
            address,
            permissions,
            projects,
        })
    }

    /// Ends every login of a user.
    pub(in super::super) async fn end_logins(&self, user: UserId) -> Result<()> {
        self.remove_logins(self.logins_of(user)?).await
    }

    async fn drop_old_logins(&self, user: UserId) -> Result<()> {
        let now = self.now();
        let all = self.logins_of(user)?;
        let old = all
            .into_iter()
            .enumerate()
            .filter(|(place, record)| *place + 1 >= LOGINS_MAX || record.expires_at <= now)
            .map(|(_, record)| record);
        self.remove_logins(old.collect()).await
    }

    fn logins_of(&self, user: UserId) -> Result<Vec<LoginRecord>> {
        let query = Query::newest(usize::MAX).only(login::USER, Some(user));
        Ok(self.0.catalog.list::<LoginRecord>(&query)?.records)
    }

    async fn remove_logins(&self, logins: Vec<LoginRecord>) -> Result<()> {
        if logins.is_empty() {
            return Ok(());
        }
        self.0
            .catalog
            .write(move |tx| {
                for login in &logins {
                    tx.remove::<LoginRecord>(login.id.bits())?;
                }
                Ok(())
            })
            .await
    }
}

fn session_of(caller: &Caller, user: Option<User>, expires_at: Option<Time>) -> Session {
    let id = match &caller.actor {
        Actor::User { login, .. } => Some(*login),
        _ => None,
    };
    Session {
        id,
        actor: caller.actor.label(),
        user,
        permissions: caller.permissions.names(),
        projects: caller.projects.clone().unwrap_or_default(),
        expires_at,
    }
}
