//! Tables aligned by what characters measure on a terminal.

use std::borrow::Cow;

use unicode_width::UnicodeWidthStr as _;

use super::style::{Paint, Tone};
use super::text::clean;

/// On which side a column's cells end evenly.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Align {
    /// Texts.
    Left,
    /// Numbers.
    Right,
}

#[derive(Debug)]
struct Cell {
    text: String,
    tone: Option<Tone>,
}

/// Rows under a heading.
#[derive(Debug)]
pub(crate) struct Table {
    columns: Vec<(Cow<'static, str>, Align)>,
    rows: Vec<Vec<Cell>>,
}

impl Table {
    /// A table with these columns.
    pub(crate) fn new(columns: &[(&'static str, Align)]) -> Self {
        let columns = columns.iter();
        let columns = columns.map(|(name, align)| (Cow::Borrowed(*name), *align));
        Self {
            columns: columns.collect(),
            rows: Vec::new(),
        }
    }

    /// A table with columns that others have named.
    pub(crate) fn named<'a>(columns: impl Iterator<Item = (&'a str, Align)>) -> Self {
        let columns = columns.map(|(name, align)| (Cow::Owned(clean(name).into_owned()), align));
        Self {
            columns: columns.collect(),
            rows: Vec::new(),
        }
    }

    /// A table of names and values, without heading.
    pub(crate) fn facts() -> Self {
        Self::new(&[("", Align::Left), ("", Align::Left)])
    }

    /// Adds a row.
    pub(crate) fn row<const N: usize>(&mut self, cells: [String; N]) -> &mut Self {
        self.cells(cells.into_iter().collect())
    }

    /// Adds a row with as many cells as there are columns.
    pub(crate) fn cells(&mut self, cells: Vec<String>) -> &mut Self {
        debug_assert_eq!(cells.len(), self.columns.len());
        self.rows.push(
            cells
                .into_iter()
                .map(|text| Cell {
                    text: clean(&text).into_owned(),
                    tone: None,
                })
                .collect(),
        );
        self
    }

    /// Colours a cell of the row added last.
    pub(crate) fn tone(&mut self, column: usize, tone: Tone) -> &mut Self {
        if let Some(cell) = self.rows.last_mut().and_then(|row| row.get_mut(column)) {
            cell.tone = Some(tone);
        }
        self
    }

    /// Adds a name and its value.
    pub(crate) fn fact(&mut self, name: &str, value: impl Into<String>) -> &mut Self {
        self.row([name.to_owned(), value.into()])
            .tone(0, Tone::Faint)
    }

    /// Adds a name and its value, if there is one.
    pub(crate) fn maybe(&mut self, name: &str, value: Option<String>) -> &mut Self {
        if let Some(value) = value {
            self.fact(name, value);
        }
        self
    }

    /// The lines, without a final newline.
    pub(crate) fn render(&self, paint: Paint) -> String {
        let widths: Vec<usize> = (0..self.columns.len())
            .map(|column| {
                self.rows
                    .iter()
                    .map(|row| row[column].text.width())
                    .chain([self.columns[column].0.width()])
                    .max()
                    .unwrap_or(0)
            })
            .collect();
        let mut lines = Vec::with_capacity(self.rows.len() + 1);
        if self.columns.iter().any(|(name, _)| !name.is_empty()) {
            let heading = self
                .columns
                .iter()
                .map(|(name, _)| (&**name, Some(Tone::Strong)));
            lines.push(self.line(&widths, paint, heading));
        }
        for row in &self.rows {
            let cells = row.iter().map(|cell| (cell.text.as_str(), cell.tone));
            lines.push(self.line(&widths, paint, cells));
        }
        lines.join("\n")
    }

    fn line<'a>(
        &self,
        widths: &[usize],
        paint: Paint,
        cells: impl Iterator<Item = (&'a str, Option<Tone>)>,
    ) -> String {
        let mut line = String::new();
        let last = widths.len().saturating_sub(1);
        for (column, (text, tone)) in cells.enumerate() {
            let space = " ".repeat(widths[column].saturating_sub(text.width()));
            let painted = match tone {
                Some(tone) => paint.tone(tone, text),
                None => text.into(),
            };
            if column > 0 {
                line.push_str("  ");
            }
            match self.columns[column].1 {
                Align::Right => line.extend([space.as_str(), &painted]),
                Align::Left if column == last => line.push_str(&painted),
                Align::Left => line.extend([&painted, space.as_str()]),
            }
        }
        line.truncate(line.trim_end().len());
        line
    }
}
