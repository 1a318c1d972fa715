//! The times a connection can be brought back to: the moments of its backups, and the spans between archived ones.

#[cfg(test)]
mod tests;

use backstay_engine::model::points::{Fork, Gap, Point, PointInTime, Span};
use backstay_engine::model::{BackupKind, Time, VerifyLevel};
use chrono::TimeDelta;
use ratatui::Frame;
use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};

use super::{Backups, backups};
use crate::client::path;
use crate::console::action::{Action, Context};
use crate::console::screen::{Ask, Cx, Screen, Subject, View};
use crate::console::store::{Keyed, List, Paged, Store, Want};
use crate::console::text::{Cut, age, clean, fit, time};
use crate::console::theme::Role;
use crate::console::widgets::list::{Cell, Column, ListPane};

impl Keyed for Point {
    fn key(&self) -> String {
        self.backup_id.to_string()
    }
}

/// What stands beside the points.
#[derive(Debug)]
struct Spans {
    archiving: bool,
    spans: Vec<Span>,
    gaps: Vec<Gap>,
    forks: Vec<Fork>,
    message: String,
}

impl Paged for PointInTime {
    type Row = Point;

    fn into_list(self) -> List<Point> {
        List::new(self.points.unwrap_or_default(), self.next_cursor).with(Spans {
            archiving: self.archiving,
            spans: self.spans,
            gaps: self.gaps,
            forks: self.forks,
            message: self.message,
        })
    }
}

const COLUMNS: &[Column<Point>] = &[
    Column::<Point>::new("MOMENT", (19, 19), 0, |own, _| Cell::text(time(own.at)))
        .by(|a, b| b.at.cmp(&a.at)),
    Column::<Point>::new("AGO", (6, 8), 3, |own, view| {
        Cell::text(age(own.at, view.now))
    }),
    Column::<Point>::new("DATABASE", (14, 40), 1, |own, _| {
        Cell::text(own.database.as_str())
    }),
    Column::<Point>::new("STATE", (13, 13), 2, |own, view| {
        let glyphs = view.glyphs;
        match own {
            own if own.damaged => Cell::sign((glyphs.bad, Role::Bad), "damaged"),
            own if !own.complete => Cell::sign((glyphs.warning, Role::Warning), "incomplete"),
            _ => Cell::sign((glyphs.ok, Role::Good), "complete"),
        }
    }),
    Column::<Point>::new("PROVED", (9, 9), 4, |own, _| {
        let role = match own.verify_level {
            VerifyLevel::None => Role::Faint,
            VerifyLevel::Restored => Role::Good,
            _ => Role::Text,
        };
        Cell::of(own.verify_level.as_str(), role)
    }),
    Column::<Point>::new("KIND", (8, 8), 5, |own, _| {
        Cell::of(
            own.kind.as_str(),
            if own.kind == BackupKind::Logical {
                Role::Faint
            } else {
                Role::Text
            },
        )
    }),
];

/// Cells that stand for a span of time.
struct Line<'a> {
    buffer: &'a mut Buffer,
    view: View<'a>,
    x: u16,
    cells: u16,
    range: (Time, Time),
}

impl Line<'_> {
    fn place(&self, at: Time) -> u16 {
        let (from, to) = self.range;
        let whole = (to - from).num_milliseconds().max(1);
        let part = (at.clamp(from, to) - from).num_milliseconds();
        let cell = i128::from(part) * i128::from(self.cells - 1) / i128::from(whole);
        u16::try_from(cell).unwrap_or_default()
    }

    fn fill(&mut self, y: u16, (from, to): (u16, u16), sign: &str, role: Role) {
        let style = self.view.style(role);
        for x in from..=to.min(self.cells - 1) {
            self.buffer.set_stringn(self.x + x, y, sign, 1, style);
        }
    }

    fn spans(&mut self, y: u16, spans: &Spans) {
        let glyphs = self.view.glyphs;
        self.fill(y, (0, self.cells - 1), glyphs.empty, Role::Faint);
        for span in &spans.spans {
            let cells = (self.place(span.from), self.place(span.to));
            self.fill(y, cells, glyphs.full, Role::Good);
        }
        for gap in &spans.gaps {
            let cells = (self.place(gap.from), self.place(gap.to));
            self.fill(y, cells, glyphs.warning, Role::Warning);
        }
        for fork in &spans.forks {
            let at = self.place(fork.at);
            self.fill(y, (at, at), glyphs.mark, Role::Running);
        }
    }

    fn points(&mut self, y: u16, points: &[Point]) {
        let glyphs = self.view.glyphs;
        // One for every cell is all that can be seen; a damaged one always is.
        let mut last = None;
        for point in points {
            let at = self.place(point.at);
            if point.damaged {
                self.fill(y, (at, at), glyphs.bad, Role::Bad);
            } else if last != Some(at) {
                self.fill(y, (at, at), glyphs.up, Role::Good);
            }
            last = Some(at);
        }
    }
}

