//! Restoring, step by step: what, where, when, which objects, the plan, and only then the start.
//!
//! Nothing is started before a question was answered that only the last step asks. Going back loses nothing.

mod choice;
mod paint;
mod plan;
#[cfg(test)]
mod tests;

use backstay_engine::Result;
use backstay_engine::model::{Backup, BackupObject, Page, RestorePlan, Started};
use crossterm::event::{KeyCode, KeyEvent};
use ratatui::Frame;
use ratatui::layout::{Position, Rect};
use serde_json::Value;

use super::RunScreen;
use super::backups::{Of, source};
use super::objects::{self, named};
use crate::cli::restore::{command, request};
use crate::client::path;
use crate::console::action::{Action, Context};
use crate::console::screen::{Ask, Call, Cx, Level, Screen, Subject, View};
use crate::console::store::{Keyed as _, Store, Want};
use crate::console::widgets::field::Field;
use crate::console::widgets::list::{ListPane, sentence};
use crate::console::widgets::sheet::Pane;
use choice::{Choice, Row};

/// The answer to the start has this number; plans have those above it.
const START: u32 = 1;

/// Where somebody is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Step {
    What,
    Where,
    When,
    Objects,
    Plan,
}

impl Step {
    const ALL: [(Self, &str); 5] = [
        (Self::What, "What"),
        (Self::Where, "Where"),
        (Self::When, "When"),
        (Self::Objects, "Objects"),
        (Self::Plan, "Plan"),
    ];

    fn beside(self, forward: bool) -> Option<Self> {
        let at = self as usize;
        let to = if forward {
            Some(at + 1)
        } else {
            at.checked_sub(1)
        };
        to.and_then(|to| Self::ALL.get(to)).map(|(step, _)| *step)
    }
}

/// A plan, of what it is the plan, and whether it is there.
#[derive(Debug)]
enum Planned {
    No,
    Asked,
    There(Box<RestorePlan>),
    /// Why it could not be made.
    Failed(String),
}

/// The wizard.
#[derive(Debug)]
pub(crate) struct Wizard {
    step: Step,
    backups: ListPane<Backup>,
    backup: Option<Backup>,
    /// Taken as soon as the list is there: the newest good one.
    takes_newest: bool,
    choice: Choice,
    objects: Option<ListPane<BackupObject>>,
    /// The table that gets another name, while that is written.
    renaming: Option<(String, Field)>,
    plan: Planned,
    plan_pane: Pane,
    tag: u32,
    touched: bool,
    started: bool,
}

impl Wizard {
    fn of(list: &Of) -> Self {
        Self {
            step: Step::What,
            backups: list.pane("There is no backup that could be restored"),
            backup: None,
            takes_newest: false,
            choice: Choice::default(),
            objects: None,
            renaming: None,
            plan: Planned::No,
            plan_pane: Pane::default(),
            tag: START,
            touched: false,
            started: false,
        }
    }

    /// Restores that backup.
    pub(crate) fn of_backup(backup: &Backup) -> Self {
        let list = Of {
            connection: Some(backup.connection.clone()),
            database: Some(backup.database.clone()),
        };
        let mut own = Self::of(&list);
        own.take(backup.clone());
        own.step = Step::Where;
        own
    }

    /// Restores chosen objects of a backup, by their keys.
    pub(crate) fn of_objects(backup: &Backup, keys: Vec<String>) -> Self {
        let mut own = Self::of_backup(backup);
        if let Some(list) = &mut own.objects {
            list.mark_these(keys);
        }
        own
    }

    /// Restores the newest good backup of a database, or of what of a connection is chosen.
    pub(crate) fn of_database(connection: &str, database: Option<&str>) -> Self {
        let list = Of {
            connection: Some(connection.to_owned()),
            database: database.map(ToOwned::to_owned),
        };
        Self {
            takes_newest: database.is_some(),
            ..Self::of(&list)
        }
    }

