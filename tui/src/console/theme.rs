//! Colours by meaning. No screen names a colour; it names what it means.

use ratatui::style::{Color, Modifier, Style};

/// What a piece of text means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    Text,
    /// Less important than the rest.
    Faint,
    Title,
    /// The head of a table's column.
    Head,
    /// Keys in hints.
    Key,
    Good,
    Running,
    Warning,
    Bad,
    /// The row the cursor is on.
    Selected,
    /// Rows that are marked.
    Marked,
    /// What a filter found.
    Match,
    /// The frame of what has the keyboard, and of what has not.
    Focus,
    Border,
    /// A gauge's full part.
    Bar,
    /// The header of the console.
    Header,
}

/// How things look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Theme {
    /// The terminal's own 16 colours.
    Default,
    HighContrast,
    /// Told apart without red and green: after Okabe and Ito, <https://jfly.uni-koeln.de/color/>.
    ColourBlind,
    /// No colours at all: bold, underlined, reversed.
    Mono,
}

impl Theme {
    pub(crate) const ALL: &'static [(&'static str, Self)] = &[
        ("default", Self::Default),
        ("high-contrast", Self::HighContrast),
        ("colour-blind", Self::ColourBlind),
        ("mono", Self::Mono),
    ];

    /// As it is written in the console's file.
    pub(crate) fn name(self) -> &'static str {
        Self::ALL
            .iter()
            .find(|(_, own)| *own == self)
            .map_or("default", |(name, _)| name)
    }

    /// The one of that name.
    pub(crate) fn named(name: &str) -> Option<Self> {
        let mut all = Self::ALL.iter();
        all.find(|(own, _)| *own == name).map(|(_, theme)| *theme)
    }

    /// The next in the list.
    pub(crate) fn next(self) -> Self {
        let own = Self::ALL.iter().position(|(_, theme)| *theme == self);
        Self::ALL[(own.unwrap_or(0) + 1) % Self::ALL.len()].1
    }

    /// How that is drawn.
    pub(crate) fn style(self, role: Role) -> Style {
        let plain = Style::new();
        let shape = match role {
            Role::Title | Role::Key | Role::Focus | Role::Header => {
                plain.add_modifier(Modifier::BOLD)
            }
            Role::Head | Role::Match => plain.add_modifier(Modifier::UNDERLINED),
            Role::Selected => plain.add_modifier(Modifier::REVERSED),
            Role::Bad => plain.add_modifier(Modifier::BOLD),
            Role::Faint if self != Self::HighContrast => plain.add_modifier(Modifier::DIM),
            _ => plain,
        };
        match self.colour(role) {
            Some(colour) => shape.fg(colour),
            None => match (self, role) {
                (Self::Mono, Role::Warning) => shape.add_modifier(Modifier::UNDERLINED),
                (Self::Mono, Role::Marked) => shape.add_modifier(Modifier::BOLD),
                _ => shape,
            },
        }
    }

    fn colour(self, role: Role) -> Option<Color> {
        let colour = match (self, role) {
            (Self::Default, Role::Good) => Color::Green,
            (Self::Default, Role::Running | Role::Bar | Role::Key | Role::Focus) => Color::Cyan,
            (Self::Default, Role::Warning | Role::Match) => Color::Yellow,
            (Self::Default, Role::Bad) => Color::Red,
            (Self::Default, Role::Marked) => Color::Magenta,
            (Self::HighContrast, Role::Good) => Color::LightGreen,
            (Self::HighContrast, Role::Running | Role::Bar | Role::Key | Role::Focus) => {
                Color::LightCyan
            }
            (Self::HighContrast, Role::Warning | Role::Match) => Color::LightYellow,
            (Self::HighContrast, Role::Bad) => Color::LightRed,
            (Self::HighContrast, Role::Marked) => Color::LightMagenta,
            (Self::HighContrast, Role::Text | Role::Faint | Role::Border) => Color::White,
            (Self::ColourBlind, Role::Good) => Color::Rgb(0, 158, 115),
            (Self::ColourBlind, Role::Running | Role::Bar | Role::Key | Role::Focus) => {
                Color::Rgb(86, 180, 233)
            }
            (Self::ColourBlind, Role::Warning | Role::Match) => Color::Rgb(240, 228, 66),
            (Self::ColourBlind, Role::Bad) => Color::Rgb(213, 94, 0),
            (Self::ColourBlind, Role::Marked) => Color::Rgb(204, 121, 167),
            _ => return None,
        };
        Some(colour)
    }
}
