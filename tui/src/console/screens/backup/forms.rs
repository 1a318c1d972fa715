//! Pins and remarks.

use backstay_engine::model::{Backup, BackupEdit};

use crate::cli::args::pin;
use crate::cli::backup::forever;
use crate::client::path;
use crate::console::screen::Call;
use crate::console::screens::backups::source;
use crate::console::text::shell;
use crate::console::widgets::form::{Entry, Filled, Form, Step};

const TOPICS: &[&str] = &["backup"];

/// What a step answers: its request, or the field that is wrong.
type Answer = Result<Call, (&'static str, String)>;

fn edit(id: &str, edit: &BackupEdit, says: &str, command: String) -> Result<Call, String> {
    Ok(Call {
        method: "PATCH",
        path: path(&["backups", id]),
        body: Some(serde_json::to_value(edit).map_err(|error| error.to_string())?),
        says: says.to_owned(),
        command,
        topics: TOPICS,
        tag: 0,
    })
}

/// Asks how long a backup is kept, whatever the retention says.
pub(crate) fn pinning(backup: &Backup) -> Form {
    let until = match backup.pinned_until {
        Some(until) if until < forever() => until.format("%Y-%m-%d").to_string(),
        _ => "forever".to_owned(),
    };
    let entry = Entry::line(
        "pinned_until",
        "Keep until",
        "A day like 2027-01-01, a time like 2027-01-01T06:00:00Z, forever, or none to remove the pin",
        &until,
    );
    let step = Step {
        button: "Keep it",
        call: pin_call,
        closes: true,
        says: None,
    };
    let title = format!("Keep the backup of {}", source(backup));
    Form::new(title, &backup.id.to_string(), vec![entry], vec![step])
}

fn pin_call(filled: &Filled<'_>, id: &str) -> Answer {
    let until = filled.text("pinned_until");
    let wrong = |why| ("pinned_until", why);
    let own = pin(&until).map_err(wrong)?;
    let command = format!("backstay backup pin {id} --until {}", shell(&until));
    edit(id, &own.edit(), "Pinning the backup", command).map_err(wrong)
}

/// Asks for a backup's label and note.
pub(crate) fn annotating(backup: &Backup) -> Form {
    let entries = vec![
        Entry::line(
            "label",
            "Label",
            "A word to find it by, like before-upgrade; empty for none",
            backup.label.as_deref().unwrap_or_default(),
        ),
        Entry::line(
            "note",
            "Note",
            "A remark for others; empty for none",
            backup.note.as_deref().unwrap_or_default(),
        ),
    ];
    let step = Step {
        button: "Save",
        call: note_call,
        closes: true,
        says: None,
    };
    let title = format!("Label and note of the backup of {}", source(backup));
    Form::new(title, &backup.id.to_string(), entries, vec![step])
}

fn note_call(filled: &Filled<'_>, id: &str) -> Answer {
    let (label, note) = (filled.text("label"), filled.text("note"));
    let command = format!(
        "backstay backup annotate {id} --label {} --note {}",
        shell(&label),
        shell(&note)
    );
    let own = BackupEdit {
        label: Some(label),
        note: Some(note),
        ..BackupEdit::default()
    };
    edit(id, &own, "Saving the remarks", command).map_err(|why| ("label", why))
}
