//! A run's log on its way into the catalog: lines gather and are committed together.

use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use super::Catalog;
use crate::clock::SharedClock;
use crate::ids::RunId;
use crate::model::{Level, LogLine};

/// Lines a run may write; what comes after is counted and summed up in the last one.
pub const MAX_LINES: u64 = 50_000;
/// Lines that may wait for a commit; more are dropped and counted, nobody waits.
const WAITING: usize = 4096;
/// A line's text is cut there.
const MAX_TEXT_BYTES: usize = 8 * 1024;
/// How long lines gather.
const GATHER: Duration = Duration::from_millis(150);

enum Message {
    Line(LogLine),
    Flush(oneshot::Sender<()>),
}

/// Where one run writes its lines; never blocks.
#[derive(Debug)]
pub struct LogSink {
    sender: mpsc::Sender<Message>,
    clock: SharedClock,
    state: parking_lot::Mutex<State>,
    task: JoinHandle<()>,
}

#[derive(Debug, Default)]
struct State {
    number: u64,
    dropped: u64,
}

impl LogSink {
    /// A sink for that run, whose last line so far has the number `last`.
    pub fn new(catalog: Catalog, run: RunId, last: u64, clock: SharedClock) -> Self {
        let (sender, receiver) = mpsc::channel(WAITING);
        Self {
            sender,
            clock,
            state: parking_lot::Mutex::new(State {
                number: last,
                dropped: 0,
            }),
            task: tokio::spawn(gather(catalog, run.bits(), receiver)),
        }
    }

    /// Adds a line.
    pub fn line(&self, level: Level, stage: Option<&str>, text: &str) {
        let mut state = self.state.lock();
        if state.number >= MAX_LINES {
            state.dropped += 1;
            return;
        }
        self.send(&mut state, level, stage, text);
    }

    fn send(&self, state: &mut State, level: Level, stage: Option<&str>, text: &str) {
        let mut end = text.len().min(MAX_TEXT_BYTES);
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        let line = LogLine {
            number: state.number + 1,
            at: self.clock.now(),
            level,
            stage: stage.map(ToOwned::to_owned),
            text: text[..end].to_owned(),
        };
        match self.sender.try_send(Message::Line(line)) {
            Ok(()) => state.number += 1,
            Err(_) => state.dropped += 1,
        }
    }

    /// Returns when everything added so far is durable.
    pub async fn flush(&self) {
        {
            let mut state = self.state.lock();
            let dropped = std::mem::take(&mut state.dropped);
            if dropped > 0 {
                let text = format!("{dropped} more lines were not kept");
                self.send(&mut state, Level::Warning, None, &text);
            }
        }
        let (done, wait) = oneshot::channel();
        if self.sender.send(Message::Flush(done)).await.is_ok() {
            let _ = wait.await;
        }
    }
}

impl Drop for LogSink {
    fn drop(&mut self) {
        // The task ends by itself once it has written what waits.
        let _ = &self.task;
    }
}

async fn gather(catalog: Catalog, run: u128, mut receiver: mpsc::Receiver<Message>) {
    let mut lines = Vec::new();
    let mut waiting = Vec::new();
    while let Some(message) = receiver.recv().await {
        let mut next = Some(message);
        let end = tokio::time::sleep(GATHER);
        tokio::pin!(end);
        loop {
            match next.take() {
                Some(Message::Line(line)) => lines.push(line),
                Some(Message::Flush(done)) => {
                    waiting.push(done);
                    break;
                }
                None => {}
            }
            if lines.len() >= 1000 {
                break;
            }
            tokio::select! {
                () = &mut end => break,
                message = receiver.recv() => match message {
                    Some(message) => next = Some(message),
                    None => break,
                },
            }
        }
        let batch = std::mem::take(&mut lines);
        if !batch.is_empty() {
            let written = catalog.write(move |tx| tx.add_lines(run, &batch)).await;
            if let Err(error) = written {
                tracing::error!(error = error.report(), "log lines were lost");
            }
        }
        for done in waiting.drain(..) {
            let _ = done.send(());
        }
    }
}
