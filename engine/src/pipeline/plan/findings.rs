//! What stands in the way of a restore, and what a person should know before it.

use std::collections::BTreeSet;

use super::{Blocker, Destination, Plan, Surroundings};
use crate::error::Code;
use crate::monitor::Loss;
use crate::pipeline::archive::Archive;
use crate::pipeline::backup::Outcome;
use crate::source::postgres::logical::object::ObjectKind;
use crate::source::postgres::logical::restore::inspect::ServerState;
use crate::source::postgres::logical::restore::renaming::{Place, label};

/// Losses of the backup, and objects in the way, that are named one by one.
const NAMED_MAX: usize = 20;

/// The database that programs go to when they are told of none.
const MAINTENANCE: &str = "postgres";

/// Finds what a run would be refused for.
pub(super) fn blockers(plan: &mut Plan, archive: &Archive, around: &Surroundings) {
    let mut found = Blockers::default();
    found.of_server(plan, archive, &around.server);
    if matches!(plan.destination, Destination::Swap { .. }) {
        found.of_swap(plan, archive);
    }
    found.of_schemas(plan, archive, around);
    match plan.destination {
        Destination::Existing => found.of_what_is_there(plan, around),
        Destination::Cleaned => found.of_what_is_needed(plan, around),
        _ => {}
    }
    plan.blockers = found.0;
}

#[derive(Default)]
struct Blockers(Vec<Blocker>);

impl Blockers {
    fn add(&mut self, code: Code, message: String, hint: &str) {
        self.0.push(Blocker {
            code: code.name().to_owned(),
            message,
            hint: hint.to_owned(),
        });
    }

    fn of_server(&mut self, plan: &Plan, archive: &Archive, server: &ServerState) {
        let source = &archive.database;
        if server.version / 10_000 < source.server_version / 10_000 {
            self.add(
                Code::SourceVersion,
                format!(
                    "The backup comes from PostgreSQL {}, the target is the older {}",
                    source.server_version_text, server.version_text
                ),
                "Restore to a server of the same or a newer major version",
            );
        }
        if plan.creates_database() && !server.may_create_databases {
            self.add(
                Code::SourceRights,
                format!("The role \"{}\" may not create databases", server.role),
                "ALTER ROLE … CREATEDB, or name an existing empty database with --database",
            );
        }
    }

    /// Only what is whole takes the place of a database.
    fn of_swap(&mut self, plan: &Plan, archive: &Archive) {
        if !archive.database.selection.is_everything() {
            self.add(
                Code::Conflict,
                format!(
                    "The backup holds only what was chosen of \"{}\" ({}), and would take the place of all of it",
                    plan.database, archive.database.selection
                ),
                "Restore it to a database of its own, or give --object for what is to be replaced",
            );
        } else if archive.facts.outcome == Outcome::Partial {
            self.add(
                Code::Conflict,
                format!(
                    "The backup is partial, and would take the place of all of \"{}\"",
                    plan.database
                ),
                "Restore it to a database of its own, or take a complete backup of the database",
            );
        }
    }

    fn of_schemas(&mut self, plan: &Plan, archive: &Archive, around: &Surroundings) {
        let Some(chosen) = &plan.chosen else { return };
        let mut there: BTreeSet<&str> = archive
            .objects
            .iter()
            .filter(|object| object.kind == ObjectKind::Schema)
            .filter(|object| chosen.objects.contains(&object.number))
            .map(|object| object.name.as_str())
            .collect();
        if plan.creates_database() {
            there.insert("public");
        }
        for choice in &plan.options.objects {
            let Some(new) = &choice.new else { continue };
            if there.contains(new.0.as_str()) || around.state.schemas.contains(&new.0) {
                continue;
            }
            self.add(
                Code::NotFound,
                format!(
                    "{} cannot be made: \"{}\" has no schema \"{}\"",
                    label(new),
                    plan.database,
                    new.0
                ),
                "Make the schema first, or name one that is there",
            );
        }
    }

    fn of_what_is_there(&mut self, plan: &Plan, around: &Surroundings) {
        let hint =
            "Give --clean to replace it, another name, or leave out --database for a new database";
        let mut add = |message| self.add(Code::DatabaseNotEmpty, message, hint);
        if plan.chosen.is_none() {
            if !around.state.is_empty {
                add(format!(
                    "The database \"{}\" holds something already",
                    plan.database
                ));
            }
            return;
        }
        let places: BTreeSet<&Place> = around.places.values().collect();
        let there = |place: &&&Place| around.state.relations.contains_key(**place);
        for place in places.iter().filter(there).take(NAMED_MAX) {
            add(format!(
                "{} exists already in \"{}\"",
                label(place),
                plan.database
            ));
        }
    }

