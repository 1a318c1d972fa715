//! One repository: what it holds, what it costs, how well it was looked after, and what opens it.

use backstay_engine::Result;
use backstay_engine::model::{KeySlot, Page, Repository, RepositoryDay, RepositoryStats, Time};
use chrono::{Days, NaiveDate};
use ratatui::Frame;
use ratatui::layout::{Position, Rect};
use serde_json::Value;

use super::{Maintained, maintain, ratio, stats, tested};
use crate::client::path;
use crate::console::action::{Action, Context};
use crate::console::screen::{Ask, Cx, Screen, Subject, View};
use crate::console::store::{Keyed, Store, Want};
use crate::console::text::{Cut, age, bytes, clean, count, fit, shell};
use crate::console::theme::Role;
use crate::console::widgets::list::{Cell, Column, ListPane, listed, sentence};
use crate::console::widgets::meter;

impl Keyed for KeySlot {
    fn key(&self) -> String {
        self.id.clone()
    }
}

const COLUMNS: &[Column<KeySlot>] = &[
    Column::<KeySlot>::new("OPENED BY", (14, 20), 0, |own, view| match own.kind {
        _ if own.problem.is_some() => Cell::sign((view.glyphs.bad, Role::Bad), "damaged"),
        None => Cell::of("unknown", Role::Faint),
        Some(kind) => Cell::text(kind.as_str().replace('_', " ")),
    }),
    Column::<KeySlot>::new("LABEL", (12, 30), 1, |own, _| {
        Cell::text(own.label.clone().unwrap_or_default())
    }),
    Column::<KeySlot>::new("USED", (16, 40), 2, |own, _| {
        if let Some(problem) = &own.problem {
            return Cell::of(problem.clone(), Role::Bad);
        }
        Cell::text(match (own.used_here, own.in_kit) {
            (true, true) => "by this engine, and in its kit",
            (true, false) => "by this engine",
            (false, true) => "in the recovery kit",
            (false, false) => "",
        })
    }),
    Column::<KeySlot>::new("MADE", (6, 8), 3, |own, view| {
        Cell::text(own.created_at.map_or(String::new(), |at| age(at, view.now)))
    }),
    Column::<KeySlot>::new("ID", (10, 40), 5, |own, _| Cell::text(own.id.as_str())),
];

/// A repository's own screen.
#[derive(Debug)]
pub(super) struct Detail {
    /// As it was when the screen was opened; what is shown is asked again.
    before: Repository,
    list: ListPane<KeySlot>,
    /// The first day of the plot.
    since: NaiveDate,
}

/// Days that the plot of the growth shows.
const DAYS: u64 = 60;

impl Detail {
    pub(super) fn new(repository: Repository, now: Time) -> Self {
        let today = now.date_naive();
        let id = repository.id.to_string();
        let keys = Want::list::<KeySlot>(path(&["repositories", &id, "keys"])).on(&["repository"]);
        Self {
            list: ListPane::new(keys, COLUMNS, "Nothing opens the repository"),
            before: repository,
            since: today.checked_sub_days(Days::new(DAYS)).unwrap_or(today),
        }
    }

    fn want(&self) -> Want {
        let id = self.before.id.to_string();
        Want::one::<Repository>(path(&["repositories", &id])).on(&["repository", "check"])
    }

    /// What it measured on each day, oldest first.
    fn trends(&self) -> Want {
        let target = path(&["repositories", &self.before.id.to_string(), "trends"]);
        Want::one::<Page<RepositoryDay>>(format!("{target}?from={}&limit=100", self.since))
            .every(600)
    }

    /// How much was stored on each day, as bars.
    fn growth(&self, cells: usize, view: &View<'_>) -> Option<(String, Role)> {
        let page = view
            .store
            .one::<Page<RepositoryDay>>(&self.trends())
            .value?;
        let days: Vec<u64> = page.items.iter().map(|day| day.stored_bytes).collect();
        let (first, last) = (page.items.first()?, page.items.last()?);
        if days.len() < 2 {
            return None;
        }
        let bars = meter::sparkline(&days, cells.min(days.len()), view)
            .content
            .into_owned();
        let text = format!(
            "{bars} stored, from {} on {} to {} on {}",
            bytes(first.stored_bytes),
            first.date,
            bytes(last.stored_bytes),
            last.date
        );
        Some((text, Role::Text))
    }

    fn now<'s>(&'s self, view: &View<'s>) -> &'s Repository {
        let seen = view.store.one::<Repository>(&self.want());
        seen.value.unwrap_or(&self.before)
    }

