//! What a drill found, and what that means for the backup.

use crate::error::{Code, Error, Result};
use crate::model::{CheckAnswer, DrillReport, Loss, Problem, VerifyLevel};
use crate::pipeline::restore::{RestoreOutcome, TableProof};
use crate::runs::{Finish, Proof};

/// Tables, differences and refusals a report keeps.
const KEPT: usize = 1000;
/// Bytes of an answer that a sentence quotes.
const QUOTED: usize = 200;

/// What a drill found.
#[derive(Clone, Debug, Default)]
pub(super) struct Findings {
    /// Whether there was a database to ask.
    pub(super) came_back: bool,
    restore_ms: u64,
    objects: u64,
    rows: u64,
    tables: Vec<TableProof>,
    compared: u64,
    equal: u64,
    differences: Vec<Loss>,
    refused: Vec<Loss>,
    checks: Vec<CheckAnswer>,
}

impl Findings {
    /// What a restore says of its backup. One that could not be made for another reason than the
    /// backup's own damage says nothing: that is an error.
    pub(super) fn of(restored: Result<RestoreOutcome>, restore_ms: u64) -> Result<Self> {
        let outcome = match restored {
            Ok(outcome) => outcome,
            Err(error) if is_damage(&error) => {
                let loss = Loss {
                    object: "the backup".to_owned(),
                    reason: error.report(),
                };
                return Ok(Self {
                    restore_ms,
                    differences: vec![loss],
                    ..Self::default()
                });
            }
            Err(error) => return Err(error),
        };
        let rows_of = |table: &TableProof| format!("rows of {}.{}", table.schema, table.table);
        let unequal: std::collections::HashSet<String> = outcome
            .tables
            .iter()
            .filter(|table| !table.equal)
            .map(rows_of)
            .collect();
        let (differences, refused) = outcome
            .losses
            .into_iter()
            .partition(|loss| unequal.contains(&loss.object));
        let mut tables = outcome.tables;
        let compared = tables.len() as u64;
        tables.sort_by(|a, b| (a.equal, &a.schema, &a.table).cmp(&(b.equal, &b.schema, &b.table)));
        tables.truncate(KEPT);
        Ok(Self {
            came_back: true,
            restore_ms,
            objects: outcome.objects,
            rows: outcome.rows,
            tables,
            compared,
            equal: outcome.proved_tables,
            differences,
            refused,
            checks: Vec::new(),
        })
    }

    /// Takes in what a query answered. Another answer than the expected one is a difference; a query
    /// that fails says nothing about the backup.
    pub(super) fn add(&mut self, answer: CheckAnswer) {
        if let Some(found) = answer.found.as_ref().filter(|_| !answer.ok) {
            self.differences.push(Loss {
                object: format!("the answer to {}", quoted(&answer.sql)),
                reason: format!(
                    "It is {} where {} was expected",
                    quoted(found),
                    quoted(&answer.expect)
                ),
            });
        }
        self.checks.push(answer);
    }

    pub(super) fn write(&self, report: &mut DrillReport) {
        report.restore_ms = Some(self.restore_ms);
        report.objects = self.objects;
        report.rows = self.rows;
        report.tables.clone_from(&self.tables);
        report.tables_compared = self.compared;
        report.tables_equal = self.equal;
        report.differences = self.differences.iter().take(KEPT).cloned().collect();
        report.refused = self.refused.iter().take(KEPT).cloned().collect();
        report.checks.clone_from(&self.checks);
    }

    /// How the run ends: a difference marks the backup; a whole restore without one climbs the rung.
    pub(super) fn finish(&self, report: &DrillReport) -> Finish {
        let broken = self.checks.iter().find(|answer| answer.error.is_some());
        let error = match (self.differences.first(), broken) {
            (Some(first), _) => Some(
                Error::new(
                    Code::DrillDiffers,
                    format!(
                        "What came back of {} differs in {} places from what was recorded or expected; \
                         the first: {}: {}",
                        report.source,
                        self.differences.len(),
                        first.object,
                        first.reason
                    ),
                )
                .hint("See `backstay drill reports`; verify the backup, and make a new one"),
            ),
            (None, Some(answer)) => Some(
                Error::new(
                    Code::SourceStatement,
                    format!(
                        "The query {} failed: {}",
                        quoted(&answer.sql),
                        answer.error.as_deref().unwrap_or_default()
                    ),
                )
                .hint("Correct the drill's query with `backstay drill edit`"),
            ),
            (None, None) => None,
        };
        let partial = !self.refused.is_empty();
        let climbs = error.is_none() && !partial && report.whole;
        let differs = !self.differences.is_empty();
        Finish {
            result: serde_json::to_value(report).unwrap_or_default(),
            partial,
            proofs: vec![Proof {
                backup: report.backup_id,
                climbed: climbs
                    .then_some(VerifyLevel::Restored)
                    .into_iter()
                    .collect(),
                failed: differs.then(|| (VerifyLevel::Restored, self.differences.clone())),
            }],
            error: error.as_ref().map(Problem::from),
            ..Finish::default()
        }
    }
}

fn is_damage(error: &Error) -> bool {
    matches!(
        error.code(),
        Code::RepositoryCorrupt | Code::RepositoryMissing
    )
}

fn quoted(text: &str) -> String {
    let mut end = text.len().min(QUOTED);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let more = if end < text.len() { "…" } else { "" };
    format!("\"{}{more}\"", text.get(..end).unwrap_or_default())
}
