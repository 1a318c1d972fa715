//! Jobs: what is backed up again and again, when, and how it went.

mod form;
mod retention;
mod text;
mod words;

use backstay_engine::model::{Job, JobEdit};
use ratatui::Frame;
use ratatui::layout::{Position, Rect};
use serde_json::{Value, json};

use crate::client::path;
use crate::console::action::{Action, Context, Tier};
use crate::console::difference::difference;
use crate::console::layers::{Confirm, Draft, Question};
use crate::console::screen::{Ask, Call, Cx, Level, Screen, Subject, View};
use crate::console::store::{Keyed, Store, Want};
use crate::console::text::{age, shell};
use crate::console::theme::Role;
use crate::console::widgets::form::{Entry, Filled, Form, Step};
use crate::console::widgets::list::{Cell, Column, ListPane, listed};

pub(super) use form::{preview, starts};

impl Keyed for Job {
    fn key(&self) -> String {
        self.id.to_string()
    }
}

const COLUMNS: &[Column<Job>] = &[
    Column::<Job>::new("JOB", (14, 30), 0, |job, _| Cell::text(job.name.as_str())),
    Column::<Job>::new("STATE", (8, 8), 1, state),
    Column::<Job>::new("NEXT RUN", (8, 8), 2, next).by(|a, b| order(a).cmp(&order(b))),
    Column::<Job>::new("LAST RUN", (13, 13), 1, |job, view| match &job.last_run {
        None => Cell::of("never", Role::Faint),
        Some(run) => Cell::sign(view.glyphs.status(run.status), run.status.as_str()),
    }),
    Column::<Job>::new("RAN", (6, 8), 4, |job, view| {
        let ran = job.last_run.as_ref();
        Cell::text(ran.map_or(String::new(), |run| age(run.created_at, view.now)))
    }),
    Column::<Job>::new("BACKS UP", (16, 36), 3, |job, _| {
        Cell::text(words::what(job))
    }),
    Column::<Job>::new("SCHEDULE", (18, 40), 4, |job, view| match &job.schedule {
        None => Cell::of("only when asked", Role::Faint),
        Some(own) => Cell::text(words::when(own, view.store)),
    }),
    Column::<Job>::new("KEEPS", (14, 40), 6, |job, _| {
        Cell::text(crate::cli::rules(&job.work.retention))
    }),
    Column::<Job>::new("INTO", (10, 24), 5, |job, _| match &job.repositories[..] {
        [] => Cell::of("the default", Role::Faint),
        own => Cell::text(own.join(", ")),
    }),
];

fn state(job: &Job, view: &View<'_>) -> Cell {
    match (job.enabled, &job.schedule) {
        (false, _) => Cell::sign((view.glyphs.warning, Role::Warning), "paused"),
        (true, None) => Cell::sign((view.glyphs.none, Role::Faint), "manual"),
        (true, Some(_)) => Cell::sign((view.glyphs.ok, Role::Good), "on"),
    }
}

fn next(job: &Job, view: &View<'_>) -> Cell {
    match job.next_run_at.filter(|_| job.enabled) {
        None => Cell::of("-", Role::Faint),
        Some(at) => Cell::text(age(at, view.now)),
    }
}

fn order(job: &Job) -> (bool, Option<backstay_engine::model::Time>) {
    let at = job.next_run_at.filter(|_| job.enabled);
    (at.is_none(), at)
}

/// Tags of what comes back.
const TEXT: u32 = 1;

/// The list of jobs.
#[derive(Debug)]
pub(crate) struct Jobs {
    list: ListPane<Job>,
    /// The job that is edited as text.
    editing: Option<Job>,
}

impl Jobs {
    pub(crate) fn new() -> Self {
        let want = Want::list::<Job>(path(&["jobs"])).on(&["job", "run"]);
        Self {
            list: ListPane::new(
                want,
                COLUMNS,
                "There are no jobs yet, so nothing is backed up by itself; a adds one",
            ),
            editing: None,
        }
    }

    fn run_now(&self, cx: &mut Cx<'_>) {
        let chosen = self.list.chosen(&cx.view);
        let calls: Vec<Call> = chosen
            .into_iter()
            .map(|job| {
                changing(
                    job,
                    "run",
                    &format!("Running {}", job.name),
                    &["run", "job"],
                )
            })
            .collect();
        for call in calls {
            cx.call(call);
        }
    }

