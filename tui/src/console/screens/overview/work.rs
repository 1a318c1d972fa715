//! What goes on now: rates as they are, and how they were.

use std::collections::BTreeMap;

use backstay_engine::model::{Run, RunStatus};
use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::Style;

use super::running;
use crate::console::action::Action;
use crate::console::screen::View;
use crate::console::text::{Cut, clean, duration_ms, fit, rate, width};
use crate::console::theme::Role;
use crate::console::widgets::list::Cursor;
use crate::console::widgets::meter;

/// Rates that are kept of each run.
const KEPT: usize = 60;

/// The runs in progress.
#[derive(Debug, Default)]
pub(super) struct Work {
    cursor: Cursor,
    /// The last rates of each, the newest at the end.
    rates: BTreeMap<String, Vec<u64>>,
    revision: u64,
}

fn runs<'s>(view: &View<'s>) -> &'s [Run] {
    let list = view.store.list::<Run>(&running()).value;
    list.map_or(&[], |list| list.items.as_slice())
}

impl Work {
    /// Keeps the rates of what is running, once for every answer.
    pub(super) fn refreshed(&mut self, view: &View<'_>) {
        let revision = view.store.list::<Run>(&running()).revision;
        if revision == self.revision {
            return;
        }
        self.revision = revision;
        let mut old = std::mem::take(&mut self.rates);
        for run in runs(view) {
            let id = run.id.to_string();
            let mut rates = old.remove(&id).unwrap_or_default();
            rates.extend(run.progress.rate_bytes_per_second);
            rates.drain(..rates.len().saturating_sub(KEPT));
            self.rates.insert(id, rates);
        }
        self.cursor.arranged(runs(view).len(), None);
    }

    pub(super) fn selected<'s>(&self, view: &View<'s>) -> Option<&'s Run> {
        runs(view).get(self.cursor.at())
    }

    pub(super) fn act(&self, action: Action, view: &View<'_>) -> bool {
        self.cursor.arranged(runs(view).len(), None);
        self.cursor.act(action)
    }

    /// The run on that line goes under the cursor; false where there is none.
    pub(super) fn click(&self, line: u16, view: &View<'_>) -> bool {
        self.cursor.arranged(runs(view).len(), None);
        let row = (usize::from(line) + self.cursor.offset()).checked_sub(1);
        let row = row.filter(|row| *row < runs(view).len());
        if let Some(row) = row {
            self.cursor.go(row);
        }
        row.is_some()
    }

    /// Lines it would fill.
    pub(super) fn height(view: &View<'_>) -> u16 {
        runs(view).len().clamp(1, 7) as u16 + 1
    }

    /// Draws a head, then a line for each run; `idle` stands where there is none.
    pub(super) fn draw(
        &self,
        frame: &mut Frame<'_>,
        area: Rect,
        (focused, waiting, idle): (bool, usize, &str),
        view: &View<'_>,
    ) {
        if area.height < 2 || area.width < 20 {
            return;
        }
        let runs = runs(view);
        let role = if focused { Role::Focus } else { Role::Head };
        let mut title = format!("RUNNING {}", runs.len());
        if waiting > 0 {
            title.push_str(&format!(", {waiting} waiting"));
        }
        let sign = if focused { view.glyphs.cursor } else { " " };
        let room = usize::from(area.width);
        let buffer = frame.buffer_mut();
        buffer.set_stringn(area.x, area.y, sign, 1, view.style(Role::Focus));
        buffer.set_stringn(area.x + 2, area.y, title, room - 2, view.style(role));
        if runs.is_empty() {
            let text = fit(&clean(idle), room - 2, Cut::End, view.glyphs.ellipsis);
            buffer.set_stringn(
                area.x + 2,
                area.y + 1,
                text,
                room - 2,
                view.style(Role::Faint),
            );
            return;
        }
        let height = usize::from(area.height - 1);
        self.cursor.arranged(runs.len(), None);
        self.cursor.drawn(height);
        let seen = runs
            .iter()
            .enumerate()
            .skip(self.cursor.offset())
            .take(height);
        for (row, (n, run)) in seen.enumerate() {
            let line = Rect {
                y: area.y + 1 + row as u16,
                height: 1,
                ..area
            };
            self.draw_run(frame, line, run, view);
            if focused && n == self.cursor.at() {
                let buffer = frame.buffer_mut();
                buffer.set_style(line, view.style(Role::Selected));
                buffer.set_stringn(line.x, line.y, view.glyphs.cursor, 1, Style::new());
            }
        }
    }

    fn draw_run(&self, frame: &mut Frame<'_>, line: Rect, run: &Run, view: &View<'_>) {
        let progress = &run.progress;
        let status = if run.cancel_requested && run.status == RunStatus::Running {
            format!("{} stopping", view.glyphs.running)
        } else {
            match progress.total_bytes {
                Some(_) => meter::percent(progress.read_bytes, progress.total_bytes),
                None => progress.stage.clone().unwrap_or_default(),
            }
        };
        let speed = progress.rate_bytes_per_second.map(rate);
        let left = progress
            .eta_ms
            .map(|left| format!("{} left", duration_ms(left)));
        let spark = match line.width {
            0..70 => 8,
            70..100 => 12,
            _ => 24,
        };
        let cells: [(String, usize); 3] = [
            (status, if line.width < 100 { 10 } else { 20 }),
            (speed.unwrap_or_default(), 12),
            (left.unwrap_or_default(), 13),
        ];
        let fixed: usize = cells.iter().map(|(_, own)| own + 1).sum::<usize>() + spark;
        let room = usize::from(line.width).saturating_sub(2);
        // Where it is narrow, the time that is left goes first.
        let (cells, fixed) = if room < fixed + 16 {
            (&cells[..2], fixed - 14)
        } else {
            (&cells[..], fixed)
        };
        let own = room.saturating_sub(fixed + 1);
        let buffer = frame.buffer_mut();
        let title = fit(&clean(&run.title), own, Cut::End, view.glyphs.ellipsis);
        let mut x = line.x + 2;
        buffer.set_stringn(x, line.y, title, own, view.style(Role::Text));
        x = x.saturating_add(own as u16 + 1);
        for (text, own) in cells {
            let text = fit(&clean(text), *own, Cut::End, view.glyphs.ellipsis);
            let pad = own - width(&text).min(*own);
            let rest = usize::from(line.right().saturating_sub(x + pad as u16));
            if rest > 0 {
                buffer.set_stringn(
                    x + pad as u16,
                    line.y,
                    text,
                    rest,
                    view.style(Role::Running),
                );
            }
            x = x.saturating_add(*own as u16 + 1);
        }
        let rates = self.rates.get(&run.id.to_string());
        let span = meter::sparkline(rates.map_or(&[], Vec::as_slice), spark, view);
        let rest = usize::from(line.right().saturating_sub(x));
        if rest > 0 {
            buffer.set_stringn(x, line.y, span.content.as_ref(), rest, span.style);
        }
    }
}
