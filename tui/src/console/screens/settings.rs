//! Settings, and what the engine does by itself.

mod rows;

use backstay_engine::model::SystemTask;
use ratatui::Frame;
use ratatui::layout::{Position, Rect};
use serde_json::{Value, json};

use self::rows::Row;
use super::jobs::{over, pretty, preview, starts};
use crate::client::path;
use crate::console::action::{Action, Context, Tier};
use crate::console::difference::difference;
use crate::console::layers::{Confirm, Draft, Question};
use crate::console::screen::{Ask, Call, Cx, Level, Screen, Subject, View};
use crate::console::store::{Keyed, Store, Want};
use crate::console::text::{age, shell};
use crate::console::theme::Role;
use crate::console::widgets::form::{Entry, Filled, Form, Step, Watch};
use crate::console::widgets::list::{Cell, Column, ListPane};

impl Keyed for SystemTask {
    fn key(&self) -> String {
        self.id.to_string()
    }
}

const SETTINGS: &[Column<Row>] = &[
    Column::<Row>::new("SETTING", (30, 40), 0, |own, _| {
        Cell::text(own.name.as_str())
    }),
    Column::<Row>::new("VALUE", (12, 30), 0, |own, _| match own.text() {
        text if text.is_empty() => Cell::of("-", Role::Faint),
        text => Cell::of(text, Role::Title),
    }),
    Column::<Row>::new("WHAT FOR", (30, 80), 2, |own, _| {
        Cell::of(own.help(), Role::Faint)
    }),
];

const TASKS: &[Column<SystemTask>] = &[
    Column::<SystemTask>::new("SYSTEM TASK", (18, 20), 0, |own, _| {
        Cell::text(own.id.as_str().replace('_', " "))
    }),
    Column::<SystemTask>::new("STATE", (8, 8), 1, |own, view| {
        if own.enabled {
            Cell::sign((view.glyphs.ok, Role::Good), "on")
        } else {
            Cell::sign((view.glyphs.warning, Role::Warning), "paused")
        }
    }),
    Column::<SystemTask>::new("NEXT RUN", (8, 8), 1, |own, view| {
        match own.next_run_at.filter(|_| own.enabled) {
            None => Cell::of("-", Role::Faint),
            Some(at) => Cell::text(age(at, view.now)),
        }
    }),
    Column::<SystemTask>::new("LAST RUN", (20, 22), 2, |own, view| match &own.last_run {
        None => Cell::of("never", Role::Faint),
        Some(run) => Cell::sign(
            view.glyphs.status(run.status),
            &format!("{} {}", run.status, age(run.created_at, view.now)),
        ),
    }),
    Column::<SystemTask>::new("SCHEDULE", (14, 24), 3, |own, _| {
        Cell::text(format!("{} {}", own.cron, own.time_zone))
    }),
    Column::<SystemTask>::new("WHAT IT DOES", (30, 80), 4, |own, _| {
        Cell::of(own.description.as_str(), Role::Faint)
    }),
];

/// Settings above, system tasks below.
#[derive(Debug)]
pub(crate) struct SettingsScreen {
    settings: ListPane<Row>,
    tasks: ListPane<SystemTask>,
    /// Whether the tasks have the keyboard.
    on_tasks: bool,
    /// The settings that are edited as text, as they were.
    editing: Option<Value>,
}

/// The tag of the settings' text.
const TEXT: u32 = 1;

impl SettingsScreen {
    pub(crate) fn new() -> Self {
        let tasks = Want::list::<SystemTask>(path(&["system-tasks"]))
            .on(&["task", "run"])
            .every(60);
        Self {
            settings: ListPane::new(rows::rows(), SETTINGS, "There are no settings"),
            tasks: ListPane::new(tasks, TASKS, "The engine does nothing by itself"),
            on_tasks: false,
            editing: None,
        }
    }

    fn document(&self, view: &View<'_>) -> Option<Value> {
        let list = self.settings.seen(view.store).value?;
        Some(rows::document(&list.items))
    }

    fn edit(&self, cx: &mut Cx<'_>) {
        let form = if self.on_tasks {
            self.tasks.selected(&cx.view).map(task_form)
        } else {
            self.settings.selected(&cx.view).map(setting_form)
        };
        if let Some(form) = form {
            cx.layer(form);
        }
    }

    fn edit_text(&mut self, here: bool, cx: &mut Cx<'_>) {
        let Some(before) = self.document(&cx.view) else {
            return;
        };
        let text = pretty(&before);
        self.editing = Some(before);
        if here {
            cx.layer(Draft::new("Edit the settings", &text, TEXT, rows::check));
        } else {
            cx.ask(Ask::EditText {
                name: "settings.json".to_owned(),
                text,
                tag: TEXT,
            });
        }
    }

