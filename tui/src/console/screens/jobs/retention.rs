//! Other rules of retention, tried: which of a job's backups would go, and why. Nothing is changed by looking.

use backstay_engine::Result;
use backstay_engine::model::{BackupFate, Job, JobEdit, Policy, RetentionPreview};
use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use ratatui::Frame;
use ratatui::layout::Rect;
use serde_json::{Value, json};

use super::form::editing;
use super::words::{RULES, number, typed, with_number};
use crate::client::path;
use crate::console::action::{Action, Context, Tier};
use crate::console::layers::{Confirm, Question};
use crate::console::screen::{Call, Cx, Level, Screen, Subject, View};
use crate::console::store::{Store, Want};
use crate::console::text::{Cut, age, clean, count, fit, shell, time, width};
use crate::console::theme::Role;
use crate::console::widgets::field::Field;
use crate::console::widgets::list::{Cursor, sentence};
use crate::console::widgets::meter;

/// Tags of its calls.
const LOOK: u32 = 1;
const SAVE: u32 = 2;

/// A job's rules with numbers that can be changed.
#[derive(Debug)]
pub(super) struct Retention {
    job: Job,
    fields: Vec<Field>,
    /// The rule that has the keyboard.
    at: usize,
    cursor: Cursor,
    preview: Option<RetentionPreview>,
    wrong: Option<String>,
    /// The policy whose answer is awaited, and the one that was asked for last.
    asking: bool,
    asked: Option<Policy>,
    revision: u64,
}

impl Retention {
    pub(super) fn new(job: Job) -> Self {
        let fields = RULES.iter().map(|(name, ..)| {
            let text = number(&job.work.retention, name).map(|number| number.to_string());
            Field::new(text.as_deref().unwrap_or_default())
        });
        Self {
            fields: fields.collect(),
            job,
            at: 0,
            cursor: Cursor::default(),
            preview: None,
            wrong: None,
            asking: false,
            asked: None,
            revision: 0,
        }
    }

    fn want(&self) -> Want {
        Want::one::<Job>(path(&["jobs", &self.job.id.to_string()])).on(&["job", "backup"])
    }

    /// The rules as they are written now.
    fn policy(&self) -> Result<Policy> {
        let mut policy = self.job.work.retention.clone();
        for ((name, _, label), field) in RULES.iter().zip(&self.fields) {
            policy = with_number(policy, name, typed(field.text(), label)?);
        }
        Ok(policy)
    }

    fn look(&mut self, cx: &mut Cx<'_>) {
        let policy = match self.policy() {
            Ok(policy) => policy,
            Err(error) => {
                self.wrong = Some(error.to_string());
                return;
            }
        };
        if self.asking || self.asked.as_ref() == Some(&policy) {
            return;
        }
        self.asking = true;
        cx.call(Call {
            method: "POST",
            path: path(&["jobs", &self.job.id.to_string(), "retention-preview"]),
            body: Some(json!({ "retention": policy })),
            says: String::new(),
            command: self.command(),
            topics: &[],
            tag: LOOK,
        });
        self.asked = Some(policy);
    }

    fn command(&self) -> String {
        format!("backstay job preview {} --retention", shell(&self.job.name))
    }

    fn looked(&mut self, result: &Result<Value>, cx: &mut Cx<'_>) {
        self.asking = false;
        let read = match result {
            Err(error) => Err(sentence(error)),
            Ok(answer) => serde_json::from_value::<RetentionPreview>(answer.clone())
                .map_err(|_| "The engine's answer was not understood".to_owned()),
        };
        match read {
            Ok(preview) => {
                self.cursor.arranged(preview.backups.len(), None);
                (self.preview, self.wrong) = (Some(preview), None);
            }
            Err(why) => self.wrong = Some(why),
        }
        self.look(cx);
    }

    /// Asks whether the rules are to be saved, with what they delete.
    fn save(&mut self, cx: &mut Cx<'_>) {
        let Some(preview) = &self.preview else { return };
        let edit = JobEdit {
            retention: Some(preview.retention.clone()),
            ..JobEdit::default()
        };
        let mut call = editing(&self.job, &edit);
        call.tag = SAVE;
        let stay = preview.backups.iter().filter(|fate| fate.keep).count() as u64;
        let mut lines = vec![
            (
                format!(
                    "The rules are carried out after each backup of {} that succeeds.",
                    self.job.name
                ),
                Role::Text,
            ),
            (
                format!(
                    "By them {} of {} backups would be deleted now, {} stay.",
                    count(preview.deleted),
                    count(preview.backups.len() as u64),
                    count(stay)
                ),
                Role::Warning,
            ),
            (
                "What is deleted can be brought back until the next prune after its time."
                    .to_owned(),
                Role::Text,
            ),
        ];
        let going = preview.backups.iter().filter(|fate| !fate.keep);
        lines.extend(going.map(|fate| {
            let text = format!(
                "{} {}  {}  {}",
                cx.view.glyphs.remove,
                time(fate.created_at),
                fate.source,
                fate.reasons.join("; ")
            );
            (text, Role::Bad)
        }));
        let question = Question {
            title: format!("Save the rules of {}", self.job.name),
            lines,
            tier: Tier::Costly,
            name: String::new(),
            button: "Save the rules".to_owned(),
            calls: vec![call],
            action: Action::SaveRules,
        };
        cx.layer(Confirm::new(question, cx.view.now));
    }