    fn facts(&self, cells: usize, view: &View<'_>) -> Vec<(String, Role)> {
        let own = self.now(view);
        let mut lines = vec![(own.location.clone(), Role::Text)];
        if own.is_default {
            lines[0].0.push_str("  (the default: backups go here)");
        }
        let seen = view.store.one::<RepositoryStats>(&stats(own));
        match (seen.value, seen.error) {
            (Some(numbers), _) => lines.extend(measured(numbers, cells, view)),
            (None, Some(error)) => {
                let text = format!("{} {}", view.glyphs.bad, sentence(error));
                lines.push((text, Role::Bad));
            }
            (None, None) => {
                let text = format!("{} Measuring", meter::spinner(view));
                lines.push((text, Role::Faint));
            }
        }
        lines.extend(self.growth(cells, view));
        lines.push(cared("Checked", own.checked_at, "v checks it", view));
        lines.push(match own.pruned_at {
            Some(at) => (format!("Pruned {} ago", age(at, view.now)), Role::Text),
            None => (
                "Never pruned by hand or by the task".to_owned(),
                Role::Faint,
            ),
        });
        lines.push(match own.kit_taken_at {
            Some(at) => (
                format!(
                    "{} Recovery kit taken {} ago",
                    view.glyphs.ok,
                    age(at, view.now)
                ),
                Role::Good,
            ),
            None => (
                format!(
                    "{} Recovery kit never taken: backstay repository recovery-kit {}, and keep it elsewhere",
                    view.glyphs.warning,
                    shell(&own.name)
                ),
                Role::Warning,
            ),
        });
        lines
    }
}

fn measured(numbers: &RepositoryStats, cells: usize, view: &View<'_>) -> Vec<(String, Role)> {
    let mut lines = Vec::new();
    if let (Some(total), Some(free)) = (numbers.total_bytes, numbers.free_bytes) {
        let used = total.saturating_sub(free);
        let part = meter::percent(used, Some(total));
        let bar = meter::bar(used, Some(total), cells.min(30), view).to_string();
        let tight = total > 0 && used >= total - total / 10;
        let role = if tight { Role::Warning } else { Role::Text };
        let sign = if tight {
            format!("{} ", view.glyphs.warning)
        } else {
            String::new()
        };
        lines.push((
            format!(
                "{sign}{bar} {part} used, {} free of {}",
                bytes(free),
                bytes(total)
            ),
            role,
        ));
    }
    lines.push((
        format!(
            "{} backups: {} read from servers, {} stored{}",
            count(numbers.backups),
            bytes(numbers.source_bytes),
            bytes(numbers.stored_bytes),
            ratio(numbers).map_or(String::new(), |ratio| format!(", {ratio} smaller"))
        ),
        Role::Text,
    ));
    lines.push((
        format!(
            "{} packs of {}; {} deleted backups can be brought back",
            count(numbers.packs),
            bytes(numbers.pack_bytes),
            count(numbers.trash)
        ),
        Role::Faint,
    ));
    lines
}

fn cared(what: &str, at: Option<Time>, how: &str, view: &View<'_>) -> (String, Role) {
    match at {
        None => (
            format!("{} Never checked; {how}", view.glyphs.warning),
            Role::Warning,
        ),
        Some(at) if (view.now - at).num_days() > 35 => (
            format!(
                "{} {what} {} ago, long enough; {how}",
                view.glyphs.warning,
                age(at, view.now)
            ),
            Role::Warning,
        ),
        Some(at) => (
            format!(
                "{} {what} {} ago without finding damage",
                view.glyphs.ok,
                age(at, view.now)
            ),
            Role::Good,
        ),
    }
}

impl Screen for Detail {
    fn crumbs(&self) -> Vec<String> {
        vec!["Repositories".to_owned(), self.before.name.clone()]
    }

    fn contexts(&self) -> &'static [Context] {
        &[Context::Repository, Context::List]
    }

    fn wants(&self, store: &Store) -> Vec<Want> {
        let mut wants = self.list.wants(store);
        wants.extend([self.want(), stats(&self.before), self.trends()]);
        wants
    }

    fn hindrance(&self, action: Action, view: &View<'_>) -> Option<String> {
        match action {
            Action::SetDefault if self.now(view).is_default => {
                Some("it is the default already".to_owned())
            }
            Action::Open => Some("a key has nothing more to show".to_owned()),
            _ => None,
        }
    }

    fn act(&mut self, action: Action, cx: &mut Cx<'_>) -> bool {
        let own = self.now(&cx.view).clone();
        match maintain(&own, action, cx) {
            Maintained::Done => true,
            Maintained::Other => self.list.act(action, &cx.view),
        }
    }

    fn answered(&mut self, tag: u32, result: &Result<Value>, cx: &mut Cx<'_>) {
        tested(tag, &self.before.name, result, cx);
    }

    fn draw(&self, frame: &mut Frame<'_>, area: Rect, view: &View<'_>) {
        let room = usize::from(area.width);
        let lines = self.facts(room / 3, view);
        // The keys keep a head and two rows, where there is room for them at all.
        let most = usize::from(area.height).saturating_sub(5).max(1);
        let facts = lines.len().min(most).min(usize::from(area.height));
        for (n, (text, role)) in lines.iter().take(facts).enumerate() {
            let text = fit(&clean(text), room, Cut::End, view.glyphs.ellipsis);
            let y = area.y + n as u16;
            frame
                .buffer_mut()
                .set_stringn(area.x, y, text, room, view.style(*role));
        }
        let used = (facts as u16 + 1).min(area.height);
        let rest = Rect {
            y: area.y + used,
            height: area.height - used,
            ..area
        };
        self.list.draw(frame, rest, view);
    }

    fn subject(&self, _view: &View<'_>) -> Option<Subject> {
        Some(Subject {
            id: self.before.id.to_string(),
            command: format!("backstay repository show {}", shell(&self.before.name)),
        })
    }

    listed!(list);
}
