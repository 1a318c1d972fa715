//! Does what the console asks for beside the thread that draws: questions, changes, events, reconnecting.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use backstay_engine::model::Health;
use backstay_engine::{Code, Error, Result};
use bytes::Bytes;
use chrono::Utc;
use parking_lot::Mutex;
use serde_json::Value;
use tokio::io::AsyncReadExt as _;
use tokio::sync::{Notify, Semaphore, mpsc};
use tokio::task::JoinHandle;

use super::message::{Link, Msg};
use super::screen::Call;
use super::store::{ANYTHING, Fetch};
use crate::client::path;

/// Questions asked at once.
const AT_ONCE: usize = 6;
/// Events that come within this time are told together.
const GATHER: Duration = Duration::from_millis(100);
/// Time between two attempts to reach the engine, the first and the longest.
const RETRY: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(5));
/// How long an answer may take, and how long the question whether the engine is there.
const ANSWER_WAIT: Duration = Duration::from_mins(1);
const HEALTH_WAIT: Duration = Duration::from_secs(15);
/// After so long without an event the engine is asked whether it is still there.
const SILENCE: Duration = Duration::from_secs(20);

/// An engine as the console sees it; tests hand in one that follows a script.
#[async_trait]
pub(crate) trait Engine: Send + Sync + 'static {
    /// Sends a request and answers the body of a success.
    async fn ask(&self, method: &'static str, path: &str, body: Option<&Value>) -> Result<Bytes>;

    /// Everything that happens from now on.
    async fn events(&self) -> Result<Box<dyn EventSource>>;

    /// Starts one on this machine, where that is meant; answers whether it was.
    async fn start(&self) -> Result<bool>;
}

/// A stream of events.
#[async_trait]
pub(crate) trait EventSource: Send {
    /// The kind of the next event, `run.progress`; `None` at the end.
    async fn next(&mut self) -> Result<Option<String>>;
}

/// Who does the work.
pub(crate) struct Worker {
    engine: Mutex<Arc<dyn Engine>>,
    messages: mpsc::Sender<Msg>,
    slots: Arc<Semaphore>,
    link: Mutex<Option<JoinHandle<()>>>,
    /// Ends the wait for the next attempt.
    now: Arc<Notify>,
}

impl Worker {
    /// Tells everything to `messages`.
    pub(crate) fn new(engine: Arc<dyn Engine>, messages: mpsc::Sender<Msg>) -> Self {
        let own = Self {
            engine: Mutex::new(engine),
            messages,
            slots: Arc::new(Semaphore::new(AT_ONCE)),
            link: Mutex::new(None),
            now: Arc::default(),
        };
        own.connect();
        own
    }

    /// Another engine from now on.
    pub(crate) fn switch(&self, engine: Arc<dyn Engine>) {
        *self.engine.lock() = engine;
        self.connect();
    }

    /// An engine that is waited for is tried now.
    pub(crate) fn poke(&self) {
        self.now.notify_waiters();
    }

    fn connect(&self) {
        let engine = self.engine.lock().clone();
        let task = tokio::spawn(keep_linked(engine, self.messages.clone(), self.now.clone()));
        if let Some(old) = self.link.lock().replace(task) {
            old.abort();
        }
    }

    /// Asks a question.
    pub(crate) fn fetch(&self, fetch: Fetch) {
        let (engine, messages) = (self.engine.lock().clone(), self.messages.clone());
        let slots = self.slots.clone();
        tokio::spawn(async move {
            let _slot = slots.acquire().await;
            let answer = ask_within(ANSWER_WAIT, engine.as_ref(), &fetch.path()).await;
            // Read here, so that a long answer holds up nobody at the keyboard.
            let answer = answer.and_then(|bytes| (fetch.want.read)(&bytes));
            let _ = messages.send(Msg::Fetched(fetch, answer)).await;
        });
    }

    /// Changes something.
    pub(crate) fn call(&self, screen: u64, call: Call) {
        let (engine, messages) = (self.engine.lock().clone(), self.messages.clone());
        tokio::spawn(async move {
            let answer = match files_read(call.body.clone()).await {
                Ok(body) => engine.ask(call.method, &call.path, body.as_ref()).await,
                Err(error) => Err(error),
            };
            let answer = answer.and_then(|bytes| document(&bytes));
            let _ = messages.send(Msg::Called(screen, call, answer)).await;
        });
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        if let Some(task) = self.link.lock().take() {
            task.abort();
        }
    }
}

/// The largest file that goes into a request: keys and certificates are far smaller.
const FILE_MAX: u64 = 256 << 10;

/// The body with the text of a file wherever it says `{"$file": "PATH"}`: no screen reads files, and a form takes
/// the name of one.
async fn files_read(body: Option<Value>) -> Result<Option<Value>> {
    let Some(mut body) = body else {
        return Ok(None);
    };
    let mut waiting = vec![&mut body];
    while let Some(value) = waiting.pop() {
        let name = match value {
            Value::Object(fields) if fields.len() == 1 => {
                fields.get("$file").and_then(Value::as_str)
            }
            _ => None,
        };
        if let Some(name) = name {
            *value = Value::String(file(name).await?);
        } else if let Value::Object(fields) = value {
            waiting.extend(fields.values_mut());
        }
    }
    Ok(Some(body))
}

