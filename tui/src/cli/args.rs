//! The command line's grammar. Help text lives here and nowhere else; every command has examples.

mod access;
mod alert;
mod backup;
mod config;
mod connection;
mod drill;
mod job;
mod notification;
mod project;
mod repository;
mod restore;
mod run;
mod settings;
mod task;
mod types;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum, ValueHint};

pub(crate) use access::{
    ApiKeyAdd, ApiKeyCommand, ApiKeyEdit, AuditCommand, AuditList, GroupAdd, GroupCommand,
    GroupEdit, Login, UserAdd, UserCommand, UserEdit, UserPassword,
};
pub(crate) use alert::{AlertCommand, AlertList};
pub(crate) use backup::{
    BackupAnnotate, BackupCommand, BackupDays, BackupDelete, BackupDiff, BackupExport, BackupList,
    BackupObjects, BackupPin, BackupRows, BackupRun, BackupVerify,
};
pub(crate) use config::{ConfigCommand, ConfigExport, ConfigImport};
pub(crate) use connection::{
    ConnectionAdd, ConnectionCommand, ConnectionDatabases, ConnectionEdit, ConnectionList,
    ConnectionTest, ReadonlyUser, SshArgs,
};
pub(crate) use drill::{
    DrillAdd, DrillCommand, DrillEdit, DrillList, DrillOptions, DrillReports, DrillRun,
};
pub(crate) use job::{
    JobAdd, JobCommand, JobEdit, JobKeep, JobList, JobOptions, JobPreview, JobRun, When,
};
pub(crate) use notification::{
    NotificationAdd, NotificationCommand, NotificationDeliveries, NotificationEdit,
    NotificationList, NotificationOptions,
};
pub(crate) use project::{
    EnvironmentBackup, EnvironmentCommand, EnvironmentSchedule, ProjectCommand,
};
pub(crate) use repository::{
    RepositoryAdd, RepositoryCommand, RepositoryKeyAdd, RepositoryKeyCommand, RepositoryKeyRemove,
    RepositoryRebuild, RepositoryRecoveryKit, RepositoryTest, RepositoryTrash, RepositoryTrends,
};
pub(crate) use restore::{RestoreCommand, RestoreList, RestoreRun, RestoreTarget};
pub(crate) use run::{RunCommand, RunList, RunLog};
pub(crate) use settings::SettingsCommand;
pub(crate) use task::{TaskCommand, TaskEdit};
pub(crate) use types::{Pin, Source, pin};

/// Backs up database servers, proves that the backups restore, and brings databases back.
#[derive(Debug, Parser)]
#[command(
    name = "backstay",
    bin_name = "backstay",
    version,
    disable_help_subcommand = true,
    max_term_width = 110,
    after_help = "\
Examples:
  backstay                                                             open the console
  backstay connection add shop postgres://backup@db.example.com/shop   add a server
  backstay backup run shop                                             back it up now
  backstay backup list                                                 see what can be restored
  backstay restore run shop/orders@latest                              restore beside the original

On a terminal `backstay` alone opens the console; elsewhere it prints how things stand.
`backstay help COMMAND` or `backstay COMMAND --help` tells more of one.
The engine that does the work is started when a command needs it, and stays.
With --json a failure is one line of JSON on standard error: code, message, hint, exit_code.
Exit codes: 0 ok, 1 failed, 2 wrong use, 3 not found, 4 not allowed, 5 partial,
6 conflict or busy, 7 no engine answers, 130 cancelled."
)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,

    #[command(flatten)]
    pub(crate) console: Console,

    #[command(subcommand)]
    pub(crate) command: Option<Command>,
}

/// Flags of the console, which opens when no command is given.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Console (without a command)")]
pub(crate) struct Console {
    /// Talk to the engine that console.toml calls so
    #[arg(long, value_name = "NAME", conflicts_with_all = ["host", "socket"])]
    pub(crate) context: Option<String>,

    /// Look only: nothing can be changed
    #[arg(long)]
    pub(crate) read_only: bool,

    /// default, high-contrast, colour-blind or mono
    #[arg(long, value_name = "NAME")]
    pub(crate) theme: Option<String>,

    /// Use only signs that every terminal can show
    #[arg(long)]
    pub(crate) ascii: bool,
}

