//! Who is asking, once that is known.

use super::{PERMISSIONS, Permissions};
use crate::error::{Code, Error, Result};
use crate::ids::{ApiKeyId, LoginId, UserId};
use crate::model::{Time, Trigger};

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
        /// When it got the secret that it has.
        since: Time,
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

    /// Who that is and nobody else, ever: names are used again, and secrets change hands.
    pub fn identity(&self) -> String {
        match self {
            Self::User { id, .. } => id.to_string(),
            Self::Key { id, since, .. } => format!("{id}@{}", since.timestamp_micros()),
            Self::Process { .. } | Self::Engine | Self::Nobody => self.label(),
        }
    }
}

/// Permissions, and where they hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// What it allows.
    pub permissions: Permissions,
    /// In these projects; everywhere when `None`.
    pub projects: Option<Vec<String>>,
}

impl Grant {
    /// As groups and keys are written: without projects it holds everywhere.
    pub fn new(permissions: Permissions, projects: &[String]) -> Self {
        Self {
            permissions,
            projects: (!projects.is_empty()).then(|| projects.to_vec()),
        }
    }

    fn allows(&self, permission: &str, project: Option<&str>) -> bool {
        let there = match (&self.projects, project) {
            (None, _) => true,
            (Some(_), None) => false,
            (Some(own), Some(project)) => own.iter().any(|known| known == project),
        };
        there && self.permissions.allows(permission)
    }
}

/// A known caller and what they may do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// Who.
    pub actor: Actor,
    /// The address a request came from; nothing for the socket.
    pub address: Option<std::net::IpAddr>,
    /// What they may do, and where: a permission holds in the projects of its own grant alone.
    pub grants: Vec<Grant>,
    /// The projects they are limited to in what they do now; all when `None`. See [`Caller::doing`].
    pub projects: Option<Vec<String>>,
    /// Whether they logged in over the network with a password that was given to them, which they are
    /// to change before anything else.
    pub has_given_password: bool,
}

impl Caller {
    /// Somebody with those grants. Until [`Caller::doing`] says what they do, they are limited to the
    /// projects that every grant of theirs holds in.
    pub fn new(actor: Actor, address: Option<std::net::IpAddr>, grants: Vec<Grant>) -> Self {
        let mut limited = grants.iter().filter_map(|grant| grant.projects.as_ref());
        let projects = limited.next().cloned().map(|mut projects| {
            for others in limited {
                projects.retain(|project| others.contains(project));
            }
            projects
        });
        Self {
            actor,
            address,
            grants,
            projects,
            has_given_password: false,
        }
    }

    /// Somebody who may do everything.
    pub fn unlimited(actor: Actor) -> Self {
        let grant = Grant {
            permissions: Permissions::all(),
            projects: None,
        };
        Self::new(actor, None, vec![grant])
    }

    /// An administrator of this machine.
    pub fn process(uid: u32) -> Self {
        Self::unlimited(Actor::Process { uid })
    }

    /// Somebody unknown, who may do nothing.
    pub fn nobody(address: Option<std::net::IpAddr>) -> Self {
        Self::new(Actor::Nobody, address, Vec::new())
    }

    /// The caller as they do something that takes this permission: limited to the projects where they
    /// have it. Refuses who has it nowhere.
    pub fn doing(&self, permission: &str) -> Result<Self> {
        self.require(permission)?;
        let mut projects = Some(Vec::<String>::new());
        for grant in self.holding(permission) {
            match (&mut projects, &grant.projects) {
                (Some(all), Some(own)) => all.extend(own.iter().cloned()),
                _ => projects = None,
            }
        }
        if let Some(projects) = &mut projects {
            projects.sort_unstable();
            projects.dedup();
        }
        Ok(Self {
            projects,
            ..self.clone()
        })
    }

    fn holding<'a>(&'a self, permission: &'a str) -> impl Iterator<Item = &'a Grant> {
        let grants = self.grants.iter();
        grants.filter(move |grant| grant.permissions.allows(permission))
    }

