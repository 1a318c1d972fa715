//! The configuration: defaults, then the TOML file, then `BACKSTAY_…` variables.
//!
//! Every key of the file is a variable too: `stall_timeout` is `BACKSTAY_STALL_TIMEOUT`. Nothing here
//! reads the process environment; the caller hands it in.

mod file;
mod listen;
mod paths;

pub use listen::{Listen, TlsFiles, parse_address};
pub use paths::Paths;

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::error::{Code, Error, Result};
use crate::secret::SecretText;

/// Variables of the environment, by name.
pub type Environment = BTreeMap<String, String>;

/// How the engine's log is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON document a line.
    Json,
}

/// Everything the engine can be told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Where things lie.
    pub paths: Paths,
    /// The Unix socket.
    pub socket: PathBuf,
    /// Permission bits of the socket, 0600 unless told otherwise.
    pub socket_mode: u32,
    /// Group of the socket, by name or number.
    pub socket_group: Option<String>,
    /// Where else the API is served, and what its clients may take.
    pub listen: Listen,
    /// The file that holds the master key, made at the first start.
    pub master_key_file: PathBuf,
    /// The master key itself in hex, from `BACKSTAY_MASTER_KEY` only.
    pub master_key: Option<SecretText>,
    /// A file whose first line is a passphrase; replaces the master key file.
    pub master_passphrase_file: Option<PathBuf>,
    /// Memory the whole process may use, in bytes.
    pub memory_bytes: u64,
    /// Threads that hash, compress and encrypt.
    pub cpu_workers: usize,
    /// Connections a backup or restore opens at once.
    pub workers: usize,
    /// Runs in progress at once.
    pub parallel_runs: usize,
    /// Runs that may wait.
    pub queued_runs: usize,
    /// Whether every new chunk is opened and compared before it is sent.
    pub verify_writes: bool,
    /// A run without any progress for this long fails; zero never.
    pub stall_timeout: Duration,
    /// A backup that holds its snapshot for longer fails; zero never.
    pub max_snapshot_age: Duration,
    /// Blocks of a table that one stream holds, from `BACKSTAY_RANGE_BLOCKS` only: small ones let a
    /// test cut small tables.
    pub range_blocks: Option<NonZeroU32>,
    /// How long a backup waits for a table's lock.
    pub lock_timeout: Duration,
    /// How long a stop lets runs finish.
    pub drain_timeout: Duration,
    /// How long a deleted backup can be taken back.
    pub undo_window: Duration,
    /// How the engine's log is written.
    pub log_format: LogFormat,
    /// How often disks, repositories and jobs are looked at for alerts.
    pub watch_interval: Duration,
}

impl Config {
    /// Every key of the configuration file; each is a variable `BACKSTAY_<KEY>` too.
    pub const KEYS: &[&str] = file::Settings::KEYS;

    /// Reads the configuration. `file` is the one named on the command line, which must exist; without
    /// it the usual place is looked at. `root` says whether the process runs as a system service.
    pub fn load(file: Option<&Path>, environment: &Environment, root: bool) -> Result<Self> {
        let named = file
            .map(Path::to_path_buf)
            .or_else(|| environment.get("BACKSTAY_CONFIG").map(PathBuf::from));
        let mut paths = Paths::find(environment, root)?;
        let settings = match named {
            Some(path) => {
                let settings = file::read(&path, true)?;
                paths.config_file = path;
                settings
            }
            None => file::read(&paths.config_file, false)?,
        };
        let settings = settings.overlaid_by(file::from_environment(environment)?);
        let mut config = Self::assemble(paths, settings);
        config.master_key = environment
            .get("BACKSTAY_MASTER_KEY")
            .filter(|key| !key.is_empty())
            .map(SecretText::new);
        if let Some(blocks) = environment.get("BACKSTAY_RANGE_BLOCKS") {
            let wrong = format!("BACKSTAY_RANGE_BLOCKS: \"{blocks}\" is not a number from 1 on");
            let read = blocks.parse();
            config.range_blocks = Some(read.map_err(|_| Error::new(Code::ConfigInvalid, wrong))?);
        }
        Ok(config)
    }

    /// The defaults with everything under one folder.
    pub fn in_home(home: &Path) -> Self {
        Self::assemble(Paths::in_home(home), file::Settings::default())
    }

    fn assemble(mut paths: Paths, settings: file::Settings) -> Self {
        let cpus = std::thread::available_parallelism().map_or(2, std::num::NonZero::get);
        if let Some(data) = settings.data_dir {
            paths.data = data;
        }
        if let Some(cache) = settings.cache_dir {
            paths.cache = cache;
        }
        let memory_bytes = settings.memory.map_or(256 << 20, |memory| memory.0);
        Self {
            socket: settings
                .socket
                .unwrap_or_else(|| paths.runtime.join("backstay.sock")),
            socket_mode: settings.socket_mode.map_or(0o600, |mode| mode.0),
            socket_group: settings.socket_group,
            listen: Listen {
                addresses: settings.listen.map(|list| list.0).unwrap_or_default(),
                tls_cert: settings.tls_cert,
                tls_key: settings.tls_key,
                tls_client_ca: settings.tls_client_ca,
                plain_http: settings.plain_http.unwrap_or(false),
                max_clients: settings.max_clients.map_or(512, |n| n.0),
                client_timeout: settings.client_timeout.map_or(seconds(30), |time| time.0),
            },
            master_key_file: settings
                .master_key_file
                .unwrap_or_else(|| paths.data.join("keys/master.key")),
            master_key: None,
            master_passphrase_file: settings.master_passphrase_file,
            memory_bytes,
            cpu_workers: settings.cpu_workers.map_or(cpus, |n| n.0).clamp(1, 64),
            workers: settings
                .workers
                .map_or(cpus.clamp(2, 4), |n| n.0)
                .min(workers_within(memory_bytes)),
            parallel_runs: settings.parallel_runs.map_or(2, |n| n.0),
            queued_runs: settings.queued_runs.map_or(1000, |n| n.0),
            verify_writes: settings.verify_writes.unwrap_or(true),
            stall_timeout: settings.stall_timeout.map_or(minutes(10), |time| time.0),
            max_snapshot_age: settings.max_snapshot_age.map_or(minutes(0), |time| time.0),
            range_blocks: None,
            lock_timeout: settings.lock_timeout.map_or(minutes(1), |time| time.0),
            drain_timeout: settings.drain_timeout.map_or(minutes(1), |time| time.0),
            undo_window: settings
                .undo_window
                .map_or(minutes(7 * 24 * 60), |time| time.0),
            log_format: settings.log_format.unwrap_or_default(),
            watch_interval: settings
                .watch_interval
                .map_or(minutes(1), |time| time.0.max(Duration::from_secs(1))),
            paths,
        }
    }
}

/// How many workers a run may have: each takes its share, and the process something without any.
fn workers_within(memory_bytes: u64) -> usize {
    const WORKER_BYTES: u64 = 32 << 20;
    let shares = (memory_bytes.saturating_sub(file::MEMORY_LEAST) / WORKER_BYTES) + 1;
    usize::try_from(shares).unwrap_or(usize::MAX)
}

fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

fn minutes(count: u64) -> Duration {
    Duration::from_mins(count)
}

#[cfg(test)]
mod tests;