impl Console {
    /// A command takes none of them.
    pub(crate) fn refuse(&self) -> backstay_engine::Result<()> {
        let given = [
            ("--context", self.context.is_some()),
            ("--read-only", self.read_only),
            ("--theme", self.theme.is_some()),
            ("--ascii", self.ascii),
        ];
        match given.iter().find(|(_, given)| *given) {
            None => Ok(()),
            Some((flag, _)) => Err(backstay_engine::Error::invalid(format!(
                "{flag} is for the console, which opens without a command"
            ))
            .hint("Leave the flag or the command out")),
        }
    }
}

/// Flags that every command takes.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Global options")]
pub(crate) struct Global {
    /// Talk to the engine at this Unix socket
    #[arg(long, global = true, value_name = "PATH", env = "BACKSTAY_SOCKET", hide_env = true, value_hint = ValueHint::FilePath, conflicts_with = "host")]
    pub(crate) socket: Option<PathBuf>,

    /// Talk to an engine over the network; never starts one
    #[arg(long, global = true, value_name = "URL", env = "BACKSTAY_HOST", hide_env = true, value_hint = ValueHint::Url)]
    pub(crate) host: Option<String>,

    /// File with the API key to use; without one what `login` kept is used
    #[arg(long, global = true, value_name = "FILE", env = "BACKSTAY_TOKEN_FILE", hide_env = true, value_hint = ValueHint::FilePath)]
    pub(crate) token_file: Option<PathBuf>,

    /// Trust only the authorities in this PEM file to vouch for an https --host
    #[arg(long, global = true, value_name = "FILE", env = "BACKSTAY_CA_FILE", hide_env = true, value_hint = ValueHint::FilePath)]
    pub(crate) ca_file: Option<PathBuf>,

    /// PEM file with the certificate, and its key, to show to an https --host that asks for one
    #[arg(long, global = true, value_name = "FILE", env = "BACKSTAY_CLIENT_CERT", hide_env = true, value_hint = ValueHint::FilePath)]
    pub(crate) client_cert: Option<PathBuf>,

    /// Configuration file; by default backstay.toml in the configuration folder
    #[arg(long, global = true, value_name = "FILE", env = "BACKSTAY_CONFIG", hide_env = true, value_hint = ValueHint::FilePath)]
    pub(crate) config: Option<PathBuf>,

    /// Print JSON for programs instead of text for people
    #[arg(long, global = true)]
    pub(crate) json: bool,

    /// Print results and errors only
    #[arg(long, short, global = true)]
    pub(crate) quiet: bool,

    /// Tell more; twice tells everything
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub(crate) verbose: u8,

    /// When to use colours
    #[arg(
        long,
        global = true,
        value_name = "WHEN",
        default_value = "auto",
        hide_default_value = true
    )]
    pub(crate) color: ColorChoice,

    /// Answer yes to questions that can be undone
    #[arg(long, short, global = true)]
    pub(crate) yes: bool,

    /// Confirm what cannot be undone by giving the name of what it destroys
    #[arg(long, global = true, value_name = "NAME")]
    pub(crate) confirm: Option<String>,
}

/// When to use colours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum ColorChoice {
    /// On a terminal, unless NO_COLOR is set
    #[default]
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run the engine in the foreground
    #[command(after_help = "\
Examples:
  backstay serve                            until SIGTERM, SIGINT or `backstay stop`
  BACKSTAY_HOME=/srv/backup backstay serve  everything under one folder
  backstay serve --listen 0.0.0.0:8443 --tls-cert host.crt --tls-key host.key
  backstay serve --listen 127.0.0.1:8080 --admin-password-file secret.txt

The log goes to stderr; BACKSTAY_LOG=debug or -v tells more. A second engine on one home
exits 6.")]
    Serve(Serve),

    /// Show whether an engine runs and how it is
    #[command(after_help = "\
Examples:
  backstay status
  backstay status --json | jq .version

Never starts an engine; exits 7 when none answers.")]
    Status,

    /// Say of each connection and database whether it is protected, and why
    #[command(after_help = "\
Examples:
  backstay overview
  backstay overview --environment shop/production
  backstay overview --json | jq -r '.items[] | select(.protection != \"protected\") | .reason'

protected: a good backup is as new as its jobs promise. at_risk: there is one, and something that
somebody should look at. unprotected: there is none, or a newer one is overdue. DAYS shows the last
14 days by UTC, today last: + all went well, ! some did not, x none did, · nothing was done.")]
    Overview(Overview),

    /// End the engine; runs under way may finish for a while first
    #[command(after_help = "\
Examples:
  backstay stop
  backstay stop --now    interrupt what runs; no half-written state stays behind