/// The coverage of one connection.
#[derive(Debug)]
pub(crate) struct Coverage {
    connection: String,
    list: ListPane<Point>,
}

fn want(connection: &str) -> Want {
    Want::paged::<PointInTime>(path(&["connections", connection, "pitr"]))
        .on(&["backup", "archive"])
        .every(60)
}

impl Coverage {
    /// That of the connection of that name.
    pub(crate) fn new(connection: String) -> Self {
        Self {
            list: ListPane::new(
                want(&connection),
                COLUMNS,
                "No backup is there, so there is no moment to go back to; b on the connection makes one",
            ),
            connection,
        }
    }

    fn spans<'s>(&self, view: &View<'s>) -> Option<&'s Spans> {
        let beside = self.list.seen(view.store).value?.beside.as_ref()?;
        beside.downcast_ref()
    }

    /// The first moment that is there, up to now. Points come newest first.
    fn range(&self, spans: &Spans, view: &View<'_>) -> Option<(Time, Time)> {
        let points = self
            .list
            .seen(view.store)
            .value
            .and_then(|list| list.items.last());
        let first = points.map(|point| point.at);
        let first = first
            .into_iter()
            .chain(spans.spans.first().map(|span| span.from))
            .min()?;
        // Room before the first, so that it is seen as a beginning.
        let room = (view.now - first) / 20 + TimeDelta::minutes(1);
        Some((first - room, view.now))
    }

    /// The line of time: spans, gaps, and the moments of backups.
    fn draw_line(&self, frame: &mut Frame<'_>, area: Rect, spans: &Spans, view: &View<'_>) {
        let Some((from, to)) = self.range(spans, view) else {
            return;
        };
        let cells = area.width.saturating_sub(2);
        if cells < 10 || area.height < 3 {
            return;
        }
        let x = area.x + 1;
        let mut line = Line {
            buffer: frame.buffer_mut(),
            view: *view,
            x,
            cells,
            range: (from, to),
        };
        line.spans(area.y, spans);
        let points = self
            .list
            .seen(view.store)
            .value
            .map_or(&[][..], |list| &list.items);
        line.points(area.y + 1, points);
        if let Some(own) = self.list.selected(view) {
            let at = line.place(own.at);
            let style = view.style(Role::Selected);
            let buffer = frame.buffer_mut();
            buffer.set_style(Rect::new(x + at, area.y + 1, 1, 1), style);
        }
        let buffer = frame.buffer_mut();
        let (first, style) = (time(from), view.style(Role::Faint));
        buffer.set_stringn(x, area.y + 2, first, usize::from(cells), style);
        buffer.set_stringn((x + cells).saturating_sub(3), area.y + 2, "now", 3, style);
    }

    /// What is said of the line, the most important first.
    fn words(spans: &Spans, view: &View<'_>) -> Vec<(String, Role)> {
        let glyphs = view.glyphs;
        let archive = if spans.archiving {
            (
                format!("{} the log is archived: {}", glyphs.ok, spans.message),
                Role::Good,
            )
        } else {
            (format!("{} {}", glyphs.none, spans.message), Role::Text)
        };
        let mut lines = vec![archive];
        let gaps = spans.gaps.iter().rev();
        lines.extend(gaps.map(|gap| {
            let text = format!(
                "{} not between {} and {}: {}",
                glyphs.warning,
                time(gap.from),
                time(gap.to),
                gap.reason
            );
            (text, Role::Warning)
        }));
        let forks = spans.forks.iter().rev();
        lines.extend(forks.map(|fork| {
            let text = format!(
                "{} timeline {} left timeline {} at {}",
                glyphs.mark,
                fork.timeline,
                fork.parent,
                time(fork.at)
            );
            (text, Role::Running)
        }));
        lines
    }

    fn legend(spans: &Spans, view: &View<'_>) -> String {
        let glyphs = view.glyphs;
        let mut words = vec![format!("{} a backup's moment", glyphs.up)];
        if !spans.spans.is_empty() {
            words.push(format!("{} any moment", glyphs.full));
        }
        words.push(format!("{} nothing between", glyphs.empty));
        if !spans.gaps.is_empty() {
            words.push(format!("{} gap", glyphs.warning));
        }
        if !spans.forks.is_empty() {
            words.push(format!("{} fork", glyphs.mark));
        }
        words.push(format!("{} damaged", glyphs.bad));
        words.join("   ")
    }
}

