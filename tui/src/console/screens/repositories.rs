//! Repositories: where backups are kept.

mod detail;
mod form;
mod prune;
mod trash;

use backstay_engine::Result;
use backstay_engine::model::{Repository, RepositoryStats, RepositoryTest};
use ratatui::Frame;
use ratatui::layout::{Position, Rect};
use serde_json::{Value, json};

use crate::client::path;
use crate::console::action::{Action, Context, Tier};
use crate::console::layers::{Confirm, Question};
use crate::console::screen::{Ask, Call, Cx, Level, Screen, Subject, View};
use crate::console::store::{Keyed, Store, Want};
use crate::console::text::{Cut, age, bytes, count, shell};
use crate::console::theme::Role;
use crate::console::widgets::list::{Cell, Column, ListPane, listed, sentence};
use crate::console::widgets::meter;

impl Keyed for Repository {
    fn key(&self) -> String {
        self.id.to_string()
    }
}

/// Repositories that are measured for the list.
const MEASURED: usize = 20;
/// The tag of a test.
const TEST: u32 = 7;

const COLUMNS: &[Column<Repository>] = &[
    Column::<Repository>::new("REPOSITORY", (14, 30), 0, |own, _| {
        Cell::text(own.name.as_str())
    }),
    Column::<Repository>::new("DEFAULT", (9, 9), 2, |own, view| {
        if own.is_default {
            Cell::sign((view.glyphs.ok, Role::Good), "default")
        } else {
            Cell::default()
        }
    }),
    Column::<Repository>::new("BACKUPS", (7, 9), 3, |own, view| {
        of_stats(own, view, |numbers| Some(count(numbers.backups)))
    })
    .right(|a, b| a.name.cmp(&b.name)),
    Column::<Repository>::new("STORED", (9, 10), 2, |own, view| {
        of_stats(own, view, |numbers| Some(bytes(numbers.stored_bytes)))
    })
    .right(|a, b| a.name.cmp(&b.name)),
    Column::<Repository>::new("SMALLER", (7, 8), 4, |own, view| of_stats(own, view, ratio))
        .right(|a, b| a.name.cmp(&b.name)),
    Column::<Repository>::new("USED", (5, 6), 3, |own, view| {
        of_stats(own, view, |numbers| {
            let total = numbers.total_bytes?;
            let used = total.saturating_sub(numbers.free_bytes?);
            Some(meter::percent(used, Some(total)))
        })
    })
    .right(|a, b| a.name.cmp(&b.name)),
    Column::<Repository>::new("CHECKED", (8, 9), 1, |own, view| match own.checked_at {
        None => Cell::sign((view.glyphs.warning, Role::Warning), "never"),
        Some(at) => Cell::sign((view.glyphs.ok, Role::Good), &age(at, view.now)),
    })
    .by(|a, b| a.checked_at.cmp(&b.checked_at)),
    Column::<Repository>::new("KIT", (11, 11), 2, |own, view| match own.kit_taken_at {
        None => Cell::sign((view.glyphs.warning, Role::Warning), "not taken"),
        Some(_) => Cell::sign((view.glyphs.ok, Role::Good), "taken"),
    }),
    Column::<Repository>::new("LOCATION", (20, 60), 5, |own, _| {
        Cell::text(own.location.as_str())
    })
    .cut(Cut::Front),
];

/// The numbers of a repository; measuring takes a while, so it is not done after every event.
fn stats(repository: &Repository) -> Want {
    let id = repository.id.to_string();
    Want::one::<RepositoryStats>(path(&["repositories", &id, "stats"]))
        .on(&["repository"])
        .every(60)
}

fn of_stats(
    own: &Repository,
    view: &View<'_>,
    shown: fn(&RepositoryStats) -> Option<String>,
) -> Cell {
    let seen = view.store.one::<RepositoryStats>(&stats(own));
    match (seen.value, seen.error) {
        (Some(numbers), _) => shown(numbers).map_or_else(Cell::default, Cell::text),
        (None, Some(_)) => Cell::sign((view.glyphs.bad, Role::Bad), "?"),
        (None, None) => Cell::of("-", Role::Faint),
    }
}

/// How many times smaller the backups are stored than the servers sent them.
fn ratio(numbers: &RepositoryStats) -> Option<String> {
    // A few small backups take more than they hold: that is no ratio to tell.
    if numbers.source_bytes < numbers.stored_bytes {
        return None;
    }
    let tenths = numbers
        .source_bytes
        .checked_mul(10)?
        .checked_div(numbers.stored_bytes)?;
    Some(format!("{}.{}x", count(tenths / 10), tenths % 10))
}

/// Whether an action was one of a repository's care.
enum Maintained {
    Done,
    Other,
}

