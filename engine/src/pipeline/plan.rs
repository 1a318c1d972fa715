//! What a restore would do: worked out first, shown, then executed as it stands.

use std::collections::{BTreeSet, HashMap};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::archive::Archive;
use super::backup::Outcome;
use crate::error::{Code, Error, Result};
use crate::source::postgres::logical::contents::DatabaseFacts;
use crate::source::postgres::logical::object::{Object, ObjectKind, ObjectNumber};
use crate::source::postgres::logical::restore::choose::{Choice, Chosen, choose};
use crate::source::postgres::logical::restore::inspect::{self, DatabaseState, ServerState};
use crate::source::postgres::logical::selection::Selection;
use crate::source::postgres::target::Target;

/// What a person asks a restore to do.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[allow(clippy::struct_excessive_bools)]
pub struct RestoreOptions {
    /// The database to restore into; a new one beside the old when left out.
    pub database: Option<String>,
    /// Restore beside, prove, then swap by rename.
    pub in_place: bool,
    /// Empty the target first, or drop the chosen objects.
    pub clean: bool,
    /// Only these objects.
    pub objects: Vec<Choice>,
    /// Leave owners out.
    pub no_owner: bool,
    /// Leave grants out.
    pub no_privileges: bool,
    /// Leave extensions out.
    pub no_extensions: bool,
    /// Bring missing roles and tablespaces back too.
    pub globals: bool,
}

/// What happens to one object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// It is made.
    Create,
    /// The target's is dropped.
    Drop,
    /// The target's is replaced.
    Overwrite,
    /// It is left out.
    Skip,
}

/// One line of a plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlanItem {
    /// What happens.
    pub action: Action,
    /// What it is: `TABLE`.
    pub kind: String,
    /// Its schema.
    pub schema: Option<String>,
    /// Its name.
    pub name: String,
    /// Rows to bring back.
    pub rows: Option<u64>,
    /// Bytes of rows to bring back.
    pub data_bytes: Option<u64>,
    /// Why, where it is not plain.
    pub reason: Option<String>,
}

/// Something that stands in the way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Blocker {
    /// Name of the stable code.
    pub code: String,
    /// One sentence.
    pub message: String,
    /// What to do.
    pub hint: String,
}

/// Where the objects go.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Destination {
    /// A database that does not exist yet.
    New {
        /// The name while it is filled.
        working: String,
    },
    /// One that exists and is filled as it is: empty, or the chosen objects are not in it.
    Existing,
    /// One that exists and is emptied first; with chosen objects, only those are dropped.
    Cleaned,
    /// A new one that then takes the old one's name.
    Swap {
        /// The name while it is filled.
        working: String,
        /// The name the old one keeps afterwards.
        kept: String,
    },
}

/// What a restore would do.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Plan {
    /// The database that holds the result.
    pub database: String,
    /// How it gets there.
    pub destination: Destination,
    /// Whether that database exists now.
    pub database_exists: bool,
    /// Whether it holds nothing, or does not exist.
    pub database_empty: bool,
    /// Whether something of the target would be lost: needs a confirmation.
    pub destroys: bool,
    /// `server_version` of the source.
    pub source_version: String,
    /// `server_version` of the target.
    pub target_version: String,
    /// `server_version_num` of the target.
    pub target_version_num: u32,
    /// Bytes of rows to bring back.
    pub data_bytes: u64,
    /// Rows to bring back.
    pub rows: u64,
    /// About how many bytes the result takes on the target's disks.
    pub space_bytes: u64,
    /// Objects, in restore order.
    pub items: Vec<PlanItem>,
    /// What may go wrong, for people.
    pub warnings: Vec<String>,
    /// What stands in the way; a run is refused for these.
    pub blockers: Vec<Blocker>,
    /// What was asked for.
    pub options: RestoreOptions,
    /// Tablespaces that the target has.
    pub tablespaces: BTreeSet<String>,
    /// The chosen objects; `None` means all.
    #[serde(skip)]
    pub chosen: Option<Chosen>,
}

impl Plan {
    /// The first thing that stands in the way, as an error.
    pub fn refuse(&self) -> Result<()> {
        match self.blockers.first() {
            None => Ok(()),
            Some(blocker) => Err(Error::new(
                Code::from_name(&blocker.code).unwrap_or(Code::Conflict),
                &blocker.message,
            )
            .hint(&blocker.hint)),
        }
    }

    /// The database to fill.
    pub fn working_database(&self) -> &str {
        match &self.destination {
            Destination::New { working } | Destination::Swap { working, .. } => working,
            _ => &self.database,
        }
    }

    /// Whether the database to fill is made by this restore.
    pub fn creates_database(&self) -> bool {
        matches!(
            self.destination,
            Destination::New { .. } | Destination::Swap { .. }
        )
    }

