//! What a restore would do: worked out first, shown, then executed as it stands.

mod check;
mod findings;
mod items;

use std::collections::{BTreeSet, HashMap};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::archive::Archive;
use crate::error::{Code, Error, Result};
use crate::source::postgres::logical::object::{Object, ObjectKind, ObjectNumber};
use crate::source::postgres::logical::restore::choose::{Choice, Chosen, choose};
use crate::source::postgres::logical::restore::databases::{self, Sessions};
use crate::source::postgres::logical::restore::doomed::{self, Doomed};
use crate::source::postgres::logical::restore::inspect::{
    self, DatabaseState, RelationSize, ServerState,
};
use crate::source::postgres::logical::restore::renaming::{self, Place};
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
    /// What the target has of that name now, where it has something.
    #[serde(skip)]
    pub there: Option<RelationSize>,
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
    /// Whether something of the target would be lost or put aside: needs a confirmation.
    pub destroys: bool,
    /// Other sessions in the database that is put aside; they are ended.
    pub sessions: u64,
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
    /// Bytes that the target database takes now, where there is one.
    pub target_bytes: Option<u64>,
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

    /// The names of what the target loses, for a sentence: at most `number` of them.
    pub fn doomed(&self, number: usize) -> String {
        let loses = |item: &&PlanItem| matches!(item.action, Action::Drop | Action::Overwrite);
        let items: Vec<&PlanItem> = self.items.iter().filter(loses).collect();
        let mut names: Vec<String> = items
            .iter()
            .take(number)
            .map(|item| {
                let schema = item.schema.as_deref().unwrap_or_default();
                format!("{} {schema}.{}", item.kind.to_lowercase(), item.name)
            })
            .collect();
        if items.len() > number {
            names.push(format!("{} more", items.len() - number));
        }
        names.join(", ")
    }

    /// Whether it was not chosen itself, but something chosen needs it.
    fn needs_only(&self, object: &Object) -> bool {
        let chosen = self.chosen.as_ref();
        chosen.is_some_and(|chosen| chosen.needed.contains(&object.number))
    }

    /// Whether the chosen objects have it among them.
    pub fn wants_number(&self, number: ObjectNumber) -> bool {
        self.chosen
            .as_ref()
            .is_none_or(|chosen| chosen.objects.contains(&number))
    }
}

/// What a plan looks at besides the backup.
struct Surroundings {
    server: ServerState,
    /// The target database; nothing where it does not exist.
    state: DatabaseState,
    /// Who is in the database that is swapped.
    sessions: Sessions,
    /// What goes when chosen relations are replaced.
    doomed: Doomed,
    /// Where the relations that were chosen go.
    places: HashMap<ObjectNumber, Place>,
}

impl Surroundings {
    /// Where an object goes.
    fn place(&self, object: &Object) -> Place {
        self.places.get(&object.number).cloned().unwrap_or_else(|| {
            let schema = object.schema.clone().unwrap_or_default();
            (schema, object.name.clone())
        })
    }
}

/// Works out what restoring `archive` to `target` would do.
pub async fn plan(
    archive: &Archive,
    target: &Target,
    options: &RestoreOptions,
    now: DateTime<Utc>,
) -> Result<Plan> {
    check::options(options)?;
    let maintenance = target.maintenance().await?;
    let server = inspect::server(&maintenance).await?;
    let source = &archive.database;
    let database = match &options.database {
        Some(name) => name.clone(),
        None if options.in_place => source.name.clone(),
        None => fresh(&server, &source.name, "restored", now),
    };
    check::database(&database)?;
    let (mut chosen, mut places) = (None, HashMap::new());
    if !options.objects.is_empty() {
        let found = choose(&archive.objects, &options.objects)?;
        places = renaming::places(&archive.objects, &options.objects, &found)?;
        chosen = Some(found);
    }
    let exists = server.databases.contains(&database);
    let destination = destination(options, exists, chosen.is_some(), |word| {
        fresh(&server, &database, word, now)
    });
    // Counted before the database is looked into: that takes a session as well.
    let sessions = match destination {
        Destination::Swap { .. } => databases::sessions(&maintenance, &database).await?,
        _ => Sessions::default(),
    };
    let state = if exists {
        inspect::database(target, &database).await?
    } else {
        DatabaseState::default()
    };
    let doomed = if destination == Destination::Cleaned && chosen.is_some() {
        let places: Vec<Place> = places.values().cloned().collect();
        doomed::find(target, &database, &places).await?
    } else {
        Doomed::default()
    };
    let mut draft = Plan {
        destination,
        database_exists: exists,
        database_empty: !exists || state.is_empty,
        destroys: false,
        sessions: sessions.ours_to_end + sessions.out_of_reach,
        source_version: source.server_version_text.clone(),
        target_version: server.version_text.clone(),
        target_version_num: server.version,
        data_bytes: 0,
        rows: 0,
        space_bytes: source.size_bytes,
        target_bytes: exists.then_some(state.size_bytes),
        items: Vec::new(),
        warnings: Vec::new(),
        blockers: Vec::new(),
        options: options.clone(),
        tablespaces: server.tablespaces.clone(),
        chosen,
        database,
    };
    let around = Surroundings {
        server,
        state,
        sessions,
        doomed,
        places,
    };
    items::list(&mut draft, archive, &around);
    findings::blockers(&mut draft, archive, &around);
    findings::warnings(&mut draft, archive, &around);
    Ok(draft)
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
    exists: bool,
    is_chosen: bool,
    fresh: impl Fn(&str) -> String,
) -> Destination {
    if !exists {
        return Destination::New {
            working: fresh("restoring"),
        };
    }
    if options.in_place && !is_chosen {
        Destination::Swap {
            working: fresh("restoring"),
            kept: fresh("before"),
        }
    } else if options.clean {
        Destination::Cleaned
    } else {
        Destination::Existing
    }
}

#[cfg(test)]
mod tests;