/// What can be done to a repository in the list as well as on its own screen.
fn maintain(own: &Repository, action: Action, cx: &mut Cx<'_>) -> Maintained {
    match action {
        Action::Test => cx.call(Call {
            method: "POST",
            path: path(&["repositories", &own.id.to_string(), "test"]),
            body: Some(json!({})),
            says: String::new(),
            command: format!("backstay repository test {}", shell(&own.name)),
            topics: &[],
            tag: TEST,
        }),
        Action::Check => cx.layer(form::checking(own)),
        Action::Prune => cx.layer(prune::Planning::new(own.clone())),
        Action::Trash => cx.open(trash::Trash::new(own.clone())),
        Action::SetDefault => {
            let question = Question {
                title: format!("Make {} the default", own.name),
                lines: vec![(
                    "New backups go there where a job or a person names no other repository. \
                     What is stored elsewhere stays there."
                        .to_owned(),
                    Role::Text,
                )],
                tier: Tier::Reversible,
                name: String::new(),
                button: "Make it the default".to_owned(),
                calls: vec![Call {
                    method: "POST",
                    path: path(&["repositories", &own.id.to_string(), "set-default"]),
                    body: Some(json!({})),
                    says: format!("Making {} the default", own.name),
                    command: format!("backstay repository set-default {}", shell(&own.name)),
                    topics: &["repository"],
                    tag: 0,
                }],
                action: Action::SetDefault,
            };
            cx.layer(Confirm::new(question, cx.view.now));
        }
        _ => return Maintained::Other,
    }
    Maintained::Done
}

/// Tells what a test found.
fn tested(tag: u32, name: &str, result: &Result<Value>, cx: &mut Cx<'_>) {
    if tag != TEST {
        return;
    }
    let test = match result {
        Err(error) => return cx.toast(Level::Bad, format!("{name}: {}", sentence(error))),
        Ok(answer) => serde_json::from_value::<RepositoryTest>(answer.clone()),
    };
    match test {
        Ok(test) if test.ok => cx.toast(Level::Good, format!("{name}: {}", test.message)),
        Ok(test) => {
            let hint = test
                .hint
                .map(|hint| format!(". {hint}"))
                .unwrap_or_default();
            cx.toast(Level::Bad, format!("{name}: {}{hint}", test.message));
        }
        Err(_) => cx.toast(Level::Bad, "The engine's answer was not understood"),
    }
}

/// The list of repositories.
#[derive(Debug)]
pub(crate) struct Repositories {
    list: ListPane<Repository>,
    /// The one that is being tested.
    testing: String,
}

impl Repositories {
    pub(crate) fn new() -> Self {
        let want = Want::list::<Repository>(path(&["repositories"])).on(&["repository", "check"]);
        Self {
            list: ListPane::new(
                want,
                COLUMNS,
                "There is no repository yet, so there is no place for backups; a adds one",
            ),
            testing: String::new(),
        }
    }
}

impl Screen for Repositories {
    fn crumbs(&self) -> Vec<String> {
        vec!["Repositories".to_owned()]
    }

    fn contexts(&self) -> &'static [Context] {
        &[Context::Repositories, Context::List]
    }

    fn wants(&self, store: &Store) -> Vec<Want> {
        let mut wants = self.list.wants(store);
        let items = self.list.seen(store).value.map(|list| &list.items);
        wants.extend(items.into_iter().flatten().take(MEASURED).map(stats));
        wants
    }

    fn hindrance(&self, action: Action, view: &View<'_>) -> Option<String> {
        let needs_one = matches!(
            action,
            Action::Open
                | Action::Test
                | Action::Check
                | Action::Prune
                | Action::Trash
                | Action::SetDefault
        );
        match self.list.selected(view) {
            None if needs_one => Some("there is no repository yet; a adds one".to_owned()),
            Some(own) if action == Action::SetDefault && own.is_default => {
                Some("it is the default already".to_owned())
            }
            _ => None,
        }
    }

    fn act(&mut self, action: Action, cx: &mut Cx<'_>) -> bool {
        if action == Action::Add {
            let seen = self.list.seen(cx.view.store).value;
            let first = seen.is_some_and(|list| list.items.is_empty());
            cx.layer(form::adding(first));
            return true;
        }
        if let Some(own) = self.list.selected(&cx.view).cloned() {
            if action == Action::Open {
                cx.open(detail::Detail::new(own, cx.view.now));
                return true;
            }
            if matches!(maintain(&own, action, cx), Maintained::Done) {
                self.testing = own.name;
                return true;
            }
        }
        self.list.act(action, &cx.view)
    }

    fn answered(&mut self, tag: u32, result: &Result<Value>, cx: &mut Cx<'_>) {
        tested(tag, &self.testing, result, cx);
    }

    fn draw(&self, frame: &mut Frame<'_>, area: Rect, view: &View<'_>) {
        self.list.draw(frame, area, view);
    }

    fn subject(&self, view: &View<'_>) -> Option<Subject> {
        let own = self.list.selected(view)?;
        Some(Subject {
            id: own.id.to_string(),
            command: format!("backstay repository show {}", shell(&own.name)),
        })
    }

    listed!(list);
}

#[cfg(test)]
mod tests;
