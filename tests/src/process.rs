//! Child processes that never outlive the test.

use std::ffi::{OsStr, OsString};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::places;

/// A program with its arguments, ready to run as the user that servers run as.
#[derive(Debug)]
pub struct Program {
    words: Vec<OsString>,
}

impl Program {
    /// A program as the current user.
    pub fn new(path: impl AsRef<OsStr>) -> Self {
        Self {
            words: vec![path.as_ref().to_owned()],
        }
    }

    /// A program as `postgres` if this process is root, else as the current user.
    pub fn unprivileged(path: impl AsRef<OsStr>) -> Self {
        let mut program = Self::new("setpriv");
        if places::is_root() {
            program = program.args(["--reuid=postgres", "--regid=postgres", "--init-groups"]);
        }
        // Covers a killed test process, which runs no destructor.
        program.args(["--pdeathsig=QUIT", "--"]).arg(path)
    }

    /// Adds an argument.
    #[must_use]
    pub fn arg(mut self, word: impl AsRef<OsStr>) -> Self {
        self.words.push(word.as_ref().to_owned());
        self
    }

    /// Adds arguments.
    #[must_use]
    pub fn args<T: AsRef<OsStr>>(mut self, words: impl IntoIterator<Item = T>) -> Self {
        self.words
            .extend(words.into_iter().map(|word| word.as_ref().to_owned()));
        self
    }

    /// The command line, for messages.
    pub fn line(&self) -> String {
        let words: Vec<_> = self
            .words
            .iter()
            .map(|word| word.to_string_lossy())
            .collect();
        words.join(" ")
    }

    /// The command, with an environment in which no variable of the caller can change a result.
    pub fn command(&self) -> Command {
        let mut command = Command::new(&self.words[0]);
        command
            .args(&self.words[1..])
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", "/tmp")
            .env("LC_ALL", "C.UTF-8")
            .env("TZ", "UTC")
            .current_dir("/")
            .stdin(Stdio::null());
        command
    }

    /// Runs to the end and returns what it printed.
    ///
    /// # Panics
    /// When it fails, with its command line and its complaints.
    pub fn run(&self) -> Vec<u8> {
        let output = self
            .command()
            .output()
            .unwrap_or_else(|error| panic!("{}: {error}", self.line()));
        assert!(
            output.status.success(),
            "{}\n{}{}{}",
            self.line(),
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr),
            output.status
        );
        output.stdout
    }

    /// Starts it in the background, its output appended to `log`.
    pub fn start(&self, log: &Path) -> Background {
        let file = std::fs::File::options()
            .create(true)
            .append(true)
            .open(log)
            .unwrap();
        let mut command = self.command();
        command.stdout(file.try_clone().unwrap()).stderr(file);
        Background::spawn(command, self.line())
    }
}

/// A running child. Dropping it ends it.
#[derive(Debug)]
pub struct Background {
    child: Child,
    line: String,
}

impl Background {
    /// Starts a command whose output is arranged already; `line` is for messages.
    pub fn spawn(command: Command, line: String) -> Self {
        let child = keep(command).unwrap_or_else(|error| panic!("{line}: {error}"));
        Self { child, line }
    }

    /// The process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// The command line.
    pub fn line(&self) -> &str {
        &self.line
    }

    /// The running child, for its pipes.
    pub fn child(&mut self) -> &mut Child {
        &mut self.child
    }

    /// How it ended, if it has.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().unwrap()
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(i32::try_from(self.id()).unwrap()).unwrap();
        let _ = kill_process(pid, signal);
    }

    /// Sends a signal and waits for the end.
    pub fn end(&mut self, signal: Signal) -> ExitStatus {
        if let Some(status) = self.ended() {
            return status;
        }
        self.signal(signal);
        self.wait(Duration::from_secs(30)).unwrap_or_else(|| {
            self.signal(Signal::KILL);
            self.child.wait().unwrap()
        })
    }

    /// Waits for the end, at most this long.
    pub fn wait(&mut self, limit: Duration) -> Option<ExitStatus> {
        let start = Instant::now();
        loop {
            if let Some(status) = self.ended() {
                return Some(status);
            }
            if start.elapsed() > limit {
                return None;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        self.end(Signal::QUIT);
    }
}

/// Polls until `ready` gives a value.
///
/// # Panics
/// After `limit`, saying what was waited for.
pub fn wait_for<T>(what: &str, limit: Duration, mut ready: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(value) = ready() {
            return value;
        }
        assert!(start.elapsed() < limit, "{what}: not within {limit:?}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Spawns on a thread that lives as long as the process: the kernel's parent-death signal is tied to
/// the thread that started the child, and a test's thread ends with its test.
fn keep(command: Command) -> std::io::Result<Child> {
    use std::sync::{LazyLock, Mutex};
    type Request = (Command, mpsc::Sender<std::io::Result<Child>>);
    static KEEPER: LazyLock<Mutex<mpsc::Sender<Request>>> = LazyLock::new(|| {
        let (sender, receiver) = mpsc::channel::<Request>();
        std::thread::spawn(move || {
            for (mut command, answer) in receiver {
                let _ = answer.send(command.spawn());
            }
        });
        Mutex::new(sender)
    });
    let (answer, answered) = mpsc::channel();
    KEEPER.lock().unwrap().send((command, answer)).unwrap();
    answered.recv().unwrap()
}