    fn step(&mut self, up: bool) {
        let field = &mut self.fields[self.at];
        let now: u32 = field.text().trim().parse().unwrap_or(0);
        let next = if up {
            now.saturating_add(1)
        } else {
            now.saturating_sub(1)
        };
        field.set(&if next == 0 {
            String::new()
        } else {
            next.to_string()
        });
    }

    fn summary(&self, view: &View<'_>) -> (String, Role) {
        if let Some(why) = &self.wrong {
            return (format!("{} {why}", view.glyphs.bad), Role::Bad);
        }
        let Some(preview) = &self.preview else {
            let text = format!(
                "{} Working out which backups would go",
                meter::spinner(view)
            );
            return (text, Role::Faint);
        };
        let stay = preview.backups.iter().filter(|fate| fate.keep).count() as u64;
        let mut text = format!("Keeps {}, deletes {}", count(stay), count(preview.deleted));
        let mut role = if preview.deleted > 0 {
            Role::Warning
        } else {
            Role::Good
        };
        if preview.needing_confirmation > 0 {
            text.push_str(&format!(
                "; {} more only when confirmed: too large a share of its source",
                count(preview.needing_confirmation)
            ));
            role = Role::Warning;
        }
        if self.asking {
            text.push_str(&format!("  {}", meter::spinner(view)));
        }
        (text, role)
    }

    fn draw_rule(&self, frame: &mut Frame<'_>, line: Rect, n: usize, labels: u16, view: &View<'_>) {
        let focused = n == self.at;
        let label = RULES[n].2;
        let role = if focused { Role::Title } else { Role::Text };
        let room = usize::from(line.width);
        let sign = if focused { view.glyphs.cursor } else { " " };
        frame.buffer_mut().set_stringn(
            line.x,
            line.y,
            format!("{sign} {label}"),
            room,
            view.style(role),
        );
        let from = (labels + 4).min(line.width);
        let place = Rect {
            x: line.x + from,
            width: line.width - from,
            ..line
        };
        if self.fields[n].is_empty() && !focused {
            frame.buffer_mut().set_stringn(
                place.x,
                place.y,
                "-",
                usize::from(place.width),
                view.style(Role::Faint),
            );
        } else {
            self.fields[n].draw(frame, place, focused, view);
        }
    }

    fn draw_fates(&self, frame: &mut Frame<'_>, area: Rect, view: &View<'_>) {
        let Some(preview) = &self.preview else { return };
        let room = usize::from(area.width);
        if preview.backups.is_empty() {
            let text = "The job has made no backups yet: rules change nothing now";
            frame
                .buffer_mut()
                .set_stringn(area.x, area.y, text, room, view.style(Role::Faint));
            return;
        }
        self.cursor.arranged(preview.backups.len(), None);
        self.cursor.drawn(usize::from(area.height));
        let seen = preview.backups.iter().enumerate();
        let seen = seen
            .skip(self.cursor.offset())
            .take(usize::from(area.height));
        for (row, (n, fate)) in seen.enumerate() {
            let (text, role) = fate_line(fate, view);
            let mut style = view.style(role);
            if n == self.cursor.at() {
                style = style.patch(view.style(Role::Selected));
            }
            let text = fit(&clean(&text), room, Cut::End, view.glyphs.ellipsis);
            frame
                .buffer_mut()
                .set_stringn(area.x, area.y + row as u16, text, room, style);
        }
    }
}

fn fate_line(fate: &BackupFate, view: &View<'_>) -> (String, Role) {
    let (sign, word, role) = match (fate.keep, fate.needs_confirmation) {
        (true, _) => (view.glyphs.ok, "keep  ", Role::Text),
        (false, false) => (view.glyphs.remove, "delete", Role::Bad),
        (false, true) => (view.glyphs.warning, "ask   ", Role::Warning),
    };
    let text = format!(
        "{sign} {word}  {}  {:>4}  {}  {}",
        time(fate.created_at),
        age(fate.created_at, view.now),
        fate.source,
        fate.reasons.join("; ")
    );
    (text, role)
}

impl Screen for Retention {
    fn crumbs(&self) -> Vec<String> {
        vec![
            "Jobs".to_owned(),
            self.job.name.clone(),
            "Retention".to_owned(),
        ]
    }

