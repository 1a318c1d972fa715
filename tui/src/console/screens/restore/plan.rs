//! What a restore would do, and the question before it does it.

use backstay_engine::model::{PlanAction, PlanItem, RestorePlan};

use super::{START, request};
use crate::cli::args::RestoreTarget;
use crate::cli::restore::{command, item_name, what_happens};
use crate::client::path;
use crate::console::action::{Action, Tier};
use crate::console::layers::{Confirm, Question};
use crate::console::screen::{Call, View};
use crate::console::text::{bytes, count, duration_ms, shell};
use crate::console::theme::Role;
use crate::console::widgets::sheet::Sheet;

/// Objects that are named; what is lost comes first, so that it is among them.
const SHOWN: usize = 2_000;

/// Writes the plan.
pub(super) fn describe(plan: &RestorePlan, sheet: &mut Sheet<'_>, view: &View<'_>) {
    for blocker in &plan.blockers {
        let before = format!("{} in the way: ", view.glyphs.bad);
        sheet.hanging(&before, blocker, Role::Bad);
    }
    if plan.destroys {
        let before = format!("{} ", view.glyphs.warning);
        sheet.hanging(&before, &what_happens(plan), Role::Warning);
    } else if plan.blockers.is_empty() {
        let before = format!("{} ", view.glyphs.ok);
        sheet.hanging(
            &before,
            "Nothing that is there now is changed or lost",
            Role::Good,
        );
    }
    for warning in &plan.warnings {
        let before = format!("{} ", view.glyphs.warning);
        sheet.hanging(&before, warning, Role::Warning);
    }
    let state = match (plan.database_exists, plan.database_empty) {
        _ if plan.creates_database && plan.destroys => "made beside, then swapped in",
        (false, _) if plan.creates_database => "it will be made",
        (false, _) => "it does not exist",
        (true, true) => "it exists and is empty",
        (true, false) => "it exists and holds something",
    };
    let size = plan.target_bytes.filter(|_| !plan.creates_database);
    let size = size.map_or_else(String::new, |size| format!(", {} now", bytes(size)));
    sheet.fact(
        "into",
        &format!("{}/{}: {state}{size}", plan.connection, plan.database),
    );
    let free = plan.free_bytes.map_or_else(
        || "what is free there is not known".to_owned(),
        |free| format!("{} free", bytes(free)),
    );
    let data = format!(
        "{} rows, {}; needs about {} there, {free}",
        count(plan.rows),
        bytes(plan.data_bytes),
        bytes(plan.space_bytes)
    );
    sheet.fact("data", &data);
    let time = match (plan.estimated_ms, &plan.estimate_basis) {
        (Some(time), Some(basis)) => format!("about {}, by {basis}", duration_ms(time)),
        (Some(time), None) => format!("about {}", duration_ms(time)),
        (None, _) => "not known: no restore of it was measured yet".to_owned(),
    };
    sheet.fact("takes", &time);
    if let (Some(from), Some(to)) = (&plan.source_version, &plan.target_version) {
        sheet.fact("versions", &format!("from {from} to {to}"));
    }
    for loss in &plan.losses {
        sheet.fact_of(
            "lacks",
            &format!("{}: {}", loss.object, loss.reason),
            Role::Warning,
        );
    }
    items(plan, sheet, view);
}

fn items(plan: &RestorePlan, sheet: &mut Sheet<'_>, view: &View<'_>) {
    let more = if plan.truncated {
        "; not all are listed"
    } else {
        ""
    };
    sheet.title(format!(
        "{} made, {} overwritten, {} dropped, {} left out{more}",
        count(plan.creates),
        count(plan.overwrites),
        count(plan.drops),
        count(plan.skips),
    ));
    // What is lost comes first: a person must not miss it among what is made.
    let order = [
        PlanAction::Drop,
        PlanAction::Overwrite,
        PlanAction::Skip,
        PlanAction::Create,
    ];
    let ordered = order
        .iter()
        .flat_map(|action| plan.items.iter().filter(move |item| item.action == *action));
    for item in ordered.take(SHOWN) {
        let (sign, role) = match item.action {
            PlanAction::Create => (view.glyphs.add, Role::Good),
            PlanAction::Drop => (view.glyphs.remove, Role::Bad),
            PlanAction::Overwrite => (view.glyphs.change, Role::Bad),
            PlanAction::Skip => (view.glyphs.none, Role::Faint),
        };
        sheet.hanging(
            &format!("{sign} {:<10}", item.action.as_str()),
            &line(item),
            role,
        );
    }
    if plan.items.len() > SHOWN {
        let text = "and more; `backstay restore plan --json` lists them";
        sheet.text(text, Role::Faint);
    }
}

fn line(item: &PlanItem) -> String {
    let mut text = format!("{} {}", item.kind.to_lowercase(), item_name(item));
    if let Some(rows) = item.rows {
        text.push_str(&format!(", {} rows", count(rows)));
    }
    if let Some(size) = item.data_bytes {
        text.push_str(&format!(", {}", bytes(size)));
    }
    if item.exists {
        text.push_str(match item.action {
            PlanAction::Create | PlanAction::Skip => "; it is there already",
            PlanAction::Drop | PlanAction::Overwrite => "; there now",
        });
        if let Some(rows) = item.target_rows {
            text.push_str(&format!(", about {} rows", count(rows)));
        }
        if let Some(size) = item.target_bytes {
            text.push_str(&format!(", {}", bytes(size)));
        }
    }
    if let Some(reason) = &item.reason {
        text.push_str(&format!(": {reason}"));
    }
    text
}

/// Asks before it starts: the name is typed where something is lost.
pub(super) fn question(
    plan: &RestorePlan,
    target: &RestoreTarget,
    view: &View<'_>,
) -> Option<Confirm> {
    let mut create = request(target, false);
    let mut line = command(target);
    let mut lines = vec![(
        format!(
            "{} rows, {} into {}/{}",
            count(plan.rows),
            bytes(plan.data_bytes),
            plan.connection,
            plan.database
        ),
        Role::Text,
    )];
    if plan.destroys {
        create.confirm = Some(plan.database.clone());
        line.push_str(&format!(" --confirm {}", shell(&plan.database)));
        lines.push((what_happens(plan), Role::Bad));
    } else {
        let text = "Nothing that is there now is changed or lost.";
        lines.push((text.to_owned(), Role::Good));
    }
    let call = Call {
        method: "POST",
        path: path(&["backups", &target.backup.backup, "restore"]),
        body: Some(serde_json::to_value(&create).ok()?),
        says: format!("Restoring into {}/{}", plan.connection, plan.database),
        command: line,
        topics: &["run", "restore"],
        tag: START,
    };
    let question = Question {
        title: format!("Restore into {}/{}", plan.connection, plan.database),
        lines,
        tier: if plan.destroys {
            Tier::Irreversible
        } else {
            Tier::Costly
        },
        name: plan.database.clone(),
        button: "Restore".to_owned(),
        calls: vec![call],
        action: Action::Restore,
    };
    Some(Confirm::new(question, view.now))
}