async fn file(name: &str) -> Result<String> {
    let home = std::env::var("HOME").unwrap_or_default();
    let path = match name.strip_prefix("~/") {
        Some(rest) => format!("{home}/{rest}"),
        None => name.to_owned(),
    };
    let failed = |error: std::io::Error| {
        Error::invalid(format!("The file {name} could not be read")).because(error)
    };
    let mut text = String::new();
    let file = tokio::fs::File::open(&path).await.map_err(failed)?;
    file.take(FILE_MAX)
        .read_to_string(&mut text)
        .await
        .map_err(failed)?;
    Ok(text)
}

fn document(bytes: &[u8]) -> Result<Value> {
    if bytes.is_empty() {
        return Ok(Value::Null);
    }
    serde_json::from_slice(bytes)
        .map_err(|error| Error::internal("The engine's answer was not understood").because(error))
}

/// Asks a question; an engine that takes it and says nothing is not waited for for ever.
async fn ask_within(wait: Duration, engine: &dyn Engine, path: &str) -> Result<Bytes> {
    match tokio::time::timeout(wait, engine.ask("GET", path, None)).await {
        Ok(answer) => answer,
        Err(_) => Err(Error::new(
            Code::EngineUnreachable,
            format!(
                "The engine did not answer within {} seconds",
                wait.as_secs()
            ),
        )),
    }
}

/// Stays connected, tells what happens, and how it stands.
async fn keep_linked(engine: Arc<dyn Engine>, messages: mpsc::Sender<Msg>, now: Arc<Notify>) {
    let mut wait = RETRY.0;
    let mut lost = None;
    let mut started = false;
    loop {
        let ended = match connect(&engine, &messages, &mut started).await {
            Ok(events) => {
                (wait, lost) = (RETRY.0, None);
                follow(&engine, events, &messages).await
            }
            Err(error) => error,
        };
        let since = *lost.get_or_insert_with(Utc::now);
        let told = Msg::Link(Link::Lost {
            since,
            error: ended,
        });
        if messages.send(told).await.is_err() {
            return;
        }
        // Many consoles of one engine do not all come back at once.
        let spread = u64::from(rand_byte()) * wait.as_millis() as u64 / 512;
        let sleep = tokio::time::sleep(wait + Duration::from_millis(spread));
        tokio::select! {
            () = sleep => {}
            () = now.notified() => {}
        }
        wait = (wait * 2).min(RETRY.1);
    }
}

fn rand_byte() -> u8 {
    backstay_engine::secret::random_bytes::<1>()[0]
}

async fn connect(
    engine: &Arc<dyn Engine>,
    messages: &mpsc::Sender<Msg>,
    started: &mut bool,
) -> Result<Box<dyn EventSource>> {
    let health = path(&["health"]);
    let mut answer = ask_within(HEALTH_WAIT, engine.as_ref(), &health).await;
    let unreachable = |error: &Error| error.code() == Code::EngineUnreachable;
    if !*started && answer.as_ref().is_err_and(unreachable) {
        *started = true;
        let _ = messages.send(Msg::Link(Link::Starting)).await;
        if engine.start().await? {
            answer = ask_within(HEALTH_WAIT, engine.as_ref(), &health).await;
        }
    }
    let health: Health = serde_json::from_slice(&answer?).map_err(|error| {
        Error::internal("The engine's answer was not understood").because(error)
    })?;
    // First the events, then what there is: nothing is missed between the two.
    let events = engine.events().await?;
    *started = true;
    let live = Link::Live {
        version: health.version,
    };
    let _ = messages.send(Msg::Link(live)).await;
    Ok(events)
}

/// Tells which kinds of events came, gathered; answers why there are no more.
async fn follow(
    engine: &Arc<dyn Engine>,
    mut events: Box<dyn EventSource>,
    messages: &mpsc::Sender<Msg>,
) -> Error {
    let gone = || {
        Error::new(
            Code::EngineUnreachable,
            "The engine has closed the connection",
        )
    };
    loop {
        let mut topics = BTreeSet::new();
        match tokio::time::timeout(SILENCE, events.next()).await {
            Ok(Ok(Some(kind))) => take(&mut topics, &kind),
            Ok(Ok(None)) => return gone(),
            Ok(Err(error)) => return error,
            // Nothing happened: is it still there?
            Err(_) => match ask_within(HEALTH_WAIT, engine.as_ref(), &path(&["health"])).await {
                Ok(_) => continue,
                Err(error) => return error,
            },
        }
        let until = tokio::time::Instant::now() + GATHER;
        let mut end = None;
        // A flood always has a next one ready: the clock is looked at too.
        while tokio::time::Instant::now() < until
            && let Ok(next) = tokio::time::timeout_at(until, events.next()).await
        {
            match next {
                Ok(Some(kind)) => take(&mut topics, &kind),
                Ok(None) => end = Some(gone()),
                Err(error) => end = Some(error),
            }
            if end.is_some() {
                break;
            }
        }
        if messages.send(Msg::Changed(topics)).await.is_err() {
            return gone();
        }
        if let Some(error) = end {
            return error;
        }
    }
}

/// `run.progress` is about runs. Of events that were lost nobody knows what they were about.
fn take(topics: &mut BTreeSet<String>, kind: &str) {
    if kind == "events.lost" {
        topics.insert(ANYTHING.to_owned());
    }
    let topic = kind.split('.').next().unwrap_or(kind);
    topics.insert(topic.to_owned());
}

#[cfg(test)]
mod tests;
