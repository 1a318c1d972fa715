//! The form that adds or edits a job. What the next runs would be is seen while the schedule is written.

use backstay_engine::Result;
use backstay_engine::model::{
    CronPreset, CronPreview, Job, JobCreate, JobEdit, JobSchedule, Page, Policy, VerifyLevel,
};
use serde::Deserialize;
use serde_json::{Value, json};

use super::words::{RULES, number, presets, typed, with_number};
use crate::client::path;
use crate::console::screen::{Call, View};
use crate::console::store::Want;
use crate::console::text::{age, shell, time};
use crate::console::theme::Role;
use crate::console::widgets::form::{Entry, Filled, Form, Step, Watch};
use crate::console::widgets::list::sentence;

/// The names a form suggests come from these.
pub(super) fn wants() -> Vec<Want> {
    vec![presets(), connections(), repositories()]
}

/// A record of which only the name is needed.
#[derive(Debug, Deserialize)]
struct Named {
    name: String,
}

fn connections() -> Want {
    named("connections").on(&["connection"])
}

fn repositories() -> Want {
    named("repositories").on(&["repository"])
}

fn named(what: &str) -> Want {
    // Another path than that of the list itself, whose answer is another one.
    Want::one::<Page<Named>>(path(&[what]) + "?limit=199")
}

fn names(want: &Want, view: &View<'_>) -> Vec<String> {
    let page = view.store.one::<Page<Named>>(want).value;
    let items = page.into_iter().flat_map(|page| &page.items);
    items.map(|item| item.name.clone()).collect()
}

/// A form for a new job, or for one that is there.
#[expect(clippy::too_many_lines, reason = "a list of fields")]
pub(super) fn form(job: Option<&Job>, view: &View<'_>) -> Form {
    let schedule = job.and_then(|job| job.schedule.as_ref());
    let work = job.map(|job| job.work.clone()).unwrap_or_default();
    let mut entries = Vec::new();
    let name = job.map_or("", |job| job.name.as_str());
    entries.push(Entry::line("name", "Name", "What the job is called", name));
    if job.is_none() {
        let all = names(&connections(), view);
        let first = all.first().cloned().unwrap_or_default();
        entries.push(
            Entry::line("connection", "Connection", "What it backs up", &first).suggesting(all),
        );
    }
    let crons = view.store.list::<CronPreset>(&presets()).value;
    let crons = crons.into_iter().flat_map(|list| &list.items);
    let crons = crons.map(|own| own.name.clone()).collect();
    let stores = names(&repositories(), view);
    let zone = schedule.map_or("UTC", |own| own.time_zone.as_str());
    let levels = ["none", "present", "checked", "decoded"].map(ToOwned::to_owned);
    entries.extend([
        Entry::line(
            "databases",
            "Databases",
            "Names with commas between; empty for every selected one of the server",
            &work.databases.join(", "),
        ),
        Entry::line(
            "cron",
            "Schedule",
            "Minute, hour, day, month, weekday; empty: runs only when asked",
            schedule.map_or("", |own| own.cron.as_str()),
        )
        .suggesting(crons),
        Entry::line(
            "time_zone",
            "Time zone",
            "By which clocks, as Europe/Berlin",
            zone,
        ),
        Entry::line(
            "repositories",
            "Repositories",
            "Where its backups go, commas between; empty: the default one",
            &job.map(|job| job.repositories.join(", "))
                .unwrap_or_default(),
        )
        .several(stores),
    ]);
    for (name, _, label) in RULES {
        let text = number(&work.retention, name).map(|number| number.to_string());
        let help =
            "Keeps so many backups; a backup stays when any rule keeps it; without rules all stay";
        entries.push(Entry::line(
            name,
            label,
            help,
            text.as_deref().unwrap_or_default(),
        ));
    }
    let level = work.verify.map_or("none", VerifyLevel::as_str);
    entries.extend([
        Entry::choice(
            "verify",
            "Verify",
            "How far each backup is proved once it is made",
            levels.to_vec(),
            level,
        ),
        Entry::line(
            "label",
            "Label",
            "A word to find its backups by",
            &work.label.clone().unwrap_or_default(),
        ),
        Entry::switch(
            "enabled",
            "Runs by itself",
            "Off: paused until it is resumed",
            job.is_none_or(|job| job.enabled),
        ),
    ]);
    let (title, subject, call) = match job {
        Some(job) => {
            let subject = serde_json::to_string(job).unwrap_or_default();
            (format!("Edit the job {}", job.name), subject, edit as _)
        }
        None => ("Add a job".to_owned(), String::new(), add as _),
    };
    let save = Step {
        button: "Save",
        call,
        closes: true,
        says: None,
    };
    Form::new(title, &subject, entries, vec![save]).watching(Watch {
        call: preview,
        says: starts,
    })
}

