//! Opens the console on a real terminal and a real engine.

use std::io::{self, IsTerminal as _};
use std::sync::Arc;

use async_trait::async_trait;
use backstay_engine::clock::{Clock as _, SharedClock, SystemClock};
use backstay_engine::{Error, Result};
use bytes::Bytes;
use crossterm::event::{Event, EventStream};
use futures_util::Stream;
use hyper::Method;
use serde_json::Value;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

use super::app::{App, Settings};
use super::editor;
use super::event_loop::{self, Stage};
use super::message::{Effect, Msg};
use super::terminal::{self, Screen};
use super::worker::{Engine, EventSource, Worker};
use crate::client::events::Events;
use crate::client::{Client, path, read};

/// Messages from the background that wait at most; the background waits beyond that.
const WAITING: usize = 256;

/// How an engine of another name is found.
pub(crate) type Contexts = Arc<dyn Fn(&str) -> Result<Arc<dyn Engine>> + Send + Sync>;

/// Starts an engine on this machine when none answers.
#[async_trait]
pub(crate) trait Starter: Send + Sync + 'static {
    async fn start(&self, client: &Client) -> Result<bool>;
}

/// A real engine.
pub(crate) struct Remote {
    pub(crate) client: Client,
    pub(crate) starter: Option<Box<dyn Starter>>,
}

struct Happenings(Events);

#[async_trait]
impl EventSource for Happenings {
    async fn next(&mut self) -> Result<Option<String>> {
        #[derive(serde::Deserialize)]
        struct Kind {
            kind: String,
        }
        match self.0.next().await? {
            None => Ok(None),
            Some(event) => {
                let kind: Kind = serde_json::from_str(&event.data).map_err(|error| {
                    Error::internal("An event was not understood").because(error)
                })?;
                Ok(Some(kind.kind))
            }
        }
    }
}

#[async_trait]
impl Engine for Remote {
    async fn ask(&self, method: &'static str, path: &str, body: Option<&Value>) -> Result<Bytes> {
        let method = Method::from_bytes(method.as_bytes())
            .map_err(|error| Error::internal("No such method").because(error))?;
        let body = body.map(|body| Bytes::from(body.to_string()));
        read(self.client.request(method, path, &[], body).await?).await
    }

    async fn events(&self) -> Result<Box<dyn EventSource>> {
        let answer = self
            .client
            .request(Method::GET, &path(&["events"]), &[], None)
            .await?;
        Ok(Box::new(Happenings(Events::of(answer))))
    }

    async fn start(&self) -> Result<bool> {
        match &self.starter {
            None => Ok(false),
            Some(starter) => starter.start(&self.client).await,
        }
    }
}

/// Opens the console; comes back when it is left.
pub(crate) async fn open(
    settings: Settings,
    engine: Arc<dyn Engine>,
    contexts: Contexts,
) -> Result<()> {
    if !io::stdin().is_terminal() || !io::stdout().is_terminal() {
        return Err(Error::invalid("The console needs a terminal").hint(
            "Use a command instead, such as `backstay status`; `backstay --help` lists them",
        ));
    }
    terminal::guard_panics();
    let broken = |error: io::Error| Error::internal("The terminal cannot be used").because(error);
    let screen = Screen::take(settings.mouse).map_err(broken)?;
    let clock: SharedClock = Arc::new(SystemClock);
    let (sender, messages) = mpsc::channel(WAITING);
    let mut app = App::new(settings, clock.now());
    let mut stage = Real {
        screen,
        worker: Worker::new(engine, sender.clone()),
        contexts,
        input: Arc::default(),
        sender,
    };
    let input = Input::new(stage.input.clone());
    let running = event_loop::run(&mut app, &mut stage, input, messages, &clock);
    let (mut term, mut hup) = (
        watch(SignalKind::terminate())?,
        watch(SignalKind::hangup())?,
    );
    let ended = tokio::select! {
        ended = running => ended.map_err(broken),
        _ = term.recv() => Ok(()),
        _ = hup.recv() => Ok(()),
    };
    drop(stage);
    ended
}

fn watch(kind: SignalKind) -> Result<tokio::signal::unix::Signal> {
    signal(kind).map_err(|error| Error::internal("Signals cannot be watched").because(error))
}

/// The keyboard; closed while an editor has the terminal, so that only one reads from it.
#[derive(Debug, Default)]
struct Shared {
    stream: Option<EventStream>,
    waker: Option<std::task::Waker>,
}

type SharedInput = Arc<parking_lot::Mutex<Shared>>;

struct Input(SharedInput);

impl Input {
    fn new(shared: SharedInput) -> Self {
        shared.lock().stream = Some(EventStream::new());
        Self(shared)
    }
}

impl Stream for Input {
    type Item = io::Result<Event>;

    fn poll_next(
        self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Self::Item>> {
        let mut shared = self.0.lock();
        shared.waker = Some(cx.waker().clone());
        match &mut shared.stream {
            None => std::task::Poll::Pending,
            Some(stream) => std::pin::Pin::new(stream).poll_next(cx),
        }
    }
}

/// The real terminal and the real engine.
struct Real {
    screen: Screen,
    worker: Worker,
    contexts: Contexts,
    input: SharedInput,
    sender: mpsc::Sender<Msg>,
}

impl Real {
    /// While something else has the terminal nobody here reads from it.
    fn without_input<R>(
        &mut self,
        act: impl FnOnce(&mut Screen) -> io::Result<R>,
    ) -> io::Result<R> {
        self.input.lock().stream = None;
        let answer = act(&mut self.screen);
        let mut shared = self.input.lock();
        shared.stream = Some(EventStream::new());
        if let Some(waker) = shared.waker.take() {
            waker.wake();
        }
        answer
    }
}

impl Stage for Real {
    fn draw(&mut self, app: &App) -> io::Result<()> {
        self.screen.draw(app)?;
        for what in terminal::panicked() {
            let _ = self.sender.try_send(Msg::Panicked(what));
        }
        Ok(())
    }

    async fn perform(&mut self, effect: Effect) -> io::Result<bool> {
        match effect {
            Effect::Fetch(fetch) => self.worker.fetch(fetch),
            Effect::Call(screen, call) => self.worker.call(screen, call),
            Effect::Copy(text) => Screen::copy(&text)?,
            Effect::Mouse(on) => self.screen.set_mouse(on)?,
            Effect::Redraw => self.screen.redraw()?,
            Effect::Suspend => self.without_input(Screen::suspend)?,
            Effect::Edit {
                screen,
                tag,
                name,
                text,
            } => {
                let edited = self.without_input(|own| own.lend(|| editor::edit(&name, &text)))?;
                let _ = self.sender.try_send(Msg::Edited(screen, tag, edited));
            }
            Effect::Switch(context) => match (self.contexts)(&context) {
                Ok(engine) => self.worker.switch(engine),
                Err(error) => {
                    let link = super::message::Link::Lost {
                        since: SystemClock.now(),
                        error,
                    };
                    let _ = self.sender.try_send(Msg::Link(link));
                }
            },
            Effect::Reconnect => self.worker.poke(),
            Effect::Quit => return Ok(false),
        }
        Ok(true)
    }
}
