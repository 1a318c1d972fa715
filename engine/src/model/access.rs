//! Users, groups, API keys, logins and the audit log.

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::choices::choices;
use super::{Time, secret_field};
use crate::ids::{ApiKeyId, AuditId, GroupId, LoginId, UserId};
use crate::secret::SecretText;

choices! {
    /// How much an API key may ask for.
    KeyTier, "tier" {
        /// 100 requests an hour.
        Free = "free",
        /// 1,000 requests an hour.
        Professional = "professional",
        /// No limit.
        Enterprise = "enterprise",
    }
}

/// Somebody who can log in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct User {
    /// Its id.
    pub id: UserId,
    /// Its number.
    pub serial: u64,
    /// What they log in as.
    pub name: String,
    /// Where they can be written to.
    pub email: Option<String>,
    /// Whether they may log in.
    pub enabled: bool,
    /// Names of the groups they are in; what those allow, they may do.
    pub groups: Vec<String>,
    /// Whether the password was given to them and is to be changed.
    pub password_given: bool,
    /// When it was made.
    pub created_at: Time,
    /// When they last logged in.
    pub last_login_at: Option<Time>,
}

/// Adds a user.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct UserCreate {
    /// What they log in as.
    pub name: String,
    /// Their first password, which they are to change.
    #[serde(with = "secret_field")]
    #[schema(format = "password", write_only, required, nullable = false)]
    pub password: Option<SecretText>,
    /// Where they can be written to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// Names of their groups.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<String>,
}

/// Changes a user; what is left out stays.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct UserEdit {
    /// A new password; ends their logins.
    #[serde(
        default,
        with = "secret_field",
        skip_serializing_if = "Option::is_none"
    )]
    #[schema(format = "password", write_only)]
    pub password: Option<SecretText>,
    /// Where they can be written to; an empty text removes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// Names of their groups.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub groups: Option<Vec<String>>,
    /// Whether they may log in; `false` ends their logins.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
}

/// A group: permissions that its users have.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Group {
    /// Its id.
    pub id: GroupId,
    /// Its number.
    pub serial: u64,
    /// Its unique name.
    pub name: String,
    /// What it is for.
    pub description: Option<String>,
    /// What it allows: `backups:read`, `backups:*` or `*`.
    pub permissions: Vec<String>,
    /// The projects it is limited to; all when empty.
    pub projects: Vec<String>,
    /// When it was made.
    pub created_at: Time,
}

/// Adds a group.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct GroupCreate {
    /// Its unique name.
    pub name: String,
    /// What it is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// What it allows.
    #[serde(default)]
    pub permissions: Vec<String>,
    /// The projects it is limited to; all when empty.
    #[serde(default)]
    pub projects: Vec<String>,
}

/// Changes a group; what is left out stays.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct GroupEdit {
    /// What it is for; an empty text removes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// What it allows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub permissions: Option<Vec<String>>,
    /// The projects it is limited to; all when empty.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub projects: Option<Vec<String>>,
}

/// One permission there is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PermissionInfo {
    /// `resource:action`.
    pub name: String,
    /// What it allows.
    pub allows: String,
}

/// An API key, without the key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ApiKey {
    /// Its id.
    pub id: ApiKeyId,
    /// Its number.
    pub serial: u64,
    /// Its unique name.
    pub name: String,
    /// How the key begins.
    pub prefix: String,
    /// Whether it works.
    pub enabled: bool,
    /// What it allows.
    pub permissions: Vec<String>,
    /// The projects it is limited to; all when empty.
    pub projects: Vec<String>,
    /// How much it may ask for.
    pub tier: KeyTier,
    /// When it stops working.
    pub expires_at: Option<Time>,
    /// When it was last used, within a minute.
    pub last_used_at: Option<Time>,
    /// Who made it, as the audit log names them.
    pub created_by: String,
    /// When it was made.
    pub created_at: Time,
    /// When its secret was last replaced.
    pub rotated_at: Option<Time>,
}