/// Asks when the schedule would start runs.
pub(in crate::console::screens) fn preview(filled: &Filled<'_>, subject: &str) -> Option<Call> {
    let cron = filled.text("cron");
    if cron.is_empty() {
        return None;
    }
    let windows = before(subject)
        .and_then(|job| job.schedule)
        .map(|own| own.windows)
        .unwrap_or_default();
    let zone = filled.text("time_zone");
    let zone = if zone.is_empty() { "UTC" } else { &zone };
    Some(Call {
        method: "POST",
        path: path(&["jobs", "cron-preview"]),
        body: Some(json!({"cron": cron, "time_zone": zone, "windows": windows, "count": 5})),
        says: String::new(),
        command: String::new(),
        topics: &[],
        tag: 0,
    })
}

/// The next runs, or what is wrong with the schedule.
pub(in crate::console::screens) fn starts(
    answer: &Result<Value>,
    view: &View<'_>,
) -> Vec<(String, Role)> {
    let answer = match answer {
        Err(error) => {
            return vec![(
                format!("{} {}", view.glyphs.bad, sentence(error)),
                Role::Bad,
            )];
        }
        Ok(answer) => answer,
    };
    let Ok(preview) = serde_json::from_value::<CronPreview>(answer.clone()) else {
        return Vec::new();
    };
    if preview.times.is_empty() {
        let text = format!("{} It would never run", view.glyphs.warning);
        return vec![(text, Role::Warning)];
    }
    let words = super::words::in_words(&preview.cron).unwrap_or(preview.cron);
    let mut lines = vec![(
        format!("{} {words}, {}", view.glyphs.ok, preview.time_zone),
        Role::Good,
    )];
    lines.extend(preview.times.iter().map(|at| {
        let text = format!("  {}  {}", time(*at), age(*at, view.now));
        (text, Role::Text)
    }));
    lines
}

fn before(subject: &str) -> Option<Job> {
    serde_json::from_str(subject).ok()
}