    fn apply(&mut self, before: Value, text: &str, cx: &mut Cx<'_>) {
        match rows::changed(&before, text) {
            Ok(None) => cx.toast(Level::Info, "Nothing was changed"),
            Ok(Some(edit)) => {
                let after: Value = serde_json::from_str(text).unwrap_or_default();
                let mut lines = vec![("This is changed, at once:".to_owned(), Role::Text)];
                lines.extend(difference(&before, &over(&before, after), &cx.view.glyphs));
                let question = Question {
                    title: "Change the settings".to_owned(),
                    lines,
                    tier: Tier::Reversible,
                    name: String::new(),
                    button: "Save".to_owned(),
                    calls: vec![saving(&edit, "Changing the settings")],
                    action: Action::EditText,
                };
                cx.layer(Confirm::new(question, cx.view.now));
            }
            Err(why) => {
                self.editing = Some(before);
                cx.layer(Draft::new("Edit the settings", text, TEXT, rows::check).wrong(why));
            }
        }
    }

    fn run_now(&self, cx: &mut Cx<'_>) {
        let chosen = self.tasks.chosen(&cx.view);
        let calls: Vec<Call> = chosen
            .into_iter()
            .map(|task| {
                let id = task.key();
                Call {
                    method: "POST",
                    path: path(&["system-tasks", &id, "run"]),
                    body: Some(json!({})),
                    says: format!("Starting the task {id}"),
                    command: format!("backstay task run {id}"),
                    topics: &["run", "task"],
                    tag: 0,
                }
            })
            .collect();
        for call in calls {
            cx.call(call);
        }
    }

    fn pause(&self, cx: &mut Cx<'_>) {
        let Some(task) = self.tasks.selected(&cx.view) else {
            return;
        };
        let id = task.key();
        let (verb, flag) = if task.enabled {
            ("Pause", "--disable")
        } else {
            ("Resume", "--enable")
        };
        let call = Call {
            method: "PATCH",
            path: path(&["system-tasks", &id]),
            body: Some(json!({ "enabled": !task.enabled })),
            says: format!("{verb} the task {id}"),
            command: format!("backstay task edit {id} {flag}"),
            topics: &["task"],
            tag: 0,
        };
        if !task.enabled {
            return cx.call(call);
        }
        let question = Question {
            title: format!("Pause the task {id}"),
            lines: vec![
                (task.description.clone(), Role::Text),
                (
                    "While it is paused nothing does so by itself.".to_owned(),
                    Role::Warning,
                ),
            ],
            tier: Tier::Reversible,
            name: String::new(),
            button: "Pause".to_owned(),
            calls: vec![call],
            action: Action::Pause,
        };
        cx.layer(Confirm::new(question, cx.view.now));
    }
}

fn saving(edit: &Value, says: &str) -> Call {
    let target = path(&["settings"]);
    Call {
        method: "PATCH",
        command: format!(
            "backstay api PATCH {target} --data {}",
            shell(&edit.to_string())
        ),
        path: target,
        body: Some(edit.clone()),
        says: says.to_owned(),
        topics: &["settings", "task"],
        tag: 0,
    }
}

fn setting_form(row: &Row) -> Form {
    let subject = json!({ "name": row.name, "value": row.value }).to_string();
    let entry = match &row.value {
        Value::Bool(on) => Entry::switch("value", "Value", row.help(), *on),
        _ => Entry::line("value", "Value", row.help(), &row.text()),
    };
    let step = Step {
        button: "Save",
        call: set,
        closes: true,
        says: None,
    };
    Form::new(row.name.clone(), &subject, vec![entry], vec![step])
}

fn set(filled: &Filled<'_>, subject: &str) -> Result<Call, (&'static str, String)> {
    let before: Value = serde_json::from_str(subject).unwrap_or_default();
    let name = before["name"].as_str().unwrap_or_default();
    let text = filled.text("value");
    let value = match &before["value"] {
        Value::Bool(_) => json!(filled.is_on("value")),
        Value::Number(_) => {
            let number: u64 = text
                .parse()
                .map_err(|_| ("value", "Write a whole number".to_owned()))?;
            json!(number)
        }
        _ => json!(text),
    };
    let shown = match &value {
        Value::String(text) => shell(text),
        other => other.to_string(),
    };
    let mut call = saving(
        &rows::nested(name, value),
        &format!("Changing the setting {name}"),
    );
    call.command = format!("backstay settings set {name} {shown}");
    Ok(call)
}

fn task_form(task: &SystemTask) -> Form {
    let entries = vec![
        Entry::line(
            "cron",
            "Schedule",
            "Minute, hour, day, month, weekday, or a preset's name",
            &task.cron,
        ),
        Entry::line("time_zone", "Time zone", "By which clocks", &task.time_zone),
    ];
    let step = Step {
        button: "Save",
        call: schedule,
        closes: true,
        says: None,
    };
    let title = format!("When the task {} runs", task.id);
    Form::new(title, task.id.as_str(), entries, vec![step]).watching(Watch {
        call: preview,
        says: starts,
    })
}

