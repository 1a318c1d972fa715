//! `run …`

use std::time::Duration;

use backstay_engine::model::{self, LogLine, LogQuery, Page, Run};
use backstay_engine::{Error, Result};
use serde_json::json;

use super::args::{RunCommand, RunList, RunLog};
use super::failure::{Done, Failure};
use super::outcome;
use super::output::{
    Align, Output, Paint, Table, Tone, bytes, clean, count, duration_ms, none, time,
};
use super::progress::{self, Interrupt};
use super::session::Session;
use crate::client::{Client, path, with_query};

/// Lines asked for at once.
const LINES: u32 = 1000;

/// Time between two looks at a log that goes on.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// Does what `run …` says.
pub(crate) async fn run(session: &Session, command: RunCommand) -> Done {
    match command {
        RunCommand::List(args) => list(session, args).await,
        RunCommand::Show(name) => {
            let client = session.engine().await?;
            let run: Run = client.get(&path(&["runs", &name.run])).await?;
            session.output.record(&run, view)
        }
        RunCommand::Watch(name) => watch(session, &name.run).await,
        RunCommand::Log(args) => log(session, &args).await,
        RunCommand::Cancel(name) => {
            let client = session.engine().await?;
            let cancel = path(&["runs", &name.run, "cancel"]);
            let run: Run = client.post(&cancel, &json!({})).await?;
            session.output.record(&run, |paint, run| {
                if run.status.is_final() {
                    format!("{} had ended already: {}", run.id, paint.status(run.status))
                } else {
                    format!("{} is being cancelled", run.id)
                }
            })
        }
    }
}

async fn list(session: &Session, args: RunList) -> Done {
    let query = model::RunList {
        kind: args.kind,
        status: args.status.map(|status| status.parse()).transpose()?,
        job: args.job,
        connection: args.connection,
        database: args.database,
        from: args.since,
        to: args.until,
        ..model::RunList::default()
    };
    let page: Page<Run> = session.list(&path(&["runs"]), &query, &args.page).await?;
    session.output.list(&page, "There are no such runs.", table)
}

fn table(_: Paint, runs: &[Run]) -> Table {
    let mut table = Table::new(&[
        ("RUN", Align::Left),
        ("WHAT", Align::Left),
        ("STATUS", Align::Left),
        ("BEGAN", Align::Left),
        ("TOOK", Align::Right),
        ("READ", Align::Right),
    ]);
    for run in runs {
        table
            .row([
                run.id.to_string(),
                run.title.clone(),
                run.status.to_string(),
                time(run.started_at.unwrap_or(run.created_at)),
                run.duration_ms.map_or_else(none, duration_ms),
                bytes(run.progress.read_bytes),
            ])
            .tone(2, Tone::of(run.status));
    }
    table
}

/// A run for a person.
pub(crate) fn view(paint: Paint, run: &Run) -> String {
    let mut table = Table::facts();
    table
        .fact("run", run.id.to_string())
        .fact("what", run.title.clone())
        .fact("status", run.status.to_string())
        .tone(1, Tone::of(run.status))
        .fact(
            "asked for",
            format!("{} ({})", time(run.created_at), run.trigger),
        )
        .maybe("began", run.started_at.map(time))
        .maybe("ended", run.finished_at.map(time))
        .maybe("took", run.duration_ms.map(duration_ms))
        .maybe(
            "backup",
            run.backup_id
                .filter(|_| run.destinations.is_empty())
                .map(|id| id.to_string()),
        )
        .maybe("restore", run.restore_id.map(|id| id.to_string()))
        .maybe(
            "repository",
            run.repository
                .clone()
                .filter(|_| run.destinations.is_empty()),
        );
    for own in &run.destinations {
        table
            .fact(
                "into",
                format!("{}: {}, {}", own.repository, own.status, own.backup_id),
            )
            .tone(1, Tone::of(own.status));
    }
    let progress = &run.progress;
    if !run.status.is_final() {
        table.maybe("stage", progress.stage.clone());
        if run.cancel_requested {
            table.fact("", "told to stop");
        }
    }
    if progress.objects_done > 0 {
        let of = progress
            .objects_total
            .map_or_else(String::new, |total| format!(" of {}", count(total)));
        table.fact("objects", format!("{}{of}", count(progress.objects_done)));
    }
    if progress.read_bytes > 0 {
        table.fact("read", bytes(progress.read_bytes));
    }
    if progress.stored_bytes > 0 {
        table.fact("stored", bytes(progress.stored_bytes));
    }
    problem(&mut table, run.error.as_ref());
    let mut text = table.render(paint);
    if let Some(result) = outcome::outcome(run) {
        text.push_str("\n\n");
        text.push_str(&result);
    }
    text.push_str(&losses(paint, &run.losses, run.losses_total));
    text
}