Runs may finish for drain_timeout (1 minute unless configured), then they are cancelled.
Waits until the engine is gone. It is no error when none runs.")]
    Stop(Stop),

    /// Check that everything Backstay needs is in order
    #[command(after_help = "\
Examples:
  backstay doctor
  backstay doctor --json | jq '.checks[] | select(.outcome != \"ok\")'

Works without an engine too. Exits 1 when a check failed.")]
    Doctor,

    /// Show on a database server of yours what Backstay does
    #[command(after_help = "\
Examples:
  backstay demo postgres://postgres@localhost
  backstay demo 'postgres://me@/postgres?host=/var/run/postgresql' --yes

Makes a scratch database of 1.4 million rows on that server, backs it up twice, drops tables,
restores them, proves that every row is back, and removes all it made. Nothing else on the server is
touched. Asks first, unless --yes is given. The password is taken from the URL, from
BACKSTAY_PASSWORD, or asked for. The role must be allowed to create databases and roles.
Exits 0 only when every row was back. Without a server at hand, assets/demo starts one.")]
    Demo(Demo),

    /// Database servers
    #[command(subcommand, visible_alias = "conn")]
    Connection(ConnectionCommand),

    /// Places that hold backups
    #[command(subcommand, visible_alias = "repo")]
    Repository(RepositoryCommand),

    /// Make, look at and check backups
    #[command(subcommand)]
    Backup(BackupCommand),

    /// Bring data back
    #[command(subcommand)]
    Restore(RestoreCommand),

    /// Backups that are made again and again
    #[command(subcommand)]
    Job(JobCommand),

    /// Restores into a scratch database that prove backups
    #[command(subcommand)]
    Drill(DrillCommand),

    /// Groups of connections that users and keys can be limited to
    #[command(subcommand)]
    Project(ProjectCommand),

    /// The environments of projects, and their schedules
    #[command(subcommand, visible_alias = "env")]
    Environment(EnvironmentCommand),

    /// Executions: what is running, what happened
    #[command(subcommand)]
    Run(RunCommand),

    /// What can be changed while the engine runs
    #[command(subcommand)]
    Settings(SettingsCommand),

    /// The whole setup as one document
    #[command(subcommand)]
    Config(ConfigCommand),

    /// What the engine does by itself
    #[command(subcommand)]
    Task(TaskCommand),

    /// What a person should look at
    #[command(subcommand)]
    Alert(AlertCommand),

    /// Who is told what happens, and how
    #[command(subcommand)]
    Notification(NotificationCommand),

    /// Print what happens, one JSON document a line
    #[command(after_help = "\
Examples:
  backstay events                    what happened lately
  backstay events --follow           and what happens from now on
  backstay events -f | jq 'select(.kind == \"run.finished\")'")]
    Events(Events),

    /// Call the engine's API
    #[command(after_help = "\
Examples:
  backstay api GET /api/v1/health
  backstay api GET '/api/v1/backups?limit=5'
  backstay api POST /api/v1/backups --data '{\"connection\":\"shop\"}'
  backstay api POST /api/v1/backups --data @request.json

Prints the answer's body. A path without a leading slash is taken below /api/v1/.
Exits by the answer's status: 0 for 2xx, else as the command would.")]
    Api(Api),

    /// People who can log in
    #[command(subcommand)]
    User(UserCommand),

    /// What users may do
    #[command(subcommand)]
    Group(GroupCommand),

    /// Keys for programs
    #[command(subcommand, name = "api-key")]
    ApiKey(ApiKeyCommand),

    /// Who changed what
    #[command(subcommand)]
    Audit(AuditCommand),

    /// Log in to an engine, for the commands that follow
    #[command(after_help = "\
Examples:
  backstay login ann --host https://backup.example.com:8443
  backstay login ann --host https://backup:8443 --ca-file ca.pem --password-file secret.txt
  backstay backup list --host https://backup.example.com:8443

The login is kept in the file logins.json beside the configuration, mode 0600, until `logout`. Later
commands with the same --host (or BACKSTAY_HOST) use it, and its --ca-file and --client-cert.")]
    Login(Login),

    /// End a login and forget it
    #[command(after_help = "\
Examples:
  backstay logout --host https://backup.example.com:8443")]
    Logout,

    /// Print the completion script of a shell
    #[command(after_help = "\
Examples:
  backstay completions bash > /etc/bash_completion.d/backstay
  backstay completions zsh > ~/.zfunc/_backstay
  backstay completions fish > ~/.config/fish/completions/backstay.fish")]
    Completions(Completions),
}

