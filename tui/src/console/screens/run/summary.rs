//! What there is to say of a run above its log.

use backstay_engine::model::{Run, RunKind, RunStatus};
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use crate::cli::outcome;
use crate::console::screen::View;
use crate::console::text::{age, bytes, clean, count, duration_ms, rate, time};
use crate::console::theme::Role;
use crate::console::widgets::meter;
use crate::console::widgets::sheet::Sheet;

/// Rows of the throughput's plot where there is room.
const PLOT: usize = 3;

pub(super) fn summary(
    run: &Run,
    stages: &[String],
    rates: &[u64],
    area: Rect,
    sheet: &mut Sheet<'_>,
    view: &View<'_>,
) {
    head(run, sheet, view);
    if run.status == RunStatus::Running {
        steps(run, stages, usize::from(area.width), sheet, view);
        progress(run, usize::from(area.width), sheet, view);
        if rates.len() > 1 && area.height >= 20 {
            plot(rates, usize::from(area.width), sheet, view);
        }
    } else {
        ended(run, sheet);
    }
    for own in &run.destinations {
        let (sign, role) = view.glyphs.status(own.status);
        let mut text = format!(
            "{}: {sign} {}, {}",
            own.repository, own.status, own.backup_id
        );
        if let Some(error) = &own.error {
            text.push_str(&format!(": {}", error.message));
        }
        sheet.fact_of("into", &text, role);
    }
    if let Some(error) = &run.error {
        sheet.fact_of("why", &error.message, Role::Bad);
        sheet.maybe("what to do", error.hint.clone());
    }
    if let Some(text) = outcome::outcome(run) {
        sheet.laid_out(&text);
    }
    next(run, sheet);
    if !run.losses.is_empty() {
        sheet.title(format!("Lost: {}", count(run.losses_total)));
        for loss in &run.losses {
            let before = format!("{} ", view.glyphs.bad);
            let text = format!("{}: {}", loss.object, loss.reason);
            sheet.hanging(&before, &text, Role::Warning);
        }
        let more = run.losses_total.saturating_sub(run.losses.len() as u64);
        if more > 0 {
            sheet.text(&format!("and {} more", count(more)), Role::Faint);
        }
    }
}

fn head(run: &Run, sheet: &mut Sheet<'_>, view: &View<'_>) {
    let began = run.started_at.unwrap_or(run.created_at);
    let mut words = vec![
        Span::styled(clean(&run.title).into_owned(), view.style(Role::Title)),
        Span::raw("  "),
        meter::status(run.status, view),
        Span::styled(
            format!("  {} ({})", time(began), age(began, view.now)),
            view.style(Role::Faint),
        ),
        Span::styled(format!("  by {}", run.trigger), view.style(Role::Faint)),
    ];
    if run.cancel_requested && !run.status.is_final() {
        words.push(Span::styled("  told to stop", view.style(Role::Warning)));
    }
    sheet.line(Line::from(words));
}

/// The stages there were, by the log, and the one it is in; the last ones where there is not room for all.
fn steps(run: &Run, stages: &[String], room: usize, sheet: &mut Sheet<'_>, view: &View<'_>) {
    // The log may be ahead of the run's record, or behind it.
    let told = run.progress.stage.as_ref();
    let (done, now) = match (
        told.filter(|own| !stages.contains(own)),
        stages.split_last(),
    ) {
        (Some(own), _) => (stages, Some(own)),
        (None, Some((last, before))) => (before, Some(last)),
        (None, None) => (stages, None),
    };
    let mut steps: Vec<Span<'static>> = done
        .iter()
        .map(|own| (format!("{} {}", view.glyphs.ok, clean(own)), Role::Faint))
        .chain(now.map(|own| {
            (
                format!("{} {}", meter::spinner(view), clean(own)),
                Role::Running,
            )
        }))
        .map(|(text, role)| Span::styled(text, view.style(role)))
        .collect();
    let between = Span::styled(view.glyphs.separator, view.style(Role::Faint));
    let wide = |steps: &[Span<'_>]| -> usize {
        let own = steps.iter().map(|own| own.width() + between.width());
        own.sum()
    };
    while steps.len() > 1 && wide(&steps) > room {
        steps.remove(0);
    }
    let mut spans = Vec::new();
    for step in steps {
        if !spans.is_empty() {
            spans.push(between.clone());
        }
        spans.push(step);
    }
    if !spans.is_empty() {
        sheet.line(Line::from(spans));
    }
}

