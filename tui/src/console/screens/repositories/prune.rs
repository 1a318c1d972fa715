//! Pruning: first the plan, worked out by a run that changes nothing; then the name, typed.

use backstay_engine::Result;
use backstay_engine::model::{PruneReport, Repository, Run, RunStatus, Started};
use ratatui::Frame;
use ratatui::layout::Rect;
use serde_json::{Value, json};

use crate::client::path;
use crate::console::action::{Action, Context, Tier};
use crate::console::layers::{Confirm, Contents, Question, framed};
use crate::console::screen::{Ask, Call, Cx, Screen, Subject, View};
use crate::console::store::{Store, Want};
use crate::console::text::{Cut, bytes, clean, count, fit, shell};
use crate::console::theme::Role;
use crate::console::widgets::list::sentence;
use crate::console::widgets::meter;

/// Waits for the plan, then asks.
#[derive(Debug)]
pub(super) struct Planning {
    repository: Repository,
    run: Option<String>,
    wrong: Option<String>,
}

impl Planning {
    pub(super) fn new(repository: Repository) -> Self {
        Self {
            repository,
            run: None,
            wrong: None,
        }
    }

    fn want(&self) -> Option<Want> {
        let run = self.run.as_ref()?;
        Some(Want::one::<Run>(path(&["runs", run])).on(&["run"]).every(5))
    }

    fn planned(&mut self, run: &Run, cx: &mut Cx<'_>) {
        let plan: Result<PruneReport, _> = serde_json::from_value(run.result.clone());
        let (Ok(plan), RunStatus::Success) = (plan, run.status) else {
            let why = run.error.as_ref().map(|problem| problem.message.clone());
            self.wrong = Some(why.unwrap_or_else(|| {
                format!(
                    "The plan could not be worked out: the run is {}",
                    run.status
                )
            }));
            return;
        };
        cx.ask(Ask::Close);
        let lines = told(&plan, &cx.view);
        if plan.freed_bytes == 0 && plan.delete_packs == 0 && plan.purged_backups == 0 {
            let title = format!("Nothing to prune in {}", self.repository.name);
            cx.layer(Contents::new(title, lines));
            return;
        }
        let question = Question {
            title: format!("Prune the repository {}", self.repository.name),
            lines,
            tier: Tier::Irreversible,
            name: self.repository.name.clone(),
            button: "Prune".to_owned(),
            calls: vec![pruning(&self.repository, false)],
            action: Action::Prune,
        };
        cx.layer(Confirm::new(question, cx.view.now));
    }
}

fn pruning(repository: &Repository, dry_run: bool) -> Call {
    let flag = if dry_run { " --dry-run" } else { "" };
    Call {
        method: "POST",
        path: path(&["repositories", &repository.id.to_string(), "prune"]),
        body: Some(json!({ "dry_run": dry_run })),
        says: if dry_run {
            String::new()
        } else {
            format!("Starting to prune {}", repository.name)
        },
        command: format!(
            "backstay repository prune {}{flag}",
            shell(&repository.name)
        ),
        topics: if dry_run { &[] } else { &["run", "repository"] },
        tag: 1,
    }
}

/// A plan in lines: what goes, what stays.
fn told(plan: &PruneReport, view: &View<'_>) -> Vec<(String, Role)> {
    let glyphs = view.glyphs;
    let mut lines = vec![(
        format!("{} Frees {}", glyphs.remove, bytes(plan.freed_bytes)),
        Role::Title,
    )];
    let mut put = |number: u64, text: String, role: Role| {
        if number > 0 {
            lines.push((text, role));
        }
    };
    put(
        plan.purged_backups,
        format!(
            "{} Deleted backups that cannot be brought back afterwards: {}",
            glyphs.remove,
            count(plan.purged_backups)
        ),
        Role::Bad,
    );
    put(
        plan.delete_packs,
        format!(
            "{} Packs that nothing needs, deleted: {}",
            glyphs.remove,
            count(plan.delete_packs)
        ),
        Role::Text,
    );
    put(
        plan.repack_packs,
        format!(
            "{} Packs of which a part is needed, rewritten: {} ({} copied)",
            glyphs.change,
            count(plan.repack_packs),
            bytes(plan.repack_bytes)
        ),
        Role::Text,
    );
    lines.push((
        format!(
            "{} Every listed backup stays. Packs that stay as they are: {} ({})",
            glyphs.ok,
            count(plan.keep_packs),
            bytes(plan.keep_bytes)
        ),
        Role::Good,
    ));
    if plan.waits_for_sessions > 0 {
        lines.push((
            format!(
                "{} Others that write there, for which it waits before it deletes: {}",
                glyphs.warning,
                count(plan.waits_for_sessions)
            ),
            Role::Warning,
        ));
    }
    let said = plan.messages.iter();
    lines.extend(said.map(|line| (line.clone(), Role::Faint)));
    lines
}

impl Screen for Planning {
    fn crumbs(&self) -> Vec<String> {
        vec!["Prune".to_owned()]
    }

    fn contexts(&self) -> &'static [Context] {
        &[]
    }

    fn opened(&mut self, cx: &mut Cx<'_>) {
        cx.call(pruning(&self.repository, true));
    }

    fn wants(&self, _store: &Store) -> Vec<Want> {
        self.want().into_iter().collect()
    }

    fn act(&mut self, _action: Action, _cx: &mut Cx<'_>) -> bool {
        false
    }

    fn answered(&mut self, _tag: u32, result: &Result<Value>, _cx: &mut Cx<'_>) {
        match result {
            Err(error) => self.wrong = Some(sentence(error)),
            Ok(answer) => match serde_json::from_value::<Started>(answer.clone()) {
                Ok(started) => self.run = Some(started.run_id.to_string()),
                Err(_) => self.wrong = Some("The engine's answer was not understood".to_owned()),
            },
        }
    }

    fn refreshed(&mut self, cx: &mut Cx<'_>) {
        let Some(want) = self.want().filter(|_| self.wrong.is_none()) else {
            return;
        };
        let seen = cx.view.store.one::<Run>(&want);
        if let Some(error) = seen.error {
            self.wrong = Some(sentence(error));
        } else if let Some(run) = seen.value.filter(|run| run.status.is_final()).cloned() {
            self.planned(&run, cx);
        }
    }

    fn floats(&self) -> Option<(u16, u16)> {
        Some((76, 6))
    }

    fn draw(&self, frame: &mut Frame<'_>, area: Rect, view: &View<'_>) {
        let title = format!("Prune {}", clean(&self.repository.name));
        let inner = framed(frame, area, &title, view);
        let room = usize::from(inner.width);
        let (text, role) = match &self.wrong {
            Some(why) => (format!("{} {why}", view.glyphs.bad), Role::Bad),
            None => (
                format!(
                    "{} Working out what would be freed; nothing is changed",
                    meter::spinner(view)
                ),
                Role::Text,
            ),
        };
        let lines = [(text.as_str(), role), ("Esc gives up", Role::Faint)];
        for (n, (text, role)) in lines.iter().take(usize::from(inner.height)).enumerate() {
            let text = fit(&clean(text), room, Cut::End, view.glyphs.ellipsis);
            let y = inner.y + n as u16;
            frame
                .buffer_mut()
                .set_stringn(inner.x, y, text, room, view.style(*role));
        }
    }

    fn subject(&self, _view: &View<'_>) -> Option<Subject> {
        Some(Subject {
            id: self.repository.id.to_string(),
            command: pruning(&self.repository, true).command,
        })
    }
}
