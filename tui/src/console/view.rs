//! The whole picture: header, path, screen, hints, layers, messages.

mod chrome;

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::text::Line;

use super::app::App;
use super::theme::Role;

/// The smallest terminal the console is drawn in.
pub(crate) const SMALLEST: (u16, u16) = (60, 16);

/// Draws everything.
pub(crate) fn draw(app: &App, frame: &mut Frame<'_>) {
    let whole = frame.area();
    let view = app.view();
    if whole.width < SMALLEST.0 || whole.height < SMALLEST.1 {
        let text = format!(
            "needs {}x{}, have {}x{} - q quits",
            SMALLEST.0, SMALLEST.1, whole.width, whole.height
        );
        let line = Rect {
            y: whole.y + whole.height / 2,
            height: whole.height.min(1),
            ..whole
        };
        if line.y < whole.bottom() {
            frame.render_widget(Line::from(text).centered(), line);
        }
        return;
    }
    let hints = chrome::hints(app, whole.width);
    let [header, path, body, foot] = whole.layout(&Layout::vertical([
        Constraint::Length(1),
        Constraint::Length(1),
        Constraint::Min(1),
        Constraint::Length(hints.len() as u16),
    ]));
    chrome::header(app, frame, header);
    chrome::path(app, frame, path);
    app.trail.now().screen.draw(frame, body, &view);
    for layer in &app.layers {
        let (width, height) = layer.screen.floats().unwrap_or((body.width, body.height));
        let area = body.centered(
            Constraint::Length(width.min(body.width)),
            Constraint::Length(height.min(body.height)),
        );
        layer.screen.draw(frame, area, &view);
    }
    chrome::toasts(app, frame, body);
    for (n, line) in hints.into_iter().enumerate() {
        let place = Rect {
            y: foot.y + n as u16,
            height: 1,
            ..foot
        };
        frame.render_widget(line, place);
    }
    if let Some(field) = &app.filter {
        let line = Rect { height: 1, ..foot };
        let view = app.view();
        ratatui::widgets::Widget::render(ratatui::widgets::Clear, line, frame.buffer_mut());
        frame
            .buffer_mut()
            .set_stringn(line.x, line.y, "/", 1, view.style(Role::Key));
        let rest = Rect {
            x: line.x + 1,
            width: line.width.saturating_sub(1),
            ..line
        };
        field.draw(frame, rest, true, &view);
    }
}
