//! The screens, one file each; how they are reached is here.

mod alerts;
mod audit;
mod backup;
mod backups;
mod calendar;
mod compare;
mod connection;
mod connections;
mod contexts;
mod coverage;
#[cfg(test)]
mod driver;
mod jobs;
mod objects;
mod overview;
mod repositories;
mod restore;
mod run;
mod runs;
mod settings;

use super::action::Action;
use super::app::Settings;
use super::screen::Screen;

use alerts::Alerts;
use audit::Audit;
pub(crate) use backup::BackupScreen;
pub(crate) use backups::Backups;
pub(crate) use compare::Compare;
use connections::Connections;
use jobs::Jobs;
pub(crate) use objects::Schemas;
use overview::Overview;
use repositories::Repositories;
pub(crate) use restore::Wizard;
pub(crate) use run::RunScreen;
pub(crate) use runs::Runs;
use settings::SettingsScreen;

/// What the console opens with.
pub(crate) fn first() -> Box<dyn Screen> {
    Box::new(Overview::new())
}

/// The screen that a key leads to from everywhere.
pub(crate) fn root(action: Action) -> Option<Box<dyn Screen>> {
    Some(match action {
        Action::GoOverview => Box::new(Overview::new()),
        Action::GoConnections => Box::new(Connections::new()),
        Action::GoBackups => Box::new(Backups::new()),
        Action::GoJobs => Box::new(Jobs::new()),
        Action::GoRepositories => Box::new(Repositories::new()),
        Action::GoAlerts => Box::new(Alerts::new()),
        Action::GoAudit => Box::new(Audit::new()),
        Action::GoSettings => Box::new(SettingsScreen::new()),
        Action::GoRuns => Box::new(Runs::new()),
        _ => return None,
    })
}

/// The engines one can switch to.
pub(crate) fn contexts(settings: &Settings) -> Box<dyn Screen> {
    Box::new(contexts::Contexts::new(settings))
}
