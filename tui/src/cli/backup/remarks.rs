//! `backup pin`, `backup annotate`.

use backstay_engine::model::{self, Backup};
use chrono::{DateTime, Utc};

use super::show::view;
use crate::cli::args::{BackupAnnotate, BackupPin, Pin};
use crate::cli::failure::Done;
use crate::cli::output::time;
use crate::cli::session::Session;
use crate::client::path;

/// The pin that outlasts everything: the last moment RFC 3339 can write.
pub(crate) fn forever() -> DateTime<Utc> {
    chrono::NaiveDate::from_ymd_opt(9999, 12, 31)
        .and_then(|day| day.and_hms_opt(0, 0, 0))
        .map_or(DateTime::<Utc>::MAX_UTC, |moment| moment.and_utc())
}

/// How long a pin holds, in words.
pub(crate) fn pinned(until: DateTime<Utc>) -> String {
    if until >= forever() {
        "until the pin is removed".to_owned()
    } else {
        format!("until {}", time(until))
    }
}

async fn edit(session: &Session, name: &str, edit: &model::BackupEdit) -> Done {
    let client = session.engine().await?;
    let backup: Backup = client.patch(&path(&["backups", name]), edit).await?;
    session.output.record(&backup, view)
}

impl Pin {
    /// The change that pins a backup so.
    pub(crate) fn edit(&self) -> model::BackupEdit {
        let none = model::BackupEdit::default();
        match self {
            Self::Forever => model::BackupEdit {
                pinned_until: Some(forever()),
                ..none
            },
            Self::Until(until) => model::BackupEdit {
                pinned_until: Some(*until),
                ..none
            },
            Self::None => model::BackupEdit {
                unpin: Some(true),
                ..none
            },
        }
    }
}

pub(super) async fn pin(session: &Session, args: &BackupPin) -> Done {
    edit(session, &args.backup.backup, &args.until.edit()).await
}

pub(super) async fn annotate(session: &Session, args: BackupAnnotate) -> Done {
    let remarks = model::BackupEdit {
        label: args.label,
        note: args.note,
        ..model::BackupEdit::default()
    };
    edit(session, &args.backup.backup, &remarks).await
}
