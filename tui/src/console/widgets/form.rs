//! Forms: fields with labels, checked by the engine before anything is saved.
//!
//! A form is a layer. What is typed stays in it until it was saved or given up: errors come back to their fields.

use backstay_engine::{Error, Result};
use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use ratatui::Frame;
use ratatui::layout::Rect;
use serde_json::Value;

use crate::console::action::{Action, Context};
use crate::console::layers::{Contents, framed};
use crate::console::screen::{Ask, Call, Cx, Level, Screen, View};
use crate::console::text::{Cut, clean, fit, width};
use crate::console::theme::Role;
use crate::console::widgets::field::Field;

/// What a field takes.
#[derive(Clone, Debug)]
pub(crate) enum Input {
    Line(Box<Field>),
    /// One of several; left and right go through them.
    Choice {
        options: Vec<String>,
        at: usize,
    },
    Switch(bool),
}

/// One field of a form.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    /// The name in the request, by which errors find it: `url`, `ssh.host`.
    pub(crate) name: &'static str,
    pub(crate) label: &'static str,
    /// One line that says what it is for.
    pub(crate) help: &'static str,
    pub(crate) input: Input,
    error: Option<String>,
    /// What `ctrl-n` puts there, one after the other.
    suggestions: Vec<String>,
    /// Whether it takes several, with commas between.
    several: bool,
}

impl Entry {
    fn new(name: &'static str, label: &'static str, help: &'static str, input: Input) -> Self {
        Self {
            name,
            label,
            help,
            input,
            error: None,
            suggestions: Vec::new(),
            several: false,
        }
    }

    /// With words that `ctrl-n` puts there.
    pub(crate) fn suggesting(mut self, words: Vec<String>) -> Self {
        self.suggestions = words;
        self
    }

    /// With words of which it takes several, commas between them.
    pub(crate) fn several(mut self, words: Vec<String>) -> Self {
        self.several = true;
        self.suggesting(words)
    }

    /// Puts the next suggestion there; that of the last word where it takes several.
    fn suggest(&mut self) -> bool {
        let Input::Line(field) = &mut self.input else {
            return false;
        };
        let text = field.text().to_owned();
        let (kept, last) = match text.rsplit_once(',') {
            Some((kept, last)) if self.several => (format!("{kept}, "), last.trim()),
            _ => (String::new(), text.trim()),
        };
        let at = self.suggestions.iter().position(|word| word == last);
        let next = if let Some(at) = at {
            self.suggestions.get((at + 1) % self.suggestions.len())
        } else {
            let mut all = self.suggestions.iter();
            all.find(|word| word.starts_with(last))
                .or_else(|| self.suggestions.first())
        };
        if let Some(next) = next {
            field.set(&format!("{kept}{next}"));
        }
        next.is_some()
    }

    /// What is said of it while it has the keyboard.
    fn help(&self) -> String {
        if self.suggestions.is_empty() {
            return self.help.to_owned();
        }
        format!("{} (ctrl-n: {})", self.help, self.suggestions.join(", "))
    }

    /// A line of text that holds `text` at first.
    pub(crate) fn line(
        name: &'static str,
        label: &'static str,
        help: &'static str,
        text: &str,
    ) -> Self {
        Self::new(name, label, help, Input::Line(Box::new(Field::new(text))))
    }

    /// A line that is not shown.
    pub(crate) fn secret(name: &'static str, label: &'static str, help: &'static str) -> Self {
        Self::new(name, label, help, Input::Line(Box::new(Field::secret())))
    }

    pub(crate) fn switch(
        name: &'static str,
        label: &'static str,
        help: &'static str,
        on: bool,
    ) -> Self {
        Self::new(name, label, help, Input::Switch(on))
    }

    /// One of `options`; `chosen` at first.
    pub(crate) fn choice(
        name: &'static str,
        label: &'static str,
        help: &'static str,
        options: Vec<String>,
        chosen: &str,
    ) -> Self {
        let at = options
            .iter()
            .position(|option| option == chosen)
            .unwrap_or(0);
        Self::new(name, label, help, Input::Choice { options, at })
    }
}

/// What was filled in.
#[derive(Debug)]
pub(crate) struct Filled<'a>(&'a [Entry]);

