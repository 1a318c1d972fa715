//! Reads a schema: the session, what was chosen, and the facts every kind of object asks for.

mod load;

use std::collections::{HashMap, HashSet};

use super::acl::{self, Grants};
use super::catalog::{self, FIRST_NORMAL_OID};
use super::draft::{Collected, Draft};
use super::object::{CatalogRow, Object, ObjectKind, ObjectNumber};
use super::selection::Selection;
use crate::error::{Error, Result};
use crate::monitor::{Loss, Task};
pub use crate::source::postgres::session::{Row, Sql};

/// What of an object belongs to the backup.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Parts {
    /// The statements that make it, its owner, its dependencies and rows.
    pub definition: bool,
    /// Comments and security labels.
    pub comments: bool,
    /// Privileges.
    pub privileges: bool,
}

impl Parts {
    /// All of it.
    pub const ALL: Self = Self {
        definition: true,
        comments: true,
        privileges: true,
    };
    /// Nothing.
    pub const NONE: Self = Self {
        definition: false,
        comments: false,
        privileges: false,
    };
    /// What was granted since `initdb` or the extension's script made it.
    pub const PRIVILEGES: Self = Self {
        definition: false,
        comments: false,
        privileges: true,
    };

    /// Whether there is nothing to do.
    pub fn is_none(self) -> bool {
        self == Self::NONE
    }
}

/// A schema of the source.
#[derive(Clone, Debug)]
pub(super) struct SchemaFacts {
    pub(super) name: String,
    /// What of the schema itself belongs to the backup.
    pub(super) parts: Parts,
    /// What of the objects in it belongs to the backup, be it only because others need them.
    pub(super) contents: Parts,
    /// What of the objects in it was chosen.
    pub(super) chosen: Parts,
}

/// An extension of the source.
#[derive(Clone, Debug)]
pub(super) struct ExtensionFacts {
    pub(super) name: String,
    /// What of its members belongs to the backup.
    pub(super) contents: Parts,
}

/// One reading of one database's schema.
#[derive(Debug)]
pub struct Reader<'a> {
    /// The session that asks; its `search_path` is empty.
    pub sql: &'a Sql,
    /// `server_version_num`, for example 150018.
    pub version: u32,
    /// Who watches.
    pub task: &'a Task,
    /// How long to wait for each batch of table locks.
    pub lock_timeout: std::time::Duration,
    /// Whether everything was chosen, so that objects outside schemas belong to the backup.
    pub whole: bool,
    pub(super) roles: HashMap<u32, String>,
    pub(super) schemas: HashMap<u32, SchemaFacts>,
    pub(super) extensions: HashMap<u32, ExtensionFacts>,
    /// Extension members, and the extension each belongs to.
    pub(super) members: HashMap<CatalogRow, u32>,
    /// Objects that were told to go with an extension (`DEPENDS ON EXTENSION`).
    pub(super) go_with: HashMap<CatalogRow, Vec<u32>>,
    pub(super) comments: HashMap<(CatalogRow, i32), String>,
    pub(super) labels: HashMap<(CatalogRow, i32), Vec<(String, String)>>,
    pub(super) initial: HashMap<(CatalogRow, i32), String>,
    /// Relations named one by one; `None` when whole schemas were chosen.
    pub(super) chosen_tables: Option<HashSet<u32>>,
    pub(super) excluded_tables: HashSet<u32>,
    pub(super) excluded_rows: HashSet<u32>,
}

impl<'a> Reader<'a> {
    /// Loads what all kinds share and finds out what the selection means in this database; a
    /// pattern that means nothing here is an error.
    pub async fn open(sql: &'a Sql, selection: &Selection, task: &'a Task) -> Result<Self> {
        load::open(sql, selection, task).await
    }

    /// A query's rows; ends early when the run is cancelled.
    pub async fn rows(&self, query: &str) -> Result<Vec<Row>> {
        self.task.or_cancelled(self.sql.rows(query)).await
    }

    /// Whether the server's major version is at least `major`.
    pub fn since(&self, major: u32) -> bool {
        self.version >= major * 10_000
    }

    /// `expression` where the server is new enough to know it, else `otherwise`.
    pub fn if_since<'t>(&self, major: u32, expression: &'t str, otherwise: &'t str) -> &'t str {
        if self.since(major) {
            expression
        } else {
            otherwise
        }
    }

    /// The name of a role, as PostgreSQL itself names those that no longer exist.
    pub fn role(&self, oid: u32) -> String {
        let missing = || format!("unknown (OID={oid})");
        self.roles.get(&oid).cloned().unwrap_or_else(missing)
    }

    /// The name of a schema.
    pub fn schema(&self, oid: u32) -> Result<&str> {
        let missing = || Error::internal(format!("There is no schema with OID {oid}"));
        self.schemas
            .get(&oid)
            .map(|facts| facts.name.as_str())
            .ok_or_else(missing)
    }

    /// Whether an extension made it.
    pub fn is_member(&self, row: CatalogRow) -> bool {
        self.members.contains_key(&row)
    }

    /// Whether a schema was chosen with all that is in it.
    pub fn chooses_schema(&self, name: &str) -> bool {
        self.schemas
            .values()
            .any(|facts| facts.name == name && facts.chosen.definition)
    }

    /// What of an object in a schema belongs to the backup. In a partial one that can turn out to
    /// be nothing, when no chosen table needs it.
    pub fn parts_in(&self, row: CatalogRow, schema: u32) -> Parts {
        match self.member_parts(row) {
            Some(parts) => parts,
            None => self
                .schemas
                .get(&schema)
                .map_or(Parts::NONE, |facts| facts.contents),
        }
    }

