//! What can be done here, with keys; what cannot, with the reason. Letters filter.

use super::Contents;
use crate::console::action::ACTIONS;
use crate::console::app::App;
use crate::console::theme::Role;

/// The help of what is seen.
pub(crate) fn help(app: &App) -> Contents {
    let contexts = app.contexts();
    let mut lines = Vec::new();
    for context in &contexts {
        lines.push((context.name().to_uppercase(), Role::Title));
        for row in ACTIONS.iter().filter(|row| row.contexts.contains(context)) {
            let keys = app.settings.keymap.keys(&contexts, row.action);
            if keys.is_empty() {
                continue;
            }
            let keys: Vec<String> = keys.iter().map(ToString::to_string).collect();
            let line = format!("  {:<16} {}", keys.join(", "), row.help);
            lines.push(match app.hindrance(row.action) {
                None => (line, Role::Text),
                Some(why) => (format!("{line} -- not now: {why}"), Role::Faint),
            });
        }
    }
    Contents::new("Help", lines)
}
