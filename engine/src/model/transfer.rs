//! A whole setup as one document that people can read and change, to be taken to another engine.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::choices::choices;
use super::{
    DrillCreate, EnvironmentSchedule, GroupCreate, JobCreate, KeyTier, Mail, ProjectCreate,
    SettingsEdit, SshInfo, TargetKind, TaskId, Time, secret_field,
};
use crate::ids::{ConnectionId, JobId};
use crate::secret::SecretText;

/// Asks for the setup.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ConfigExportRequest {
    /// Seals the secrets that are then part of it; without one it has none.
    #[serde(
        default,
        with = "secret_field",
        skip_serializing_if = "Option::is_none"
    )]
    #[schema(format = "password", write_only)]
    pub passphrase: Option<SecretText>,
}

/// A whole setup. Records name each other; parts that are left out stand for nothing.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ConfigDocument {
    /// `backstay-config`.
    pub format: String,
    /// Version of the format: 1.
    pub version: u32,
    /// When it was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub made_at: Option<Time>,
    /// By which version of Backstay.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub made_by: Option<String>,
    /// Settings.
    #[serde(default)]
    pub settings: SettingsEdit,
    /// When the engine does what it does by itself.
    #[serde(default)]
    pub system_tasks: Vec<ConfigTask>,
    /// Projects.
    #[serde(default)]
    pub projects: Vec<ProjectCreate>,
    /// Environments and their schedules.
    #[serde(default)]
    pub environments: Vec<ConfigEnvironment>,
    /// Places that hold backups.
    #[serde(default)]
    pub repositories: Vec<ConfigRepository>,
    /// Database servers.
    #[serde(default)]
    pub connections: Vec<ConfigConnection>,
    /// Who is told what happens.
    #[serde(default)]
    pub notifications: Vec<ConfigTarget>,
    /// Jobs, without those that carry out the schedules of environments.
    #[serde(default)]
    pub jobs: Vec<JobCreate>,
    /// The ids of all jobs, by name: backups in repositories know their job by them.
    #[serde(default)]
    pub job_ids: BTreeMap<String, JobId>,
    /// Restore drills.
    #[serde(default)]
    pub drills: Vec<DrillCreate>,
    /// Groups of users.
    #[serde(default)]
    pub groups: Vec<GroupCreate>,
    /// Users.
    #[serde(default)]
    pub users: Vec<ConfigUser>,
    /// API keys.
    #[serde(default)]
    pub api_keys: Vec<ConfigApiKey>,
    /// Passwords, keys and their like, under a passphrase.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secrets: Option<SealedSecrets>,
}

/// A system task.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ConfigTask {
    /// Which.
    pub id: TaskId,
    /// Whether it runs by itself.
    pub enabled: bool,
    /// When: crontab's five fields, or a preset's name.
    pub cron: String,
    /// By which clocks.
    pub time_zone: String,
}

/// An environment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ConfigEnvironment {
    /// Its project.
    pub project: String,
    /// Its name.
    pub name: String,
    /// What it is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// When its databases are backed up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schedule: Option<EnvironmentSchedule>,
}

/// A repository.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ConfigRepository {
    /// Its unique name.
    pub name: String,
    /// Where it is.
    pub location: String,
    /// The id inside the repository itself, a UUID; another one at the place is refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uid: Option<String>,
    /// Whether backups go there when nothing else is said.
    #[serde(default)]
    pub default: bool,
}

/// A database server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ConfigConnection {
    /// Its id, which backups in repositories know it by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<ConnectionId>,
    /// Its unique name.
    pub name: String,
    /// Its URL, without password.
    pub url: String,
    /// The tunnel.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ssh: Option<SshInfo>,
    /// The project; `default` when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project: Option<String>,
    /// The environment; `default` when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub environment: Option<String>,
    /// Whether databases found later are selected; `true` when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub include_new_databases: Option<bool>,
    /// Its databases, and whether each is selected.
    #[serde(default)]
    pub databases: BTreeMap<String, bool>,
    /// Which secrets it has, by field; they themselves are sealed.
    #[serde(default)]
    pub secrets: Vec<String>,
}

