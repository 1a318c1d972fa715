//! Other engines, by the names the console's file gives them.

use ratatui::Frame;
use ratatui::layout::Rect;

use crate::console::action::{Action, Context};
use crate::console::app::Settings;
use crate::console::screen::{Ask, Cx, Screen, View};
use crate::console::text::clean;
use crate::console::theme::Role;
use crate::console::widgets::list::Cursor;

/// Names to choose from.
#[derive(Debug)]
pub(crate) struct Contexts {
    names: Vec<String>,
    now: String,
    cursor: Cursor,
}

impl Contexts {
    pub(crate) fn new(settings: &Settings) -> Self {
        Self {
            names: settings
                .contexts
                .iter()
                .map(|own| own.name.clone())
                .collect(),
            now: settings.engine.clone(),
            cursor: Cursor::default(),
        }
    }
}

impl Screen for Contexts {
    fn crumbs(&self) -> Vec<String> {
        vec!["Engines".to_owned()]
    }

    fn contexts(&self) -> &'static [Context] {
        &[Context::List]
    }

    fn hindrance(&self, action: Action, _view: &View<'_>) -> Option<String> {
        (action == Action::Open && self.names.is_empty()).then(|| {
            "the console's file names no other engine; write [contexts.NAME] into it".to_owned()
        })
    }

    fn act(&mut self, action: Action, cx: &mut Cx<'_>) -> bool {
        self.cursor.arranged(self.names.len(), None);
        if action != Action::Open {
            return self.cursor.act(action);
        }
        if let Some(name) = self.names.get(self.cursor.at()) {
            cx.ask(Ask::Switch(name.clone()));
        }
        true
    }

    fn draw(&self, frame: &mut Frame<'_>, area: Rect, view: &View<'_>) {
        self.cursor.arranged(self.names.len(), None);
        self.cursor.drawn(usize::from(area.height));
        let room = usize::from(area.width.saturating_sub(2));
        if self.names.is_empty() {
            let text = "No other engine has a name. Write [contexts.NAME] with host or socket into console.toml";
            frame
                .buffer_mut()
                .set_stringn(area.x + 2, area.y, text, room, view.style(Role::Faint));
        }
        let seen = self.names.iter().enumerate().skip(self.cursor.offset());
        for (row, (n, name)) in seen.take(usize::from(area.height)).enumerate() {
            let mut style = view.style(Role::Text);
            if n == self.cursor.at() {
                style = style.patch(view.style(Role::Selected));
            }
            let sign = if *name == self.now {
                view.glyphs.running
            } else {
                " "
            };
            let text = format!("{sign} {}", clean(name));
            frame
                .buffer_mut()
                .set_stringn(area.x + 2, area.y + row as u16, text, room, style);
        }
    }
}
