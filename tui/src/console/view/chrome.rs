//! What stands around every screen.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Clear, Widget as _};

use crate::console::action::{ACTIONS, Action};
use crate::console::app::{self, App};
use crate::console::message::Link;
use crate::console::screen::{Level, allowed};
use crate::console::text::{Cut, age, clean, fit, width};
use crate::console::theme::Role;
use backstay_engine::model::{AlertCount, Run};

/// Name, engine, how it stands with it, and what must not be missed.
pub(super) fn header(app: &App, frame: &mut Frame<'_>, area: Rect) {
    let view = app.view();
    let mut left = vec![
        Span::styled(" BACKSTAY ", view.style(Role::Header)),
        Span::raw(" "),
        Span::raw(fit(
            &clean(&app.settings.engine),
            28,
            Cut::Front,
            view.glyphs.ellipsis,
        )),
        Span::raw("  "),
        link(app),
    ];
    if app.settings.read_only {
        left.push(Span::styled("  READ-ONLY", view.style(Role::Warning)));
    }
    if app.frozen {
        left.push(Span::styled("  FROZEN", view.style(Role::Warning)));
    }
    let mut right = Vec::new();
    let running = app.store.list::<Run>(&app::running()).value;
    if let Some(count) = running
        .map(|list| list.items.len())
        .filter(|count| *count > 0)
    {
        right.push(Span::styled(
            format!("{} {count} running  ", view.glyphs.running),
            view.style(Role::Running),
        ));
    }
    let alerts = app.store.one::<AlertCount>(&app::alert_count()).value;
    if let Some(alerts) = alerts.filter(|alerts| alerts.undismissed > 0) {
        let role = if alerts.unread > 0 {
            Role::Bad
        } else {
            Role::Warning
        };
        let word = if alerts.undismissed == 1 {
            "alert"
        } else {
            "alerts"
        };
        right.push(Span::styled(
            format!("{} {} {word} ", view.glyphs.warning, alerts.undismissed),
            view.style(role),
        ));
    }
    frame.render_widget(Line::from(left), area);
    let right = Line::from(right);
    let room = right.width().min(usize::from(area.width)) as u16;
    frame.render_widget(
        right,
        Rect {
            x: area.right() - room,
            width: room,
            ..area
        },
    );
}

fn link(app: &App) -> Span<'static> {
    let view = app.view();
    match &app.link {
        Link::Live { .. } => Span::styled(
            format!("{} live", view.glyphs.running),
            view.style(Role::Good),
        ),
        Link::Connecting => Span::styled(
            format!("{} connecting", view.glyphs.waiting),
            view.style(Role::Faint),
        ),
        Link::Starting => Span::styled(
            format!("{} starting the engine", view.glyphs.waiting),
            view.style(Role::Running),
        ),
        Link::Lost { since, .. } => Span::styled(
            format!(
                "{} no engine for {}, trying again",
                view.glyphs.bad,
                age(*since, app.now)
            ),
            view.style(Role::Bad),
        ),
    }
}

/// Where somebody is, and what is filtered for.
pub(super) fn path(app: &App, frame: &mut Frame<'_>, area: Rect) {
    let view = app.view();
    let mut crumbs = app.trail.now().screen.crumbs();
    if area.width < 80 && crumbs.len() > 2 {
        crumbs.drain(..crumbs.len() - 2);
    }
    let last = crumbs.pop().unwrap_or_default();
    let mut spans = vec![Span::raw(" ")];
    for crumb in &crumbs {
        spans.push(Span::styled(
            clean(crumb).into_owned(),
            view.style(Role::Faint),
        ));
        spans.push(Span::styled(view.glyphs.separator, view.style(Role::Faint)));
    }
    spans.push(Span::styled(
        clean(&last).into_owned(),
        view.style(Role::Title),
    ));
    frame.render_widget(Line::from(spans), area);
    if let Some(filter) = app.trail.now().screen.filter() {
        let text = format!("/{} ", clean(&filter));
        let room = width(&text).min(usize::from(area.width)) as u16;
        let place = Rect {
            x: area.right() - room,
            width: room,
            ..area
        };
        frame.render_widget(Span::styled(text, view.style(Role::Match)), place);
    }
}