/// Why it failed, if it did.
pub(crate) fn problem(table: &mut Table, problem: Option<&model::Problem>) {
    if let Some(problem) = problem {
        table
            .fact("error", problem.message.clone())
            .tone(1, Tone::Bad);
        table.maybe("hint", problem.hint.clone());
    }
}

/// One line on how a run ended, and what it found or did.
pub(crate) fn conclusion(paint: Paint, run: &Run) -> String {
    let mut text = format!("{}: {}", clean(&run.title), paint.status(run.status));
    if let Some(outcome) = outcome::outcome(run) {
        text.push('\n');
        text.push_str(&outcome);
    }
    text
}

/// What was lost, as lines under a heading.
pub(crate) fn losses(paint: Paint, losses: &[model::Loss], total: u64) -> String {
    use std::fmt::Write as _;
    let mut text = String::new();
    if losses.is_empty() {
        return text;
    }
    let _ = write!(text, "\n\n{}", paint.strong("Lost"));
    for loss in losses {
        let _ = write!(text, "\n  {}: {}", clean(&loss.object), clean(&loss.reason));
    }
    let more = total.saturating_sub(losses.len() as u64);
    if more > 0 {
        let _ = write!(text, "\n  … and {} more", count(more));
    }
    text
}

async fn watch(session: &Session, name: &str) -> Done {
    let client = session.engine().await?;
    let run: Run = client.get(&path(&["runs", name])).await?;
    let id = run.id.to_string();
    let output = session.output;
    let runs = progress::follow_ids(session, &[id], Interrupt::Leaves, |run| {
        if output.json {
            output.json_line(run)
        } else {
            Ok(())
        }
    })
    .await?;
    if !output.json {
        for run in &runs {
            output.text(&view(output.paint, run))?;
        }
    }
    match progress::exit_code(&runs) {
        0 => Ok(()),
        code => Err(Failure::Exit(code)),
    }
}

async fn log(session: &Session, args: &RunLog) -> Done {
    let client = session.engine().await?;
    let run: Run = client.get(&path(&["runs", &args.run.run])).await?;
    let id = run.id.to_string();
    let path = path(&["runs", &id, "log"]);
    if session.output.json && !args.follow {
        let mut all = Vec::new();
        let mut after = None;
        loop {
            let lines = lines(client, &path, after).await?;
            let Some(last) = lines.last() else { break };
            after = Some(last.number);
            all.extend(lines);
        }
        return session.output.document(&Page::whole(all));
    }
    let mut after = None;
    loop {
        // Looked at before the log, so that no line can come after the last look.
        let ended = !args.follow || ended(client, &id).await?;
        loop {
            let lines = lines(client, &path, after).await?;
            let Some(last) = lines.last() else { break };
            after = Some(last.number);
            for line in &lines {
                print(session.output, line)?;
            }
        }
        if ended {
            return Ok(());
        }
        tokio::select! {
            () = tokio::time::sleep(LOOK_EVERY) => {}
            _ = tokio::signal::ctrl_c() => return Ok(()),
        }
    }
}

async fn ended(client: &Client, id: &str) -> Result<bool> {
    let run: Run = client.get(&path(&["runs", id])).await?;
    Ok(run.status.is_final())
}

async fn lines(client: &Client, path: &str, after: Option<u64>) -> Result<Vec<LogLine>> {
    let query = LogQuery {
        after,
        limit: Some(LINES),
    };
    let page: Page<LogLine> = client.get(&with_query(path, &query)?).await?;
    if page
        .items
        .first()
        .is_some_and(|line| Some(line.number) <= after)
    {
        return Err(Error::internal("The engine's log repeats itself"));
    }
    Ok(page.items)
}

/// Prints a line of a log.
pub(crate) fn print(output: Output, line: &LogLine) -> Done {
    if output.json {
        return output.json_line(line);
    }
    let (mark, tone) = match line.level {
        model::Level::Info => ("", Tone::Faint),
        model::Level::Warning => ("warning: ", Tone::Warning),
        model::Level::Error => ("error: ", Tone::Bad),
    };
    output.text(&format!(
        "{}  {}{}",
        output.paint.tone(Tone::Faint, &time(line.at)),
        output.paint.tone(tone, mark),
        clean(&line.text)
    ))
}
