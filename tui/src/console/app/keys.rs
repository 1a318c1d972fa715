//! From keys to actions: text first, then the layer, the screen, and what holds everywhere.

use crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

use super::{App, Effect};
use crate::console::action::{Action, Context, Tier};
use crate::console::key::Key;
use crate::console::keymap::{self, Found};
use crate::console::layers::{Contents, Palette, help, messages};
use crate::console::message::Link;
use crate::console::screen::{Level, Screen, allowed};
use crate::console::screens;
use crate::console::theme::Theme;
use crate::console::widgets::field::Field;

impl App {
    /// The contexts that hold now, the nearest first.
    pub(crate) fn contexts(&self) -> Vec<Context> {
        let mut contexts = self.top().contexts().to_vec();
        contexts.push(Context::Global);
        contexts
    }

    pub(super) fn key(&mut self, key: KeyEvent, effects: &mut Vec<Effect>) {
        if key.kind == KeyEventKind::Release {
            return;
        }
        let own = Key::from(key);
        // These two no screen and no keymap can take.
        if keymap::always(own) {
            match own.code {
                KeyCode::Char('c') => return effects.push(Effect::Quit),
                _ => return effects.push(Effect::Suspend),
            }
        }
        if self.filter.is_some() {
            return self.filter_key(key, effects);
        }
        if self.on_top(effects, |screen, cx| screen.key(key, cx)) {
            self.pending.clear();
            return;
        }
        let text = self.top().takes_text() && matches!(own.code, KeyCode::Char(_));
        if text && own.modifiers == KeyModifiers::NONE {
            return;
        }
        self.pending.push(own);
        match self.settings.keymap.find(&self.contexts(), &self.pending) {
            Found::Action(action) => {
                self.pending.clear();
                self.act(action, effects);
            }
            Found::Prefix => {}
            Found::Nothing => self.pending.clear(),
        }
    }

    /// Why an action cannot be done now.
    pub(crate) fn hindrance(&self, action: Action) -> Option<String> {
        let row = action.row();
        if !allowed(row.tier, self.settings.read_only) {
            return Some("this console only reads; start it without --read-only".to_owned());
        }
        if row.tier > Tier::Look && !matches!(self.link, Link::Live { .. }) {
            return Some("no engine answers now".to_owned());
        }
        self.top().hindrance(action, &self.view())
    }

    /// Does an action, or says why not. The one way: keys, palette and mouse come here.
    pub(crate) fn act(&mut self, action: Action, effects: &mut Vec<Effect>) {
        if let Some(why) = self.hindrance(action) {
            let text = format!("Cannot {}: {why}", action.row().name.replace('-', " "));
            self.toasts.add(Level::Warning, text, self.now);
            return;
        }
        let own = action
            .row()
            .contexts
            .iter()
            .any(|context| *context != Context::Global);
        if own {
            self.on_top(effects, |screen, cx| screen.act(action, cx));
            return;
        }
        self.act_everywhere(action, effects);
    }

    fn act_everywhere(&mut self, action: Action, effects: &mut Vec<Effect>) {
        match action {
            Action::Quit => effects.push(Effect::Quit),
            Action::Suspend => effects.push(Effect::Suspend),
            Action::Redraw => effects.push(Effect::Redraw),
            Action::Back => self.escape(effects),
            Action::HistoryBack if self.layers.is_empty() => {
                self.trail.back();
            }
            Action::HistoryForward if self.layers.is_empty() => {
                self.trail.forward();
            }
            Action::Refresh => {
                self.store.all_stale();
                effects.push(Effect::Reconnect);
            }
            Action::Freeze => {
                self.frozen = !self.frozen;
                if !self.frozen {
                    self.store.all_stale();
                }
            }
            Action::MoreHints => self.more_hints = !self.more_hints,
            Action::Mouse => {
                self.settings.mouse = !self.settings.mouse;
                effects.push(Effect::Mouse(self.settings.mouse));
                let text = if self.settings.mouse {
                    "The console takes the mouse; hold Shift to select text"
                } else {
                    "The mouse is the terminal's"
                };
                self.toasts.add(Level::Info, text.to_owned(), self.now);
            }
            Action::Theme => {
                self.settings.theme = Theme::next(self.settings.theme);
                let text = format!("Theme: {}", self.settings.theme.name());
                self.toasts.add(Level::Info, text, self.now);
            }
            Action::Filter => self.filter_begins(effects),
            Action::Help => self.show(help(self)),
            Action::Keys => self.show(Contents::keys(&self.settings.keymap)),
            Action::Palette => self.show(Palette::new(self)),
            Action::Messages => self.show(messages(&self.toasts)),
            Action::CopyId | Action::CopyCommand => self.copy(action, effects),
            Action::GoContexts => {
                let screen = screens::contexts(&self.settings);
                self.leave_for(screen, effects);
            }
            Action::LastRun => self.go_to_last_run(),
            other => self.go_or_pass(other, effects),
        }
    }

