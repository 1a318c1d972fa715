//! Lets screens act, and does what they ask for.

use backstay_engine::{Code, Error};

use super::{App, Effect, Held, View};
use crate::console::message::Link;
use crate::console::screen::{Ask, Call, Cx, Level, Screen};

/// What screens see, from the parts of the console beside them.
macro_rules! view {
    ($app:ident) => {
        View {
            store: &$app.store,
            now: $app.now,
            theme: $app.settings.theme,
            glyphs: $app.settings.glyphs,
            keymap: &$app.settings.keymap,
        }
    };
}

impl App {
    /// Lets the topmost layer, or the screen, do something.
    pub(crate) fn on_top<R>(
        &mut self,
        effects: &mut Vec<Effect>,
        act: impl FnOnce(&mut dyn Screen, &mut Cx<'_>) -> R,
    ) -> R {
        let mut cx = Cx {
            view: view!(self),
            asks: Vec::new(),
        };
        let held = match self.layers.last_mut() {
            Some(layer) => layer,
            None => self.trail.now_mut(),
        };
        let id = held.id;
        let answer = act(held.screen.as_mut(), &mut cx);
        let asks = cx.asks;
        self.grant(id, asks, effects);
        answer
    }

    /// Lets the screen or layer with that number do something, if it is still there.
    pub(super) fn with(
        &mut self,
        id: u64,
        effects: &mut Vec<Effect>,
        act: impl FnOnce(&mut dyn Screen, &mut Cx<'_>),
    ) {
        let mut cx = Cx {
            view: view!(self),
            asks: Vec::new(),
        };
        let layer = self.layers.iter_mut().find(|layer| layer.id == id);
        let Some(held) = layer.or_else(|| self.trail.with(id)) else {
            return;
        };
        act(held.screen.as_mut(), &mut cx);
        let asks = cx.asks;
        self.grant(id, asks, effects);
    }

    /// Lets everything that is seen do something.
    pub(super) fn everywhere(
        &mut self,
        effects: &mut Vec<Effect>,
        act: impl Fn(&mut dyn Screen, &mut Cx<'_>),
    ) {
        let mut seen = vec![self.trail.now().id];
        seen.extend(self.layers.iter().map(|layer| layer.id));
        for id in seen {
            self.with(id, effects, &act);
        }
    }

    /// A screen that was opened takes in what is there already.
    pub(super) fn opened(&mut self, effects: &mut Vec<Effect>) {
        let id = self.trail.now().id;
        self.with(id, effects, |screen, cx| {
            screen.opened(cx);
            screen.refreshed(cx);
        });
    }

    /// `id` is who asks. What a layer asks for after it closed itself is its opener's.
    fn grant(&mut self, mut id: u64, asks: Vec<Ask>, effects: &mut Vec<Effect>) {
        for ask in asks {
            match ask {
                Ask::Open(screen) => {
                    self.layers.clear();
                    self.trail.open(screen, false);
                    self.opened(effects);
                }
                Ask::Layer(screen) => {
                    let own = self.trail.number();
                    self.layers.push(Held::layer(own, id, screen));
                    self.with(own, effects, |screen, cx| screen.opened(cx));
                }
                Ask::Close => match self.layers.iter().position(|layer| layer.id == id) {
                    Some(at) => id = self.layers.remove(at).opener,
                    None if self.trail.now().id == id => {
                        self.trail.up();
                    }
                    None => {}
                },
                Ask::Call(call) => self.calls(id, call, effects),
                Ask::Edited { tag, text } => {
                    self.with(id, effects, |screen, cx| screen.edited(tag, Some(text), cx));
                }
                Ask::Toast(level, text) => self.toasts.add(level, text, self.now),
                Ask::Act(action) => self.act(action, effects),
                Ask::EditText { name, text, tag } => effects.push(Effect::Edit {
                    screen: id,
                    tag,
                    name,
                    text,
                }),
                Ask::Switch(context) => self.switch(context, effects),
            }
        }
    }

    /// Sends a call off; who asked hears at once when nobody is there to take it.
    fn calls(&mut self, id: u64, call: Call, effects: &mut Vec<Effect>) {
        if matches!(self.link, Link::Live { .. }) {
            return effects.push(Effect::Call(id, call));
        }
        if !call.says.is_empty() {
            let text = format!(
                "{}: not done, no engine answers now; try again when it does",
                call.says
            );
            self.toasts.add(Level::Bad, text, self.now);
        }
        let gone = Err(Error::new(
            Code::EngineUnreachable,
            "No engine answers now; nothing was done",
        ));
        self.with(id, effects, |screen, cx| {
            screen.answered(call.tag, &gone, cx);
        });
    }

    fn switch(&mut self, context: String, effects: &mut Vec<Effect>) {
        self.store.clear();
        self.last_run = None;
        self.layers.clear();
        self.link = Link::Connecting;
        if let Some(named) = self
            .settings
            .contexts
            .iter()
            .find(|own| own.name == context)
        {
            self.settings.flags.clone_from(&named.flags);
            self.settings.read_only = named.read_only;
        }
        self.settings.engine.clone_from(&context);
        self.trail.begin(crate::console::screens::first());
        effects.push(Effect::Switch(context));
    }
}
