//! Settings: one record, read at every use and changed at once.

use std::sync::Arc;

use parking_lot::RwLock;
use tokio::sync::{Mutex, MutexGuard};
use url::Url;

use super::Engine;
use crate::catalog::Catalog;
use crate::catalog::records::{SETTINGS, SettingsRecord};
use crate::error::{Error, Result};
use crate::model::{Settings, SettingsEdit};

const DAY_SECONDS: u32 = 24 * 60 * 60;

/// The settings as they are now.
#[derive(Debug)]
pub(super) struct InForce {
    now: RwLock<Arc<Settings>>,
    /// Held while they change, so that what is in force is what was written last.
    changing: Mutex<()>,
}

impl InForce {
    /// What the catalog holds.
    pub(super) fn read(catalog: &Catalog) -> Result<Self> {
        let record = catalog.get::<SettingsRecord>(SETTINGS)?;
        Ok(Self {
            now: RwLock::new(Arc::new(record.unwrap_or_default().0)),
            changing: Mutex::default(),
        })
    }

    /// Holds off other changes.
    pub(super) async fn changing(&self) -> MutexGuard<'_, ()> {
        self.changing.lock().await
    }
}

impl Engine {
    /// The settings in force.
    pub fn settings(&self) -> Arc<Settings> {
        Arc::clone(&self.0.settings.now.read())
    }

    /// Puts in force what the catalog holds.
    pub(super) fn reread_settings(&self) -> Result<()> {
        let record = self.0.catalog.get::<SettingsRecord>(SETTINGS)?;
        *self.0.settings.now.write() = Arc::new(record.unwrap_or_default().0);
        Ok(())
    }

    /// Changes settings, in force from now on.
    pub async fn edit_settings(&self, edit: SettingsEdit) -> Result<Settings> {
        let _changing = self.0.settings.changing().await;
        let before = self.settings();
        let after = checked(edit.applied((*before).clone()))?;
        let (scribe, written) = (self.scribe(), after.clone());
        let edited = self.0.catalog.write(move |tx| {
            tx.put(&mut SettingsRecord(written.clone()))?;
            scribe.note(tx, "settings.edit", "", Some(&*before), Some(&written))
        });
        edited.await?;
        *self.0.settings.now.write() = Arc::new(after.clone());
        self.changed();
        self.publish("settings.changed", "", &after);
        Ok(after)
    }
}

/// Settings that can be meant; an error names every field that cannot.
pub(super) fn checked(mut settings: Settings) -> Result<Settings> {
    let mut wrong: Vec<(String, String)> = Vec::new();
    if let Some(url) = settings.public_url.take() {
        match public(&url) {
            Some(url) => settings.public_url = Some(url),
            None => wrong.push((
                "public_url".to_owned(),
                "must be an http or https URL without user, query and fragment".to_owned(),
            )),
        }
    }
    let limits = &settings.rate_limits;
    let keep_runs_days = settings.maintenance.keep_runs_days;
    for (field, value, least, most) in [
        (
            "rate_limits.authentication_per_minute",
            limits.authentication_per_minute,
            1,
            1_000_000,
        ),
        (
            "rate_limits.reads_per_minute",
            limits.reads_per_minute,
            1,
            1_000_000,
        ),
        (
            "rate_limits.writes_per_minute",
            limits.writes_per_minute,
            1,
            1_000_000,
        ),
        (
            "rate_limits.free_per_hour",
            limits.free_per_hour,
            1,
            1_000_000,
        ),
        (
            "rate_limits.professional_per_hour",
            limits.professional_per_hour,
            1,
            1_000_000,
        ),
        (
            "alerts.repository_full_percent",
            settings.alerts.repository_full_percent.into(),
            1,
            100,
        ),
        (
            "alerts.size_anomaly_percent",
            settings.alerts.size_anomaly_percent,
            1,
            10_000,
        ),
        (
            "retention.max_delete_percent",
            settings.retention.max_delete_percent.into(),
            0,
            100,
        ),
        (
            "sessions.lifetime_seconds",
            settings.sessions.lifetime_seconds,
            60,
            365 * DAY_SECONDS,
        ),
        (
            "maintenance.check_read_percent",
            settings.maintenance.check_read_percent.into(),
            0,
            100,
        ),
        ("maintenance.keep_runs_days", keep_runs_days, 0, 100_000),
        ("logs.run_days", settings.logs.run_days, 0, 100_000),
        ("logs.run_count", settings.logs.run_count, 1, 100_000_000),
    ] {
        if !(least..=most).contains(&value) {
            wrong.push((field.to_owned(), format!("must be {least} to {most}")));
        }
    }
    if wrong.is_empty() {
        return Ok(settings);
    }
    let names: Vec<&str> = wrong.iter().map(|(field, _)| field.as_str()).collect();
    let error = Error::invalid(format!("These settings cannot be: {}", names.join(", ")));
    Err(wrong
        .into_iter()
        .fold(error, |error, (field, message)| error.field(field, message)))
}

/// The URL without a slash at its end, if it can stand before a path.
fn public(text: &str) -> Option<String> {
    let url = Url::parse(text.trim()).ok()?;
    let plain = matches!(url.scheme(), "http" | "https")
        && url.has_host()
        && url.username().is_empty()
        && url.password().is_none()
        && url.query().is_none()
        && url.fragment().is_none();
    plain.then(|| url.as_str().trim_end_matches('/').to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{LogSettingsEdit, RateLimitsEdit};

    #[test]
    fn what_is_left_out_stays() {
        let edit = SettingsEdit {
            rate_limits: Some(RateLimitsEdit {
                reads_per_minute: Some(7),
                ..RateLimitsEdit::default()
            }),
            public_url: Some("https://backup.example.com/".to_owned()),
            ..SettingsEdit::default()
        };
        let settings = checked(edit.applied(Settings::default())).unwrap();
        assert_eq!(settings.rate_limits.reads_per_minute, 7);
        assert_eq!(settings.rate_limits.writes_per_minute, 20);
        let url = settings.public_url.as_deref();
        assert_eq!(url, Some("https://backup.example.com"));
        let none = SettingsEdit {
            public_url: Some(String::new()),
            ..SettingsEdit::default()
        };
        assert_eq!(none.applied(settings).public_url, None);
    }

    #[test]
    fn every_wrong_field_is_named() {
        let edit = SettingsEdit {
            public_url: Some("ftp://x".to_owned()),
            logs: Some(LogSettingsEdit {
                run_count: Some(0),
                run_days: None,
            }),
            rate_limits: Some(RateLimitsEdit {
                free_per_hour: Some(0),
                ..RateLimitsEdit::default()
            }),
            ..SettingsEdit::default()
        };
        let error = checked(edit.applied(Settings::default())).unwrap_err();
        let fields: Vec<_> = error.fields().iter().map(|field| &field.field).collect();
        assert_eq!(
            fields,
            ["public_url", "rate_limits.free_per_hour", "logs.run_count"]
        );
    }
}
