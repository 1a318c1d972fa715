//! Messages in, pictures out. Everything it works with is handed in, so that tests drive the whole console.

use std::io;
use std::time::Duration;

use backstay_engine::clock::SharedClock;
use crossterm::event::Event;
use futures_util::{Stream, StreamExt as _};
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};

use super::app::App;
use super::message::{Effect, Msg};

/// At most so often is drawn, whatever happens.
const FRAME: Duration = Duration::from_millis(16);
/// What only the engine changed may wait that long, so that floods of events cost little.
const CALM_FRAME: Duration = Duration::from_millis(100);
/// Ages grow and messages go at that pace.
const TICK: Duration = Duration::from_secs(1);

/// Where the console is drawn and what it does there.
pub(crate) trait Stage {
    fn draw(&mut self, app: &App) -> io::Result<()>;

    /// Does what `App` asks for; answers false at the end.
    fn perform(&mut self, effect: Effect) -> impl Future<Output = io::Result<bool>>;
}

/// Runs the console until somebody leaves it, or the terminal is gone.
pub(crate) async fn run(
    app: &mut App,
    stage: &mut impl Stage,
    mut input: impl Stream<Item = io::Result<Event>> + Unpin,
    mut messages: mpsc::Receiver<Msg>,
    clock: &SharedClock,
) -> io::Result<()> {
    let mut tick = interval(TICK);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    stage.draw(app)?;
    let mut drawn = Instant::now();
    let mut due: Option<Instant> = None;
    let mut focused = true;
    loop {
        let wait = due.unwrap_or_else(|| Instant::now() + TICK);
        let (msg, patience) = tokio::select! {
            biased;
            event = input.next() => match event {
                None => return Ok(()),
                Some(event) => (message(event?), FRAME),
            },
            () = sleep_until(wait), if due.is_some() => {
                stage.draw(app)?;
                drawn = Instant::now();
                due = None;
                continue;
            }
            Some(msg) = messages.recv() => (msg, CALM_FRAME),
            _ = tick.tick() => (Msg::Tick, if focused { FRAME } else { CALM_FRAME }),
        };
        if let Msg::Focus(has) = msg {
            focused = has;
        }
        let effects = app.update(msg, clock.now());
        for effect in effects {
            if !stage.perform(effect).await? {
                return Ok(());
            }
        }
        let at = drawn + patience;
        due = Some(due.map_or(at, |due| due.min(at)));
    }
}

fn message(event: Event) -> Msg {
    match event {
        Event::Key(key) => Msg::Key(key),
        Event::Paste(text) => Msg::Paste(text),
        Event::Mouse(mouse) => Msg::Mouse(mouse),
        Event::Resize(..) => Msg::Resize,
        Event::FocusGained => Msg::Focus(true),
        Event::FocusLost => Msg::Focus(false),
    }
}