    fn take(&mut self, backup: Backup) {
        if self.backup.as_ref().is_some_and(|own| own.id == backup.id) {
            return;
        }
        let marked = self.objects.take().map(|list| list.marks().clone());
        let own = path(&["backups", &backup.id.to_string(), "objects"]) + "?kind=table";
        let want = Want::list::<BackupObject>(own);
        let mut list = ListPane::new(want, objects::COLUMNS, "There are no tables in this backup");
        list.mark_these(marked.into_iter().flatten());
        self.objects = Some(list);
        self.backup = Some(backup);
    }

    /// What the steps say so far, as `restore run` takes it.
    fn target(&self) -> Option<crate::cli::args::RestoreTarget> {
        let backup = self.backup.as_ref()?;
        let marks = self.objects.iter().flat_map(ListPane::marks);
        let objects = marks.filter_map(|key| {
            let (schema, name) = named(key)?;
            let mut text = objects::quoted(schema, name);
            if let Some(new) = self.choice.names.get(key) {
                text.push_str(&format!("={new}"));
            }
            Some(text)
        });
        Some(self.choice.target(backup, objects.collect()))
    }

    fn command(&self) -> Option<String> {
        Some(command(&self.target()?))
    }

    fn go(&mut self, step: Step, cx: &mut Cx<'_>) {
        self.step = step;
        if step == Step::Plan {
            self.ask_plan(cx);
        }
    }

    /// Asks what it would do; always again, as the target may have changed.
    fn ask_plan(&mut self, cx: &mut Cx<'_>) {
        let Some(target) = self.target() else { return };
        self.tag += 1;
        self.plan = Planned::Asked;
        self.plan_pane = Pane::default();
        cx.call(Call {
            method: "POST",
            path: path(&["backups", &target.backup.backup, "restore"]),
            body: serde_json::to_value(request(&target, true)).ok(),
            says: String::new(),
            command: format!("{} --dry-run", command(&target)),
            topics: &[],
            tag: self.tag,
        });
    }

    fn start(&mut self, cx: &mut Cx<'_>) {
        let (Planned::There(plan), Some(target)) = (&self.plan, self.target()) else {
            return;
        };
        if let Some(confirm) = plan::question(plan, &target, &cx.view) {
            cx.layer(confirm);
        }
    }

    fn next(&mut self, cx: &mut Cx<'_>) {
        self.touched = true;
        match self.step {
            Step::What => {
                let Some(backup) = self.backups.selected(&cx.view) else {
                    return;
                };
                if !backup.status.is_restorable() {
                    cx.toast(
                        Level::Warning,
                        "That one holds nothing that can be restored",
                    );
                    return;
                }
                self.take(backup.clone());
            }
            Step::Where => {
                if let Some(why) = self.choice.lacks() {
                    cx.toast(Level::Warning, why);
                    return;
                }
            }
            Step::When | Step::Objects => {}
            Step::Plan => {
                let key = cx.view.key(self.contexts(), Action::Restore);
                let key = key.unwrap_or_default();
                cx.toast(
                    Level::Info,
                    format!("{key} starts it; you are asked once more"),
                );
                return;
            }
        }
        if let Some(step) = self.step.beside(true) {
            self.go(step, cx);
        }
    }

    /// What the list of the step does with an action.
    fn in_list(&mut self, action: Action, cx: &mut Cx<'_>) -> bool {
        match self.step {
            Step::What => self.backups.act(action, &cx.view),
            Step::Where => {
                let known = Self::connections(cx.view.store);
                self.touched |= matches!(action, Action::Mark | Action::Left | Action::Right);
                self.choice.act(action, &known)
            }
            Step::When => false,
            Step::Objects => {
                self.touched = true;
                self.objects
                    .as_mut()
                    .is_some_and(|list| list.act(action, &cx.view))
            }
            Step::Plan => self.plan_pane.act(action),
        }
    }

    fn connections(store: &Store) -> Vec<String> {
        let seen = store.one::<Page<choice::Server>>(&choice::servers());
        let all = seen.value.into_iter().flat_map(|list| &list.items);
        all.map(|own| own.name.clone()).collect()
    }

