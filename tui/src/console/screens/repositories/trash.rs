//! Deleted backups of a repository that can still be brought back.

use backstay_engine::model::{Deletion, Repository};
use ratatui::Frame;
use ratatui::layout::{Position, Rect};
use serde_json::json;

use crate::client::path;
use crate::console::action::{Action, Context};
use crate::console::screen::{Ask, Call, Cx, Screen, Subject, View};
use crate::console::store::{Keyed, Store, Want};
use crate::console::text::{age, shell, time};
use crate::console::theme::Role;
use crate::console::widgets::list::{Cell, Column, ListPane, listed};

impl Keyed for Deletion {
    fn key(&self) -> String {
        self.backup_id.to_string()
    }
}

const COLUMNS: &[Column<Deletion>] = &[
    Column::<Deletion>::new("BACKUP OF", (16, 40), 0, |own, _| {
        Cell::text(own.source.as_str())
    }),
    Column::<Deletion>::new("DELETED", (7, 8), 1, |own, view| {
        Cell::text(age(own.deleted_at, view.now))
    })
    .by(|a, b| b.deleted_at.cmp(&a.deleted_at)),
    Column::<Deletion>::new("CAN BE BROUGHT BACK", (26, 34), 2, |own, view| {
        if own.purge_after < view.now {
            return Cell::sign((view.glyphs.warning, Role::Warning), "until the next prune");
        }
        Cell::sign(
            (view.glyphs.ok, Role::Good),
            &format!("until {}", time(own.purge_after)),
        )
    })
    .by(|a, b| a.purge_after.cmp(&b.purge_after)),
    Column::<Deletion>::new("ID", (30, 30), 4, |own, _| {
        Cell::text(own.backup_id.to_string())
    }),
];

/// The trash of one repository.
#[derive(Debug)]
pub(super) struct Trash {
    repository: Repository,
    list: ListPane<Deletion>,
}

impl Trash {
    pub(super) fn new(repository: Repository) -> Self {
        Self {
            list: ListPane::new(
                want(&repository),
                COLUMNS,
                "Nothing was deleted that could be brought back",
            ),
            repository,
        }
    }
}

/// What is in the trash of a repository.
pub(super) fn want(repository: &Repository) -> Want {
    let id = repository.id.to_string();
    Want::list::<Deletion>(path(&["repositories", &id, "trash"])).on(&["backup", "repository"])
}

impl Screen for Trash {
    fn crumbs(&self) -> Vec<String> {
        vec![
            "Repositories".to_owned(),
            self.repository.name.clone(),
            "Deleted backups".to_owned(),
        ]
    }

    fn contexts(&self) -> &'static [Context] {
        &[Context::Trash, Context::List]
    }

    fn wants(&self, store: &Store) -> Vec<Want> {
        self.list.wants(store)
    }

    fn hindrance(&self, action: Action, view: &View<'_>) -> Option<String> {
        match action {
            Action::Open => Some("a deleted backup has to be brought back first".to_owned()),
            Action::Undelete if self.list.selected(view).is_none() => {
                Some("there is nothing to bring back".to_owned())
            }
            _ => None,
        }
    }

    fn act(&mut self, action: Action, cx: &mut Cx<'_>) -> bool {
        if action != Action::Undelete {
            return self.list.act(action, &cx.view);
        }
        let chosen = self.list.chosen(&cx.view);
        let calls: Vec<Call> = chosen
            .into_iter()
            .map(|own| {
                let (repository, backup) = (self.repository.id.to_string(), own.key());
                Call {
                    method: "POST",
                    path: path(&["repositories", &repository, "trash", &backup, "undo"]),
                    body: Some(json!({})),
                    says: format!("Bringing back the backup of {}", own.source),
                    command: format!(
                        "backstay repository trash {} --undo {backup}",
                        shell(&self.repository.name)
                    ),
                    topics: &["backup", "repository"],
                    tag: 0,
                }
            })
            .collect();
        for call in calls {
            cx.call(call);
        }
        true
    }

    fn draw(&self, frame: &mut Frame<'_>, area: Rect, view: &View<'_>) {
        self.list.draw(frame, area, view);
    }

    fn subject(&self, view: &View<'_>) -> Option<Subject> {
        Some(Subject {
            id: self.list.selected(view)?.key(),
            command: format!("backstay repository trash {}", shell(&self.repository.name)),
        })
    }

    listed!(list);
}
