//! How one run's progress is shown.

use std::time::Duration;

use backstay_engine::model::{Progress, Run, RunStatus};
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

use crate::cli::output::{Output, bytes, clean, count, duration_ms};

/// A bar on a terminal, lines elsewhere, nothing when asked for quiet.
#[derive(Debug)]
pub(super) struct Shown {
    output: Output,
    bar: ProgressBar,
    /// What the last line said, where lines are printed.
    told: Option<(RunStatus, Option<String>)>,
}

impl Shown {
    pub(super) fn new(output: Output, bars: &MultiProgress) -> Self {
        let bar = bars.add(ProgressBar::new_spinner());
        if output.watched && !output.quiet {
            bar.enable_steady_tick(Duration::from_millis(120));
        }
        Self {
            output,
            bar,
            told: None,
        }
    }

    pub(super) fn update(&mut self, run: &Run) {
        if !self.output.watched {
            let now = (run.status, run.progress.stage.clone());
            if self.told.as_ref() != Some(&now) {
                if let Some(line) = line(run) {
                    self.output.note(&line);
                }
                self.told = Some(now);
            }
            return;
        }
        let progress = &run.progress;
        let total = progress.total_bytes.filter(|total| *total > 0);
        let columns = columns();
        if let Ok(style) = ProgressStyle::with_template(template(columns, total.is_some())) {
            self.bar
                .set_style(style.progress_chars("━╸ ").tick_chars("⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏ "));
        }
        if let Some(total) = total {
            self.bar.set_length(total.max(progress.read_bytes));
            self.bar.set_position(progress.read_bytes);
        }
        self.bar
            .set_prefix(shortened(&clean(&run.title), columns / 3));
        self.bar.set_message(message(run.status, progress));
    }

    pub(super) fn finish(&self, run: &Run) {
        self.bar.finish_and_clear();
        if !self.output.watched {
            let took = run
                .duration_ms
                .map_or_else(String::new, |ms| format!(" after {}", duration_ms(ms)));
            self.output
                .note(&format!("{}: {}{took}", clean(&run.title), run.status));
        }
    }
}

/// Of the terminal on standard error.
fn columns() -> usize {
    let size = rustix::termios::tcgetwinsize(std::io::stderr());
    size.map_or(80, |size| usize::from(size.ws_col))
}

/// What a line consists of; the message takes what is left, so that no line is broken.
pub(super) fn template(columns: usize, known_total: bool) -> &'static str {
    match (known_total, columns) {
        (false, _) => "{prefix} {spinner}  {wide_msg}",
        (true, 100..) => "{prefix} {bar:24} {percent:>3} %  {wide_msg}",
        (true, 60..) => "{prefix} {bar:10} {percent:>3} %  {wide_msg}",
        (true, _) => "{prefix} {percent:>3} %  {wide_msg}",
    }
}

/// The text, or its beginning and an ellipsis where it has more columns than that.
pub(super) fn shortened(text: &str, columns: usize) -> String {
    if text.width() <= columns {
        return text.to_owned();
    }
    let mut short = String::new();
    for letter in text.chars() {
        if short.width() + letter.width().unwrap_or_default() >= columns {
            break;
        }
        short.push(letter);
    }
    short.push('…');
    short
}

fn line(run: &Run) -> Option<String> {
    match run.status {
        RunStatus::Pending => Some(format!("{}: waiting for its turn", clean(&run.title))),
        _ => run
            .progress
            .stage
            .as_ref()
            .map(|stage| format!("{}: {stage}", clean(&run.title))),
    }
}

/// What stands beside the bar: stage, objects, bytes, rate, time left; nothing that is not known.
pub(super) fn message(status: RunStatus, progress: &Progress) -> String {
    if status == RunStatus::Pending {
        return "waiting for its turn".to_owned();
    }
    let mut parts = Vec::new();
    if let Some(stage) = &progress.stage {
        parts.push(stage.clone());
    }
    match (progress.objects_done, progress.objects_total) {
        (done, Some(total)) => parts.push(format!("{}/{}", count(done), count(total))),
        (0, None) => {}
        (done, None) => parts.push(count(done)),
    }
    if progress.read_bytes > 0 {
        let mut text = bytes(progress.read_bytes);
        if progress.stored_bytes > 0 {
            text.push_str(&format!(" → {}", bytes(progress.stored_bytes)));
        }
        parts.push(text);
    }
    if let Some(rate) = progress.rate_bytes_per_second.filter(|rate| *rate > 0) {
        parts.push(format!("{}/s", bytes(rate)));
    }
    if let Some(eta_ms) = progress.eta_ms {
        parts.push(format!("{} left", duration_ms(eta_ms)));
    }
    parts.join(" · ")
}
