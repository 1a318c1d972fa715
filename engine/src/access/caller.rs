//! Who is asking, once that is known.

use super::Permissions;
use crate::error::{Code, Error, Result};
use crate::ids::{ApiKeyId, LoginId, UserId};
use crate::model::Trigger;

/// Who stands behind a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Actor {
    /// A process of this machine over the Unix socket.
    Process {
        /// Its user.
        uid: u32,
    },
    /// Somebody who logged in.
    User {
        /// Who.
        id: UserId,
        /// Their name.
        name: String,
        /// By which login.
        login: LoginId,
    },
    /// An API key.
    Key {
        /// Which.
        id: ApiKeyId,
        /// Its name.
        name: String,
    },
    /// The engine itself: schedules and system tasks.
    Engine,
    /// Somebody who did not say who they are.
    Nobody,
}

impl Actor {
    /// As the audit log names it: `user:ann`, `key:ci`, `uid:1000`, `engine`.
    pub fn label(&self) -> String {
        match self {
            Self::Process { uid } => format!("uid:{uid}"),
            Self::User { name, .. } => format!("user:{name}"),
            Self::Key { name, .. } => format!("key:{name}"),
            Self::Engine => "engine".to_owned(),
            Self::Nobody => "nobody".to_owned(),
        }
    }
}

/// A known caller and what they may do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// Who.
    pub actor: Actor,
    /// The address a request came from; nothing for the socket.
    pub address: Option<std::net::IpAddr>,
    /// What they may do.
    pub permissions: Permissions,
    /// The projects they are limited to; all when `None`.
    pub projects: Option<Vec<String>>,
}

impl Caller {
    /// An administrator of this machine.
    pub fn process(uid: u32) -> Self {
        Self {
            actor: Actor::Process { uid },
            address: None,
            permissions: Permissions::all(),
            projects: None,
        }
    }

    /// Somebody unknown, who may do nothing.
    pub fn nobody(address: Option<std::net::IpAddr>) -> Self {
        Self {
            actor: Actor::Nobody,
            address,
            permissions: Permissions::default(),
            projects: None,
        }
    }

    /// Refuses what the caller may not do.
    pub fn require(&self, permission: &str) -> Result<()> {
        if self.permissions.allows(permission) {
            return Ok(());
        }
        Err(Error::new(
            Code::Forbidden,
            format!(
                "{} may not do this: it takes {permission}",
                self.actor.label()
            ),
        )
        .hint("Ask an administrator for a group or a key with that permission"))
    }

    /// Whether they may do all that `other` may.
    pub fn covers(&self, other: &Self) -> bool {
        let projects = match (&self.projects, &other.projects) {
            (None, _) => true,
            (Some(_), None) => false,
            (Some(own), Some(others)) => others.iter().all(|project| own.contains(project)),
        };
        projects && self.permissions.covers(&other.permissions)
    }

    /// Whether records of that project are theirs to see.
    pub fn sees(&self, project: &str) -> bool {
        self.projects
            .as_ref()
            .is_none_or(|projects| projects.iter().any(|known| known == project))
    }

    /// What a run they start is marked with.
    pub fn trigger(&self) -> Trigger {
        match self.actor {
            Actor::Process { .. } => Trigger::Socket,
            Actor::Engine => Trigger::Schedule,
            Actor::User { .. } | Actor::Key { .. } | Actor::Nobody => Trigger::Api,
        }
    }
}
