//! Who may use the engine: users, groups, API keys, logins, and the log of what they changed.

mod audit;
mod groups;
mod keys;
mod logins;
mod users;

pub(super) use audit::Denials;
pub(super) use groups::group_from;
pub(super) use users::FIRST_ADMINISTRATOR;
pub use users::FirstAdministrator;
pub(super) use users::administers;

use super::Engine;
use crate::access::Caller;
use crate::error::{Code, Error, Result};

/// The group whose users may do everything; it cannot be changed.
pub(super) const ADMINISTRATORS: &str = "administrators";
/// What somebody may do who looks after backups without changing the setup.
const OPERATORS: &str = "operators";
/// What somebody may do who only looks.
const VIEWERS: &str = "viewers";

/// Refuses to give away more than the caller has.
fn must_cover(
    caller: &Caller,
    wanted: &crate::access::Permissions,
    projects: &[String],
) -> Result<()> {
    let too_much = |what: &str| {
        Error::new(
            Code::Forbidden,
            format!(
                "{} cannot give {what} that they do not have",
                caller.actor.label()
            ),
        )
        .hint("Leave it out, or ask an administrator")
    };
    if !caller.permissions.covers(wanted) {
        return Err(too_much("permissions"));
    }
    match &caller.projects {
        None => Ok(()),
        Some(own)
            if !projects.is_empty() && projects.iter().all(|project| own.contains(project)) =>
        {
            Ok(())
        }
        Some(_) => Err(too_much("access to projects")),
    }
}

impl Engine {
    /// Every permission there is.
    pub fn permissions(&self) -> Vec<crate::model::PermissionInfo> {
        let every = crate::access::PERMISSIONS.iter();
        every
            .map(|permission| crate::model::PermissionInfo {
                name: permission.name.to_owned(),
                allows: permission.allows.to_owned(),
            })
            .collect()
    }
}

#[cfg(test)]
mod tests;
