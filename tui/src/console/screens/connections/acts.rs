//! What can be done to a connection, from the list and from its own screen.

use backstay_engine::Result;
use backstay_engine::model::{Connection, ConnectionTest, Database, Page};
use serde_json::{Value, json};

use crate::client::path;
use crate::console::action::{Action, Tier};
use crate::console::layers::{Confirm, Contents, Question};
use crate::console::screen::{Call, Cx, Level, View};
use crate::console::text::shell;
use crate::console::theme::Role;

/// Tags of the calls whose answers are shown.
const TESTED: u32 = 1;
const DISCOVERED: u32 = 2;

/// Tries a saved connection; what it found is shown when the answer comes.
pub(in crate::console::screens) fn test(name: &str, cx: &mut Cx<'_>) {
    cx.toast(Level::Info, format!("Testing {name}"));
    cx.call(Call {
        method: "POST",
        path: path(&["connections", name, "test"]),
        body: Some(json!({})),
        says: String::new(),
        command: format!("backstay connection test {}", shell(name)),
        topics: &["connection"],
        tag: TESTED,
    });
}

/// Looks for databases that came or went.
pub(in crate::console::screens) fn discovering(name: &str) -> Call {
    Call {
        method: "POST",
        path: path(&["connections", name, "discover"]) + "?limit=200",
        body: Some(json!({})),
        says: format!("Looking for databases on {name}"),
        command: format!("backstay connection discover {}", shell(name)),
        topics: &["connection", "database"],
        tag: DISCOVERED,
    }
}

/// Shows what a test or a discovery found.
pub(in crate::console::screens) fn answered(tag: u32, result: &Result<Value>, cx: &mut Cx<'_>) {
    match (tag, result) {
        (TESTED, Ok(answer)) => {
            if let Ok(test) = serde_json::from_value::<ConnectionTest>(answer.clone()) {
                cx.layer(Contents::new("What the test found", tested(&test)));
            }
        }
        (TESTED, Err(error)) => cx.toast(Level::Bad, error.to_string()),
        (DISCOVERED, Ok(answer)) => {
            if let Ok(page) = serde_json::from_value::<Page<Database>>(answer.clone()) {
                let there = page.items.iter().filter(|own| own.present);
                let count = there.clone().count();
                let taken = there.filter(|own| own.selected).count();
                let more = page.next_cursor.map_or("", |_| "More than ");
                let text =
                    format!("{more}{count} databases; {taken} of them are in whole-server backups");
                cx.toast(Level::Good, text);
            }
        }
        _ => {}
    }
}

/// A test in lines: how it went, what to do, facts, warnings.
pub(super) fn tested(test: &ConnectionTest) -> Vec<(String, Role)> {
    let mut lines = vec![if test.ok {
        (format!("ok: {}", test.message), Role::Good)
    } else {
        (format!("FAILED: {}", test.message), Role::Bad)
    }];
    lines.extend(test.hint.iter().map(|hint| (hint.clone(), Role::Text)));
    let warnings = test.warnings.iter();
    lines.extend(warnings.map(|warning| (format!("warning: {warning}"), Role::Warning)));
    lines.extend(
        test.latency_ms
            .map(|latency| (format!("{:<22} {latency} ms", "answered in"), Role::Text)),
    );
    let facts = test.facts.iter();
    lines.extend(facts.map(|fact| (format!("{:<22} {}", fact.name, fact.value), Role::Text)));
    lines
}

/// Asks whether a connection is to be forgotten.
pub(in crate::console::screens) fn removing(own: &Connection, view: &View<'_>) -> Confirm {
    let question = Question {
        title: format!("Delete the connection {}", own.name),
        lines: vec![
            (
                format!("{} {} and its password are forgotten.", view.glyphs.remove, own.url),
                Role::Bad,
            ),
            (
                "It is not backed up any more: nothing that changes there from now on can be brought back."
                    .to_owned(),
                Role::Warning,
            ),
            (
                "Its backups stay where they are, and can be restored to another server.".to_owned(),
                Role::Text,
            ),
        ],
        tier: Tier::Irreversible,
        name: own.name.clone(),
        button: "Delete".to_owned(),
        calls: vec![Call {
            method: "DELETE",
            path: path(&["connections", &own.id.to_string()]),
            body: None,
            says: format!("Deleting the connection {}", own.name),
            command: format!(
                "backstay connection remove {} --confirm {}",
                shell(&own.name),
                shell(&own.name)
            ),
            topics: &["connection", "database"],
            tag: REMOVED,
        }],
        action: Action::Delete,
    };
    Confirm::new(question, view.now)
}

/// Tag of a removal: a screen that shows the connection has nothing left to show.
pub(in crate::console::screens) const REMOVED: u32 = 3;
