//! `notification …`

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueHint};

use super::Page;

/// `notification …`
#[derive(Debug, Subcommand)]
pub(crate) enum NotificationCommand {
    /// Add a place that is told what happens
    #[command(after_help = "\
Examples:
  backstay notification add ops webhook --url https://ops.example.com/backstay
  backstay notification add chat slack --url-file slack.url --event '*.failed'
  backstay notification add phone ntfy --topic my-backups --event '*.failed'
  backstay notification add me telegram --chat-id 1234567 --secret-file bot.token
  backstay notification add push gotify --url https://push.example.com --secret-file app.token
  backstay notification add mail email --mail-host mail.example.com --mail-to ops@example.com \\
      --mail-from backups@example.com --mail-user backups --secret-file mail.password

Kinds are webhook, email, slack, discord, telegram, ntfy and gotify. Requests of a webhook are
signed; its secret is made here and shown once unless --secret-file gives one. --url of telegram and
ntfy names a server other than the public one. `notification events` lists the events, and the
placeholders that go in braces: --title '{connection}: {title}'.")]
    Add(NotificationAdd),

    /// List notification targets, newest first
    #[command(
        visible_alias = "ls",
        after_help = "\
Examples:
  backstay notification list"
    )]
    List(NotificationList),

    /// Show one notification target; secrets are never shown
    #[command(after_help = "\
Examples:
  backstay notification show ops")]
    Show(NotificationName),

    /// Change a notification target; what is not named stays
    #[command(after_help = "\
Examples:
  backstay notification edit ops --event 'backup.*' --event '*.failed'
  backstay notification edit ops --disable
  backstay notification edit ops --secret-file new.secret")]
    Edit(NotificationEdit),

    /// Send a target something to try it
    #[command(after_help = "\
Examples:
  backstay notification test ops

Exits 1 when the other side did not take it.")]
    Test(NotificationName),

    /// List what a target was told, newest first, or show one delivery with its attempts
    #[command(after_help = "\
Examples:
  backstay notification deliveries ops
  backstay notification deliveries ops --status failed
  backstay notification deliveries --delivery dlv_01J5 --json")]
    Deliveries(NotificationDeliveries),

    /// Deliver something again
    #[command(after_help = "\
Examples:
  backstay notification redeliver dlv_01J5")]
    Redeliver(DeliveryName),

    /// List the events that targets can ask for
    #[command(after_help = "\
Examples:
  backstay notification events")]
    Events,

    /// Remove a notification target and the log of its deliveries
    #[command(
        visible_alias = "rm",
        after_help = "\
Examples:
  backstay notification remove ops --yes"
    )]
    Remove(NotificationName),
}

/// Names one notification target.
#[derive(Debug, Args)]
pub(crate) struct NotificationName {
    /// The target's name or id
    #[arg(value_name = "NAME")]
    pub(crate) name: String,
}

/// Names one delivery.
#[derive(Debug, Args)]
pub(crate) struct DeliveryName {
    /// The delivery's id, or the beginning of it
    #[arg(value_name = "DELIVERY")]
    pub(crate) delivery: String,
}

/// What `notification add` and `notification edit` both take.
#[derive(Debug, Args)]
pub(crate) struct NotificationOptions {
    /// Where it is
    #[arg(long, value_name = "URL", conflicts_with = "url_file", value_hint = ValueHint::Url)]
    pub(crate) url: Option<String>,

    /// File whose first line is the URL, for addresses that are secrets; - reads standard input
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) url_file: Option<PathBuf>,

    /// File whose first line is the secret, token or password; - reads standard input
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) secret_file: Option<PathBuf>,

    /// An event, backup.*, *.failed, or *; may be given several times
    #[arg(long, value_name = "EVENT")]
    pub(crate) event: Vec<String>,

    /// Only about this connection; may be given several times
    #[arg(long, value_name = "CONNECTION")]
    pub(crate) connection: Vec<String>,

    /// Only about this job; may be given several times
    #[arg(long, value_name = "JOB")]
    pub(crate) job: Vec<String>,

    /// Only about connections in this project; may be given several times
    #[arg(long, value_name = "PROJECT")]
    pub(crate) project: Vec<String>,

    /// What titles are made from
    #[arg(long, value_name = "TEMPLATE")]
    pub(crate) title: Option<String>,

    /// What texts are made from
    #[arg(long, value_name = "TEMPLATE")]
    pub(crate) body: Option<String>,

    /// Telegram: the chat
    #[arg(long, value_name = "ID", allow_hyphen_values = true)]
    pub(crate) chat_id: Option<String>,

    /// ntfy: the topic
    #[arg(long, value_name = "TOPIC")]
    pub(crate) topic: Option<String>,

    /// ntfy (1 to 5) and Gotify (0 to 10): how urgent
    #[arg(long, value_name = "N")]
    pub(crate) priority: Option<u8>,

    /// Mail: the server
    #[arg(long, value_name = "HOST", value_hint = ValueHint::Hostname)]
    pub(crate) mail_host: Option<String>,

    /// Mail: its port
    #[arg(long, value_name = "PORT")]
    pub(crate) mail_port: Option<u16>,

    /// Mail: how the server is spoken to
    #[arg(long, value_name = "HOW", value_parser = ["starttls", "tls", "none"])]
    pub(crate) mail_security: Option<String>,

    /// Mail: who logs in, with the secret as password
    #[arg(long, value_name = "USER")]
    pub(crate) mail_user: Option<String>,

    /// Mail: the sender
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) mail_from: Option<String>,

    /// Mail: a receiver; may be given several times
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) mail_to: Vec<String>,
}

/// `notification add`
#[derive(Debug, Args)]
pub(crate) struct NotificationAdd {
    /// The target's name
    #[arg(value_name = "NAME")]
    pub(crate) name: String,

    /// What it is
    #[arg(value_name = "KIND", value_parser = ["webhook", "email", "slack", "discord", "telegram", "ntfy", "gotify"])]
    pub(crate) kind: String,

    /// Tell it nothing but what hooks of jobs say
    #[arg(long, conflicts_with = "event")]
    pub(crate) hooks_only: bool,

    #[command(flatten)]
    pub(crate) options: NotificationOptions,
}

/// `notification edit`
#[derive(Debug, Args)]
pub(crate) struct NotificationEdit {
    #[command(flatten)]
    pub(crate) name: NotificationName,

    /// A new name
    #[arg(long, value_name = "NAME")]
    pub(crate) rename: Option<String>,

    /// Tell it nothing for now
    #[arg(long, conflicts_with = "enable")]
    pub(crate) disable: bool,

    /// Tell it again what happens
    #[arg(long)]
    pub(crate) enable: bool,

    #[command(flatten)]
    pub(crate) options: NotificationOptions,
}

/// `notification list`
#[derive(Debug, Args)]
pub(crate) struct NotificationList {
    /// Only of this kind
    #[arg(long, value_name = "KIND")]
    pub(crate) kind: Option<String>,

    #[command(flatten)]
    pub(crate) page: Page,
}

/// `notification deliveries`
#[derive(Debug, Args)]
pub(crate) struct NotificationDeliveries {
    /// The target's name or id
    #[arg(value_name = "NAME", required_unless_present = "delivery")]
    pub(crate) name: Option<String>,

    /// Show this one with its attempts
    #[arg(long, value_name = "DELIVERY", conflicts_with_all = ["name", "status"])]
    pub(crate) delivery: Option<String>,

    /// Only of this status: pending, delivered, failed or dropped
    #[arg(long, value_name = "STATUS")]
    pub(crate) status: Option<String>,

    #[command(flatten)]
    pub(crate) page: Page,
}
