//! Follows runs until they end: bars for a person, plain lines for a log, Ctrl-C cancels.

mod bar;

use std::time::Duration;

use backstay_engine::model::{Level, LogLine, LogQuery, Page, Run, RunStatus, Started};
use backstay_engine::{Code, Error, Result};
use futures_util::future::join_all;
use indicatif::MultiProgress;
use serde_json::json;
use tokio::sync::watch;

use self::bar::Shown;
use super::failure::{Done, Failure};
use super::output::{Output, clean};
use super::session::Session;
use crate::client::events::Events;
use crate::client::{Client, path, with_query};

/// Time before a stream of events that broke off is opened again.
const RECONNECT_AFTER: Duration = Duration::from_millis(300);

/// Attempts before it is given up.
const RECONNECTS_MAX: u32 = 20;

/// What Ctrl-C does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Interrupt {
    /// Tells the engine to cancel the runs, and waits for that.
    Cancels,
    /// Ends the watching only.
    Leaves,
}

/// Follows the runs that were started and answers them as they ended, in the order they were started.
pub(crate) async fn follow(session: &Session, started: &Started) -> Done<Vec<Run>> {
    let ids: Vec<String> = if started.run_ids.is_empty() {
        vec![started.run_id.to_string()]
    } else {
        started.run_ids.iter().map(ToString::to_string).collect()
    };
    follow_ids(session, &ids, Interrupt::Cancels, |_| Ok(())).await
}

/// Follows the runs of that id; `changed` hears of every change.
pub(crate) async fn follow_ids(
    session: &Session,
    ids: &[String],
    interrupt: Interrupt,
    changed: impl Fn(&Run) -> Done,
) -> Done<Vec<Run>> {
    let bars = MultiProgress::new();
    if !shows_bars(session.output) {
        bars.set_draw_target(indicatif::ProgressDrawTarget::hidden());
    }
    let (cancelled, _) = watch::channel(false);
    let following = join_all(ids.iter().map(|id| {
        let shown = Shown::new(session.output, &bars);
        one(session.client(), id, shown, &changed)
    }));
    let mut following = std::pin::pin!(following);
    loop {
        tokio::select! {
            runs = &mut following => {
                return runs.into_iter().collect();
            }
            _ = tokio::signal::ctrl_c() => {
                let again = cancelled.send_replace(true);
                if again || interrupt == Interrupt::Leaves {
                    let _ = bars.clear();
                    return Err(Failure::Exit(Code::Cancelled.exit()));
                }
                let _ = bars.println("Cancelling; Ctrl-C again leaves it to the engine.");
                if !shows_bars(session.output) {
                    session.output.note("Cancelling");
                }
                for id in ids {
                    cancel(session.client(), id).await?;
                }
            }
        }
    }
}

fn shows_bars(output: Output) -> bool {
    output.watched && !output.quiet
}

async fn cancel(client: &Client, id: &str) -> Result<()> {
    let _: Run = client
        .post(&path(&["runs", id, "cancel"]), &json!({}))
        .await?;
    Ok(())
}

async fn one(
    client: &Client,
    id: &str,
    mut shown: Shown,
    changed: &impl Fn(&Run) -> Done,
) -> Done<Run> {
    let mut failures = 0;
    loop {
        match stream(client, id, &mut shown, changed).await {
            Ok(Some(run)) => {
                shown.finish(&run);
                return Ok(run);
            }
            Ok(None) => failures += 1,
            Err(Failure::Error(error)) if error.code() == Code::EngineUnreachable => {
                failures += 1;
                if failures >= RECONNECTS_MAX {
                    return Err(error.into());
                }
            }
            Err(failure) => return Err(failure),
        }
        if failures >= RECONNECTS_MAX {
            return Err(Error::new(
                Code::EngineUnreachable,
                format!("The engine told nothing more of run {id}"),
            )
            .hint(format!("See `backstay run show {id}`"))
            .into());
        }
        tokio::time::sleep(RECONNECT_AFTER).await;
    }
}

