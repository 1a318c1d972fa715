//! Which records a filter shows: those with all its words in some cell; `!word` those without.

use super::{Column, View};

/// Words that were written after `/`.
#[derive(Clone, Debug, Default)]
pub(crate) struct Filter {
    text: String,
    with: Vec<String>,
    without: Vec<String>,
}

impl Filter {
    pub(crate) fn new(text: &str) -> Self {
        let words = || text.split_whitespace().map(str::to_lowercase);
        let without = words().filter_map(|word| word.strip_prefix('!').map(ToOwned::to_owned));
        Self {
            text: text.trim().to_owned(),
            with: words().filter(|word| !word.starts_with('!')).collect(),
            without: without.filter(|word| !word.is_empty()).collect(),
        }
    }

    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.with.is_empty() && self.without.is_empty()
    }

    /// Whether a text is shown.
    pub(crate) fn matches(&self, text: &str) -> bool {
        let text = text.to_lowercase();
        self.with.iter().all(|word| text.contains(word))
            && !self.without.iter().any(|word| text.contains(word))
    }

    pub(super) fn takes<T>(&self, columns: &[Column<T>], item: &T, view: &View<'_>) -> bool {
        let cells: Vec<String> = columns
            .iter()
            .map(|column| (column.cell)(item, view).plain())
            .collect();
        self.matches(&cells.join("\n"))
    }
}