    /// Pauses those that are on; where none is, all go on.
    fn pause(&self, cx: &mut Cx<'_>) {
        let chosen = self.list.chosen(&cx.view);
        if !chosen.iter().any(|job| job.enabled) {
            let calls: Vec<Call> = chosen
                .into_iter()
                .map(|job| {
                    let says = format!("Letting {} go on", job.name);
                    changing(job, "resume", &says, &["job"])
                })
                .collect();
            return calls.into_iter().for_each(|call| cx.call(call));
        }
        let on: Vec<&Job> = chosen.into_iter().filter(|job| job.enabled).collect();
        let Some(title) = many("Pause", &on) else {
            return;
        };
        let mut lines = vec![(
            "While it is paused it runs only when it is asked to: nothing protects by itself."
                .to_owned(),
            Role::Text,
        )];
        lines.extend(each(&on, cx.view.glyphs.warning, Role::Warning));
        let calls = on.iter().map(|job| {
            let says = format!("Pausing {}", job.name);
            changing(job, "pause", &says, &["job"])
        });
        let question = Question {
            title,
            lines,
            tier: Tier::Reversible,
            name: String::new(),
            button: "Pause".to_owned(),
            calls: calls.collect(),
            action: Action::Pause,
        };
        cx.layer(Confirm::new(question, cx.view.now));
    }

    fn delete(&self, cx: &mut Cx<'_>) {
        let chosen = self.list.chosen(&cx.view);
        let Some(title) = many("Delete", &chosen) else {
            return;
        };
        let mut lines = vec![(
            "Its backups stay, and no retention deletes them any more. What the job was cannot be brought back."
                .to_owned(),
            Role::Text,
        )];
        lines.extend(each(&chosen, cx.view.glyphs.remove, Role::Bad));
        let calls = chosen.iter().map(|job| Call {
            method: "DELETE",
            path: path(&["jobs", &job.id.to_string()]),
            body: None,
            says: format!("Deleting the job {}", job.name),
            command: format!("backstay job remove {} --yes", shell(&job.name)),
            topics: &["job"],
            tag: 0,
        });
        let question = Question {
            title,
            lines,
            tier: Tier::Reversible,
            name: String::new(),
            button: "Delete".to_owned(),
            calls: calls.collect(),
            action: Action::Delete,
        };
        cx.layer(Confirm::new(question, cx.view.now));
    }

    /// The job as text: in `$EDITOR`, or here.
    fn edit_text(&mut self, here: bool, cx: &mut Cx<'_>) {
        let Some(job) = self.list.selected(&cx.view).cloned() else {
            return;
        };
        let text = pretty(&text::document(&job));
        if here {
            let title = format!("Edit the job {}", job.name);
            cx.layer(Draft::new(title, &text, TEXT, text::check));
        } else {
            cx.ask(Ask::EditText {
                name: "job.json".to_owned(),
                text,
                tag: TEXT,
            });
        }
        self.editing = Some(job);
    }

    fn apply(&mut self, job: Job, written: &str, cx: &mut Cx<'_>) {
        let before = text::document(&job);
        match text::changed(&before, written) {
            Ok(None) => cx.toast(Level::Info, "Nothing was changed"),
            Ok(Some(edit)) => Self::ask(&job, &edit, &before, written, cx),
            Err(why) => {
                let title = format!("Edit the job {}", job.name);
                self.editing = Some(job);
                cx.layer(Draft::new(title, written, TEXT, text::check).wrong(why));
            }
        }
    }

    fn ask(job: &Job, edit: &JobEdit, before: &Value, written: &str, cx: &mut Cx<'_>) {
        let after: Value = serde_json::from_str(written).unwrap_or_default();
        let mut call = form::editing(job, edit);
        let whole = call.body.clone().unwrap_or_default();
        call.command = format!(
            "backstay api PATCH {} --data {}",
            call.path,
            shell(&whole.to_string())
        );
        let mut lines = difference(before, &over(before, after), &cx.view.glyphs);
        lines.insert(0, ("This is changed:".to_owned(), Role::Text));
        let question = Question {
            title: format!("Change the job {}", job.name),
            lines,
            tier: Tier::Reversible,
            name: String::new(),
            button: "Save".to_owned(),
            calls: vec![call],
            action: Action::EditText,
        };
        cx.layer(Confirm::new(question, cx.view.now));
    }
}

/// What stands there after a document was given in which some was left out.
pub(super) fn over(before: &Value, after: Value) -> Value {
    match (before, after) {
        (Value::Object(before), Value::Object(after)) => {
            let mut all = before.clone();
            all.extend(after);
            Value::Object(all)
        }
        (_, after) => after,
    }
}

/// A document as people edit it.
pub(super) fn pretty(value: &Value) -> String {
    serde_json::to_string_pretty(value).unwrap_or_default() + "\n"
}

fn many(verb: &str, jobs: &[&Job]) -> Option<String> {
    match jobs {
        [] => None,
        [one] => Some(format!("{verb} the job {}", one.name)),
        more => Some(format!("{verb} {} jobs", more.len())),
    }
}

