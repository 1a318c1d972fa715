//! The screens, one file each; how they are reached is here.

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
mod objects;
mod overview;
mod restore;
mod run;
mod runs;

use super::action::Action;
use super::app::Settings;
use super::screen::Screen;

pub(crate) use backup::BackupScreen;
pub(crate) use backups::Backups;
pub(crate) use compare::Compare;
use connections::Connections;
pub(crate) use objects::Schemas;
use overview::Overview;
pub(crate) use restore::Wizard;
pub(crate) use run::RunScreen;
pub(crate) use runs::Runs;

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
        Action::GoRuns => Box::new(Runs::new()),
        _ => return None,
    })
}

/// The engines one can switch to.
pub(crate) fn contexts(settings: &Settings) -> Box<dyn Screen> {
    Box::new(contexts::Contexts::new(settings))
}
