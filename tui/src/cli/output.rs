//! What a command prints: results on standard output, everything else on standard error.

mod style;
mod table;
pub(crate) mod text;

use std::io::{IsTerminal as _, Write as _};

use backstay_engine::Error;
use backstay_engine::model::Page;
use serde::Serialize;
use serde_json::json;

pub(crate) use style::{Paint, Tone};
pub(crate) use table::{Align, Table};
pub(crate) use text::{bytes, clean, count, duration_ms, none, time};

use super::args::{ColorChoice, Global};
use super::failure::{Done, Failure};

/// How this command speaks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Output {
    /// JSON instead of text.
    pub(crate) json: bool,
    /// Results and errors only.
    pub(crate) quiet: bool,
    /// Colours of standard output.
    pub(crate) paint: Paint,
    /// Colours of standard error.
    pub(crate) paint_notes: Paint,
    /// Whether a person watches standard error.
    pub(crate) watched: bool,
}

impl Output {
    /// As the flags and the terminal say.
    pub(crate) fn new(global: &Global) -> Self {
        let paint = |terminal: bool| {
            Paint::new(match global.color {
                ColorChoice::Always => true,
                ColorChoice::Never => false,
                ColorChoice::Auto => terminal && style::environment_allows(),
            })
        };
        let watched = std::io::stderr().is_terminal();
        Self {
            json: global.json,
            quiet: global.quiet,
            paint: paint(std::io::stdout().is_terminal()),
            paint_notes: paint(watched),
            watched: watched && std::env::var_os("TERM").is_none_or(|term| term != "dumb"),
        }
    }

    /// Whether a person reads standard output.
    pub(crate) fn is_for_a_person() -> bool {
        let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        std::io::stdin().is_terminal() && std::io::stdout().is_terminal() && !dumb
    }

    /// Whether results go to a terminal.
    pub(crate) fn prints_to_terminal() -> bool {
        std::io::stdout().is_terminal()
    }

    /// Writes bytes to standard output.
    #[expect(
        clippy::unused_self,
        reason = "what prints belongs to the one who speaks"
    )]
    pub(crate) fn raw(self, bytes: &[u8]) -> Done {
        let mut out = std::io::stdout().lock();
        out.write_all(bytes)
            .and_then(|()| out.flush())
            .map_err(Failure::writing)
    }

    /// Prints text and ends the line.
    pub(crate) fn text(self, text: &str) -> Done {
        self.raw(format!("{}\n", text.trim_end_matches('\n')).as_bytes())
    }

    /// Prints one JSON document: indented for a reader, on one line where documents follow each other.
    pub(crate) fn document<T: Serialize>(self, value: &T) -> Done {
        let text = serde_json::to_string_pretty(value)
            .map_err(|error| Error::internal("The answer is not JSON").because(error))?;
        self.text(&text)
    }

    /// Prints one JSON document on one line.
    pub(crate) fn json_line<T: Serialize>(self, value: &T) -> Done {
        let text = serde_json::to_string(value)
            .map_err(|error| Error::internal("The answer is not JSON").because(error))?;
        self.text(&text)
    }

    /// Prints a record: JSON, or what `view` makes of it.
    pub(crate) fn record<T: Serialize>(
        self,
        value: &T,
        view: impl FnOnce(Paint, &T) -> String,
    ) -> Done {
        if self.json {
            self.document(value)
        } else {
            self.text(&view(self.paint, value))
        }
    }

    /// Prints a list: JSON, or a table, or a sentence when there is nothing.
    pub(crate) fn list<T: Serialize>(
        self,
        page: &Page<T>,
        empty: &str,
        table: impl FnOnce(Paint, &[T]) -> Table,
    ) -> Done {
        if self.json {
            return self.document(page);
        }
        if page.items.is_empty() {
            self.note(empty);
            return Ok(());
        }
        self.text(&table(self.paint, &page.items).render(self.paint))?;
        if page.next_cursor.is_some() {
            self.note("There are more; --limit N shows them.");
        }
        Ok(())
    }

    /// Says something to a person; never part of the result, and nothing to a program.
    pub(crate) fn note(self, text: &str) {
        if !self.quiet && !self.json {
            self.say(text);
        }
    }

    #[expect(
        clippy::unused_self,
        reason = "what prints belongs to the one who speaks"
    )]
    fn say(self, text: &str) {
        let _ = writeln!(std::io::stderr().lock(), "{text}");
    }

    /// Warns a person; a program gets it as a line of JSON.
    pub(crate) fn warn(self, text: &str) {
        if self.json {
            return self.say(&json!({"warning": text}).to_string());
        }
        self.say(&format!(
            "{} {text}",
            self.paint_notes.tone(Tone::Warning, "warning:")
        ));
    }

    /// Prints an error: one sentence with its causes, the fields at fault, and the way out.
    /// A program gets a [`problem`].
    pub(crate) fn error(self, error: &Error) {
        if self.json {
            return problem(error);
        }
        self.say(&format!(
            "{} {}",
            self.paint_notes.tone(Tone::Bad, "error:"),
            clean(&error.report())
        ));
        for field in error.fields() {
            if !error.report().contains(&field.message) {
                self.say(&format!(
                    "  {}: {}",
                    clean(&field.field),
                    clean(&field.message)
                ));
            }
        }
        if let Some(hint) = error.hint_text() {
            self.say(&format!(
                "{} {}",
                self.paint_notes.tone(Tone::Accent, "hint:"),
                clean(hint)
            ));
        }
    }
}

/// Prints an error for a program: one line of JSON on standard error.
pub(crate) fn problem(error: &Error) {
    let problem = json!({
        "code": error.code().name(),
        "message": error.report(),
        "hint": error.hint_text(),
        "fields": error.fields(),
        "exit_code": error.code().exit(),
    });
    let _ = writeln!(std::io::stderr().lock(), "{problem}");
}

#[cfg(test)]
mod tests;