/// A notification target.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ConfigTarget {
    /// Its unique name.
    pub name: String,
    /// What it is.
    pub kind: TargetKind,
    /// Whether it gets anything; it does when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
    /// Its address, with `••••••` for what is secret in it and sealed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// How mail is sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mail: Option<Mail>,
    /// Telegram: the chat.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chat_id: Option<String>,
    /// ntfy: the topic.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub topic: Option<String>,
    /// ntfy: 1 to 5, Gotify: 0 to 10; by the event when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub priority: Option<u8>,
    /// The events it gets: names, `backup.*`, `*`; all when left out, none when empty.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub events: Option<Vec<String>>,
    /// Only what is about these connections.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub connections: Vec<String>,
    /// Only what is about these jobs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub jobs: Vec<String>,
    /// Only what is about connections in these projects.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub projects: Vec<String>,
    /// What titles are made from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// What texts are made from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,
}

/// A user.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ConfigUser {
    /// What they log in as.
    pub name: String,
    /// Where they can be written to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// Whether they may log in; they may when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
    /// Names of their groups.
    #[serde(default)]
    pub groups: Vec<String>,
}

/// An API key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ConfigApiKey {
    /// Its unique name.
    pub name: String,
    /// Whether it works; it does when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
    /// What it allows.
    pub permissions: Vec<String>,
    /// The projects it is limited to; all when empty.
    #[serde(default)]
    pub projects: Vec<String>,
    /// How much it may ask for; `enterprise` when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tier: Option<KeyTier>,
    /// When it stops working; never when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Time>,
}

/// Secrets under a passphrase: Argon2id (RFC 9106) makes the key, AES-256-GCM seals; bytes in hex.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SealedSecrets {
    /// `argon2id`.
    pub kdf: String,
    /// Its memory in KiB.
    pub memory_kib: u32,
    /// Its passes.
    pub passes: u32,
    /// Its lanes.
    pub lanes: u32,
    /// Its salt, 32 bytes.
    pub salt: String,
    /// The cipher's nonce, 12 bytes.
    pub nonce: String,
    /// Ciphertext and tag.
    pub sealed: String,
}

/// Takes a setup in.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ConfigImportRequest {
    /// What an export answered, or a part of it.
    #[schema(value_type = ConfigDocument)]
    pub document: serde_json::Value,
    /// What opens its secrets; without it they are left out.
    #[serde(
        default,
        with = "secret_field",
        skip_serializing_if = "Option::is_none"
    )]
    #[schema(format = "password", write_only)]
    pub passphrase: Option<SecretText>,
    /// Only say what would be done.
    #[serde(default)]
    pub dry_run: bool,
    /// Change what is here and differs; without this it stays as it is.
    #[serde(default)]
    pub overwrite: bool,
    /// Pause the jobs, drills and schedules that are new here, as is wise while the other engine still runs.
    #[serde(default)]
    pub paused: bool,
}

choices! {
    /// What becomes of something in a document.
    ConfigState, "state" {
        /// It is not here, and is made.
        Created = "created",
        /// It is here, differs, and is changed.
        Changed = "changed",
        /// It is here, and the same.
        Unchanged = "unchanged",
        /// It is here, differs, and stays as it is.
        Kept = "kept",
        /// It cannot be taken in, and so nothing is.
        Refused = "refused",
    }
}

/// One thing of a document.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ConfigItem {
    /// `connection`, `job` and so on.
    pub kind: String,
    /// Its name.
    pub name: String,
    /// What becomes of it.
    pub state: ConfigState,
    /// The fields that differ from what is here.
    pub fields: Vec<String>,
    /// Why, where the state alone does not say.
    pub reason: Option<String>,
    /// Secrets that it should have and does not, by field.
    pub lacks: Vec<String>,
}

/// What an import does, or did: all of it or nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ConfigImport {
    /// Whether it was only asked what would be done.
    pub dry_run: bool,
    /// One for each thing of the document.
    pub items: Vec<ConfigItem>,
}
