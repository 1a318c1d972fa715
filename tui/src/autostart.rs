//! Starts a lasting engine when a command needs one and none answers.

use std::io::{Read as _, Seek as _, SeekFrom};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use backstay_engine::config::Config;
use backstay_engine::model::Health;
use backstay_engine::{Code, Error, Result};

use crate::client::Client;

/// An engine that was killed may have to look through its catalog first.
const START_TIMEOUT: Duration = Duration::from_mins(2);

/// How long an engine that another command started may take until it answers at the socket.
const OTHER_TIMEOUT: Duration = Duration::from_secs(15);

/// Time between two looks.
const LOOK_EVERY: Duration = Duration::from_millis(40);

/// A log larger than this is put aside at the next start.
const LOG_MAX_BYTES: u64 = 16 << 20;

/// What is told of the log when the engine did not start.
const LOG_TAIL_BYTES: u64 = 4096;

/// How many arenas glibc's allocator may have, mallopt(3). What a burst of work leaves behind stays in the arena
/// of its thread; with few of them the next burst uses it again.
const ARENAS: &str = "MALLOC_ARENA_MAX";

/// What the new engine is told.
#[derive(Clone, Debug)]
pub(crate) struct Launch {
    /// `--config`, as it was given.
    pub(crate) config_file: Option<PathBuf>,
    /// `--socket`, as it was given.
    pub(crate) socket: Option<PathBuf>,
    /// How often `-v` was given.
    pub(crate) verbose: u8,
}

/// Where an engine that was started by a command writes its log.
pub(crate) fn log_file(config: &Config) -> PathBuf {
    config.paths.data.join("engine.log")
}

/// Starts an engine of its own process group and waits until it answers. Answers its process id.
pub(crate) async fn start(config: &Config, launch: &Launch, client: &Client) -> Result<u32> {
    let log_path = log_file(config);
    let (log, begin) = open_log(&log_path)?;
    let mut child = spawn(launch, log)?;
    let pid = child.id();
    let waiting = tokio::time::timeout(START_TIMEOUT, answered(&mut child, client));
    match waiting.await {
        Ok(Ok(())) => Ok(pid),
        Ok(Err(Some(status))) if is_other(status) => Err(Error::new(
            Code::EngineRunning,
            format!(
                "Another engine has {} but does not answer at {}",
                config.paths.data.display(),
                config.socket.display()
            ),
        )
        .hint("Use the socket of that engine, or stop it first")),
        Ok(Err(Some(status))) => {
            let (said, hint) = last_words(&log_path, begin);
            Err(Error::new(
                Code::EngineUnreachable,
                format!("The engine did not start ({status}): {said}"),
            )
            .hint(hint.unwrap_or_else(|| format!("Its log is {}", log_path.display()))))
        }
        Ok(Err(None)) | Err(_) => Err(Error::new(
            Code::EngineUnreachable,
            format!(
                "The engine was started but did not answer within {} s",
                START_TIMEOUT.as_secs()
            ),
        )
        .hint(format!("See its log, {}", log_path.display()))),
    }
}

/// `Err(Some(status))` when the engine ended and no other took its place.
async fn answered(
    child: &mut Child,
    client: &Client,
) -> std::result::Result<(), Option<std::process::ExitStatus>> {
    let mut ended = None;
    loop {
        if client.get::<Health>("/api/v1/health").await.is_ok() {
            return Ok(());
        }
        match (ended, child.try_wait()) {
            // Another command was faster: its engine will answer.
            (None, Ok(Some(status))) if is_other(status) => {
                ended = Some((status, tokio::time::Instant::now()));
            }
            (Some((status, since)), _) if since.elapsed() > OTHER_TIMEOUT => {
                return Err(Some(status));
            }
            (None, Ok(Some(status))) => return Err(Some(status)),
            (None, Err(_)) => return Err(None),
            _ => {}
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// Whether an engine ended because another one has its data.
fn is_other(status: std::process::ExitStatus) -> bool {
    status.code() == Some(i32::from(Code::EngineRunning.exit()))
}

fn spawn(launch: &Launch, log: std::fs::File) -> Result<Child> {
    let failed = |error: std::io::Error| {
        Error::new(Code::EngineUnreachable, "The engine could not be started").because(error)
    };
    let program = std::env::current_exe().map_err(failed)?;
    let errors = log.try_clone().map_err(failed)?;
    let mut command = Command::new(program);
    command.args(["serve", "--detached"]);
    if let Some(socket) = &launch.socket {
        command.arg("--socket").arg(absolute(socket));
    }
    if let Some(file) = &launch.config_file {
        command.arg("--config").arg(absolute(file));
    }
    for name in ["HOME", "CONFIG", "SOCKET", "DATA_DIR", "CACHE_DIR"] {
        let name = format!("BACKSTAY_{name}");
        if let Some(path) = std::env::var_os(&name).filter(|path| !path.is_empty()) {
            command.env(name, absolute(Path::new(&path)));
        }
    }
    for _ in 0..launch.verbose {
        command.arg("-v");
    }
    if std::env::var_os(ARENAS).is_none() {
        command.env(ARENAS, "2");
    }
    command
        // Holding the folder of a command would keep its file system from being unmounted.
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(log)
        .stderr(errors)
        // Ctrl-C in the terminal ends the command, not the engine.
        .process_group(0)
        .spawn()
        .map_err(failed)
}

fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf())
}

fn open_log(path: &Path) -> Result<(std::fs::File, u64)> {
    let failed = |error: std::io::Error| {
        Error::new(
            Code::ConfigInvalid,
            format!("The engine's log {} cannot be written", path.display()),
        )
        .hint("Set BACKSTAY_HOME to a folder you may write to")
        .because(error)
    };
    if let Some(folder) = path.parent() {
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder)
            .map_err(failed)?;
    }
    if std::fs::metadata(path).is_ok_and(|log| log.len() > LOG_MAX_BYTES) {
        std::fs::rename(path, path.with_extension("log.1")).map_err(failed)?;
    }
    let log = std::fs::OpenOptions::new()
        .create(true)
        .append(true)
        .mode(0o600)
        .open(path)
        .map_err(failed)?;
    let begin = log.metadata().map_err(failed)?.len();
    Ok((log, begin))
}

/// The error the engine ended with and what it said to do about it; or else its last line.
fn last_words(path: &Path, begin: u64) -> (String, Option<String>) {
    let read = || -> std::io::Result<String> {
        let mut log = std::fs::File::open(path)?;
        let end = log.metadata()?.len();
        log.seek(SeekFrom::Start(
            begin.max(end.saturating_sub(LOG_TAIL_BYTES)),
        ))?;
        let mut bytes = Vec::new();
        log.take(LOG_TAIL_BYTES).read_to_end(&mut bytes)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    };
    let text = read().unwrap_or_default();
    let last = |label: &str| {
        let mut lines = text.lines().rev();
        lines.find_map(|line| line.strip_prefix(label))
    };
    if let Some(line) = last("error: ") {
        return (line.to_owned(), last("hint: ").map(ToOwned::to_owned));
    }
    let line = text.lines().last().unwrap_or("it said nothing");
    (line.to_owned(), None)
}