    /// Whether an object is to be made.
    pub fn wants(&self, object: &Object) -> bool {
        if self.options.no_extensions && object.kind == ObjectKind::Extension {
            return false;
        }
        self.wants_number(object.number)
    }

    /// Whether the chosen objects have it among them.
    pub fn wants_number(&self, number: ObjectNumber) -> bool {
        self.chosen
            .as_ref()
            .is_none_or(|chosen| chosen.objects.contains(&number))
    }
}

/// Works out what restoring `archive` to `target` would do.
pub async fn plan(
    archive: &Archive,
    target: &Target,
    options: &RestoreOptions,
    now: DateTime<Utc>,
) -> Result<Plan> {
    check(options)?;
    let server = inspect::server(&target.maintenance().await?).await?;
    let source = &archive.database;
    let database = match &options.database {
        Some(name) => name.clone(),
        None if options.in_place => source.name.clone(),
        None => fresh(&server, &source.name, "restored", now),
    };
    let existing = if server.databases.contains(&database) {
        Some(inspect::database(target, &database).await?)
    } else {
        None
    };
    let chosen = if options.objects.is_empty() {
        None
    } else {
        Some(choose(&archive.objects, &options.objects)?)
    };
    let mut draft = Plan {
        destination: destination(options, existing.as_ref(), chosen.is_some(), |word| {
            fresh(&server, &database, word, now)
        }),
        database_exists: existing.is_some(),
        database_empty: existing.as_ref().is_none_or(|state| state.is_empty),
        destroys: false,
        source_version: source.server_version_text.clone(),
        target_version: server.version_text.clone(),
        target_version_num: server.version,
        data_bytes: 0,
        rows: 0,
        space_bytes: source.size_bytes,
        items: Vec::new(),
        warnings: Vec::new(),
        blockers: Vec::new(),
        options: options.clone(),
        tablespaces: server.tablespaces.clone(),
        chosen,
        database,
    };
    let state = existing.unwrap_or_default();
    list_items(&mut draft, archive, &state);
    find_blockers(&mut draft, source, &server, &state);
    find_warnings(&mut draft, archive, &server);
    Ok(draft)
}

fn check(options: &RestoreOptions) -> Result<()> {
    if options.in_place && !options.objects.is_empty() && options.database.is_some() {
        return Err(
            Error::invalid("--in-place with --object names its database by itself")
                .hint("Leave out --in-place or --database"),
        );
    }
    if options.in_place && options.clean && options.objects.is_empty() {
        return Err(Error::invalid("--in-place and --clean exclude each other")
            .hint("--in-place keeps the old database beside; --clean empties the one --database names"));
    }
    if options.clean && options.database.is_none() && !options.in_place {
        return Err(
            Error::invalid("--clean needs --database").hint("Say which database may be emptied")
        );
    }
    Ok(())
}

/// `name_word_yyyymmdd_hhmmss`, cut so that it stays a name PostgreSQL takes (63 bytes).
fn name_with(name: &str, word: &str, now: DateTime<Utc>) -> String {
    let tail = format!("_{word}_{}", now.format("%Y%m%d_%H%M%S"));
    let mut end = name.len().min(63 - tail.len());
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}{tail}", name.get(..end).unwrap_or_default())
}

/// [`name_with`] a time at or after now that no database has in its name yet.
fn fresh(server: &ServerState, name: &str, word: &str, now: DateTime<Utc>) -> String {
    let mut at = now;
    loop {
        let name = name_with(name, word, at);
        if !server.databases.contains(&name) {
            return name;
        }
        at += chrono::Duration::seconds(1);
    }
}

fn destination(
    options: &RestoreOptions,
    existing: Option<&DatabaseState>,
    is_chosen: bool,
    fresh: impl Fn(&str) -> String,
) -> Destination {
    match existing {
        None => Destination::New {
            working: fresh("restoring"),
        },
        Some(_) if options.in_place && !is_chosen => Destination::Swap {
            working: fresh("restoring"),
            kept: fresh("before"),
        },
        Some(_) if options.clean => Destination::Cleaned,
        Some(_) => Destination::Existing,
    }
}