fn schedule(filled: &Filled<'_>, id: &str) -> Result<Call, (&'static str, String)> {
    let (cron, zone) = (filled.text("cron"), filled.text("time_zone"));
    if cron.is_empty() {
        return Err((
            "cron",
            "It is needed; p in the list pauses the task".to_owned(),
        ));
    }
    let zone = if zone.is_empty() {
        "UTC".to_owned()
    } else {
        zone
    };
    Ok(Call {
        method: "PATCH",
        path: path(&["system-tasks", id]),
        body: Some(json!({ "cron": cron, "time_zone": zone })),
        says: format!("Changing when the task {id} runs"),
        command: format!(
            "backstay task edit {id} --cron {} --zone {}",
            shell(&cron),
            shell(&zone)
        ),
        topics: &["task"],
        tag: 0,
    })
}

impl Screen for SettingsScreen {
    fn crumbs(&self) -> Vec<String> {
        let pane = if self.on_tasks {
            "System tasks"
        } else {
            "Values"
        };
        vec!["Settings".to_owned(), pane.to_owned()]
    }

    fn contexts(&self) -> &'static [Context] {
        &[Context::Settings, Context::List]
    }

    fn wants(&self, store: &Store) -> Vec<Want> {
        let mut wants = self.settings.wants(store);
        wants.extend(self.tasks.wants(store));
        wants
    }

    fn hindrance(&self, action: Action, view: &View<'_>) -> Option<String> {
        match action {
            Action::RunNow | Action::Pause if !self.on_tasks => {
                Some("that is for system tasks; tab goes there".to_owned())
            }
            Action::RunNow | Action::Pause if self.tasks.selected(view).is_none() => {
                Some("no task is selected".to_owned())
            }
            Action::EditText | Action::EditHere if self.document(view).is_none() => {
                Some("the settings are not there yet".to_owned())
            }
            _ => None,
        }
    }

    fn act(&mut self, action: Action, cx: &mut Cx<'_>) -> bool {
        match action {
            Action::NextPane | Action::PreviousPane => self.on_tasks = !self.on_tasks,
            Action::Edit | Action::Open => self.edit(cx),
            Action::EditText => self.edit_text(false, cx),
            Action::EditHere => self.edit_text(true, cx),
            Action::RunNow => self.run_now(cx),
            Action::Pause => self.pause(cx),
            other if self.on_tasks => return self.tasks.act(other, &cx.view),
            other => return self.settings.act(other, &cx.view),
        }
        true
    }

    fn edited(&mut self, _tag: u32, text: Option<String>, cx: &mut Cx<'_>) {
        match (self.editing.take(), text) {
            (Some(before), Some(text)) => self.apply(before, &text, cx),
            _ => cx.toast(Level::Info, "Nothing was changed"),
        }
    }

    fn escape(&mut self, cx: &mut Cx<'_>) -> bool {
        if self.on_tasks {
            return self.tasks.escape(&cx.view);
        }
        self.settings.escape(&cx.view)
    }

    fn draw(&self, frame: &mut Frame<'_>, area: Rect, view: &View<'_>) {
        // The tasks below the settings; the one with the keyboard alone where there is no room for both.
        let tasks = 8;
        if area.height < 2 * tasks {
            if self.on_tasks {
                self.tasks.draw(frame, area, view);
            } else {
                self.settings.draw(frame, area, view);
            }
            return;
        }
        let above = Rect {
            height: area.height - tasks - 1,
            ..area
        };
        let below = Rect {
            y: area.bottom() - tasks,
            height: tasks,
            ..area
        };
        self.settings.draw_pane(frame, above, !self.on_tasks, view);
        self.tasks.draw_pane(frame, below, self.on_tasks, view);
    }

    fn click(&mut self, at: Position, double: bool, cx: &mut Cx<'_>) {
        let on_tasks = self.tasks.click(at, &cx.view);
        if !on_tasks && !self.settings.click(at, &cx.view) {
            return;
        }
        self.on_tasks = on_tasks;
        if double {
            cx.ask(Ask::Act(Action::Open));
        }
    }

    fn wheel(&mut self, lines: i32, cx: &mut Cx<'_>) {
        if self.on_tasks {
            self.tasks.wheel(lines, &cx.view);
        } else {
            self.settings.wheel(lines, &cx.view);
        }
    }

    fn subject(&self, view: &View<'_>) -> Option<Subject> {
        if self.on_tasks {
            return Some(Subject {
                id: self.tasks.selected(view)?.key(),
                command: "backstay task list".to_owned(),
            });
        }
        let row = self.settings.selected(view)?;
        Some(Subject {
            command: format!("backstay settings get {}", row.name),
            id: row.name.clone(),
        })
    }

    fn filter(&self) -> Option<String> {
        if self.on_tasks {
            return self.tasks.filter();
        }
        self.settings.filter()
    }

    fn set_filter(&mut self, text: &str, cx: &mut Cx<'_>) -> bool {
        if self.on_tasks {
            self.tasks.set_filter(text, &cx.view);
        } else {
            self.settings.set_filter(text, &cx.view);
        }
        true
    }
}

#[cfg(test)]
mod tests;