/// `None` when the stream ended before the run did.
async fn stream(
    client: &Client,
    id: &str,
    shown: &mut Shown,
    changed: &impl Fn(&Run) -> Done,
) -> Done<Option<Run>> {
    let response = client
        .request(
            hyper::Method::GET,
            &path(&["runs", id, "events"]),
            &[],
            None,
        )
        .await?;
    let mut events = Events::of(response);
    while let Some(event) = events.next().await? {
        let run: Run = serde_json::from_str(&event.data).map_err(|error| {
            Error::internal("The engine's event was not understood").because(error)
        })?;
        changed(&run)?;
        if run.status.is_final() {
            return Ok(Some(run));
        }
        shown.update(&run);
    }
    let run: Run = client.get(&path(&["runs", id])).await?;
    Ok(run.status.is_final().then_some(run))
}

/// The exit code that several runs have together: the worst of them.
pub(crate) fn exit_code(runs: &[Run]) -> u8 {
    let severity = |code: u8| match code {
        0 => 0,
        5 => 1,
        130 => 3,
        _ => 2,
    };
    runs.iter()
        .map(|run| match (&run.error, run.status.exit()) {
            // Nothing was brought: what was not whole is no partial success.
            (Some(problem), 1) if problem.exit() != 5 => problem.exit(),
            (_, code) => code,
        })
        .max_by_key(|code| severity(*code))
        .unwrap_or(0)
}

/// Tells why runs did not succeed, and exits as they did.
pub(crate) async fn conclude(session: &Session, runs: &[Run]) -> Done {
    for run in runs {
        if matches!(run.status, RunStatus::Success | RunStatus::Partial) {
            // The run succeeded, whether or not its log can still be asked for.
            let _ = warnings(session, run).await;
        }
        tell(session.output, run);
    }
    match exit_code(runs) {
        0 => Ok(()),
        code => Err(Failure::Exit(code)),
    }
}

/// Says what the log warns of: who waited for the run need not look there.
async fn warnings(session: &Session, run: &Run) -> Result<()> {
    let log = path(&["runs", &run.id.to_string(), "log"]);
    let query = LogQuery {
        after: None,
        limit: Some(LINES_LOOKED_AT),
    };
    let page: Page<LogLine> = session.client().get(&with_query(&log, &query)?).await?;
    let warnings = page
        .items
        .iter()
        .filter(|line| line.level == Level::Warning);
    for line in warnings.take(LOSSES_SHOWN) {
        session.output.warn(&clean(&line.text));
    }
    Ok(())
}

/// Lines of a log in which warnings are looked for: they come early, before the work.
const LINES_LOOKED_AT: u32 = 1000;

/// Losses named on the terminal at most; the record has more.
const LOSSES_SHOWN: usize = 20;

fn tell(output: Output, run: &Run) {
    if let Some(problem) = &run.error {
        let code = Code::from_name(&problem.code).unwrap_or(Code::Internal);
        let mut error = Error::new(code, format!("{}: {}", run.title, problem.message));
        if let Some(hint) = &problem.hint {
            error = error.hint(hint.clone());
        }
        output.error(&error);
    }
    for loss in run.losses.iter().take(LOSSES_SHOWN) {
        output.warn(&format!("{}: {}", clean(&loss.object), clean(&loss.reason)));
    }
    let more = run.losses_total.saturating_sub(LOSSES_SHOWN as u64);
    if more > 0 {
        output.warn(&format!(
            "{more} more are lost; `backstay run show {}` lists them",
            run.id
        ));
    }
}

/// Answers at once: the run's id, to be watched later.
pub(crate) fn detached(session: &Session, started: &Started) -> Done {
    session.output.record(started, |_, started| {
        let ids = if started.run_ids.is_empty() {
            vec![started.run_id.to_string()]
        } else {
            started.run_ids.iter().map(ToString::to_string).collect()
        };
        ids.join("\n")
    })?;
    session.output.note(&format!(
        "Follow it with `backstay run watch {}`",
        started.run_id
    ));
    Ok(())
}

/// Prints one record as a document, several as a list.
pub(crate) fn documents<T: serde::Serialize>(session: &Session, mut items: Vec<T>) -> Done {
    if items.len() == 1 {
        return session.output.document(&items.remove(0));
    }
    session.output.document(&Page::whole(items))
}

#[cfg(test)]
mod tests;
