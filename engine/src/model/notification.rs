//! Notifications: where they go, what they say, what became of each.

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::choices::choices;
use super::{Time, secret_field};
use crate::ids::{ConnectionId, DeliveryId, JobId, TargetId};
use crate::secret::SecretText;

/// What stands in an answer where a secret is kept; sent back, it keeps the secret.
pub const MASK: &str = "••••••";

choices! {
    /// What a notification target is.
    TargetKind, "kind of target" {
        /// Any HTTP server; requests are signed.
        Webhook = "webhook",
        /// A mail server.
        Email = "email",
        /// An incoming webhook of Slack, or of what speaks like it.
        Slack = "slack",
        /// A webhook of Discord.
        Discord = "discord",
        /// A bot of Telegram.
        Telegram = "telegram",
        /// A topic of ntfy.
        Ntfy = "ntfy",
        /// An application of Gotify.
        Gotify = "gotify",
    }
}

choices! {
    /// How a mail server is spoken to.
    MailSecurity, "way to secure mail" {
        /// TLS from the first byte.
        Tls = "tls",
        /// TLS after a beginning in clear; refused when the server does not offer it.
        StartTls = "starttls",
        /// In clear.
        None = "none",
    }
}

choices! {
    /// Where a delivery stands.
    DeliveryStatus, "status of a delivery" {
        /// It waits for its first or next attempt.
        Pending = "pending",
        /// The other side took it.
        Delivered = "delivered",
        /// It was given up.
        Failed = "failed",
        /// It made room for newer ones that wait for the same target.
        Dropped = "dropped",
    }
}

/// How mail is sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Mail {
    /// The mail server.
    pub host: String,
    /// Its port; 465 for `tls`, 587 for `starttls`, 25 for `none` when left out.
    #[serde(default)]
    pub port: Option<u16>,
    /// How it is spoken to; `starttls` when left out.
    #[serde(default = "starttls")]
    pub security: MailSecurity,
    /// Who logs in, with the target's secret as password; nobody when left out.
    #[serde(default)]
    pub user: Option<String>,
    /// The sender's address.
    pub from: String,
    /// The receivers' addresses.
    pub to: Vec<String>,
}

fn starttls() -> MailSecurity {
    MailSecurity::StartTls
}

/// A notification target.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Target {
    /// Its id.
    pub id: TargetId,
    /// Its number.
    pub serial: u64,
    /// Its unique name.
    pub name: String,
    /// What it is.
    pub kind: TargetKind,
    /// Whether it gets anything.
    pub enabled: bool,
    /// Its address, with `••••••` for what is secret in it.
    pub url: Option<String>,
    /// `••••••` where a secret is kept: what signs a webhook, a password, a token.
    pub secret: Option<String>,
    /// How mail is sent.
    pub mail: Option<Mail>,
    /// Telegram: the chat.
    pub chat_id: Option<String>,
    /// ntfy: the topic.
    pub topic: Option<String>,
    /// ntfy and Gotify: how urgent; by the event when absent.
    pub priority: Option<u8>,
    /// The events it gets: names, `backup.*`, `*`. None of them leaves it to hooks of jobs.
    pub events: Vec<String>,
    /// Only what is about these connections; all when empty.
    pub connection_ids: Vec<ConnectionId>,
    /// Those connections' names.
    pub connections: Vec<String>,
    /// Only what is about these jobs; all when empty.
    pub job_ids: Vec<JobId>,
    /// Those jobs' names.
    pub jobs: Vec<String>,
    /// Only what is about connections in these projects; all when empty.
    pub projects: Vec<String>,
    /// What titles are made from; the usual one when absent.
    pub title: Option<String>,
    /// What texts are made from; the usual one when absent.
    pub body: Option<String>,
    /// When it was made.
    pub created_at: Time,
    /// When it was last changed.
    pub updated_at: Time,
}

/// Adds a notification target.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TargetCreate {
    /// Its unique name.
    pub name: String,
    /// What it is.
    pub kind: TargetKind,
    /// Whether it gets anything; it does when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
    /// Its address; the public service when left out for Telegram and ntfy, not taken by email.
    #[serde(
        default,
        with = "secret_field",
        skip_serializing_if = "Option::is_none"
    )]
    #[schema(format = "password", write_only)]
    pub url: Option<SecretText>,
    /// What signs a webhook (made when left out), the mail password, the token of Telegram, ntfy, Gotify.
    #[serde(
        default,
        with = "secret_field",
        skip_serializing_if = "Option::is_none"
    )]
    #[schema(format = "password", write_only)]
    pub secret: Option<SecretText>,
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
    /// Only what is about these connections, by id or name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub connections: Vec<String>,
    /// Only what is about these jobs, by id or name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub jobs: Vec<String>,
    /// Only what is about connections in these projects.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub projects: Vec<String>,
    /// What titles are made from, with placeholders such as `{connection}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// What texts are made from, with placeholders such as `{message}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,
}

/// The answer to a creation. A secret that was made is shown once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TargetCreated {
    /// The target.
    #[serde(flatten)]
    pub target: Target,
    /// What signs its requests, where it was made here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signing_secret: Option<String>,
}