impl Screen for Coverage {
    fn crumbs(&self) -> Vec<String> {
        vec![
            "Connections".to_owned(),
            self.connection.clone(),
            "Coverage".to_owned(),
        ]
    }

    fn contexts(&self) -> &'static [Context] {
        &[Context::List]
    }

    fn wants(&self, store: &Store) -> Vec<Want> {
        self.list.wants(store)
    }

    fn hindrance(&self, action: Action, view: &View<'_>) -> Option<String> {
        (action == Action::Open && self.list.selected(view).is_none())
            .then(|| "no moment is selected".to_owned())
    }

    fn act(&mut self, action: Action, cx: &mut Cx<'_>) -> bool {
        if action != Action::Open {
            return self.list.act(action, &cx.view);
        }
        if let Some(point) = self.list.selected(&cx.view) {
            cx.open(Backups::of(backups::Of {
                connection: Some(self.connection.clone()),
                database: Some(point.database.clone()),
            }));
        }
        true
    }

    fn escape(&mut self, cx: &mut Cx<'_>) -> bool {
        self.list.escape(&cx.view)
    }

    fn draw(&self, frame: &mut Frame<'_>, area: Rect, view: &View<'_>) {
        let Some(spans) = self.spans(view) else {
            return self.list.draw(frame, area, view);
        };
        let words = Self::words(spans, view);
        let lines = words.len().min(usize::from(area.height / 4)) as u16;
        let room = usize::from(area.width.saturating_sub(2));
        let mut put = |y: u16, text: &str, role: Role| {
            if y < area.height && area.width > 1 {
                let text = fit(&clean(text), room, Cut::End, view.glyphs.ellipsis);
                let buffer = frame.buffer_mut();
                buffer.set_stringn(area.x + 1, area.y + y, text, room, view.style(role));
            }
        };
        for (n, (text, role)) in words.iter().take(usize::from(lines)).enumerate() {
            put(n as u16, text, *role);
        }
        put(lines + 3, &Self::legend(spans, view), Role::Faint);
        let line = Rect {
            y: area.y + lines.min(area.height),
            height: area.height.saturating_sub(lines).min(3),
            ..area
        };
        self.draw_line(frame, line, spans, view);
        let used = (lines + 5).min(area.height);
        let rest = Rect {
            y: area.y + used,
            height: area.height - used,
            ..area
        };
        self.list.draw(frame, rest, view);
    }

    fn click(&mut self, at: Position, double: bool, cx: &mut Cx<'_>) {
        if self.list.click(at, &cx.view) && double {
            cx.ask(Ask::Act(Action::Open));
        }
    }

    fn wheel(&mut self, lines: i32, cx: &mut Cx<'_>) {
        self.list.wheel(lines, &cx.view);
    }

    fn subject(&self, view: &View<'_>) -> Option<Subject> {
        let id = self.list.selected(view)?.backup_id.to_string();
        Some(Subject {
            command: format!("backstay backup show {id}"),
            id,
        })
    }

    fn filter(&self) -> Option<String> {
        self.list.filter()
    }

    fn set_filter(&mut self, text: &str, cx: &mut Cx<'_>) -> bool {
        self.list.set_filter(text, &cx.view);
        true
    }
}