type Refused = (&'static str, String);

fn schedule(filled: &Filled<'_>, before: Option<&JobSchedule>) -> Option<JobSchedule> {
    let cron = filled.text("cron");
    if cron.is_empty() {
        return None;
    }
    let zone = filled.text("time_zone");
    let zone = if zone.is_empty() {
        "UTC".to_owned()
    } else {
        zone
    };
    let mut schedule = before.cloned().unwrap_or(JobSchedule {
        cron: String::new(),
        time_zone: String::new(),
        windows: Vec::new(),
        jitter_seconds: 0,
        catch_up: backstay_engine::model::CatchUp::Once,
    });
    (schedule.cron, schedule.time_zone) = (cron, zone);
    Some(schedule)
}

fn retention(filled: &Filled<'_>, mut policy: Policy) -> std::result::Result<Policy, Refused> {
    for (name, _, label) in RULES {
        let number = typed(&filled.text(name), label).map_err(|error| (name, error.to_string()))?;
        policy = with_number(policy, name, number);
    }
    Ok(policy)
}

fn verify(filled: &Filled<'_>) -> Option<VerifyLevel> {
    filled.text("verify").parse().ok()
}

fn required(filled: &Filled<'_>, name: &'static str) -> std::result::Result<String, Refused> {
    match filled.text(name) {
        text if text.is_empty() => Err((name, "It is needed".to_owned())),
        text => Ok(text),
    }
}

fn add(filled: &Filled<'_>, _: &str) -> std::result::Result<Call, Refused> {
    let name = required(filled, "name")?;
    let connection = required(filled, "connection")?;
    let policy = retention(filled, Policy::default())?;
    let create = JobCreate {
        enabled: (!filled.is_on("enabled")).then_some(false),
        databases: filled.words("databases"),
        repositories: filled.words("repositories"),
        schedule: schedule(filled, None),
        retention: Some(policy).filter(|policy| *policy != Policy::default()),
        verify: verify(filled).filter(|level| *level != VerifyLevel::None),
        label: Some(filled.text("label")).filter(|label| !label.is_empty()),
        name: name.clone(),
        connection: connection.clone(),
        ..JobCreate::default()
    };
    let mut command = format!("backstay job add {} {}", shell(&name), shell(&connection));
    command.push_str(&flags(
        create.schedule.as_ref(),
        create.retention.as_ref(),
        &create.databases,
        &create.repositories,
    ));
    if let Some(level) = create.verify {
        command.push_str(&format!(" --verify {level}"));
    }
    if create.enabled == Some(false) {
        command.push_str(" --paused");
    }
    Ok(Call {
        method: "POST",
        path: path(&["jobs"]),
        body: serde_json::to_value(&create).ok(),
        says: format!("Adding the job {name}"),
        command,
        topics: &["job"],
        tag: 0,
    })
}

fn edit(filled: &Filled<'_>, subject: &str) -> std::result::Result<Call, Refused> {
    let Some(job) = before(subject) else {
        return Err(("name", "What the job was before is not known".to_owned()));
    };
    let name = required(filled, "name")?;
    let schedule = schedule(filled, job.schedule.as_ref());
    let policy = retention(filled, job.work.retention.clone())?;
    let (databases, stores) = (filled.words("databases"), filled.words("repositories"));
    let label = filled.text("label");
    let level = verify(filled).unwrap_or(VerifyLevel::None);
    let old_level = job.work.verify.unwrap_or(VerifyLevel::None);
    let edit = JobEdit {
        unschedule: (schedule.is_none() && job.schedule.is_some()).then_some(true),
        schedule: schedule.filter(|own| Some(own) != job.schedule.as_ref()),
        retention: Some(policy).filter(|own| *own != job.work.retention),
        databases: Some(databases).filter(|own| *own != job.work.databases),
        repositories: Some(stores).filter(|own| *own != job.repositories),
        label: Some(label).filter(|own| *own != job.work.label.clone().unwrap_or_default()),
        verify: Some(level).filter(|own| *own != old_level),
        enabled: Some(filled.is_on("enabled")).filter(|own| *own != job.enabled),
        name: Some(name).filter(|own| *own != job.name),
        ..JobEdit::default()
    };
    Ok(editing(&job, &edit))
}

/// Changes a job.
pub(super) fn editing(job: &Job, edit: &JobEdit) -> Call {
    let mut command = format!("backstay job edit {}", shell(&job.name));
    if let Some(name) = &edit.name {
        command.push_str(&format!(" --name {}", shell(name)));
    }
    if edit.unschedule == Some(true) {
        command.push_str(" --no-schedule");
    }
    if edit.databases.as_ref().is_some_and(Vec::is_empty) {
        command.push_str(" --all-databases");
    }
    if edit
        .retention
        .as_ref()
        .is_some_and(|own| *own == Policy::default())
    {
        command.push_str(" --keep-all");
    }
    command.push_str(&flags(
        edit.schedule.as_ref(),
        edit.retention.as_ref(),
        edit.databases.as_deref().unwrap_or_default(),
        edit.repositories.as_deref().unwrap_or_default(),
    ));
    if let Some(label) = &edit.label {
        command.push_str(&format!(" --label {}", shell(label)));
    }
    if let Some(level) = edit.verify {
        command.push_str(&format!(" --verify {level}"));
    }
    Call {
        method: "PATCH",
        path: path(&["jobs", &job.id.to_string()]),
        body: serde_json::to_value(edit).ok(),
        says: format!("Changing the job {}", job.name),
        command,
        topics: &["job"],
        tag: 0,
    }
}

fn flags(
    schedule: Option<&JobSchedule>,
    policy: Option<&Policy>,
    databases: &[String],
    repositories: &[String],
) -> String {
    let mut text = String::new();
    for name in databases {
        text.push_str(&format!(" --database {}", shell(name)));
    }
    if let Some(own) = schedule {
        text.push_str(&format!(" --cron {}", shell(&own.cron)));
        if own.time_zone != "UTC" {
            text.push_str(&format!(" --zone {}", shell(&own.time_zone)));
        }
    }
    for name in repositories {
        text.push_str(&format!(" --repository {}", shell(name)));
    }
    if let Some(policy) = policy {
        for (name, flag, _) in RULES {
            if let Some(number) = number(policy, name) {
                text.push_str(&format!(" {flag} {number}"));
            }
        }
    }
    text
}