/// The keys that can be pressed now, on one line or on all they need.
pub(super) fn hints(app: &App, room: u16) -> Vec<Line<'static>> {
    let view = app.view();
    let contexts = app.contexts();
    let hint = |key: String, word: &str| {
        vec![
            Span::raw(" "),
            Span::styled(key, view.style(Role::Key)),
            Span::raw(format!(" {word} ")),
        ]
    };
    let mut all: Vec<Vec<Span<'static>>> = Vec::new();
    if app.pending.is_empty() {
        let shown = |row: &&crate::console::action::Row| {
            !row.hint.is_empty()
                && allowed(row.tier, app.settings.read_only)
                && row
                    .contexts
                    .iter()
                    .any(|context| contexts.contains(context))
        };
        let text = app.top().takes_text();
        for row in ACTIONS.iter().filter(shown) {
            let keys = app.settings.keymap.keys(&contexts, row.action);
            let Some(key) = keys.first() else { continue };
            if text || app.hindrance(row.action).is_some() {
                continue;
            }
            all.push(hint(key.to_string(), row.hint));
        }
        if text {
            all.push(hint("enter".to_owned(), "go on"));
            all.push(hint("esc".to_owned(), "close"));
        }
    } else {
        let pressed: Vec<String> = app.pending.iter().map(ToString::to_string).collect();
        all.push(hint(pressed.join(" "), view.glyphs.ellipsis));
        for (key, action) in app.settings.keymap.continuations(&contexts, &app.pending) {
            all.push(hint(key.to_string(), action.row().name));
        }
    }
    lines(all, usize::from(room), app.more_hints, more(app))
}

fn more(app: &App) -> Vec<Span<'static>> {
    let view = app.view();
    let key = view
        .key(&app.contexts(), Action::MoreHints)
        .unwrap_or_default();
    vec![Span::styled(
        format!(" {key} more"),
        view.style(Role::Faint),
    )]
}

fn lines(
    hints: Vec<Vec<Span<'static>>>,
    room: usize,
    expanded: bool,
    more: Vec<Span<'static>>,
) -> Vec<Line<'static>> {
    let width_of = |spans: &[Span<'static>]| spans.iter().map(Span::width).sum::<usize>();
    let reserved = width_of(&more);
    let mut lines: Vec<Vec<Span<'static>>> = vec![Vec::new()];
    let total = hints.len();
    for (n, hint) in hints.into_iter().enumerate() {
        let used = lines.last().map_or(0, |line| width_of(line));
        let last = n + 1 == total;
        let room = if expanded || last {
            room
        } else {
            room.saturating_sub(reserved)
        };
        if used + width_of(&hint) <= room {
            if let Some(line) = lines.last_mut() {
                line.extend(hint);
            }
        } else if expanded && lines.len() < 4 {
            lines.push(hint);
        } else {
            if let Some(line) = lines.last_mut() {
                line.extend(more);
            }
            break;
        }
    }
    lines.into_iter().map(Line::from).collect()
}

/// Messages, over the lower right corner.
pub(super) fn toasts(app: &App, frame: &mut Frame<'_>, area: Rect) {
    let view = app.view();
    let shown = app.toasts.shown(app.now);
    let room = usize::from(area.width.saturating_sub(4));
    let mut y = area.bottom();
    for toast in shown.iter().rev() {
        let (sign, role) = match toast.level {
            Level::Good => (view.glyphs.ok, Role::Good),
            Level::Info => (view.glyphs.none, Role::Text),
            Level::Warning => (view.glyphs.warning, Role::Warning),
            Level::Bad => (view.glyphs.bad, Role::Bad),
        };
        let text = format!(" {sign} {} ", clean(&toast.text));
        for line in wrapped(&text, room).into_iter().rev() {
            if y <= area.y {
                return;
            }
            y -= 1;
            let own = width(&line).min(usize::from(area.width)) as u16;
            let place = Rect {
                x: area.right() - own,
                y,
                width: own,
                height: 1,
            };
            Clear.render(place, frame.buffer_mut());
            let style: Style = view.style(role).patch(view.style(Role::Selected));
            frame
                .buffer_mut()
                .set_stringn(place.x, place.y, &line, usize::from(own), style);
        }
    }
}

/// A text in lines of that width, three at most, broken at spaces where there are some.
fn wrapped(text: &str, room: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split_inclusive(' ') {
        let last = lines.len() - 1;
        if width(&lines[last]) + width(word.trim_end()) <= room || lines[last].is_empty() {
            lines[last].push_str(word);
        } else if lines.len() < 3 {
            lines.push(format!("   {word}"));
        } else {
            lines[last].push_str("...");
            break;
        }
    }
    lines
        .into_iter()
        .map(|line| fit(&line, room, Cut::End, "~"))
        .collect()
}
