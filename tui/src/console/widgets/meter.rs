//! Gauges, sparklines and strips of results.

use backstay_engine::model::RunStatus;
use ratatui::text::{Line, Span};

use crate::console::screen::View;
use crate::console::theme::Role;

/// A bar of `cells`, so far full. Without a total there is none to fill: it stays empty.
pub(crate) fn bar(done: u64, total: Option<u64>, cells: usize, view: &View<'_>) -> Line<'static> {
    let full = total.filter(|total| *total > 0).map_or(0, |total| {
        (u128::from(done.min(total)) * cells as u128 / u128::from(total)) as usize
    });
    Line::from(vec![
        Span::styled(view.glyphs.full.repeat(full), view.style(Role::Bar)),
        Span::styled(
            view.glyphs.empty.repeat(cells - full),
            view.style(Role::Faint),
        ),
    ])
}

/// Hundredths of a total, `-` where there is none.
pub(crate) fn percent(done: u64, total: Option<u64>) -> String {
    match total.filter(|total| *total > 0) {
        None => "-".to_owned(),
        Some(total) => format!("{}%", u128::from(done.min(total)) * 100 / u128::from(total)),
    }
}

/// The last values as a line of bars, the newest at the right.
pub(crate) fn sparkline(values: &[u64], cells: usize, view: &View<'_>) -> Span<'static> {
    let shown = &values[values.len().saturating_sub(cells)..];
    let top = shown.iter().copied().max().unwrap_or(0);
    let levels = view.glyphs.levels;
    let level = |value: u64| match top {
        0 => 0,
        top => (u128::from(value) * (levels.len() - 1) as u128 / u128::from(top)) as usize,
    };
    let mut text = " ".repeat(cells - shown.len());
    text.extend(shown.iter().map(|value| levels[level(*value)]));
    Span::styled(text, view.style(Role::Bar))
}

/// What the turning sign shows at that moment.
pub(crate) fn spinner(view: &View<'_>) -> &'static str {
    let turns = view.glyphs.spinner;
    let step = view.now.timestamp_millis().unsigned_abs() / 250;
    turns[step as usize % turns.len()]
}

/// A status as sign and word.
pub(crate) fn status(status: RunStatus, view: &View<'_>) -> Span<'static> {
    let (sign, role) = view.glyphs.status(status);
    Span::styled(format!("{sign} {status}"), view.style(role))
}

/// Values as a plot of that many lines, the newest at the right; the top is the highest value.
pub(crate) fn plot(
    values: &[u64],
    (cells, lines): (usize, usize),
    view: &View<'_>,
) -> Vec<Line<'static>> {
    let shown = &values[values.len().saturating_sub(cells)..];
    let top = shown.iter().copied().max().unwrap_or(0).max(1);
    let levels = view.glyphs.levels;
    let steps = (levels.len() * lines) as u128;
    let heights: Vec<usize> = shown
        .iter()
        .map(|value| (u128::from(*value) * steps).div_ceil(u128::from(top)) as usize)
        .collect();
    let line = |from: usize| {
        let mut text = String::new();
        for height in &heights {
            match height.saturating_sub(from * levels.len()) {
                0 => text.push(' '),
                level => text.push_str(levels[level.min(levels.len()) - 1]),
            }
        }
        Line::from(Span::styled(text, view.style(Role::Bar)))
    };
    (0..lines).rev().map(line).collect()
}
