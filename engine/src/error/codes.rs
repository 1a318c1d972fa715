//! The table of stable error codes: name, exit code of the command line, HTTP status.

macro_rules! codes {
    ($($(#[$doc:meta])* $variant:ident = $name:literal, exit $exit:literal, http $http:literal;)*) => {
        /// Why an operation failed, in a form that scripts can match.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum Code { $($(#[$doc])* $variant,)* }

        impl Code {
            /// Every code, in table order.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The stable name, `area.reason`.
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// What the command line exits with.
            pub fn exit(self) -> u8 {
                match self { $(Self::$variant => $exit,)* }
            }

            /// What the API answers with.
            pub fn http(self) -> u16 {
                match self { $(Self::$variant => $http,)* }
            }

            /// The code with that name.
            pub fn from_name(name: &str) -> Option<Self> {
                match name { $($name => Some(Self::$variant),)* _ => None }
            }
        }
    };
}

codes! {
    /// A defect of Backstay.
    Internal = "internal", exit 1, http 500;
    /// The request is malformed or contradictory.
    Invalid = "request.invalid", exit 2, http 400;
    /// The configuration file or environment is wrong.
    ConfigInvalid = "config.invalid", exit 2, http 400;
    /// The caller may not do this.
    Forbidden = "access.forbidden", exit 4, http 403;
    /// The caller is not known.
    Unauthenticated = "access.unauthenticated", exit 4, http 401;
    /// The caller's password was given to them and is to be changed first.
    PasswordGiven = "access.password_given", exit 4, http 403;
    /// No engine answered.
    EngineUnreachable = "engine.unreachable", exit 7, http 503;
    /// Another engine serves this home.
    EngineRunning = "engine.running", exit 6, http 409;
    /// The engine is stopping and takes no new work.
    EngineStopping = "engine.stopping", exit 6, http 503;
    /// The passphrase does not open the secrets of an exported configuration.
    ConfigPassphrase = "config.passphrase", exit 4, http 422;
    /// No such connection.
    ConnectionNotFound = "connection.not_found", exit 3, http 404;
    /// A connection of that name exists.
    ConnectionExists = "connection.exists", exit 6, http 409;
    /// The database server cannot be reached.
    ConnectionUnreachable = "connection.unreachable", exit 1, http 502;
    /// The database server refused the credentials.
    ConnectionAuth = "connection.authentication", exit 4, http 502;
    /// The TLS handshake or the server's certificate failed.
    ConnectionTls = "connection.tls", exit 1, http 502;
    /// The SSH tunnel failed.
    ConnectionSsh = "connection.ssh", exit 1, http 502;
    /// The connection broke in the middle of work.
    ConnectionLost = "connection.lost", exit 1, http 502;
    /// No such database on the server.
    DatabaseNotFound = "database.not_found", exit 3, http 404;
    /// The target database holds something already.
    DatabaseNotEmpty = "database.not_empty", exit 6, http 409;
    /// The server's version is not one Backstay knows.
    SourceVersion = "source.version", exit 1, http 422;
    /// The database role lacks a right that the operation needs.
    SourceRights = "source.rights", exit 4, http 422;
    /// A lock was not granted in time.
    SourceLocked = "source.locked", exit 6, http 409;
    /// The server answered a statement with an error.
    SourceStatement = "source.statement", exit 1, http 502;
    /// The server sent bytes that are not its protocol.
    SourceProtocol = "source.protocol", exit 1, http 502;
    /// An object could not be saved.
    SourceObject = "source.object", exit 1, http 422;
    /// No such repository.
    RepositoryNotFound = "repository.not_found", exit 3, http 404;
    /// A repository of that name, or at that place, exists.
    RepositoryExists = "repository.exists", exit 6, http 409;
    /// There is something at the place, but it is not a repository this version can read.
    RepositoryForeign = "repository.foreign", exit 1, http 422;
    /// No key slot opens with the given key.
    RepositoryKey = "repository.key", exit 4, http 422;
    /// Stored bytes are damaged.
    RepositoryCorrupt = "repository.corrupt", exit 1, http 422;
    /// A stored object is missing.
    RepositoryMissing = "repository.missing", exit 1, http 422;
    /// The writer's session ended before its commit.
    RepositorySession = "repository.session", exit 1, http 409;
    /// The place where objects are stored failed.
    StorageFailed = "storage.failed", exit 1, http 502;
    /// The place where objects are stored is full.
    StorageFull = "storage.full", exit 1, http 507;
    /// No such backup.
    BackupNotFound = "backup.not_found", exit 3, http 404;
    /// The backup is pinned, or the last good one.
    BackupProtected = "backup.protected", exit 6, http 409;
    /// A drill brought back something else than was recorded or expected.
    DrillDiffers = "drill.differs", exit 1, http 422;
    /// No such run.
    RunNotFound = "run.not_found", exit 3, http 404;
    /// The same database is being worked on.
    RunBusy = "run.busy", exit 6, http 409;
    /// The run was cancelled.
    Cancelled = "run.cancelled", exit 130, http 409;
    /// No progress for too long.
    Stalled = "run.stalled", exit 1, http 504;
    /// What was asked for is not in the backup.
    ObjectNotFound = "object.not_found", exit 3, http 404;
    /// Some objects could not be saved or restored.
    Partial = "run.partial", exit 5, http 200;
    /// The operation destroys something and was not confirmed.
    Unconfirmed = "request.unconfirmed", exit 6, http 409;
    /// The target has too little space.
    NoSpace = "restore.no_space", exit 1, http 507;
    /// The catalog file cannot be read or written.
    CatalogFailed = "catalog.failed", exit 1, http 500;
    /// The command line cannot write its output.
    OutputFailed = "output.failed", exit 1, http 500;
    /// The catalog file holds wrong bytes.
    CatalogDamaged = "catalog.damaged", exit 1, http 500;
    /// Something else is in the way.
    Conflict = "request.conflict", exit 6, http 409;
    /// A notification's address is one that may not be reached.
    OutboundRefused = "outbound.refused", exit 4, http 422;
    /// A notification's address did not answer.
    OutboundFailed = "outbound.failed", exit 1, http 502;
    /// The hook before a run failed.
    HookFailed = "hook.failed", exit 1, http 502;
    /// No such restore.
    RestoreNotFound = "restore.not_found", exit 3, http 404;
    /// No such job.
    JobNotFound = "job.not_found", exit 3, http 404;
    /// No such drill.
    DrillNotFound = "drill.not_found", exit 3, http 404;
    /// No such alert.
    AlertNotFound = "alert.not_found", exit 3, http 404;
    /// No such notification target.
    TargetNotFound = "notification.not_found", exit 3, http 404;
    /// No such delivery.
    DeliveryNotFound = "delivery.not_found", exit 3, http 404;
    /// No such project.
    ProjectNotFound = "project.not_found", exit 3, http 404;
    /// No such environment.
    EnvironmentNotFound = "environment.not_found", exit 3, http 404;
    /// No such schedule.
    ScheduleNotFound = "schedule.not_found", exit 3, http 404;
    /// No such user.
    UserNotFound = "user.not_found", exit 3, http 404;
    /// No such group.
    GroupNotFound = "group.not_found", exit 3, http 404;
    /// No such API key.
    ApiKeyNotFound = "api_key.not_found", exit 3, http 404;
    /// No such system task.
    TaskNotFound = "task.not_found", exit 3, http 404;
    /// No such download that can be made.
    DownloadNotFound = "download.not_found", exit 3, http 404;
    /// No such key slot.
    SlotNotFound = "key_slot.not_found", exit 3, http 404;
    /// No such setting.
    SettingNotFound = "setting.not_found", exit 3, http 404;
    /// Nothing is at the path, or what is asked for is no record.
    NotFound = "request.not_found", exit 3, http 404;
}