    fn contexts(&self) -> &'static [Context] {
        &[Context::Retention, Context::List]
    }

    fn opened(&mut self, cx: &mut Cx<'_>) {
        self.look(cx);
    }

    fn wants(&self, _store: &Store) -> Vec<Want> {
        vec![self.want()]
    }

    fn refreshed(&mut self, cx: &mut Cx<'_>) {
        let seen = cx.view.store.one::<Job>(&self.want());
        if seen.revision != self.revision {
            self.revision = seen.revision;
            if let Some(job) = seen.value {
                self.job = job.clone();
            }
            // There may be other backups now.
            self.asked = None;
            self.look(cx);
        }
    }

    fn hindrance(&self, action: Action, _view: &View<'_>) -> Option<String> {
        match action {
            Action::SaveRules if self.wrong.is_some() => {
                Some("the rules are not understood, see above".to_owned())
            }
            Action::SaveRules if self.asking || self.preview.is_none() => {
                Some("what they would delete is not known yet".to_owned())
            }
            Action::SaveRules
                if self
                    .preview
                    .as_ref()
                    .is_some_and(|own| own.retention == self.job.work.retention) =>
            {
                Some("the rules are those the job has".to_owned())
            }
            Action::Open | Action::Mark | Action::MarkAll | Action::MarkRange | Action::Sort => {
                Some("there is nothing to choose here".to_owned())
            }
            _ => None,
        }
    }

    fn act(&mut self, action: Action, cx: &mut Cx<'_>) -> bool {
        match action {
            Action::SaveRules => self.save(cx),
            Action::NextPane => self.at = (self.at + 1) % self.fields.len(),
            Action::PreviousPane => {
                self.at = (self.at + self.fields.len() - 1) % self.fields.len();
            }
            other => return self.cursor.act(other),
        }
        true
    }

    /// Digits are the number's; what else a line takes stays with the keymap.
    fn key(&mut self, key: KeyEvent, cx: &mut Cx<'_>) -> bool {
        if key.modifiers != KeyModifiers::NONE {
            return false;
        }
        match key.code {
            KeyCode::Char(digit) if digit.is_ascii_digit() => {
                if self.fields[self.at].text().len() < 7 {
                    self.fields[self.at].key(key);
                }
            }
            KeyCode::Backspace | KeyCode::Delete if !self.fields[self.at].is_empty() => {
                self.fields[self.at].key(key);
            }
            KeyCode::Char('+' | '-') => self.step(key.code == KeyCode::Char('+')),
            _ => return false,
        }
        self.look(cx);
        true
    }

    fn answered(&mut self, tag: u32, result: &Result<Value>, cx: &mut Cx<'_>) {
        match (tag, result) {
            (LOOK, _) => self.looked(result, cx),
            (_, Ok(answer)) => {
                if let Ok(job) = serde_json::from_value(answer.clone()) {
                    self.job = job;
                }
                cx.toast(Level::Good, "The rules are saved");
            }
            _ => {}
        }
    }

    fn unsaved(&self) -> bool {
        self.policy()
            .is_ok_and(|policy| policy != self.job.work.retention)
    }

    fn draw(&self, frame: &mut Frame<'_>, area: Rect, view: &View<'_>) {
        if area.is_empty() {
            return;
        }
        let room = usize::from(area.width);
        let (text, role) = self.summary(view);
        let text = fit(&clean(&text), room, Cut::End, view.glyphs.ellipsis);
        frame
            .buffer_mut()
            .set_stringn(area.x, area.y, text, room, view.style(role));
        let hint = "tab: next rule, digits or + -: its number, empty: no such rule, R: save";
        if area.height > 1 {
            frame
                .buffer_mut()
                .set_stringn(area.x, area.y + 1, hint, room, view.style(Role::Faint));
        }
        let rest = Rect {
            y: area.y + 2.min(area.height),
            height: area.height.saturating_sub(2),
            ..area
        };
        let labels = RULES.iter().map(|rule| width(rule.2)).max().unwrap_or(0) as u16;
        let beside = area.width >= 80;
        let rules = if beside {
            Rect {
                width: labels + 14,
                ..rest
            }
        } else {
            // Where it is narrow, only the rule that is being changed, so that the backups have room.
            Rect {
                height: rest.height.min(1),
                ..rest
            }
        };
        if beside {
            for n in 0..RULES.len().min(usize::from(rules.height)) {
                let line = Rect {
                    y: rules.y + n as u16,
                    height: 1,
                    ..rules
                };
                self.draw_rule(frame, line, n, labels, view);
            }
        } else if !rules.is_empty() {
            self.draw_rule(frame, rules, self.at, labels, view);
        }
        let fates = if beside {
            Rect {
                x: rest.x + rules.width,
                width: rest.width - rules.width,
                ..rest
            }
        } else {
            Rect {
                y: rest.y + rules.height,
                height: rest.height - rules.height,
                ..rest
            }
        };
        if !fates.is_empty() {
            self.draw_fates(frame, fates, view);
        }
    }

    fn subject(&self, _view: &View<'_>) -> Option<Subject> {
        Some(Subject {
            id: self.job.id.to_string(),
            command: self.command(),
        })
    }
}