fn progress(run: &Run, room: usize, sheet: &mut Sheet<'_>, view: &View<'_>) {
    let own = &run.progress;
    let mut spans = Vec::new();
    match own.total_bytes.filter(|total| *total > 0) {
        Some(total) => {
            spans.extend(meter::bar(own.read_bytes, Some(total), (room / 3).min(40), view).spans);
            spans.push(Span::raw(format!(
                " {}  {} of {}",
                meter::percent(own.read_bytes, Some(total)),
                bytes(own.read_bytes),
                bytes(total)
            )));
        }
        None => spans.push(Span::raw(format!(
            "{} {} read",
            meter::spinner(view),
            bytes(own.read_bytes)
        ))),
    }
    if let Some(now) = own.rate_bytes_per_second {
        spans.push(Span::raw(format!("  {}", rate(now))));
    }
    if let Some(left) = own.eta_ms {
        spans.push(Span::raw(format!("  about {} left", duration_ms(left))));
    }
    sheet.line(Line::from(spans));
    sheet.fact("objects", &objects(run));
    if own.stored_bytes > 0 {
        sheet.fact("written", &bytes(own.stored_bytes));
    }
}

fn objects(run: &Run) -> String {
    let own = &run.progress;
    match own.objects_total {
        Some(total) => format!("{} of {}", count(own.objects_done), count(total)),
        None => count(own.objects_done),
    }
}

fn plot(rates: &[u64], room: usize, sheet: &mut Sheet<'_>, view: &View<'_>) {
    let label = 14.min(room);
    let cells = room.saturating_sub(label);
    let top = rates[rates.len().saturating_sub(cells)..].iter().max();
    let top = top.map(|top| rate(*top)).unwrap_or_default();
    for (n, line) in meter::plot(rates, (cells, PLOT), view)
        .into_iter()
        .enumerate()
    {
        let text = match n {
            0 => top.clone(),
            _ if n + 1 == PLOT => format!("last {}s", rates.len().min(cells)),
            _ => String::new(),
        };
        let mut spans = vec![Span::styled(
            format!("{text:<label$}"),
            view.style(Role::Faint),
        )];
        spans.extend(line.spans);
        sheet.line(Line::from(spans));
    }
}

fn ended(run: &Run, sheet: &mut Sheet<'_>) {
    let own = &run.progress;
    sheet.maybe("took", run.duration_ms.map(duration_ms));
    if own.objects_done > 0 {
        sheet.fact("objects", &objects(run));
    }
    if own.read_bytes > 0 {
        let mut read = bytes(own.read_bytes);
        if own.stored_bytes > 0 {
            read.push_str(&format!(", {} written", bytes(own.stored_bytes)));
        }
        sheet.fact("read", &read);
    }
    if run.destinations.is_empty() {
        sheet.maybe("repository", run.repository.clone());
    }
}

/// What somebody who restored does next.
fn next(run: &Run, sheet: &mut Sheet<'_>) {
    if run.kind != RunKind::Restore || !run.status.is_restorable() {
        return;
    }
    let Some(database) = run.result["database"].as_str() else {
        return;
    };
    let text = match run.result["kept_database"].as_str() {
        Some(kept) => format!(
            "{database} is the restored one now. Look whether all is well; then drop {kept}, the old one, which takes space until then"
        ),
        None => {
            format!("Look into {database} whether all is well before programs rely on it")
        }
    };
    sheet.fact("next", &text);
}
