//! Colours, used sparingly: they never carry what the words do not.

use std::borrow::Cow;

/// Whether to colour.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Paint(bool);

/// What a colour stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tone {
    /// All is well.
    Good,
    /// Somebody should look.
    Warning,
    /// It failed.
    Bad,
    /// What matters in its line.
    Accent,
    /// What does not.
    Faint,
    /// A heading.
    Strong,
}

impl Paint {
    /// Colours, or not.
    pub(crate) fn new(on: bool) -> Self {
        Self(on)
    }

    /// The text in that tone.
    pub(crate) fn tone(self, tone: Tone, text: &str) -> Cow<'_, str> {
        if !self.0 || text.is_empty() {
            return Cow::Owned(text.to_owned());
        }
        let code = match tone {
            Tone::Good => "32",
            Tone::Warning => "33",
            Tone::Bad => "31",
            Tone::Accent => "36",
            Tone::Faint => "2",
            Tone::Strong => "1",
        };
        Cow::Owned(format!("\x1b[{code}m{text}\x1b[0m"))
    }

    /// A heading.
    pub(crate) fn strong(self, text: &str) -> String {
        self.tone(Tone::Strong, text).into_owned()
    }

    /// The status of a run or backup in its colour.
    pub(crate) fn status(self, status: backstay_engine::model::RunStatus) -> String {
        self.tone(Tone::of(status), status.as_str()).into_owned()
    }
}

impl Tone {
    /// The tone of a status.
    pub(crate) fn of(status: backstay_engine::model::RunStatus) -> Self {
        use backstay_engine::model::RunStatus as S;
        match status {
            S::Success => Self::Good,
            S::Partial | S::Cancelled | S::Interrupted => Self::Warning,
            S::Failed => Self::Bad,
            S::Pending | S::Running => Self::Accent,
        }
    }
}

/// <https://no-color.org>, and terminals that cannot.
pub(super) fn environment_allows() -> bool {
    std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
        && std::env::var_os("TERM").is_none_or(|term| term != "dumb")
}