    /// Refuses what the caller may do nowhere.
    pub fn require(&self, permission: &str) -> Result<()> {
        if self.holding(permission).next().is_some() {
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

    /// Refuses what the caller may not do in that project.
    pub fn require_in(&self, permission: &str, project: &str) -> Result<()> {
        self.require(permission)?;
        if self.may(permission, Some(project)) {
            return Ok(());
        }
        Err(Error::new(
            Code::Forbidden,
            format!(
                "{} may not do this in the project \"{project}\": it takes {permission} there",
                self.actor.label()
            ),
        )
        .hint("Ask an administrator for a group or a key with that permission"))
    }

    /// Whether they may do that in a project, or everywhere.
    pub fn may(&self, permission: &str, project: Option<&str>) -> bool {
        let mut grants = self.grants.iter();
        grants.any(|grant| grant.allows(permission, project))
    }

    /// Whether they may do all that a grant allows, wherever it does.
    pub fn has(&self, other: &Grant) -> bool {
        let wanted = PERMISSIONS
            .iter()
            .filter(|permission| other.permissions.allows(permission.name));
        let places: Vec<Option<&str>> = match &other.projects {
            None => vec![None],
            Some(projects) => projects.iter().map(|name| Some(name.as_str())).collect(),
        };
        let mut all = wanted.flat_map(|permission| {
            let places = places.iter();
            places.map(move |place| (permission.name, *place))
        });
        all.all(|(permission, place)| self.may(permission, place))
    }

    /// Whether they may do all that `other` may.
    pub fn covers(&self, other: &Self) -> bool {
        other.grants.iter().all(|grant| self.has(grant))
    }

    /// All that they may do somewhere.
    pub fn permissions(&self) -> Permissions {
        let none = Permissions::default();
        let grants = self.grants.iter();
        grants.fold(none, |sum, grant| sum.and(&grant.permissions))
    }

    /// Whether records of that project are theirs to see in what they do now.
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

#[cfg(test)]
mod tests {
    use super::*;

    fn grant(permissions: &[&str], projects: &[&str]) -> Grant {
        let projects: Vec<_> = projects.iter().map(|&name| name.to_owned()).collect();
        Grant::new(Permissions::read(permissions).unwrap(), &projects)
    }

    fn caller(grants: Vec<Grant>) -> Caller {
        Caller::new(Actor::Engine, None, grants)
    }

    #[test]
    fn a_permission_holds_in_the_projects_of_its_own_grant_alone() {
        let both = caller(vec![
            grant(&["backups:*"], &["a"]),
            grant(&["backups:read"], &["b"]),
        ]);
        let reading = both.doing("backups:read").unwrap();
        assert!(reading.sees("a") && reading.sees("b") && !reading.sees("c"));
        let deleting = both.doing("backups:delete").unwrap();
        assert!(deleting.sees("a") && !deleting.sees("b"));
        assert!(both.doing("runs:read").is_err());
        assert!(both.require_in("backups:delete", "a").is_ok());
        assert!(both.require_in("backups:delete", "b").is_err());
        assert!(
            !both.sees("a") && !both.sees("b"),
            "nothing is said of what they do"
        );
        assert!(both.has(&grant(&["backups:read"], &["a", "b"])));
        assert!(!both.has(&grant(&["backups:delete"], &["a", "b"])));
        assert!(!both.has(&grant(&["backups:read"], &[])));
    }

    #[test]
    fn an_unlimited_grant_does_not_widen_a_limited_one() {
        let mixed = caller(vec![
            grant(&["backups:read"], &[]),
            grant(&["backups:*"], &["a"]),
        ]);
        assert_eq!(mixed.doing("backups:read").unwrap().projects, None);
        let deleting = mixed.doing("backups:delete").unwrap();
        assert_eq!(deleting.projects, Some(vec!["a".to_owned()]));
        assert!(!mixed.covers(&caller(vec![grant(&["backups:*"], &[])])));
        assert!(caller(vec![grant(&["*"], &[])]).covers(&mixed));
    }
}
