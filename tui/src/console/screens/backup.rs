//! One backup: what it holds, what was proved of it, and what can be done with it.

mod forms;
#[cfg(test)]
mod tests;

use backstay_engine::model::{Backup, BackupType, VerifyLevel};
use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use super::backups::{deleting, source, verifying};
use super::{RunScreen, Schemas, Wizard};
use crate::cli::backup::pinned;
use crate::client::path;
use crate::console::action::{Action, Context};
use crate::console::screen::{Cx, Screen, Subject, View};
use crate::console::store::{Store, Want};
use crate::console::text::{age, bytes, clean, count, duration_ms, time};
use crate::console::theme::Role;
use crate::console::widgets::list::sentence;
use crate::console::widgets::meter;
use crate::console::widgets::sheet::{Pane, Sheet};

pub(crate) use forms::{annotating, pinning};

/// One backup on the screen.
#[derive(Debug)]
pub(crate) struct BackupScreen {
    id: String,
    pane: Pane,
}

impl BackupScreen {
    /// The backup with that id.
    pub(crate) fn new(id: impl Into<String>) -> Self {
        Self {
            id: id.into(),
            pane: Pane::default(),
        }
    }

    fn want(&self) -> Want {
        Want::one::<Backup>(path(&["backups", &self.id])).on(&["backup", "verify", "check", "run"])
    }

    fn backup<'s>(&self, store: &'s Store) -> Option<&'s Backup> {
        store.one::<Backup>(&self.want()).value
    }
}

/// Why something cannot be done with a backup.
pub(crate) fn hindrance(action: Action, backup: Option<&Backup>) -> Option<String> {
    let Some(backup) = backup else {
        return Some("no backup is selected".to_owned());
    };
    let why = match action {
        Action::Log if backup.run_id.is_none() => "the run that made it is not known here",
        Action::Browse | Action::Restore | Action::Verify if !backup.status.is_restorable() => {
            "it holds nothing that can be restored"
        }
        _ => return None,
    };
    Some(why.to_owned())
}

impl Screen for BackupScreen {
    fn crumbs(&self) -> Vec<String> {
        vec!["Backups".to_owned(), self.id.clone()]
    }

    fn contexts(&self) -> &'static [Context] {
        &[Context::Backup, Context::Text]
    }

    fn wants(&self, _store: &Store) -> Vec<Want> {
        vec![self.want()]
    }

    fn hindrance(&self, action: Action, view: &View<'_>) -> Option<String> {
        if !action.row().contexts.contains(&Context::Backup) {
            return None;
        }
        hindrance(action, self.backup(view.store))
    }

    fn act(&mut self, action: Action, cx: &mut Cx<'_>) -> bool {
        if self.pane.act(action) {
            return true;
        }
        let Some(backup) = self.backup(cx.view.store) else {
            return false;
        };
        act(action, backup, cx)
    }

    fn draw(&self, frame: &mut Frame<'_>, area: Rect, view: &View<'_>) {
        let area = Rect {
            x: area.x + area.width.min(1),
            width: area.width.saturating_sub(2),
            ..area
        };
        let seen = view.store.one::<Backup>(&self.want());
        let mut sheet = Sheet::new(area.width, view);
        match (seen.value, seen.error) {
            (Some(backup), _) => describe(backup, &mut sheet, view),
            (None, Some(error)) => sheet.text(&sentence(error), Role::Bad),
            (None, None) => sheet.text(&format!("{} Loading", meter::spinner(view)), Role::Faint),
        }
        self.pane.draw(frame, area, &sheet.lines, view);
    }

    fn wheel(&mut self, lines: i32, _cx: &mut Cx<'_>) {
        self.pane.wheel(lines);
    }

    fn subject(&self, _view: &View<'_>) -> Option<Subject> {
        Some(Subject {
            command: format!("backstay backup show {}", self.id),
            id: self.id.clone(),
        })
    }
}

/// Does with one backup what lists and its own screen offer.
pub(crate) fn act(action: Action, backup: &Backup, cx: &mut Cx<'_>) -> bool {
    match action {
        Action::Verify => cx.call(verifying(backup)),
        Action::Pin => cx.layer(pinning(backup)),
        Action::Annotate => cx.layer(annotating(backup)),
        Action::Delete => {
            if let Some(confirm) = deleting(&[backup], &cx.view) {
                cx.layer(confirm);
            }
        }
        Action::Log => {
            if let Some(run) = backup.run_id {
                cx.open(RunScreen::log(run.to_string()));
            }
        }
        Action::Restore => cx.open(Wizard::of_backup(backup)),
        Action::Browse => cx.open(Schemas::of(backup)),
        _ => return false,
    }
    true
}