fn each(jobs: &[&Job], sign: &str, role: Role) -> Vec<(String, Role)> {
    let lines = jobs
        .iter()
        .map(|job| (format!("{sign} {} ({})", job.name, words::what(job)), role));
    lines.collect()
}

fn changing(job: &Job, verb: &str, says: &str, topics: &'static [&'static str]) -> Call {
    Call {
        method: "POST",
        path: path(&["jobs", &job.id.to_string(), verb]),
        body: Some(json!({})),
        says: says.to_owned(),
        command: format!("backstay job {verb} {}", shell(&job.name)),
        topics,
        tag: 0,
    }
}

fn cloning(job: &Job) -> Form {
    let entry = Entry::line(
        "name",
        "Name",
        "What the new job is called; it begins paused",
        &format!("{}-copy", job.name),
    );
    let step = Step {
        button: "Clone",
        call: clone,
        closes: true,
        says: None,
    };
    Form::new(
        format!("Another job like {}", job.name),
        &job.name,
        vec![entry],
        vec![step],
    )
}

fn clone(filled: &Filled<'_>, from: &str) -> Result<Call, (&'static str, String)> {
    let name = filled.text("name");
    if name.is_empty() {
        return Err(("name", "It is needed".to_owned()));
    }
    Ok(Call {
        method: "POST",
        path: path(&["jobs", from, "clone"]),
        body: Some(json!({ "name": name })),
        says: format!("Adding the job {name}"),
        command: format!("backstay job clone {} {}", shell(from), shell(&name)),
        topics: &["job"],
        tag: 0,
    })
}

impl Screen for Jobs {
    fn crumbs(&self) -> Vec<String> {
        vec!["Jobs".to_owned()]
    }

    fn contexts(&self) -> &'static [Context] {
        &[Context::Jobs, Context::List]
    }

    fn wants(&self, store: &Store) -> Vec<Want> {
        let mut wants = self.list.wants(store);
        wants.extend(form::wants());
        wants
    }

    fn hindrance(&self, action: Action, view: &View<'_>) -> Option<String> {
        let needs_one = matches!(
            action,
            Action::Open
                | Action::RunNow
                | Action::Pause
                | Action::Delete
                | Action::Clone
                | Action::Edit
                | Action::EditText
                | Action::EditHere
                | Action::Retention
                | Action::Log
        );
        let job = match self.list.selected(view) {
            None if needs_one => return Some("there is no job yet; a adds one".to_owned()),
            None => return None,
            Some(job) => job,
        };
        match action {
            Action::Log if job.last_run.is_none() => Some("the job has not run yet".to_owned()),
            Action::Edit | Action::EditText | Action::EditHere | Action::Delete
                if job.environment_id.is_some() =>
            {
                Some("the job is an environment's schedule; it is changed there".to_owned())
            }
            _ => None,
        }
    }

    fn act(&mut self, action: Action, cx: &mut Cx<'_>) -> bool {
        match action {
            Action::RunNow => self.run_now(cx),
            Action::Pause => self.pause(cx),
            Action::Delete => self.delete(cx),
            Action::Add => {
                let form = form::form(None, &cx.view);
                cx.layer(form);
            }
            Action::Edit | Action::Open => {
                if let Some(job) = self.list.selected(&cx.view) {
                    let form = form::form(Some(job), &cx.view);
                    cx.layer(form);
                }
            }
            Action::EditText => self.edit_text(false, cx),
            Action::EditHere => self.edit_text(true, cx),
            Action::Clone => {
                if let Some(form) = self.list.selected(&cx.view).map(cloning) {
                    cx.layer(form);
                }
            }
            Action::Retention => {
                if let Some(job) = self.list.selected(&cx.view).cloned() {
                    cx.open(retention::Retention::new(job));
                }
            }
            Action::Log => {
                if let Some(job) = self.list.selected(&cx.view) {
                    cx.open(super::Runs::of_job(job));
                }
            }
            other => return self.list.act(other, &cx.view),
        }
        true
    }

    fn edited(&mut self, _tag: u32, text: Option<String>, cx: &mut Cx<'_>) {
        match (self.editing.take(), text) {
            (Some(job), Some(text)) => self.apply(job, &text, cx),
            _ => cx.toast(Level::Info, "Nothing was changed"),
        }
    }

    fn draw(&self, frame: &mut Frame<'_>, area: Rect, view: &View<'_>) {
        self.list.draw(frame, area, view);
    }

    fn subject(&self, view: &View<'_>) -> Option<Subject> {
        let job = self.list.selected(view)?;
        Some(Subject {
            id: job.id.to_string(),
            command: format!("backstay job show {}", shell(&job.name)),
        })
    }

    listed!(list);
}

#[cfg(test)]
mod tests;