    /// What stays would not let go of what is to be dropped.
    fn of_what_is_needed(&mut self, plan: &Plan, around: &Surroundings) {
        for (what, needs) in around.doomed.needed_by.iter().take(NAMED_MAX) {
            self.add(
                Code::Conflict,
                format!(
                    "{needs} in \"{}\" cannot be replaced: {what} needs it",
                    plan.database
                ),
                "Restore the table under another name with --object SCHEMA.TABLE=NEW, choose what needs it as well, \
                 or drop that yourself and make it again afterwards",
            );
        }
    }
}

/// Finds what a person should know.
pub(super) fn warnings(plan: &mut Plan, archive: &Archive, around: &Surroundings) {
    let server = &around.server;
    let mut warnings = Vec::new();
    of_backup(archive, &mut warnings);
    of_database(plan, around, &mut warnings);
    of_names(plan, archive, server, &mut warnings);
    for name in &server.unfinished {
        warnings.push(format!(
            "The database \"{name}\" is filled by a restore under way, or left from one that was cut off: \
             drop it in the second case"
        ));
    }
    plan.warnings = warnings;
}

/// What the backup itself lacks.
fn of_backup(archive: &Archive, warnings: &mut Vec<String>) {
    let selection = &archive.database.selection;
    if !selection.is_everything() {
        warnings.push(format!(
            "The backup holds only what was chosen of \"{}\": {selection}",
            archive.database.name
        ));
    }
    if archive.facts.outcome == Outcome::Partial {
        warnings.push("The backup itself is partial; what it lacks cannot be restored".to_owned());
    }
    let losses = &archive.facts.losses;
    let lacks = |loss: &Loss| format!("The backup lacks {}: {}", loss.object, loss.reason);
    warnings.extend(losses.iter().take(NAMED_MAX).map(lacks));
    if losses.len() > NAMED_MAX {
        warnings.push(format!(
            "The backup lacks {} more; `backstay backup show {}` lists them",
            losses.len() - NAMED_MAX,
            archive.snapshot.id
        ));
    }
}

/// What happens to the database as such.
fn of_database(plan: &Plan, around: &Surroundings, warnings: &mut Vec<String>) {
    let name = &plan.database;
    if let Destination::Swap { .. } = plan.destination {
        let now = match plan.sessions {
            0 => "there is none now".to_owned(),
            1 => "there is one now".to_owned(),
            number => format!("there are {number} now"),
        };
        warnings.push(format!(
            "Every session in \"{name}\" is ended for the swap ({now}), and the old database stays under another name"
        ));
        if around.sessions.out_of_reach > 0 {
            warnings.push(format!(
                "\"{}\" may not end {} of the sessions in \"{name}\": while they last the swap fails, and all stays as it is",
                around.server.role, around.sessions.out_of_reach
            ));
        }
    }
    let takes_all = plan.destroys && plan.chosen.is_none();
    if takes_all && name == MAINTENANCE {
        warnings.push(format!(
            "\"{name}\" is the database that programs go to when they are told of none, Backstay among them"
        ));
    }
}

/// Names that the backup uses and the target lacks.
fn of_names(plan: &Plan, archive: &Archive, server: &ServerState, warnings: &mut Vec<String>) {
    let mut roles = BTreeSet::new();
    let mut tablespaces = BTreeSet::new();
    let mut extensions = BTreeSet::new();
    for object in archive.objects.iter().filter(|object| plan.wants(object)) {
        roles.extend(object.owner.clone());
        tablespaces.extend(object.tablespace.clone().filter(|name| !name.is_empty()));
        if object.kind == ObjectKind::Extension {
            extensions.insert(object.name.clone());
        }
    }
    let creates = plan.creates_database() && plan.chosen.is_none();
    if creates {
        roles.insert(archive.database.owner.clone());
        tablespaces.extend(archive.database.tablespace.clone());
    }
    if !plan.options.no_owner {
        for role in roles.iter().filter(|role| !server.roles.contains(*role)) {
            let effect = if plan.options.globals {
                "it will be made".to_owned()
            } else {
                format!(
                    "its objects will belong to \"{}\" and the restore will be partial",
                    server.role
                )
            };
            warnings.push(format!("The target has no role \"{role}\"; {effect}"));
        }
        if !server.is_superuser && roles.iter().any(|role| *role != server.role) {
            warnings.push(format!(
                "\"{}\" is no superuser: owners it is not a member of cannot be restored",
                server.role
            ));
        }
    }
    for place in tablespaces
        .iter()
        .filter(|place| !server.tablespaces.contains(*place))
    {
        warnings.push(format!(
            "The target has no tablespace \"{place}\"; its objects go to the database's own"
        ));
    }
    for extension in extensions.iter().filter(|name| {
        let offered = server.extensions.as_ref();
        offered.is_some_and(|offered| !offered.contains(*name))
    }) {
        warnings.push(format!(
            "The target has no extension \"{extension}\"; it and what needs it cannot be restored"
        ));
    }
}
