//! Draws a table: which columns fit, the head, the rows that are seen, and what stands where there is none.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::Style;

use super::{Cell, Column, ListPane};
use crate::console::screen::View;
use crate::console::store::Keyed;
use crate::console::text::{Cut, clean, fit, width};
use crate::console::theme::Role;
use crate::console::widgets::meter;

/// Cells between columns.
const GAP: u16 = 2;
/// Cells before the first column: the cursor and a mark.
const MARGIN: u16 = 2;

/// The columns that are shown, each with its place and width.
struct Plan {
    columns: Vec<(usize, u16, u16)>,
    /// Columns left out at the left and at the right.
    hidden: (usize, usize),
}

impl<T: Keyed + 'static> ListPane<T> {
    pub(crate) fn draw(&self, frame: &mut Frame<'_>, area: Rect, view: &View<'_>) {
        self.arrange(view);
        self.area.set(area);
        if area.width < 4 || area.height < 2 {
            return;
        }
        let plan = self.plan(area);
        self.draw_head(frame, area, &plan, view);
        let body = Rect {
            y: area.y + 1,
            height: area.height - 1,
            ..area
        };
        self.cursor.drawn(usize::from(body.height));
        let seen = view.store.list::<T>(&self.want);
        let Some(list) = seen.value else {
            let (text, role) = match seen.error {
                Some(error) => (sentence(error), Role::Bad),
                None => (format!("{} Loading", meter::spinner(view)), Role::Faint),
            };
            frame.buffer_mut().set_stringn(
                body.x + MARGIN,
                body.y,
                fit(
                    &text,
                    usize::from(body.width.saturating_sub(MARGIN)),
                    Cut::End,
                    view.glyphs.ellipsis,
                ),
                usize::from(body.width.saturating_sub(MARGIN)),
                view.style(role),
            );
            return;
        };
        let rows = &self.arranged.borrow().rows;
        if rows.is_empty() {
            let text = if self.filter.is_empty() {
                self.empty
            } else {
                "Nothing matches the filter; Esc clears it"
            };
            let room = usize::from(body.width.saturating_sub(MARGIN));
            frame.buffer_mut().set_stringn(
                body.x + MARGIN,
                body.y,
                text,
                room,
                view.style(Role::Faint),
            );
            return;
        }
        let from = self.cursor.offset();
        for (n, row) in rows
            .iter()
            .skip(from)
            .take(usize::from(body.height))
            .enumerate()
        {
            let item = &list.items[*row as usize];
            let line = Rect {
                y: body.y + n as u16,
                height: 1,
                ..body
            };
            self.draw_row(frame, line, item, from + n == self.cursor.at(), &plan, view);
        }
    }

    /// Draws it as one of several: only the one with the keyboard shows where its cursor is.
    pub(crate) fn draw_pane(
        &self,
        frame: &mut Frame<'_>,
        area: Rect,
        focused: bool,
        view: &View<'_>,
    ) {
        self.dimmed.set(!focused);
        self.draw(frame, area, view);
        self.dimmed.set(false);
    }

    fn plan(&self, area: Rect) -> Plan {
        let room = area.width.saturating_sub(MARGIN);
        let mut chosen: Vec<usize> = (0..self.columns.len()).collect();
        let scrolled = self.scrolled.min(self.columns.len().saturating_sub(1));
        if scrolled > 0 {
            chosen.drain(1..=scrolled);
        }
        let needed = |chosen: &[usize]| -> u16 {
            let widths = chosen.iter().map(|n| self.columns[*n].width.0 + GAP);
            widths.sum::<u16>().saturating_sub(GAP)
        };
        while needed(&chosen) > room && chosen.len() > 1 {
            let worst = if self.wide || scrolled > 0 {
                chosen.len() - 1
            } else {
                let all = chosen.iter().enumerate().skip(1);
                all.max_by_key(|(_, n)| self.columns[**n].priority)
                    .map_or(1, |(at, _)| at)
            };
            chosen.remove(worst);
        }
        let last = chosen.last().copied().unwrap_or(0);
        let hidden = (
            scrolled,
            if self.wide {
                self.columns.len() - 1 - last
            } else {
                0
            },
        );
        let mut spare = room.saturating_sub(needed(&chosen));
        let mut columns = Vec::new();
        let mut x = area.x + MARGIN;
        for n in chosen {
            let (least, most) = self.columns[n].width;
            let extra = (most.saturating_sub(least)).min(spare);
            spare -= extra;
            let own = (least + extra).min((area.x + area.width).saturating_sub(x));
            columns.push((n, x, own));
            x = x.saturating_add(own + GAP);
        }
        Plan { columns, hidden }
    }

    fn draw_head(&self, frame: &mut Frame<'_>, area: Rect, plan: &Plan, view: &View<'_>) {
        let style = view.style(Role::Head);
        for (n, x, own) in &plan.columns {
            let column = &self.columns[*n];
            let mut title = column.title.to_owned();
            if let Some((_, reversed)) = self.sort.filter(|(sorted, _)| sorted == n) {
                title.push_str(if reversed {
                    view.glyphs.down
                } else {
                    view.glyphs.up
                });
            }
            put(
                frame,
                column,
                (*x, area.y, *own),
                &Cell::text(title),
                Some(style),
                view,
            );
        }
        let buffer = frame.buffer_mut();
        if plan.hidden.0 > 0 {
            buffer.set_stringn(area.x, area.y, view.glyphs.left, 1, view.style(Role::Key));
        }
        if plan.hidden.1 > 0 {
            buffer.set_stringn(
                area.right() - 1,
                area.y,
                view.glyphs.right,
                1,
                view.style(Role::Key),
            );
        }
    }

    fn draw_row(
        &self,
        frame: &mut Frame<'_>,
        line: Rect,
        item: &T,
        selected: bool,
        plan: &Plan,
        view: &View<'_>,
    ) {
        let marked = self.marks.contains(&item.key());
        for (n, x, own) in &plan.columns {
            let column = &self.columns[*n];
            let cell = (column.cell)(item, view);
            let style = marked.then(|| view.style(Role::Marked));
            put(frame, column, (*x, line.y, *own), &cell, style, view);
        }
        let buffer = frame.buffer_mut();
        if marked {
            buffer.set_stringn(
                line.x + 1,
                line.y,
                view.glyphs.mark,
                1,
                view.style(Role::Marked),
            );
        }
        if selected && !self.dimmed.get() {
            buffer.set_style(line, view.style(Role::Selected));
            buffer.set_stringn(line.x, line.y, view.glyphs.cursor, 1, Style::new());
        }
    }
}

/// Draws a cell's pieces into its place; `style` wins over their meaning.
fn put<T>(
    frame: &mut Frame<'_>,
    column: &Column<T>,
    (x, y, own): (u16, u16, u16),
    cell: &Cell,
    style: Option<Style>,
    view: &View<'_>,
) {
    let room = usize::from(own);
    let whole: usize = cell.spans.iter().map(|(text, _)| width(&clean(text))).sum();
    let mut x = if column.right {
        x + room.saturating_sub(whole) as u16
    } else {
        x
    };
    let mut left = room;
    for (text, role) in &cell.spans {
        let text = fit(&clean(text), left, column.cut, view.glyphs.ellipsis);
        frame.buffer_mut().set_stringn(
            x,
            y,
            &text,
            left,
            style.unwrap_or_else(|| view.style(*role)),
        );
        let used = width(&text);
        x += used as u16;
        left -= used.min(left);
        if left == 0 {
            break;
        }
    }
}

/// An error in one line.
pub(crate) fn sentence(error: &backstay_engine::Error) -> String {
    match error.hint_text() {
        Some(hint) => format!("{error}. {hint}"),
        None => error.to_string(),
    }
}