fn list_items(plan: &mut Plan, archive: &Archive, state: &DatabaseState) {
    let mut data: HashMap<ObjectNumber, (u64, u64)> = HashMap::new();
    for table in &archive.tables {
        let known = data.entry(table.entry.number).or_default();
        known.0 += table.entry.sum.rows;
        known.1 += table.entry.sum.data_bytes;
    }
    let replaces = plan.destination == Destination::Cleaned;
    let mut named = BTreeSet::new();
    let mut items = Vec::new();
    for object in &archive.objects {
        let key = (
            object.schema.clone().unwrap_or_default(),
            object.name.clone(),
        );
        let exists = is_relation(object.kind) && state.relations.contains(&key);
        let wanted = plan.wants(object);
        if !wanted
            && plan
                .chosen
                .as_ref()
                .is_some_and(|chosen| !chosen.left_out.contains(&object.number))
        {
            continue;
        }
        let is_data = object.kind == ObjectKind::TableData;
        let (action, reason) = match (wanted, exists && replaces) {
            (false, _) if plan.options.no_extensions && object.kind == ObjectKind::Extension => {
                (Action::Skip, Some("--no-extensions"))
            }
            (false, _) => (Action::Skip, Some("it needs a table that was not chosen")),
            (true, true) => (Action::Overwrite, None),
            (true, false) => (Action::Create, None),
        };
        let sums = if is_relation(object.kind) {
            data.get(&object.number)
        } else {
            None
        };
        if wanted && !is_data {
            plan.rows += sums.map_or(0, |sums| sums.0);
            plan.data_bytes += sums.map_or(0, |sums| sums.1);
        }
        if is_relation(object.kind) {
            named.insert(key);
        }
        items.push(PlanItem {
            action,
            kind: object.kind.sql_name().to_owned(),
            schema: object.schema.clone(),
            name: object.name.clone(),
            rows: sums.map(|sums| sums.0),
            data_bytes: sums.map(|sums| sums.1),
            reason: reason.map(str::to_owned),
        });
    }
    if replaces && plan.chosen.is_none() {
        items.extend(
            state
                .relations
                .difference(&named)
                .map(|(schema, name)| PlanItem {
                    action: Action::Drop,
                    kind: "RELATION".to_owned(),
                    schema: Some(schema.clone()),
                    name: name.clone(),
                    rows: None,
                    data_bytes: None,
                    reason: Some(
                        "the backup does not hold it, and the database is emptied".to_owned(),
                    ),
                }),
        );
    }
    plan.destroys = match &plan.chosen {
        None => replaces && !state.is_empty,
        Some(_) => items.iter().any(|item| item.action == Action::Overwrite),
    };
    plan.items = items;
}

fn is_relation(kind: ObjectKind) -> bool {
    matches!(
        kind,
        ObjectKind::Table
            | ObjectKind::ForeignTable
            | ObjectKind::View
            | ObjectKind::MaterializedView
            | ObjectKind::Sequence
    )
}

fn find_blockers(
    plan: &mut Plan,
    source: &DatabaseFacts,
    server: &ServerState,
    state: &DatabaseState,
) {
    let mut block = |code: Code, message: String, hint: &str| {
        plan.blockers.push(Blocker {
            code: code.name().to_owned(),
            message,
            hint: hint.to_owned(),
        });
    };
    if server.version / 10_000 < source.server_version / 10_000 {
        block(
            Code::SourceVersion,
            format!(
                "The backup comes from PostgreSQL {}, the target is the older {}",
                source.server_version_text, server.version_text
            ),
            "Restore to a server of the same or a newer major version",
        );
    }
    let creates = matches!(
        plan.destination,
        Destination::New { .. } | Destination::Swap { .. }
    );
    if creates && !server.may_create_databases {
        block(
            Code::SourceRights,
            format!("The role \"{}\" may not create databases", server.role),
            "ALTER ROLE … CREATEDB, or name an existing empty database with --database",
        );
    }
    let swaps = matches!(plan.destination, Destination::Swap { .. });
    if swaps && source.selection != Selection::default() {
        block(
            Code::Conflict,
            format!(
                "The backup holds only what was chosen of \"{}\", and would take the place of all of it",
                plan.database
            ),
            "Restore it to a database of its own, or give --object for what is to be replaced",
        );
    }
    if plan.destination != Destination::Existing {
        return;
    }
    let in_the_way: Vec<String> = match &plan.chosen {
        None if state.is_empty => Vec::new(),
        None => vec![format!(
            "The database \"{}\" holds something already",
            plan.database
        )],
        Some(_) => plan
            .options
            .objects
            .iter()
            .map(|choice| match &choice.new {
                Some(new) => new.clone(),
                None => (choice.schema.clone(), choice.name.clone()),
            })
            .filter(|name| state.relations.contains(name))
            .map(|(schema, name)| {
                format!("{schema}.{name} exists already in \"{}\"", plan.database)
            })
            .collect(),
    };
    for message in in_the_way {
        block(
            Code::DatabaseNotEmpty,
            message,
            "Give --clean to replace it, another name, or leave out --database for a new database",
        );
    }
}

fn find_warnings(plan: &mut Plan, archive: &Archive, server: &ServerState) {
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
    let mut warnings = Vec::new();
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
    for name in &server.unfinished {
        warnings.push(format!(
            "The database \"{name}\" is filled by a restore under way, or left from one that was cut off: \
             drop it in the second case"
        ));
    }
    if archive.facts.outcome == Outcome::Partial {
        warnings.push("The backup itself is partial; what it lacks cannot be restored".to_owned());
    }
    plan.warnings = warnings;
}

#[cfg(test)]
mod tests;
