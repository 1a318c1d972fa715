//! A year of results, a cell for each day: weeks as columns, days of the week as lines.

#[cfg(test)]
mod tests;

use backstay_engine::model::{CalendarDay, Page, Time};
use chrono::{Datelike as _, Days, NaiveDate};
use ratatui::Frame;
use ratatui::layout::Rect;

use crate::client::{path, query_value};
use crate::console::action::{Action, Context};
use crate::console::screen::{Cx, Screen, Subject, View};
use crate::console::store::{Store, Want};
use crate::console::text::{Cut, count, fit, shell};
use crate::console::theme::Role;
use crate::console::widgets::list::sentence;

/// Weeks that are asked for.
const WEEKS: u64 = 53;
/// Cells before the weeks: the names of the days.
const MARGIN: u16 = 6;
const DAYS: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];

/// The results of a connection, or of all.
#[derive(Debug)]
pub(crate) struct Calendar {
    connection: Option<String>,
    /// The Monday of the first week, and today, by UTC.
    first: NaiveDate,
    today: NaiveDate,
    at: NaiveDate,
}

/// How a day went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Result {
    Nothing,
    Good,
    Partial,
    Failed,
}

impl Result {
    fn of(day: &CalendarDay) -> Self {
        match day {
            day if day.failed > 0 => Self::Failed,
            day if day.partial > 0 => Self::Partial,
            day if day.success > 0 => Self::Good,
            _ => Self::Nothing,
        }
    }

    fn sign(self, view: &View<'_>) -> (&'static str, Role) {
        match self {
            Self::Nothing => (view.glyphs.none, Role::Faint),
            Self::Good => (view.glyphs.ok, Role::Good),
            Self::Partial => (view.glyphs.warning, Role::Warning),
            Self::Failed => (view.glyphs.bad, Role::Bad),
        }
    }

    fn word(self) -> &'static str {
        match self {
            Self::Nothing => "no backup",
            Self::Good => "good",
            Self::Partial => "something is missing",
            Self::Failed => "failed",
        }
    }
}

impl Calendar {
    /// That of a connection, or of all of them.
    pub(crate) fn new(connection: Option<String>, now: Time) -> Self {
        let today = now.date_naive();
        let monday = today - Days::new(u64::from(today.weekday().num_days_from_monday()));
        Self {
            connection,
            first: monday - Days::new(7 * (WEEKS - 1)),
            today,
            at: today,
        }
    }

    fn want(&self) -> Want {
        let mut text = format!("{}?from={}", path(&["backups", "calendar"]), self.first);
        if let Some(connection) = &self.connection {
            text.push_str(&format!("&connection={}", query_value(connection)));
        }
        Want::one::<Page<CalendarDay>>(text)
            .on(&["backup"])
            .every(600)
    }

    fn go(&mut self, days: i64) {
        let to = self.at + chrono::TimeDelta::days(days);
        self.at = to.clamp(self.first, self.today);
    }

    /// The week a day stands in, counted from the first.
    fn week(&self, day: NaiveDate) -> u64 {
        (day - self.first).num_days().unsigned_abs() / 7
    }

    /// Draws the names of the months and a sign for each day; the newest weeks are at the right.
    fn draw_days(&self, frame: &mut Frame<'_>, area: Rect, days: &[CalendarDay], view: &View<'_>) {
        let step = if area.width >= MARGIN + 2 * WEEKS as u16 {
            2
        } else {
            1
        };
        let fit = u64::from(area.width.saturating_sub(MARGIN + 1) / step).min(WEEKS);
        let last = self.week(self.today);
        let from = (last + 1).saturating_sub(fit);
        // Where the terminal is narrow the window follows the cursor.
        let from = from.min(self.week(self.at));
        let buffer = frame.buffer_mut();
        let lines = area.height.saturating_sub(1).min(7);
        for (line, name) in (0..lines).zip(DAYS) {
            buffer.set_stringn(
                area.x + 1,
                area.y + 1 + line,
                name,
                4,
                view.style(Role::Faint),
            );
        }
        let mut named = 0;
        for week in from..(from + fit).min(last + 1) {
            let monday = self.first + Days::new(7 * week);
            let x = area.x + MARGIN + (week - from) as u16 * step;
            // The week that the first of a month is in has its name.
            let sunday = monday + Days::new(6);
            let begins = sunday.day() <= 7;
            if begins && x >= named && x + 3 < area.right() {
                let name = sunday.format("%b").to_string();
                buffer.set_stringn(x, area.y, name, 3, view.style(Role::Faint));
                named = x + 4;
            }
            for line in 0..lines {
                let date = monday + Days::new(u64::from(line));
                if date > self.today {
                    break;
                }
                let found = days.binary_search_by_key(&date, |day| day.date);
                let result = found.map_or(Result::Nothing, |n| Result::of(&days[n]));
                let (sign, role) = result.sign(view);
                let mut style = view.style(role);
                if date == self.at {
                    style = style.patch(view.style(Role::Selected));
                }
                buffer.set_stringn(x, area.y + 1 + line, sign, 1, style);
            }
        }
    }