    /// What of an object outside any schema belongs to the backup.
    pub fn parts_outside(&self, row: CatalogRow) -> Parts {
        match self.member_parts(row) {
            Some(parts) => parts,
            None if row.oid < FIRST_NORMAL_OID && self.whole => Parts::PRIVILEGES,
            None if row.oid < FIRST_NORMAL_OID => Parts::NONE,
            // Tables can need these; of the rest they need none.
            None if self.whole || is_needable(row.class) => Parts::ALL,
            None => Parts::NONE,
        }
    }

    /// What of a table, view, sequence belongs to the backup.
    pub fn table_parts(&self, oid: u32, schema: u32) -> Parts {
        let row = catalog::row(catalog::CLASS, oid);
        if let Some(parts) = self.member_parts(row) {
            return parts;
        }
        if self.excluded_tables.contains(&oid) {
            return Parts::NONE;
        }
        match &self.chosen_tables {
            Some(chosen) if chosen.contains(&oid) => Parts::ALL,
            Some(_) => Parts::NONE,
            None => self.chosen_in(schema),
        }
    }

    /// What of the objects in a schema was chosen.
    pub fn chosen_in(&self, schema: u32) -> Parts {
        self.schemas
            .get(&schema)
            .map_or(Parts::NONE, |facts| facts.chosen)
    }

    /// Whether a table's rows belong to the backup, provided its definition does.
    pub fn wants_rows(&self, oid: u32) -> bool {
        !self.excluded_rows.contains(&oid)
    }

    fn member_parts(&self, row: CatalogRow) -> Option<Parts> {
        let extension = self.members.get(&row)?;
        Some(
            self.extensions
                .get(extension)
                .map_or(Parts::NONE, |facts| facts.contents),
        )
    }

    /// An object without statements, to be filled.
    pub fn object(
        &self,
        kind: ObjectKind,
        row: CatalogRow,
        schema: Option<u32>,
        name: &str,
        owner: Option<u32>,
    ) -> Result<Object> {
        let schema = schema.map(|oid| self.schema(oid)).transpose()?;
        if let Some(role) = owner.filter(|role| !self.roles.contains_key(role)) {
            self.lost(
                kind,
                name,
                format!("its owner, the role with OID {role}, does not exist"),
            );
        }
        let mut object = Object::new(kind, schema, name);
        object.row = Some(row);
        object.owner = owner.and_then(|oid| self.roles.get(&oid).cloned());
        Ok(object)
    }

    /// Gives an object its privileges, as far as `parts` says they belong to the backup.
    pub fn grant(&self, object: &mut Object, parts: Parts, grants: Grants<'_>) -> Result<()> {
        let Some(row) = object.row.filter(|_| parts.privileges) else {
            return Ok(());
        };
        let initial = grants.initial.or_else(|| self.initial_privileges(row, 0));
        let owner = object.owner.clone().unwrap_or_default();
        let grants = Grants {
            initial,
            owner: &owner,
            ..grants
        };
        let statements = acl::privileges(&grants).map_err(|e| e.context(grants.name))?;
        object.attachments.privileges.extend(statements);
        Ok(())
    }

    /// The privileges that `initdb` or an extension's script gave to a row or its part.
    pub fn initial_privileges(&self, row: CatalogRow, sub: i32) -> Option<&str> {
        self.initial.get(&(row, sub)).map(String::as_str)
    }

    /// Adds a finished object, unless nothing of it belongs to the backup. What an extension made
    /// needs the extension first.
    pub fn add(&self, out: &mut Collected, draft: Draft) -> Option<ObjectNumber> {
        let mut draft = draft;
        let object = &draft.object;
        let idle = object.create.is_empty()
            && object.attachments == super::object::Attachments::default()
            && draft.assemble.is_none();
        if idle {
            return None;
        }
        if let Some(extension) = object.row.and_then(|row| self.members.get(&row)) {
            draft
                .needs
                .extend(out.number_of(catalog::EXTENSION, *extension));
        }
        Some(out.add(draft))
    }

    /// `ALTER … DEPENDS ON EXTENSION …` for an object that was told to go with extensions.
    pub fn goes_with(&self, row: CatalogRow, keyword: &str, name: &str) -> Vec<String> {
        let extensions = self.go_with.get(&row).map_or(&[][..], Vec::as_slice);
        let names = extensions.iter().filter_map(|oid| self.extensions.get(oid));
        names
            .map(|facts| {
                let extension = super::quote::ident(&facts.name);
                format!("ALTER {keyword} {name} DEPENDS ON EXTENSION {extension}")
            })
            .collect()
    }

    /// Reports that something of an object cannot be saved.
    pub fn lost(&self, kind: ObjectKind, name: &str, reason: impl Into<String>) {
        self.task.monitor.lost(Loss {
            object: format!("{} {name}", kind.sql_name()),
            reason: reason.into(),
        });
    }
}

/// Whether a table can need an object of that catalog, which lies in no schema.
fn is_needable(class: u32) -> bool {
    matches!(
        class,
        catalog::EXTENSION
            | catalog::LANGUAGE
            | catalog::TRANSFORM
            | catalog::ACCESS_METHOD
            | catalog::FOREIGN_DATA_WRAPPER
            | catalog::FOREIGN_SERVER
    )
}
