//! What stands over a screen for a while: help, palette, questions, messages.

mod confirm;
mod contents;
mod draft;
mod help;
mod palette;

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::widgets::{Block, Clear, Widget as _};

pub(crate) use confirm::{Confirm, Question};
pub(crate) use contents::{Contents, messages};
pub(crate) use draft::Draft;
pub(crate) use help::help;
pub(crate) use palette::Palette;

use super::screen::View;
use super::theme::Role;

/// Clears a layer's place, draws its frame, and answers what is inside.
pub(crate) fn framed(frame: &mut Frame<'_>, area: Rect, title: &str, view: &View<'_>) -> Rect {
    Clear.render(area, frame.buffer_mut());
    let block = Block::bordered()
        .border_set(view.glyphs.border())
        .border_style(view.style(Role::Focus))
        .title(format!(" {title} "))
        .title_style(view.style(Role::Title));
    let inner = block.inner(area);
    block.render(area, frame.buffer_mut());
    Rect {
        x: inner.x + inner.width.min(1),
        width: inner.width.saturating_sub(2),
        ..inner
    }
}