/// `serve`
#[derive(Debug, Args)]
pub(crate) struct Serve {
    /// Serve the API at this address and port too; repeatable
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) listen: Vec<String>,

    /// The certificate chain for these addresses, a PEM file
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) tls_cert: Option<PathBuf>,

    /// The certificate's key, a PEM file
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) tls_key: Option<PathBuf>,

    /// Require client certificates signed by an authority in this PEM file
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) tls_client_ca: Option<PathBuf>,

    /// Allow HTTP without TLS on addresses that other machines reach
    #[arg(long)]
    pub(crate) plain_http: bool,

    /// The password of the administrator `admin`, made where nobody could administer over the network;
    /// without it one is made up and printed once
    #[arg(long, value_name = "FILE", env = "BACKSTAY_ADMIN_PASSWORD_FILE", hide_env = true, value_hint = ValueHint::FilePath)]
    pub(crate) admin_password_file: Option<PathBuf>,

    /// Log as JSON lines
    #[arg(long)]
    pub(crate) log_json: bool,

    /// Tells the log that another command started this engine.
    #[arg(long, hide = true)]
    pub(crate) detached: bool,
}

/// `stop`
#[derive(Debug, Args)]
pub(crate) struct Stop {
    /// Interrupt runs under way at once
    #[arg(long)]
    pub(crate) now: bool,
}

/// `overview`
#[derive(Debug, Args)]
pub(crate) struct Overview {
    /// Only of connections of this project, or of its environment: PROJECT[/ENVIRONMENT]
    #[arg(long, value_name = "P[/E]")]
    pub(crate) environment: Option<String>,
}

/// `demo`
#[derive(Debug, Args)]
pub(crate) struct Demo {
    /// The server, as in `connection add`; the role must be allowed to create databases and roles
    #[arg(value_name = "URL", default_value = "postgres://postgres@localhost", value_hint = ValueHint::Url)]
    pub(crate) url: String,

    /// Leave the scratch databases, the connection and the backups behind
    #[arg(long)]
    pub(crate) keep: bool,
}

/// `events`
#[derive(Debug, Args)]
pub(crate) struct Events {
    /// Go on until interrupted
    #[arg(long, short)]
    pub(crate) follow: bool,

    /// Begin after the event with this id
    #[arg(long, value_name = "ID")]
    pub(crate) after: Option<String>,
}

/// `api`
#[derive(Debug, Args)]
pub(crate) struct Api {
    /// GET, POST, PUT, PATCH or DELETE
    #[arg(value_name = "METHOD", value_parser = types::method)]
    pub(crate) method: String,

    /// Path and query
    #[arg(value_name = "PATH")]
    pub(crate) path: String,

    /// The request's JSON body; @FILE reads it from a file, @- from standard input
    #[arg(long, short, value_name = "JSON")]
    pub(crate) data: Option<String>,

    /// A request header, `Name: value`; may be given several times
    #[arg(long, short = 'H', value_name = "HEADER", value_parser = types::header)]
    pub(crate) header: Vec<(String, String)>,
}

/// `completions`
#[derive(Debug, Args)]
pub(crate) struct Completions {
    /// The shell
    pub(crate) shell: clap_complete::Shell,
}

/// How much of a list to print.
#[derive(Clone, Debug, Args)]
pub(crate) struct Page {
    /// Print at most this many
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub(crate) limit: u32,

    /// Go on where an earlier list ended (its next_cursor)
    #[arg(long, value_name = "CURSOR")]
    pub(crate) cursor: Option<String>,
}

/// Names one thing.
#[derive(Clone, Debug, Args)]
pub(crate) struct ConnectionName {
    /// The connection's name or id
    #[arg(value_name = "NAME")]
    pub(crate) name: String,
}

/// Names one repository.
#[derive(Clone, Debug, Args)]
pub(crate) struct RepositoryName {
    /// The repository's name or id
    #[arg(value_name = "NAME")]
    pub(crate) name: String,
}

/// Names one backup.
#[derive(Clone, Debug, Args)]
pub(crate) struct BackupName {
    /// An id, a unique prefix of one, CONNECTION/DATABASE@latest or CONNECTION/DATABASE@TIME; the
    /// database may be left out where there are backups of one only
    #[arg(value_name = "BACKUP")]
    pub(crate) backup: String,
}

/// Names one run.
#[derive(Clone, Debug, Args)]
pub(crate) struct RunName {
    /// The run's id or a unique prefix of it
    #[arg(value_name = "RUN")]
    pub(crate) run: String,
}

#[cfg(test)]
mod tests;