    fn begin_rename(&mut self, cx: &Cx<'_>) {
        let list = self.objects.as_ref();
        let Some(object) = list.and_then(|list| list.selected(&cx.view)) else {
            return;
        };
        let key = object.key();
        let name = self.choice.names.get(&key);
        let name = name.map_or(object.name.as_str(), String::as_str);
        self.renaming = Some((key, Field::new(name)));
    }

    fn end_rename(&mut self) {
        let Some((key, field)) = self.renaming.take() else {
            return;
        };
        let new = field.text().trim().to_owned();
        let same = named(&key).is_some_and(|(_, name)| name == new);
        self.touched = true;
        if new.is_empty() || same {
            self.choice.names.remove(&key);
        } else {
            self.choice.names.insert(key.clone(), new);
            if let Some(list) = &mut self.objects {
                list.mark_these([key]);
            }
        }
    }
}

impl Screen for Wizard {
    fn crumbs(&self) -> Vec<String> {
        let mut crumbs = vec!["Restore".to_owned()];
        crumbs.extend(self.backup.as_ref().map(source));
        crumbs
    }

    fn contexts(&self) -> &'static [Context] {
        &[Context::Wizard, Context::List]
    }

    fn wants(&self, store: &Store) -> Vec<Want> {
        let mut wants = vec![choice::servers()];
        if self.step == Step::What || self.takes_newest {
            wants.extend(self.backups.wants(store));
        }
        if self.step == Step::Objects {
            wants.extend(self.objects.iter().flat_map(|list| list.wants(store)));
        }
        wants
    }

    fn hindrance(&self, action: Action, view: &View<'_>) -> Option<String> {
        let why = match action {
            Action::Next if self.step == Step::What && self.backups.selected(view).is_none() => {
                "no backup is selected".to_owned()
            }
            Action::Rename if self.step != Step::Objects => {
                "tables get other names in the step before the plan".to_owned()
            }
            Action::Restore => match (&self.plan, self.step) {
                _ if self.started => "it was started already; g l shows it".to_owned(),
                (_, step) if step != Step::Plan => {
                    "the plan comes first; enter goes on to it".to_owned()
                }
                (Planned::There(plan), _) => plan.blockers.first()?.clone(),
                (Planned::Failed(error), _) => error.clone(),
                _ => "the plan is not there yet".to_owned(),
            },
            Action::Mark if !matches!(self.step, Step::Where | Step::Objects) => {
                "there is nothing to mark in this step".to_owned()
            }
            Action::MarkAll | Action::MarkRange if self.step != Step::Objects => {
                "there is nothing to mark in this step".to_owned()
            }
            Action::Sort if !matches!(self.step, Step::What | Step::Objects) => {
                "there is nothing to sort in this step".to_owned()
            }
            _ => return None,
        };
        Some(why)
    }

    fn takes_text(&self) -> bool {
        self.renaming.is_some() || (self.step == Step::Where && self.choice.row() == Row::Name)
    }

    fn key(&mut self, key: KeyEvent, cx: &mut Cx<'_>) -> bool {
        if let Some((_, field)) = &mut self.renaming {
            match key.code {
                KeyCode::Enter => self.end_rename(),
                KeyCode::Esc => return false,
                _ => {
                    field.key(key);
                }
            }
            return true;
        }
        if !self.takes_text() {
            return false;
        }
        match key.code {
            KeyCode::Enter => self.next(cx),
            _ if self.choice.name.key(key) => self.touched = true,
            _ => return false,
        }
        true
    }

    fn paste(&mut self, text: &str, _cx: &mut Cx<'_>) {
        if let Some((_, field)) = &mut self.renaming {
            field.paste(text);
        } else if self.takes_text() {
            self.choice.name.paste(text);
            self.touched = true;
        }
    }

    fn act(&mut self, action: Action, cx: &mut Cx<'_>) -> bool {
        match action {
            Action::Next | Action::Open | Action::NextPane => self.next(cx),
            Action::PreviousPane => {
                if let Some(step) = self.step.beside(false) {
                    self.go(step, cx);
                }
            }
            Action::Restore => self.start(cx),
            Action::Rename => self.begin_rename(cx),
            other => return self.in_list(other, cx),
        }
        true
    }

    /// One step back; out of the wizard at the first, at once only where nothing was chosen.
    fn escape(&mut self, cx: &mut Cx<'_>) -> bool {
        if self.renaming.take().is_some() {
            return true;
        }
        let list_did = match self.step {
            Step::What => self.backups.filter().is_some() && self.backups.escape(&cx.view),
            Step::Objects => self
                .objects
                .as_mut()
                .is_some_and(|list| list.filter().is_some() && list.escape(&cx.view)),
            _ => false,
        };
        if list_did || self.started {
            return list_did;
        }
        if let Some(step) = self.step.beside(false) {
            self.go(step, cx);
            return true;
        }
        if self.touched {
            self.touched = false;
            cx.toast(
                Level::Warning,
                "Nothing was restored; Esc again leaves the wizard",
            );
            return true;
        }
        false
    }

    fn answered(&mut self, tag: u32, result: &Result<Value>, cx: &mut Cx<'_>) {
        if tag == START {
            let Ok(answer) = result else { return };
            self.started = true;
            if let Ok(started) = serde_json::from_value::<Started>(answer.clone()) {
                for warning in &started.warnings {
                    cx.toast(Level::Warning, warning.clone());
                }
                cx.open(RunScreen::new(started.run_id.to_string()));
            }
        } else if tag == self.tag {
            self.plan = match result {
                Err(error) => Planned::Failed(sentence(error)),
                Ok(answer) => match serde_json::from_value(answer.clone()) {
                    Ok(plan) => Planned::There(plan),
                    Err(error) => {
                        Planned::Failed(format!("The engine's plan was not understood: {error}"))
                    }
                },
            };
        }
    }

    fn refreshed(&mut self, cx: &mut Cx<'_>) {
        if !self.takes_newest || self.backup.is_some() {
            return;
        }
        let seen = self.backups.seen(cx.view.store);
        let Some(list) = seen.value else { return };
        self.takes_newest = false;
        let good = list.items.iter().filter(|own| own.is_of_the_database());
        if let Some(backup) = good.clone().find(|own| own.is_good()) {
            self.take(backup.clone());
            self.step = Step::Where;
        }
    }

    fn draw(&self, frame: &mut Frame<'_>, area: Rect, view: &View<'_>) {
        paint::draw(self, frame, area, view);
    }

    fn click(&mut self, at: Position, double: bool, cx: &mut Cx<'_>) {
        let list = match self.step {
            Step::What => self.backups.click(at, &cx.view),
            Step::Objects => self
                .objects
                .as_mut()
                .is_some_and(|list| list.click(at, &cx.view)),
            _ => false,
        };
        if list && double {
            let action = if self.step == Step::What {
                Action::Next
            } else {
                Action::Mark
            };
            cx.ask(Ask::Act(action));
        }
    }

    fn wheel(&mut self, lines: i32, cx: &mut Cx<'_>) {
        match self.step {
            Step::What => self.backups.wheel(lines, &cx.view),
            Step::Objects => {
                if let Some(list) = &mut self.objects {
                    list.wheel(lines, &cx.view);
                }
            }
            _ => self.plan_pane.wheel(lines),
        }
    }

    fn subject(&self, _view: &View<'_>) -> Option<Subject> {
        let target = self.target()?;
        Some(Subject {
            command: command(&target),
            id: target.backup.backup,
        })
    }

    fn filter(&self) -> Option<String> {
        match self.step {
            Step::What => self.backups.filter(),
            Step::Objects => self.objects.as_ref().and_then(ListPane::filter),
            _ => None,
        }
    }

    fn set_filter(&mut self, text: &str, cx: &mut Cx<'_>) -> bool {
        match (self.step, &mut self.objects) {
            (Step::What, _) => self.backups.set_filter(text, &cx.view),
            (Step::Objects, Some(list)) => list.set_filter(text, &cx.view),
            _ => return false,
        }
        true
    }

    fn unsaved(&self) -> bool {
        self.touched && !self.started
    }
}