/// Changes a notification target; what is left out stays.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TargetEdit {
    /// A new name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Whether it gets anything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
    /// Its address; the masked one keeps it.
    #[serde(
        default,
        with = "secret_field",
        skip_serializing_if = "Option::is_none"
    )]
    #[schema(format = "password", write_only)]
    pub url: Option<SecretText>,
    /// Its secret; `••••••` keeps it, an empty text removes it.
    #[serde(
        default,
        with = "secret_field",
        skip_serializing_if = "Option::is_none"
    )]
    #[schema(format = "password", write_only)]
    pub secret: Option<SecretText>,
    /// How mail is sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mail: Option<Mail>,
    /// Telegram: the chat.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chat_id: Option<String>,
    /// ntfy: the topic.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub topic: Option<String>,
    /// How urgent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub priority: Option<u8>,
    /// The events it gets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub events: Option<Vec<String>>,
    /// Only what is about these connections; an empty list means all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connections: Option<Vec<String>>,
    /// Only what is about these jobs; an empty list means all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jobs: Option<Vec<String>>,
    /// Only what is about these projects; an empty list means all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub projects: Option<Vec<String>>,
    /// What titles are made from; an empty text brings the usual one back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// What texts are made from; an empty text brings the usual one back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,
}

/// Which notification targets to list.
#[derive(Clone, Debug, Default, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct TargetList {
    /// Only of this kind.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<TargetKind>,
    /// Items wanted, 1 to 200.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
    /// Where to go on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
}

/// A notification on its way to one target.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Delivery {
    /// Its id, which the request carries too.
    pub id: DeliveryId,
    /// Its number.
    pub serial: u64,
    /// Where it goes.
    pub target_id: TargetId,
    /// That target's name.
    pub target: String,
    /// What happened.
    pub event: String,
    /// To what, as a prefixed id.
    pub subject: Option<String>,
    /// Its title.
    pub title: String,
    /// Where it stands.
    pub status: DeliveryStatus,
    /// When it was asked for.
    pub created_at: Time,
    /// When it will be tried next.
    pub next_attempt_at: Option<Time>,
    /// When it is given up.
    pub give_up_at: Time,
    /// When it was delivered or given up.
    pub finished_at: Option<Time>,
    /// How often it was tried.
    pub attempts_total: u32,
    /// The newest attempts, oldest first.
    pub attempts: Vec<Attempt>,
}

/// One try to deliver a notification.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Attempt {
    /// Which try it was, from 1.
    pub number: u32,
    /// When it began.
    pub at: Time,
    /// How long it took.
    pub duration_ms: u64,
    /// What was sent, without secrets.
    pub request: SentRequest,
    /// What came back, if anything did.
    pub answer: Option<GotAnswer>,
    /// Why it did not work.
    pub error: Option<String>,
}

/// A request as it was sent.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SentRequest {
    /// `POST`, or `SMTP` for mail.
    pub method: String,
    /// Where to, with `••••••` for what is secret.
    pub url: String,
    /// Its headers, with `••••••` for what is secret.
    pub headers: std::collections::BTreeMap<String, String>,
    /// The beginning of its body.
    pub body: String,
}

/// An answer as it came.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct GotAnswer {
    /// The status of HTTP or of SMTP.
    pub status: u16,
    /// The beginning of its body.
    pub body: String,
}

/// What a test of a target came to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TargetTest {
    /// Whether the other side took it.
    pub ok: bool,
    /// One sentence.
    pub message: String,
    /// The delivery as it was tried.
    pub delivery: Delivery,
}

/// Which deliveries to list.
#[derive(Clone, Debug, Default, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct DeliveryList {
    /// Only of this status.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<DeliveryStatus>,
    /// Only of this event.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event: Option<String>,
    /// Items wanted, 1 to 200.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
    /// Where to go on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
}

/// An event that targets can ask for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct NotificationEvent {
    /// Its name.
    pub name: String,
    /// When it happens.
    pub description: String,
}

choices! {
    /// When a hook is called.
    HookTime, "time of a hook" {
        /// Before the run reads anything.
        Before = "before",
        /// After the run has ended, however it did.
        After = "after",
    }
}

choices! {
    /// What becomes of a run whose hook before it failed.
    HookFailure, "consequence" {
        /// The run fails.
        Abort = "abort",
        /// The run goes on; its log says so.
        Ignore = "ignore",
    }
}

/// A webhook that each run of a job calls.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Hook {
    /// When.
    pub when: HookTime,
    /// A notification target of kind `webhook`, by id or name; answered as its name.
    pub target: String,
    /// What becomes of the run when a hook before it fails; `abort` when left out.
    #[serde(default = "abort")]
    pub on_failure: HookFailure,
    /// How long a hook before a run may take, 1 to 600.
    #[serde(default = "half_a_minute")]
    pub timeout_seconds: u32,
}

fn abort() -> HookFailure {
    HookFailure::Abort
}

fn half_a_minute() -> u32 {
    30
}
