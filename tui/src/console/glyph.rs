//! Signs that stand for states, as the terminal can show them.

use backstay_engine::model::RunStatus;
use ratatui::symbols::border;

use super::theme::Role;

/// Signs of one kind of terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Glyphs {
    pub(crate) ok: &'static str,
    pub(crate) bad: &'static str,
    pub(crate) warning: &'static str,
    pub(crate) running: &'static str,
    pub(crate) waiting: &'static str,
    pub(crate) none: &'static str,
    pub(crate) cursor: &'static str,
    pub(crate) mark: &'static str,
    pub(crate) separator: &'static str,
    pub(crate) ellipsis: &'static str,
    pub(crate) down: &'static str,
    pub(crate) up: &'static str,
    pub(crate) left: &'static str,
    pub(crate) right: &'static str,
    pub(crate) add: &'static str,
    pub(crate) change: &'static str,
    pub(crate) remove: &'static str,
    /// A gauge's full and empty cell.
    pub(crate) full: &'static str,
    pub(crate) empty: &'static str,
    /// Eighths of a cell for sparklines, from the lowest.
    pub(crate) levels: &'static [&'static str],
    /// What turns while something is waited for.
    pub(crate) spinner: &'static [&'static str],
    pub(crate) ascii: bool,
}

pub(crate) const UTF8: Glyphs = Glyphs {
    ok: "✔",
    bad: "✖",
    warning: "▲",
    running: "●",
    waiting: "◌",
    none: "·",
    cursor: "▌",
    mark: "◆",
    separator: " › ",
    ellipsis: "…",
    down: "▼",
    up: "▲",
    left: "‹",
    right: "›",
    add: "+",
    change: "~",
    remove: "−",
    full: "█",
    empty: "░",
    levels: &["▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"],
    spinner: &["⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧"],
    ascii: false,
};

pub(crate) const ASCII: Glyphs = Glyphs {
    ok: "+",
    bad: "x",
    warning: "!",
    running: "*",
    waiting: "o",
    none: ".",
    cursor: ">",
    mark: "*",
    separator: " > ",
    ellipsis: "~",
    down: "v",
    up: "^",
    left: "<",
    right: ">",
    add: "+",
    change: "~",
    remove: "-",
    full: "#",
    empty: "-",
    levels: &["_", ".", "-", "=", "+", "*", "%", "#"],
    spinner: &["|", "/", "-", "\\"],
    ascii: true,
};

impl Glyphs {
    /// Those of a terminal with that locale, by its variables in the order of their weight.
    pub(crate) fn of_locale(variable: impl Fn(&str) -> Option<String>) -> Self {
        let locale = ["LC_ALL", "LC_CTYPE", "LANG"]
            .into_iter()
            .find_map(|name| variable(name).filter(|value| !value.is_empty()));
        let utf8 = locale.is_some_and(|locale| {
            let locale = locale.to_lowercase();
            locale.contains("utf-8") || locale.contains("utf8")
        });
        if utf8 { UTF8 } else { ASCII }
    }

    /// The sign of a status; the word always stands beside it.
    pub(crate) fn status(&self, status: RunStatus) -> (&'static str, Role) {
        match status {
            RunStatus::Pending => (self.waiting, Role::Faint),
            RunStatus::Running => (self.running, Role::Running),
            RunStatus::Success => (self.ok, Role::Good),
            RunStatus::Partial => (self.warning, Role::Warning),
            RunStatus::Failed | RunStatus::Interrupted => (self.bad, Role::Bad),
            RunStatus::Cancelled => (self.none, Role::Faint),
        }
    }

    /// Stands between what was and what is.
    pub(crate) fn arrow(&self) -> &'static str {
        if self.ascii { "->" } else { "→" }
    }

    /// The lines of frames.
    pub(crate) fn border(&self) -> border::Set<'static> {
        if self.ascii {
            border::Set {
                top_left: "+",
                top_right: "+",
                bottom_left: "+",
                bottom_right: "+",
                vertical_left: "|",
                vertical_right: "|",
                horizontal_top: "-",
                horizontal_bottom: "-",
            }
        } else {
            border::ROUNDED
        }
    }
}
