//! Every permission there is, and sets of them.

use std::collections::BTreeSet;

use crate::error::{Error, Result};

/// One permission.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Permission {
    /// `resource:action`.
    pub name: &'static str,
    /// What it allows.
    pub allows: &'static str,
}

macro_rules! permissions {
    ($($name:literal: $allows:literal,)*) => {
        /// All of them, by resource.
        pub const PERMISSIONS: &[Permission] =
            &[$(Permission { name: $name, allows: $allows },)*];
    };
}

permissions! {
    "alerts:read": "See alerts",
    "alerts:update": "Mark alerts as read, dismiss them",
    "api_keys:create": "Make API keys with at most one's own permissions",
    "api_keys:delete": "Revoke API keys",
    "api_keys:read": "See API keys, never their secret",
    "api_keys:update": "Change and rotate API keys",
    "audit:read": "See and verify the audit log",
    "backups:create": "Make backups",
    "backups:delete": "Delete backups and take deletions back",
    "backups:download": "Export and download backups",
    "backups:read": "See backups, what is in them, their logs and statistics",
    "backups:restore": "Restore backups and plan restores",
    "backups:update": "Label, annotate and pin backups",
    "backups:verify": "Prove backups",
    "connections:create": "Add connections and test new ones",
    "connections:delete": "Remove connections",
    "connections:read": "See connections and their databases",
    "connections:test": "Test connections and discover databases",
    "connections:update": "Change connections, choose databases, create backup users",
    "drills:create": "Add restore drills; their checks run SQL on the scratch server",
    "drills:delete": "Remove restore drills",
    "drills:read": "See restore drills and their reports",
    "drills:run": "Run restore drills",
    "drills:update": "Change restore drills and the SQL of their checks",
    "engine:stop": "Stop the engine (over the socket)",
    "environments:create": "Add environments",
    "environments:delete": "Remove environments",
    "environments:read": "See environments",
    "environments:update": "Change environments and their schedules",
    "events:read": "Follow what happens",
    "groups:create": "Add groups",
    "groups:delete": "Remove groups",
    "groups:read": "See groups and permissions",
    "groups:update": "Change groups",
    "jobs:create": "Add jobs",
    "jobs:delete": "Remove jobs",
    "jobs:read": "See jobs and previews of their runs and retention",
    "jobs:run": "Run jobs now",
    "jobs:update": "Change, pause and resume jobs",
    "metrics:read": "Read /metrics",
    "notifications:create": "Add notification targets",
    "notifications:delete": "Remove notification targets",
    "notifications:read": "See notification targets and deliveries",
    "notifications:update": "Change and test notification targets, deliver again",
    "projects:create": "Add projects",
    "projects:delete": "Remove projects",
    "projects:read": "See projects",
    "projects:update": "Change projects",
    "repositories:create": "Add repositories and test new ones",
    "repositories:delete": "Remove repositories",
    "repositories:maintain": "Check, prune, repair, rebuild and copy repositories",
    "repositories:read": "See repositories, their files and statistics",
    "repositories:update": "Change repositories and choose the default",
    "restores:read": "See restores",
    "runs:cancel": "Cancel runs",
    "runs:read": "See runs, their progress and logs",
    "settings:export": "Export the whole configuration with its secrets",
    "settings:read": "See settings",
    "settings:update": "Change settings, import a configuration",
    "status:read": "See the engine's status and what the doctor says",
    "tasks:read": "See system tasks",
    "tasks:run": "Run system tasks now",
    "tasks:update": "Change system tasks",
    "users:create": "Add users",
    "users:delete": "Remove users",
    "users:read": "See users",
    "users:update": "Change users and set their passwords",
    "vault:export": "See and change the keys of repositories, take recovery kits",
}

/// A set of permissions as people write it: names, `resource:*` and `*`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Permissions(BTreeSet<String>);

impl Permissions {
    /// Everything.
    pub fn all() -> Self {
        Self(BTreeSet::from(["*".to_owned()]))
    }

    /// Reads names; refuses what is not a permission.
    pub fn read<S: AsRef<str>>(names: impl IntoIterator<Item = S>) -> Result<Self> {
        let mut set = BTreeSet::new();
        for name in names {
            let name = name.as_ref().trim();
            if !is_known(name) {
                return Err(Error::invalid(format!("\"{name}\" is not a permission"))
                    .field("permissions", format!("\"{name}\" is not a permission"))
                    .hint("`GET /api/v1/permissions` lists them; `backups:*` and `*` stand for several"));
            }
            set.insert(name.to_owned());
        }
        Ok(Self(set))
    }

    /// Whether it has that one.
    pub fn allows(&self, name: &str) -> bool {
        let resource = name.split(':').next().unwrap_or_default();
        self.0.contains("*") || self.0.contains(name) || self.0.contains(&format!("{resource}:*"))
    }

    /// Whether it has all that `other` has.
    pub fn covers(&self, other: &Self) -> bool {
        PERMISSIONS
            .iter()
            .all(|permission| !other.allows(permission.name) || self.allows(permission.name))
    }

    /// What either has.
    #[must_use]
    pub fn and(mut self, other: &Self) -> Self {
        self.0.extend(other.0.iter().cloned());
        self
    }

    /// As written, in order.
    pub fn names(&self) -> Vec<String> {
        self.0.iter().cloned().collect()
    }
}

fn is_known(name: &str) -> bool {
    match name.strip_suffix(":*") {
        Some(resource) => PERMISSIONS
            .iter()
            .any(|permission| permission.name.split(':').next() == Some(resource)),
        None => name == "*" || PERMISSIONS.iter().any(|permission| permission.name == name),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_in_order_and_once() {
        for pair in PERMISSIONS.windows(2) {
            assert!(
                pair[0].name < pair[1].name,
                "{} {}",
                pair[0].name,
                pair[1].name
            );
        }
    }

    #[test]
    fn stars_stand_for_what_they_cover() {
        let some = Permissions::read(["backups:*", "runs:read"]).unwrap();
        assert!(some.allows("backups:delete") && some.allows("runs:read"));
        assert!(!some.allows("runs:cancel") && !some.allows("backup:read"));
        assert!(Permissions::all().covers(&some));
        assert!(!some.covers(&Permissions::all()));
        assert!(some.covers(&Permissions::read(["backups:read"]).unwrap()));
        assert!(some.covers(&Permissions::default()));
    }

    #[test]
    fn what_is_not_one_is_refused() {
        for wrong in [
            "",
            "backups",
            "backups:",
            "backups:eat",
            "backup:*",
            "*:read",
            "**",
        ] {
            assert!(Permissions::read([wrong]).is_err(), "{wrong}");
        }
    }
}
