//! Who may use the engine: users, groups, API keys, logins, and the log of what they changed.

mod audit;
mod groups;
mod keys;
mod logins;
mod users;

pub(super) use audit::{Denials, Scribe};
pub(super) use groups::group_from;
pub(super) use keys::Uses;
pub(super) use logins::end_logins;
pub(super) use users::FIRST_ADMINISTRATOR;
pub use users::FirstAdministrator;
pub(super) use users::administers;

use super::Engine;
use crate::access::{Caller, Grant, Permissions};
use crate::catalog::Tx;
use crate::catalog::records::ProjectRecord;
use crate::error::{Code, Error, Result};
use crate::model::{Page, PageRequest, PermissionInfo};

/// The group whose users may do everything; it cannot be changed.
pub(super) const ADMINISTRATORS: &str = "administrators";
/// What somebody may do who looks after backups without changing the setup.
const OPERATORS: &str = "operators";
/// What somebody may do who only looks.
const VIEWERS: &str = "viewers";

/// Refuses to give away more than the caller has.
fn must_cover(caller: &Caller, wanted: &Grant) -> Result<()> {
    if caller.has(wanted) {
        return Ok(());
    }
    let what = if caller.permissions().covers(&wanted.permissions) {
        "access to projects"
    } else {
        "permissions"
    };
    Err(Error::new(
        Code::Forbidden,
        format!(
            "{} cannot give {what} that they do not have",
            caller.actor.label()
        ),
    )
    .hint("Leave it out, or ask an administrator"))
}

/// Refuses projects that there are not: whoever is limited to one would get it as soon as somebody adds it.
fn must_exist(tx: &Tx<'_>, projects: &[String]) -> Result<()> {
    for name in projects {
        if tx.by_name::<ProjectRecord>(name)?.is_none() {
            let why = format!("There is no project \"{name}\"");
            return Err(Error::invalid(&why)
                .field("projects", why)
                .hint("`backstay project list` shows them"));
        }
    }
    Ok(())
}

/// What a group or a key gives, as it is written.
fn grant_of(permissions: &[String], projects: &[String]) -> Result<Grant> {
    Ok(Grant::new(Permissions::read(permissions)?, projects))
}

impl Engine {
    /// Every permission there is.
    pub fn permissions(&self, page: &PageRequest) -> Result<Page<PermissionInfo>> {
        let every = crate::access::PERMISSIONS.iter();
        let every = every.map(|permission| PermissionInfo {
            name: permission.name.to_owned(),
            allows: permission.allows.to_owned(),
        });
        Page::cut_short(every.collect(), page, |permission| permission.name.clone())
    }
}

#[cfg(test)]
mod tests;
