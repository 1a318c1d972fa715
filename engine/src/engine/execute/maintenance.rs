//! Checks, prunes and repairs of repositories.

use std::collections::BTreeMap;

use super::Engine;
use super::compare::{problem_of, proofs_of};
use crate::catalog::records::{BackupRecord, RepositoryRecord, TrashRecord};
use crate::error::{Code, Error, Result};
use crate::ids::{BackupId, RepositoryId};
use crate::model::{
    CheckReport, Damage, DamageKind, Level, Loss, Problem, PruneReport, RepairReport, Run,
    VerifyLevel,
};
use crate::monitor::Task;
use crate::repository::Repository;
use crate::repository::check::{self, CheckOptions};
use crate::repository::collect::PruneOptions;
use crate::runs::{Finish, Proof};

/// Damages a run keeps.
const KEPT: usize = 1000;

impl Engine {
    pub(super) async fn do_check(&self, run: &Run, percent: u8, task: &Task) -> Result<Finish> {
        let record = self.repository_of(run)?;
        let repository = task.or_cancelled(self.open_repository(&record)).await?;
        let options = CheckOptions {
            read_percent: f64::from(percent),
        };
        let found = repository.check(&options, task).await?;
        let missing = self.compare(&record, &repository, task).await?;
        let mut report = check_report(&found, percent);
        let error = (!report.ok).then(|| {
            let error = Error::new(
                Code::RepositoryCorrupt,
                format!(
                    "{} objects are damaged; {} backups are not whole",
                    report.damages_total,
                    found.affected.len()
                ),
            )
            .hint("`backstay repository repair` mends what can be mended; then back up again");
            Problem::from(&error)
        });
        let error = error.or_else(|| problem_of(&missing));
        add_missing(&mut report, &missing);
        for damage in report.damages.iter().take(KEPT) {
            task.monitor.note(
                Level::Error,
                &format!("{}: {}", damage.object, damage.message),
            );
        }
        if report.ok {
            self.stamp(record.repository.id, task, |record, at| {
                record.checked_at = Some(at);
            })
            .await?;
        }
        let marked = found.affected.iter().map(|affected| Proof {
            backup: affected.backup,
            climbed: Vec::new(),
            failed: Some((VerifyLevel::Checked, losses_of(&affected.parts))),
        });
        Ok(Finish {
            result: serde_json::to_value(&report).unwrap_or_default(),
            error,
            proofs: marked.chain(proofs_of(&missing)).collect(),
            ..Finish::default()
        })
    }

    pub(super) async fn do_prune(&self, run: &Run, dry_run: bool, task: &Task) -> Result<Finish> {
        let record = self.repository_of(run)?;
        let repository = task.or_cancelled(self.open_repository(&record)).await?;
        let mut missing = Vec::new();
        let report = if dry_run {
            self.prune_plan_of(&repository, task).await?
        } else {
            // A test of the repository that was cut off; one that goes on stores nothing.
            let tests = [self.identity()];
            task.or_cancelled(repository.end_sessions_of(&tests))
                .await?;
            // Named by the run: should the engine die, its next start knows whose mark is left.
            let options = PruneOptions::new(self.writer_name(run));
            let done = repository.prune(&options, task).await?;
            self.forget_purged(&done.purged_backups).await?;
            missing = self.compare(&record, &repository, task).await?;
            self.stamp(record.repository.id, task, |record, at| {
                record.pruned_at = Some(at);
            })
            .await?;
            let packs = repository.storage().list("packs/").await?;
            let waiting = done.waiting_for.iter().map(|who| {
                format!("Some stay until {who} has ended, which may use them: prune again then")
            });
            PruneReport {
                dry_run: false,
                purged_backups: done.purged_backups.len() as u64,
                keep_packs: packs.len() as u64,
                keep_bytes: packs.iter().map(|pack| pack.size_bytes).sum(),
                repack_packs: 0,
                delete_packs: done.deleted_packs,
                repack_bytes: done.copied_bytes,
                freed_bytes: done.freed_bytes,
                waits_for_sessions: done.waiting_for.len() as u64,
                messages: waiting.collect(),
            }
        };
        for message in &report.messages {
            task.monitor.note(Level::Info, message);
        }
        Ok(Finish {
            result: serde_json::to_value(&report).unwrap_or_default(),
            partial: !missing.is_empty(),
            shortfall: problem_of(&missing),
            proofs: proofs_of(&missing),
            ..Finish::default()
        })
    }

