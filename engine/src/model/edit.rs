//! What `null` says in the body of a change: that a field is cleared, where it can be.

use super::{
    ApiKeyEdit, BackupEdit, ConnectionEdit, DrillEdit, EnvironmentEdit, GroupEdit, JobEdit,
    ProjectEdit, RepositoryEdit, SettingsEdit, SystemTaskEdit, TargetEdit, UserEdit,
};

/// How a change says without `null` that a field is cleared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cleared {
    /// By this value of it, in JSON.
    As(&'static str),
    /// By this other field, which is then `true`.
    By(&'static str),
}

/// A change to a record: what is left out stays.
pub trait Edit {
    /// The fields that can be cleared. Others cannot be `null`, so that a program which writes `null` for what
    /// it does not mean to change hears of it: least of all the permissions and projects somebody is limited to.
    const CLEARED: &'static [(&'static str, Cleared)];
    /// Whether its fields are groups of fields, which are changed one by one.
    const IS_GROUPED: bool = false;
}

const TEXT: Cleared = Cleared::As("\"\"");
const LIST: Cleared = Cleared::As("[]");
const ZERO: Cleared = Cleared::As("0");

macro_rules! edits {
    ($($name:ident { $($field:literal: $cleared:expr),* })*) => {$(
        impl Edit for $name {
            const CLEARED: &'static [(&'static str, Cleared)] = &[$(($field, $cleared)),*];
        }
    )*};
}

edits! {
    ApiKeyEdit { "expires_at": Cleared::By("never_expires") }
    BackupEdit { "label": TEXT, "note": TEXT, "pinned_until": Cleared::By("unpin") }
    ConnectionEdit { "password": TEXT, "ssh": Cleared::By("remove_ssh") }
    DrillEdit {
        "database": TEXT, "repository": TEXT, "backup": TEXT, "objects": LIST, "checks": LIST,
        "max_runtime_seconds": ZERO, "schedule": Cleared::By("unschedule")
    }
    EnvironmentEdit { "description": TEXT }
    GroupEdit { "description": TEXT }
    JobEdit {
        "databases": LIST, "repositories": LIST, "schemas": LIST, "tables": LIST, "exclude_tables": LIST,
        "label": TEXT, "schedule": Cleared::By("unschedule"), "retention": Cleared::As("{}"),
        "max_runtime_seconds": ZERO, "verify": Cleared::As("\"none\""), "hooks": LIST
    }
    ProjectEdit { "description": TEXT }
    RepositoryEdit {}
    SystemTaskEdit {}
    TargetEdit {
        "secret": TEXT, "connections": LIST, "jobs": LIST, "title": TEXT, "body": TEXT
    }
    UserEdit { "email": TEXT }
}

impl Edit for SettingsEdit {
    const CLEARED: &'static [(&'static str, Cleared)] = &[("public_url", TEXT)];
    const IS_GROUPED: bool = true;
}