fn describe(backup: &Backup, sheet: &mut Sheet<'_>, view: &View<'_>) {
    sheet.line(Line::from(vec![
        Span::styled(clean(&source(backup)).into_owned(), view.style(Role::Title)),
        Span::raw("  "),
        meter::status(backup.status, view),
        Span::styled(
            format!("  made {}", age(backup.created_at, view.now)),
            view.style(Role::Faint),
        ),
    ]));
    let when = backup.point_at.unwrap_or(backup.created_at);
    sheet.fact("holds", &format!("the state of {}", time(when)));
    if let Some(error) = &backup.error {
        sheet.fact_of("why", &error.message, Role::Bad);
        sheet.maybe("what to do", error.hint.clone());
    }
    let size = format!(
        "{} read, {} of them new, {} stored",
        bytes(backup.source_bytes),
        bytes(backup.new_bytes),
        bytes(backup.stored_bytes)
    );
    sheet.fact("size", &size);
    let objects = format!(
        "{}, {} tables with {} rows",
        count(backup.objects),
        count(backup.tables),
        count(backup.rows)
    );
    sheet.fact("objects", &objects);
    sheet.maybe("chosen", backup.selection.as_ref().map(ToString::to_string));
    let mut made = format!("{} {}", backup.kind, backup.backup_type);
    if let Some(base) = backup
        .base_backup_id
        .filter(|_| backup.backup_type != BackupType::Full)
    {
        made.push_str(&format!(", compared with {base}; it is restored by itself"));
    }
    sheet.fact("type", &made);
    sheet.maybe("took", backup.duration_ms.map(duration_ms));
    sheet.fact("repository", &backup.repository);
    sheet.maybe("server", backup.server_version.clone());
    sheet.maybe("label", backup.label.clone());
    sheet.maybe("note", backup.note.clone());
    sheet.maybe("kept", backup.pinned_until.map(pinned));
    proofs(backup, sheet, view);
    losses(backup, sheet, view);
}

/// What each rung of the ladder says, in words.
fn proves(level: VerifyLevel) -> &'static str {
    match level {
        VerifyLevel::None => "nothing",
        VerifyLevel::Present => "everything stored is there",
        VerifyLevel::Checked => "everything can be read and is what was written",
        VerifyLevel::Decoded => "rows and hashes are those of the day it was made",
        VerifyLevel::Restored => "it was restored and compared",
    }
}

fn proofs(backup: &Backup, sheet: &mut Sheet<'_>, view: &View<'_>) {
    sheet.title("Proofs");
    let failed = backup.failed_rung.as_ref();
    for level in VerifyLevel::ALL
        .iter()
        .filter(|own| **own != VerifyLevel::None)
    {
        let climbed = backup.verified.iter().find(|rung| rung.level == *level);
        let broken = failed.filter(|rung| rung.level == *level);
        let (sign, role, when) = match (broken, climbed) {
            (Some(rung), _) => (
                view.glyphs.bad,
                Role::Bad,
                format!("FAILED {} ({})", time(rung.at), age(rung.at, view.now)),
            ),
            (None, Some(rung)) if failed.is_some_and(|failed| failed.level < *level) => (
                view.glyphs.warning,
                Role::Warning,
                format!("{}, before the failure below it", time(rung.at)),
            ),
            (None, Some(rung)) => (
                view.glyphs.ok,
                Role::Good,
                format!("{} ({})", time(rung.at), age(rung.at, view.now)),
            ),
            (None, None) => (view.glyphs.none, Role::Faint, "not proved yet".to_owned()),
        };
        let before = format!("{sign} {:<10}", level.as_str());
        sheet.hanging(&before, &format!("{when}: {}", proves(*level)), role);
    }
    for loss in failed.into_iter().flat_map(|rung| &rung.losses) {
        sheet.hanging(
            "    ",
            &format!("{}: {}", loss.object, loss.reason),
            Role::Bad,
        );
    }
}

fn losses(backup: &Backup, sheet: &mut Sheet<'_>, view: &View<'_>) {
    if backup.losses.is_empty() {
        return;
    }
    sheet.title(format!("It lacks: {}", count(backup.losses.len() as u64)));
    for loss in &backup.losses {
        let before = format!("{} ", view.glyphs.remove);
        sheet.hanging(
            &before,
            &format!("{}: {}", loss.object, loss.reason),
            Role::Warning,
        );
    }
}