    /// The selected day in words, the sums, and what the signs mean.
    fn words(&self, days: &[CalendarDay], view: &View<'_>) -> Vec<(String, Role)> {
        let found = days.binary_search_by_key(&self.at, |day| day.date);
        let named = self.at.format("%A %Y-%m-%d");
        let own = match found.map(|n| &days[n]) {
            Ok(day) if Result::of(day) != Result::Nothing => {
                let (sign, role) = Result::of(day).sign(view);
                let text = format!(
                    "{sign} {named}: {} good, {} with something missing, {} failed",
                    count(day.success),
                    count(day.partial),
                    count(day.failed)
                );
                (text, role)
            }
            _ => (
                format!(
                    "{} {named}: no backup of that day is there",
                    view.glyphs.none
                ),
                Role::Faint,
            ),
        };
        let with = |wanted| days.iter().filter(|day| Result::of(day) == wanted).count();
        let sums = format!(
            "Days: {} good, {} with something missing, {} failed",
            with(Result::Good),
            with(Result::Partial),
            with(Result::Failed)
        );
        let signs = [
            Result::Good,
            Result::Partial,
            Result::Failed,
            Result::Nothing,
        ];
        let signs = signs.map(|own| format!("{} {}", own.sign(view).0, own.word()));
        vec![
            own,
            (sums, Role::Text),
            (signs.join("   "), Role::Faint),
            (
                "Days are those of UTC; what was pruned since counts no more".to_owned(),
                Role::Faint,
            ),
        ]
    }
}

impl Screen for Calendar {
    fn crumbs(&self) -> Vec<String> {
        let mut crumbs = Vec::new();
        if let Some(connection) = &self.connection {
            crumbs.push("Connections".to_owned());
            crumbs.push(connection.clone());
        }
        crumbs.push("Calendar".to_owned());
        crumbs
    }

    fn contexts(&self) -> &'static [Context] {
        &[Context::List]
    }

    fn wants(&self, _store: &Store) -> Vec<Want> {
        vec![self.want()]
    }

    fn hindrance(&self, action: Action, _view: &View<'_>) -> Option<String> {
        let none = matches!(
            action,
            Action::Open
                | Action::Mark
                | Action::MarkAll
                | Action::MarkRange
                | Action::Sort
                | Action::SortReverse
                | Action::Wide
        );
        none.then(|| "a calendar is only looked at; the arrows go through its days".to_owned())
    }

    fn act(&mut self, action: Action, _cx: &mut Cx<'_>) -> bool {
        match action {
            Action::Down => self.go(1),
            Action::Up => self.go(-1),
            Action::Left => self.go(-7),
            Action::Right => self.go(7),
            Action::HalfUp | Action::PageUp => self.go(-28),
            Action::HalfDown | Action::PageDown => self.go(28),
            Action::First => self.at = self.first,
            Action::Last => self.at = self.today,
            _ => return false,
        }
        true
    }

    fn subject(&self, _view: &View<'_>) -> Option<Subject> {
        let own = self
            .connection
            .as_deref()
            .map(|own| format!(" {}", shell(own)));
        Some(Subject {
            id: self.at.to_string(),
            command: format!(
                "backstay backup calendar{} --from {}",
                own.unwrap_or_default(),
                self.first
            ),
        })
    }

    fn wheel(&mut self, lines: i32, _cx: &mut Cx<'_>) {
        self.go(if lines < 0 { -7 } else { 7 });
    }

    fn draw(&self, frame: &mut Frame<'_>, area: Rect, view: &View<'_>) {
        if area.height < 2 || area.width < MARGIN + 4 {
            return;
        }
        let seen = view.store.one::<Page<CalendarDay>>(&self.want());
        let days = seen.value.map_or(&[][..], |page| page.items.as_slice());
        self.draw_days(frame, area, days, view);
        let lines = match (seen.value, seen.error) {
            (None, Some(error)) => vec![(sentence(error), Role::Bad)],
            (None, None) => vec![("Loading".to_owned(), Role::Faint)],
            (Some(_), _) => self.words(days, view),
        };
        let room = usize::from(area.width.saturating_sub(2));
        for (n, (text, role)) in lines.iter().enumerate() {
            let y = area.y + 9 + n as u16;
            if y < area.bottom() {
                let text = fit(text, room, Cut::End, view.glyphs.ellipsis);
                frame
                    .buffer_mut()
                    .set_stringn(area.x + 1, y, text, room, view.style(*role));
            }
        }
    }
}