impl Filled<'_> {
    fn input(&self, name: &str) -> Option<&Input> {
        self.0
            .iter()
            .find(|entry| entry.name == name)
            .map(|entry| &entry.input)
    }

    /// The text of a line or a choice; empty where it was left out.
    pub(crate) fn text(&self, name: &str) -> String {
        match self.input(name) {
            Some(Input::Line(field)) => field.text().trim().to_owned(),
            Some(Input::Choice { options, at }) => options.get(*at).cloned().unwrap_or_default(),
            _ => String::new(),
        }
    }

    /// The text, or null where it was left out.
    pub(crate) fn maybe(&self, name: &str) -> Value {
        match self.text(name) {
            text if text.is_empty() => Value::Null,
            text => Value::String(text),
        }
    }

    /// The words between commas.
    pub(crate) fn words(&self, name: &str) -> Vec<String> {
        let text = self.text(name);
        let words = text.split(',').map(str::trim);
        words
            .filter(|word| !word.is_empty())
            .map(ToOwned::to_owned)
            .collect()
    }

    pub(crate) fn is_on(&self, name: &str) -> bool {
        matches!(self.input(name), Some(Input::Switch(true)))
    }
}

/// The name of a field, and what is wrong with it.
pub(crate) type Wrong = (&'static str, String);

/// Lines with their meaning.
pub(crate) type Told = Vec<(String, Role)>;

/// A step that a form can take: test, save.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Step {
    /// The word on its button.
    pub(crate) button: &'static str,
    /// The request it makes, or what is wrong with what was filled in, with the field's name.
    pub(crate) call: fn(&Filled<'_>, &str) -> std::result::Result<Call, Wrong>,
    /// Whether the form is closed when it worked.
    pub(crate) closes: bool,
    /// What is told of the answer when it worked: in the form, or over the screen when it was closed.
    pub(crate) says: Option<fn(&Value) -> Told>,
}

/// Makes lines of an answer.
type Says = fn(&Result<Value>, &View<'_>) -> Vec<(String, Role)>;

/// What the engine says of what is being filled in, while it is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Watch {
    /// The question: a call that only looks. None where there is nothing to ask.
    pub(crate) call: fn(&Filled<'_>, &str) -> Option<Call>,
    /// The answer in lines.
    pub(crate) says: Says,
}

/// Tag of a watch's calls.
const WATCH: u32 = u32::MAX;

/// A form on the screen.
#[derive(Debug)]
pub(crate) struct Form {
    title: String,
    entries: Vec<Entry>,
    steps: Vec<Step>,
    /// Handed to the steps: the id of what is edited.
    subject: String,
    /// The field or button that has the keyboard; buttons come after the fields.
    at: usize,
    busy: bool,
    touched: bool,
    said: Vec<(String, Role)>,
    then: Option<Then>,
    watch: Option<Watch>,
    /// What was asked last for it, and whether the answer is not there yet.
    asked: Option<String>,
    asking: bool,
    watched: Vec<(String, Role)>,
}

/// What is asked once a step has closed the form.
type Then = fn(&Value, &View<'_>) -> Vec<Ask>;

impl Form {
    /// A form with those fields and buttons; `subject` is handed to the steps.
    pub(crate) fn new(
        title: impl Into<String>,
        subject: &str,
        entries: Vec<Entry>,
        steps: Vec<Step>,
    ) -> Self {
        Self {
            title: title.into(),
            entries,
            steps,
            subject: subject.to_owned(),
            at: 0,
            busy: false,
            touched: false,
            said: Vec::new(),
            then: None,
            watch: None,
            asked: None,
            asking: false,
            watched: Vec::new(),
        }
    }

    /// Goes on with that once a step has closed it.
    pub(crate) fn then(mut self, then: Then) -> Self {
        self.then = Some(then);
        self
    }

    /// Shows what the engine says of what is filled in.
    pub(crate) fn watching(mut self, watch: Watch) -> Self {
        self.watch = Some(watch);
        self
    }

    /// Asks again where something else is filled in now; one question at a time.
    fn look(&mut self, cx: &mut Cx<'_>) {
        let Some(watch) = self.watch.filter(|_| !self.asking) else {
            return;
        };
        let Some(mut call) = (watch.call)(&Filled(&self.entries), &self.subject) else {
            self.asked = None;
            self.watched.clear();
            return;
        };
        let question = format!("{} {:?}", call.path, call.body);
        if self.asked.as_ref() == Some(&question) {
            return;
        }
        (self.asked, self.asking) = (Some(question), true);
        call.tag = WATCH;
        cx.call(call);
    }

    fn go(&mut self, forward: bool) {
        let all = self.entries.len() + self.steps.len();
        self.at = (self.at + if forward { 1 } else { all - 1 }) % all;
    }

    fn press(&mut self, step: usize, cx: &mut Cx<'_>) {
        if self.busy {
            return;
        }
        for entry in &mut self.entries {
            entry.error = None;
        }
        self.said.clear();
        match (self.steps[step].call)(&Filled(&self.entries), &self.subject) {
            Ok(mut call) => {
                call.tag = step as u32 + 1;
                self.busy = true;
                cx.call(call);
            }
            Err((name, why)) => self.wrong(name, why),
        }
    }

    fn wrong(&mut self, name: &str, why: String) {
        match self.entries.iter().position(|entry| entry.name == name) {
            Some(at) => {
                self.entries[at].error = Some(why);
                self.at = at;
            }
            None => self.said.push((why, Role::Bad)),
        }
    }

    fn refused(&mut self, error: &Error) {
        let fields = error.fields().to_vec();
        for field in fields {
            self.wrong(&field.field, field.message);
        }
        self.said.push((error.to_string(), Role::Bad));
        self.said
            .extend(error.hint_text().map(|hint| (hint.to_owned(), Role::Text)));
    }

    fn change(&mut self, key: KeyEvent) -> bool {
        let Some(entry) = self.entries.get_mut(self.at) else {
            return false;
        };
        let taken = match &mut entry.input {
            Input::Line(field) => field.key(key),
            Input::Switch(on) => {
                let turns = matches!(
                    key.code,
                    KeyCode::Char(' ') | KeyCode::Left | KeyCode::Right
                );
                *on ^= turns;
                turns
            }
            Input::Choice { options, at } => {
                let all = options.len().max(1);
                match key.code {
                    KeyCode::Right | KeyCode::Char(' ') => *at = (*at + 1) % all,
                    KeyCode::Left => *at = (*at + all - 1) % all,
                    _ => return false,
                }
                true
            }
        };
        self.touched |= taken;
        taken
    }
}

impl Screen for Form {
    fn crumbs(&self) -> Vec<String> {
        vec![self.title.clone()]
    }

    fn contexts(&self) -> &'static [Context] {
        &[]
    }

    fn takes_text(&self) -> bool {
        true
    }

    fn act(&mut self, _action: Action, _cx: &mut Cx<'_>) -> bool {
        false
    }

    fn opened(&mut self, cx: &mut Cx<'_>) {
        self.look(cx);
    }

    fn key(&mut self, key: KeyEvent, cx: &mut Cx<'_>) -> bool {
        if self.change(key) {
            self.look(cx);
            return true;
        }
        let fields = self.entries.len();
        match key.code {
            KeyCode::Char('n') if key.modifiers == KeyModifiers::CONTROL => {
                let entry = self.entries.get_mut(self.at);
                self.touched |= entry.is_some_and(Entry::suggest);
                self.look(cx);
            }
            KeyCode::BackTab | KeyCode::Up => self.go(false),
            KeyCode::Left if self.at >= fields => self.go(false),
            KeyCode::Right if self.at >= fields => self.go(true),
            KeyCode::Enter if self.at >= fields => self.press(self.at - fields, cx),
            KeyCode::Tab | KeyCode::Down | KeyCode::Enter => self.go(true),
            KeyCode::Char('s') if key.modifiers == KeyModifiers::CONTROL => {
                self.press(self.steps.len() - 1, cx);
            }
            _ => return false,
        }
        true
    }

    fn paste(&mut self, text: &str, cx: &mut Cx<'_>) {
        if let Some(Entry {
            input: Input::Line(field),
            ..
        }) = self.entries.get_mut(self.at)
        {
            field.paste(text);
            self.touched = true;
            self.look(cx);
        }
    }

    fn answered(&mut self, tag: u32, result: &Result<Value>, cx: &mut Cx<'_>) {
        if let (WATCH, Some(watch)) = (tag, self.watch) {
            self.asking = false;
            self.watched = (watch.says)(result, &cx.view);
            return self.look(cx);
        }
        self.busy = false;
        let Some(step) = self.steps.get((tag as usize).wrapping_sub(1)) else {
            return;
        };
        match result {
            Err(error) => self.refused(error),
            Ok(answer) if step.closes => {
                cx.ask(Ask::Close);
                let then = self.then.map(|then| then(answer, &cx.view));
                cx.asks.extend(then.into_iter().flatten());
                if let Some(says) = step.says {
                    cx.layer(Contents::new(self.title.clone(), says(answer)));
                }
            }
            Ok(answer) => self.said = step.says.map(|says| says(answer)).unwrap_or_default(),
        }
    }

    /// The first Esc keeps what was typed from being lost.
    fn escape(&mut self, cx: &mut Cx<'_>) -> bool {
        let kept = self.touched && !self.busy;
        if kept {
            self.touched = false;
            cx.toast(
                Level::Warning,
                "What was typed is not saved; Esc again gives it up",
            );
        }
        kept
    }

    fn unsaved(&self) -> bool {
        self.touched
    }

    fn floats(&self) -> Option<(u16, u16)> {
        let watched = if self.watch.is_some() { 7 } else { 0 };
        Some((90, (self.entries.len() as u16 + 9 + watched).min(40)))
    }

    fn draw(&self, frame: &mut Frame<'_>, area: Rect, view: &View<'_>) {
        let inner = framed(frame, area, &self.title, view);
        let said = self.said.len().min(4) as u16;
        let least = usize::from(inner.height / 4);
        let spare = usize::from(inner.height.saturating_sub(3 + said));
        let watched = self
            .watched
            .len()
            .min(spare.saturating_sub(self.entries.len()).max(least)) as u16;
        let foot = 3 + said + watched;
        let rows = inner.height.saturating_sub(foot);
        let labels = self
            .entries
            .iter()
            .map(|entry| width(entry.label))
            .max()
            .unwrap_or(0);
        let focus = self.at.min(self.entries.len().saturating_sub(1));
        let from = (focus + 1).saturating_sub(usize::from(rows));
        for (n, entry) in self
            .entries
            .iter()
            .enumerate()
            .skip(from)
            .take(usize::from(rows))
        {
            let line = Rect {
                y: inner.y + (n - from) as u16,
                height: 1,
                ..inner
            };
            draw_entry(frame, line, entry, labels as u16, n == self.at, view);
        }
        let room = usize::from(inner.width);
        let mut y = inner.bottom().saturating_sub(foot);
        let entry = self.entries.get(self.at);
        let (help, role) = match entry {
            Some(Entry {
                error: Some(why), ..
            }) => (why.clone(), Role::Bad),
            Some(entry) => (entry.help(), Role::Faint),
            None => (String::new(), Role::Faint),
        };
        let mut put = |y: u16, text: &str, role: Role| {
            if y >= inner.y && y < inner.bottom() {
                let text = fit(&clean(text), room, Cut::End, view.glyphs.ellipsis);
                frame
                    .buffer_mut()
                    .set_stringn(inner.x, y, text, room, view.style(role));
            }
        };
        for (text, role) in &self.watched[..usize::from(watched)] {
            put(y, text, *role);
            y += 1;
        }
        put(y, &help, role);
        for (text, role) in &self.said[..usize::from(said)] {
            y += 1;
            put(y, text, *role);
        }
        if inner.height > 0 {
            self.draw_buttons(
                frame,
                Rect {
                    y: inner.bottom() - 1,
                    height: 1,
                    ..inner
                },
                view,
            );
        }
    }
}

impl Form {
    fn draw_buttons(&self, frame: &mut Frame<'_>, line: Rect, view: &View<'_>) {
        let mut x = line.x;
        for (n, step) in self.steps.iter().enumerate() {
            let text = format!("[ {} ]", step.button);
            let focused = self.at == self.entries.len() + n;
            let mut style = view.style(if self.busy { Role::Faint } else { Role::Key });
            if focused {
                style = style.patch(view.style(Role::Selected));
            }
            let room = usize::from(line.right().saturating_sub(x));
            frame
                .buffer_mut()
                .set_stringn(x, line.y, &text, room, style);
            x = x.saturating_add(width(&text) as u16 + 2).min(line.right());
        }
        if self.busy {
            let text = format!("{} waiting for the engine", super::meter::spinner(view));
            let room = usize::from(line.right().saturating_sub(x));
            frame
                .buffer_mut()
                .set_stringn(x, line.y, text, room, view.style(Role::Running));
        }
    }
}

fn draw_entry(
    frame: &mut Frame<'_>,
    line: Rect,
    entry: &Entry,
    labels: u16,
    focused: bool,
    view: &View<'_>,
) {
    let room = usize::from(line.width);
    let role = match (&entry.error, focused) {
        (Some(_), _) => Role::Bad,
        (None, true) => Role::Title,
        (None, false) => Role::Text,
    };
    let label = if entry.error.is_some() {
        format!("{} {}", view.glyphs.bad, entry.label)
    } else {
        entry.label.to_owned()
    };
    frame
        .buffer_mut()
        .set_stringn(line.x, line.y, label, room, view.style(role));
    let from = (labels + 3).min(line.width);
    let place = Rect {
        x: line.x + from,
        width: line.width - from,
        ..line
    };
    let shown = match &entry.input {
        Input::Line(field) => return field.draw(frame, place, focused, view),
        Input::Switch(on) => format!("[{}]", if *on { "x" } else { " " }),
        Input::Choice { options, at } => {
            let own = options.get(*at).map_or("", String::as_str);
            format!("{} {} {}", view.glyphs.left, clean(own), view.glyphs.right)
        }
    };
    let style = view.style(if focused { Role::Selected } else { Role::Text });
    frame
        .buffer_mut()
        .set_stringn(place.x, place.y, shown, usize::from(place.width), style);
}