    pub(super) async fn do_repair(&self, run: &Run, task: &Task) -> Result<Finish> {
        let record = self.repository_of(run)?;
        let repository = task.or_cancelled(self.open_repository(&record)).await?;
        let done = repository.repair(true, task).await?;
        let mut messages = Vec::new();
        for (count, what) in [
            (
                done.removed_segments,
                "parts of the index could not be read and were removed",
            ),
            (
                done.removed_trash,
                "records of the trash could not be read: what was in the trash is back",
            ),
            (
                done.found_packs,
                "files of data (packs) are in the index again",
            ),
            (done.missing_packs, "files of data (packs) are gone"),
            (
                done.damaged_packs,
                "damaged files of data (packs) were taken out of use",
            ),
            (
                done.lost_chunks,
                "pieces of data (chunks) are lost; the next backup stores those that its database still has",
            ),
        ] {
            if count > 0 {
                messages.push(format!("{count} {what}"));
            }
        }
        for message in &messages {
            task.monitor.note(Level::Warning, message);
        }
        let report = RepairReport {
            packs_read: done.found_packs + done.damaged_packs,
            chunks_indexed: done.saved_chunks,
            damages: Vec::new(),
            messages,
        };
        Ok(Finish {
            result: serde_json::to_value(&report).unwrap_or_default(),
            ..Finish::default()
        })
    }

    pub(in super::super) async fn prune_plan_of(
        &self,
        repository: &Repository,
        task: &Task,
    ) -> Result<PruneReport> {
        let options = PruneOptions::new(self.identity());
        let plan = repository.prune_plan(&options, task).await?;
        Ok(PruneReport {
            dry_run: true,
            purged_backups: plan.purged_backups.len() as u64,
            keep_packs: plan.kept_packs,
            keep_bytes: plan.kept_bytes,
            repack_packs: plan.sparse_packs,
            delete_packs: plan.dead_packs,
            repack_bytes: plan.copied_bytes,
            freed_bytes: plan.freed_bytes,
            waits_for_sessions: 0,
            messages: Vec::new(),
        })
    }

    /// What a prune purged cannot be taken back any more.
    async fn forget_purged(&self, purged: &[BackupId]) -> Result<()> {
        let purged: Vec<u128> = purged.iter().map(|id| id.bits()).collect();
        self.0
            .catalog
            .write(move |tx| {
                for id in &purged {
                    tx.remove::<TrashRecord>(*id)?;
                    // Somebody deleted it, and the catalog was not told.
                    tx.remove::<BackupRecord>(*id)?;
                }
                Ok(())
            })
            .await
    }

    async fn stamp(
        &self,
        id: RepositoryId,
        task: &Task,
        set: impl Fn(&mut crate::model::Repository, crate::model::Time) + Send + 'static,
    ) -> Result<()> {
        let now = task.clock.now();
        self.0
            .catalog
            .write(move |tx| {
                tx.change::<RepositoryRecord>(id.bits(), |record| {
                    set(&mut record.repository, now);
                    Ok(())
                })
            })
            .await?;
        Ok(())
    }
}

fn losses_of(parts: &[String]) -> Vec<Loss> {
    let loss = |part: &String| Loss {
        object: part.clone(),
        reason: "It needs data that is missing or damaged".to_owned(),
    };
    parts.iter().map(loss).collect()
}

/// Backups that only the catalog knows.
fn add_missing(report: &mut CheckReport, missing: &[BackupId]) {
    report.ok &= missing.is_empty();
    report.damages_total += missing.len() as u64;
    report
        .damages
        .extend(missing.iter().take(KEPT).map(|id| Damage {
            object: format!("Backup {id}"),
            kind: DamageKind::Missing,
            message: "The catalog has it, and the repository does not".to_owned(),
            backups: vec![*id],
        }));
}

fn check_report(found: &check::CheckReport, percent: u8) -> CheckReport {
    let mut damages: Vec<Damage> = found
        .problems
        .iter()
        .take(KEPT)
        .map(|problem| Damage {
            object: problem.object.clone(),
            kind: if problem.reason.contains("missing") {
                DamageKind::Missing
            } else {
                DamageKind::Corrupt
            },
            message: problem.reason.clone(),
            backups: Vec::new(),
        })
        .collect();
    // What the damage costs, backup by backup, part by part.
    let mut parts: BTreeMap<&str, Vec<BackupId>> = BTreeMap::new();
    for affected in &found.affected {
        for part in &affected.parts {
            parts.entry(part).or_default().push(affected.backup);
        }
    }
    let lost = parts.into_iter().map(|(part, backups)| Damage {
        object: part.to_owned(),
        kind: DamageKind::Corrupt,
        message: "It cannot be restored from these backups".to_owned(),
        backups,
    });
    damages.extend(lost.take(KEPT));
    CheckReport {
        ok: found.is_clean(),
        backups: found.backups,
        packs: found.packs,
        chunks: found.chunks,
        read_bytes: found.read_bytes,
        read_data_percent: percent,
        damages,
        damages_total: found.problem_count,
    }
}
