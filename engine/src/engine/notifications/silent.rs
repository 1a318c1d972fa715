//! Targets that tell nothing any more, because everything that they are limited to is gone.

use super::super::Engine;
use super::super::alerts::Draft;
use crate::catalog::records::{ConnectionRecord, JobRecord, ProjectRecord, TargetRecord};
use crate::error::Result;
use crate::model::{AlertKind, Severity, Target};
use crate::notify::Facts;

impl Engine {
    /// Opens and closes the alerts of targets that cannot tell anything. What a target is limited to is never
    /// taken out of it: without its last limit it would tell of everything.
    pub(in super::super) async fn watch_targets(&self) -> Result<()> {
        for TargetRecord { target, .. } in self.0.catalog.all()? {
            let subject = target.id.to_string();
            if let Some(lost) = self.lost_limit(&target)? {
                self.raise_alert(silent(&target, lost, subject)).await?;
            } else {
                self.close_alert(AlertKind::TargetSilent, &subject).await?;
            }
        }
        Ok(())
    }

    /// As [`Self::watch_targets`], after something was removed: the removal stands.
    pub(in super::super) async fn watch_targets_now(&self) {
        if let Err(error) = self.watch_targets().await {
            let error = error.report();
            tracing::error!(error, "notification targets were not looked at");
        }
    }

    /// Which limit of a target leaves nothing over.
    fn lost_limit(&self, target: &Target) -> Result<Option<&'static str>> {
        // Hooks are called whatever their target is limited to.
        if !target.enabled || target.events.is_empty() {
            return Ok(None);
        }
        let catalog = &self.0.catalog;
        let (mut connections, mut jobs, mut projects) = (false, false, false);
        for id in &target.connection_ids {
            connections |= catalog.get::<ConnectionRecord>(id.bits())?.is_some();
        }
        for id in &target.job_ids {
            jobs |= catalog.get::<JobRecord>(id.bits())?.is_some();
        }
        for name in &target.projects {
            projects |= catalog.by_name::<ProjectRecord>(name)?.is_some();
        }
        let limits = [
            (
                "connections",
                !target.connection_ids.is_empty(),
                connections,
            ),
            ("jobs", !target.job_ids.is_empty(), jobs),
            ("projects", !target.projects.is_empty(), projects),
        ];
        let lost = limits.iter().find(|(_, limited, left)| *limited && !left);
        Ok(lost.map(|(what, ..)| *what))
    }
}

fn silent(target: &Target, lost: &str, subject: String) -> Draft {
    let name = &target.name;
    Draft {
        kind: AlertKind::TargetSilent,
        severity: Severity::Critical,
        subject,
        title: format!("The notification target {name} tells nothing any more"),
        message: format!(
            "It is limited to {lost} that are all gone. Give it others with `backstay notification edit \
             {name}`, or remove it"
        ),
        facts: Facts::default(),
    }
}