/// A key that was just made or rotated: the only time it is shown.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct ApiKeyMade {
    /// What may be shown again.
    #[serde(flatten)]
    pub record: ApiKey,
    /// The key.
    pub key: String,
}

/// Makes an API key.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ApiKeyCreate {
    /// Its unique name.
    pub name: String,
    /// What it allows; at most what its maker may do.
    pub permissions: Vec<String>,
    /// The projects it is limited to; all its maker sees when empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub projects: Vec<String>,
    /// `enterprise` when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tier: Option<KeyTier>,
    /// When it stops working; never when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Time>,
}

/// Changes an API key; what is left out stays.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ApiKeyEdit {
    /// Its unique name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Whether it works.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
    /// What it allows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub permissions: Option<Vec<String>>,
    /// The projects it is limited to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub projects: Option<Vec<String>>,
    /// How much it may ask for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tier: Option<KeyTier>,
    /// When it stops working.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Time>,
    /// `true` takes that time away.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub never_expires: Option<bool>,
}

/// Asks to be known.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct LoginRequest {
    /// The user's name.
    pub username: String,
    /// Their password.
    #[serde(with = "secret_field")]
    #[schema(format = "password", write_only, required, nullable = false)]
    pub password: Option<SecretText>,
}

/// Replaces one's own password.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PasswordChange {
    /// The one that holds.
    #[serde(with = "secret_field")]
    #[schema(format = "password", write_only, required, nullable = false)]
    pub current_password: Option<SecretText>,
    /// The one that will.
    #[serde(with = "secret_field")]
    #[schema(format = "password", write_only, required, nullable = false)]
    pub new_password: Option<SecretText>,
}

/// A login as whoever made it sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Session {
    /// The login; nothing over the socket or with an API key.
    pub id: Option<LoginId>,
    /// Who: `user:ann`, `key:ci`, `uid:0`.
    pub actor: String,
    /// The user, where there is one.
    pub user: Option<User>,
    /// All that they may do somewhere.
    pub permissions: Vec<String>,
    /// All projects where they may do something; when empty, they may do something everywhere.
    pub projects: Vec<String>,
    /// What they may do where, one for each group.
    pub grants: Vec<SessionGrant>,
    /// When it ends.
    pub expires_at: Option<Time>,
}

/// What somebody may do, and where.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SessionGrant {
    /// What it allows.
    pub permissions: Vec<String>,
    /// In these projects; in all when empty.
    pub projects: Vec<String>,
}

/// What a login answers: the only time the token is shown.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct LoginMade {
    /// Who it is.
    #[serde(flatten)]
    pub session: Session,
    /// To be sent as `Authorization: Bearer`; the cookie `session` holds the same.
    pub token: String,
}

/// An entry of the audit log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AuditEvent {
    /// Its id.
    pub id: AuditId,
    /// Its number; there are no gaps.
    pub serial: u64,
    /// When.
    pub at: Time,
    /// Who: `user:ann`, `key:ci`, `uid:0`, `engine`.
    pub actor: String,
    /// From where; nothing over the socket.
    pub address: Option<String>,
    /// What was done: `connection.add`, `login.refused`.
    pub action: String,
    /// To what.
    pub subject: Option<String>,
    /// What it was before, secrets masked.
    pub before: Option<serde_json::Value>,
    /// What it is now, secrets masked.
    pub after: Option<serde_json::Value>,
    /// HMAC-SHA256 over this entry and the one before.
    pub hash: String,
}

/// Which entries of the audit log to list.
#[derive(Clone, Debug, Default, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct AuditList {
    /// Only of that actor.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actor: Option<String>,
    /// Only of that action.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub action: Option<String>,
    /// Only about that record.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// Only at or after this moment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Time>,
    /// Only before this moment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<Time>,
    /// Items wanted, 1 to 200.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
    /// Where to go on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
}

/// Whether the audit log is whole.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AuditVerdict {
    /// Entries looked at.
    pub entries: u64,
    /// Whether every one is as it was written and none is missing.
    pub whole: bool,
    /// The first entry that is not, by number.
    pub broken_at: Option<u64>,
    /// What is wrong with it.
    pub problem: Option<String>,
}