    fn go_to_last_run(&mut self) {
        if let Some(run) = &self.last_run {
            let screen = screens::RunScreen::new(run.clone());
            self.layers.clear();
            self.trail.open(Box::new(screen), false);
        } else {
            let text = "No run was started from this console yet".to_owned();
            self.toasts.add(Level::Info, text, self.now);
        }
    }

    fn go_or_pass(&mut self, action: Action, effects: &mut Vec<Effect>) {
        match screens::root(action) {
            Some(screen) => self.leave_for(screen, effects),
            None => {
                self.on_top(effects, |screen, cx| screen.act(action, cx));
            }
        }
    }

    /// Goes to a screen, unless what was typed over this one would be lost.
    fn leave_for(&mut self, screen: Box<dyn Screen>, effects: &mut Vec<Effect>) {
        let here = std::iter::once(self.trail.now()).chain(&self.layers);
        if here.into_iter().any(|held| held.screen.unsaved()) {
            let text =
                "What was typed is not saved; save it, or give it up with Esc, before you go";
            self.toasts.add(Level::Warning, text.to_owned(), self.now);
            return;
        }
        self.layers.clear();
        self.trail.open(screen, true);
        self.opened(effects);
    }

    fn show(&mut self, layer: impl Screen + 'static) {
        let (id, opener) = (self.trail.number(), self.trail.now().id);
        self.layers
            .push(super::Held::layer(id, opener, Box::new(layer)));
    }

    /// Esc: the layer's own, the layer, the screen's own (filter, marks), messages that stay, one level up.
    fn escape(&mut self, effects: &mut Vec<Effect>) {
        if self.on_top(effects, |screen, cx| screen.escape(cx)) {
            return;
        }
        if self.layers.pop().is_none() && !self.toasts.dismiss() {
            self.trail.up();
        }
    }

    fn copy(&mut self, action: Action, effects: &mut Vec<Effect>) {
        let Some(subject) = self.top().subject(&self.view()) else {
            let text = "There is nothing to copy here".to_owned();
            self.toasts.add(Level::Warning, text, self.now);
            return;
        };
        let text = if action == Action::CopyId {
            subject.id
        } else {
            self.command(&subject.command)
        };
        self.toasts
            .add(Level::Info, format!("Copied: {text}"), self.now);
        effects.push(Effect::Copy(text));
    }

    /// A command line with the flags it needs to reach this engine.
    pub(crate) fn command(&self, command: &str) -> String {
        match command.strip_prefix("backstay ") {
            Some(rest) if !self.settings.flags.is_empty() => {
                format!("backstay {} {rest}", self.settings.flags)
            }
            _ => command.to_owned(),
        }
    }

    fn filter_begins(&mut self, effects: &mut Vec<Effect>) {
        let text = self.top().filter().unwrap_or_default();
        if self.on_top(effects, |screen, cx| screen.set_filter(&text, cx)) {
            self.filter = Some(Field::new(&text));
        } else {
            let text = "There is nothing to filter here".to_owned();
            self.toasts.add(Level::Info, text, self.now);
        }
    }

    pub(super) fn filter_changed(&mut self, effects: &mut Vec<Effect>) {
        let text = self.filter.as_ref().map(|field| field.text().to_owned());
        self.on_top(effects, |screen, cx| {
            screen.set_filter(&text.unwrap_or_default(), cx)
        });
    }

    fn filter_key(&mut self, key: KeyEvent, effects: &mut Vec<Effect>) {
        match key.code {
            KeyCode::Enter => self.filter = None,
            KeyCode::Esc => {
                self.filter = None;
                self.on_top(effects, |screen, cx| screen.set_filter("", cx));
            }
            // The list can be walked while its filter is written.
            KeyCode::Up | KeyCode::Down => {
                let down = key.code == KeyCode::Down;
                let action = if down { Action::Down } else { Action::Up };
                self.on_top(effects, |screen, cx| screen.act(action, cx));
            }
            _ => {
                let field = self.filter.as_mut();
                if field.is_some_and(|field| field.key(key)) {
                    self.filter_changed(effects);
                }
            }
        }
    }
}
