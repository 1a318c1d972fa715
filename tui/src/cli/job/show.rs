//! Jobs, their starts and their retention, for a person.

use backstay_engine::model::{self, CronPreview, Job, JobSchedule, Page, RetentionPreview};

use crate::cli::args;
use crate::cli::failure::Done;
use crate::cli::output::{Align, Paint, Table, Tone, clean, count, none, time};
use crate::cli::session::Session;
use crate::client::path;

pub(super) async fn list(session: &Session, args: args::JobList) -> Done {
    let query = model::JobList {
        connection: args.connection,
        ..model::JobList::default()
    };
    let page: Page<Job> = session.list(&path(&["jobs"]), &query, &args.page).await?;
    let empty = "There are no such jobs; `backstay job add NAME CONNECTION` adds one.";
    session.output.list(&page, empty, |_, jobs| {
        let mut table = Table::new(&[
            ("NAME", Align::Left),
            ("WHAT", Align::Left),
            ("SCHEDULE", Align::Left),
            ("NEXT", Align::Left),
            ("LAST", Align::Left),
        ]);
        for job in jobs {
            let next = match (job.enabled, job.next_run_at) {
                (false, _) => "paused".to_owned(),
                (true, next) => next.map_or_else(none, time),
            };
            let last = job.last_run.as_ref();
            let schedule = job.schedule.as_ref();
            table
                .row([
                    job.name.clone(),
                    what(job),
                    schedule.map_or_else(none, |schedule| schedule.cron.clone()),
                    next,
                    last.map_or_else(none, |run| run.status.to_string()),
                ])
                .tone(4, last.map_or(Tone::Faint, |run| Tone::of(run.status)));
        }
        table
    })
}

fn what(job: &Job) -> String {
    match &job.work.databases[..] {
        [] => job.connection.clone(),
        [one] => format!("{}/{one}", job.connection),
        several => format!("{}: {}", job.connection, several.join(", ")),
    }
}

/// A schedule in a line.
pub(in crate::cli) fn when(schedule: &JobSchedule) -> String {
    let mut text = format!("{} ({})", schedule.cron, schedule.time_zone);
    for window in &schedule.windows {
        text.push_str(&format!(", not {}-{}", window.from, window.to));
    }
    if schedule.jitter_seconds > 0 {
        text.push_str(&format!(", spread over {} s", schedule.jitter_seconds));
    }
    text
}

pub(crate) fn rules(policy: &model::Policy) -> String {
    let tier = |tier: Option<model::Tier>| tier.and_then(|tier| tier.keep);
    let rules = [
        ("last", policy.keep_last),
        ("days", policy.keep_within_days),
        ("hourly", tier(policy.hourly)),
        ("daily", tier(policy.daily)),
        ("weekly", tier(policy.weekly)),
        ("monthly", tier(policy.monthly)),
        ("yearly", tier(policy.yearly)),
    ];
    let given: Vec<String> = rules
        .iter()
        .filter_map(|(name, number)| Some(format!("{name} {}", (*number)?)))
        .collect();
    if given.is_empty() {
        "everything".to_owned()
    } else {
        given.join(", ")
    }
}

/// A job for a person.
pub(super) fn view(paint: Paint, job: &Job) -> String {
    let mut table = Table::facts();
    table
        .fact("job", format!("{} ({})", job.name, job.id))
        .fact("backs up", what(job))
        .fact(
            "into",
            if job.repositories.is_empty() {
                "the default repository".to_owned()
            } else {
                job.repositories.join(", ")
            },
        )
        .fact(
            "schedule",
            job.schedule
                .as_ref()
                .map_or_else(|| "none; `job run` runs it".to_owned(), when),
        );
    if !job.enabled {
        table.fact("", "paused").tone(1, Tone::Warning);
    }
    table
        .maybe("next run", job.next_run_at.map(time))
        .fact("keeps", rules(&job.work.retention))
        .maybe("label", job.work.label.clone())
        .maybe("verifies", job.work.verify.map(|level| level.to_string()));
    for hook in &job.work.hooks {
        table.fact("hook", format!("{} each run: {}", hook.when, hook.target));
    }
    if let Some(run) = &job.last_run {
        table
            .fact(
                "last run",
                format!("{}, {} ({})", run.status, time(run.created_at), run.run_id),
            )
            .tone(1, Tone::of(run.status));
    }
    table.render(paint)
}

/// When runs would start.
pub(super) fn starts(_: Paint, preview: &CronPreview) -> String {
    let times: Vec<String> = preview.times.iter().map(|at| time(*at)).collect();
    if times.is_empty() {
        return "Never".to_owned();
    }
    times.join("\n")
}

/// What a retention would do.
pub(super) fn fates(paint: Paint, preview: &RetentionPreview) -> String {
    let mut table = Table::new(&[
        ("BACKUP", Align::Left),
        ("OF", Align::Left),
        ("MADE", Align::Left),
        ("", Align::Left),
        ("BECAUSE", Align::Left),
    ]);
    for fate in &preview.backups {
        let (word, tone) = match (fate.keep, fate.needs_confirmation) {
            (true, _) => ("keep", Tone::Good),
            (false, true) => ("refused", Tone::Warning),
            (false, false) => ("delete", Tone::Bad),
        };
        table
            .row([
                fate.backup_id.to_string(),
                fate.source.clone(),
                time(fate.created_at),
                word.to_owned(),
                fate.reasons.join("; "),
            ])
            .tone(3, tone);
    }
    let mut text = table.render(paint);
    text.push_str(&format!("\n\n{} would be deleted", count(preview.deleted)));
    for (source, percent) in &preview.over_limit {
        text.push_str(&format!(
            "\n{}: nothing is deleted by itself, since {percent} % would go; `job retain` does it once, \
             --max-delete allows it always",
            clean(source)
        ));
    }
    text
}
