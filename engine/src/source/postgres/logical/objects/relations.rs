//! What the catalogs say about tables and everything like a table: the facts that the readers of
//! tables, views, sequences, indexes, triggers and the rest share.

mod read;

pub(super) use read::{alias, read};

use std::collections::HashMap;

use super::super::object::{ObjectKind, ObjectNumber};
use super::super::quote::qualified;
use super::super::reader::Parts;

/// A table or something like one.
#[derive(Debug, Default)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "they are columns of pg_class"
)]
pub(super) struct Relation {
    /// `pg_class.oid`.
    pub(super) oid: u32,
    /// Row type and the array of it; 0 where there is none.
    pub(super) row_types: [u32; 2],
    /// Its schema's OID and unquoted name.
    pub(super) schema_oid: u32,
    /// Unquoted.
    pub(super) schema: String,
    /// Unquoted.
    pub(super) name: String,
    /// `relkind`.
    pub(super) kind: char,
    /// OID of the role that owns it.
    pub(super) owner: u32,
    /// `relpersistence`: `p` or `u`.
    pub(super) persistence: char,
    /// Whether a materialized view holds rows.
    pub(super) populated: bool,
    /// `relreplident`.
    pub(super) replica_identity: char,
    /// Row security is on.
    pub(super) row_security: bool,
    /// Row security binds the owner too.
    pub(super) force_row_security: bool,
    /// `reloptions` without a view's check option.
    pub(super) options: Option<String>,
    /// Those of the TOAST table.
    pub(super) toast_options: Option<String>,
    /// `LOCAL` or `CASCADED`.
    pub(super) check_option: Option<String>,
    /// The type of a typed table, as SQL.
    pub(super) of_type: Option<String>,
    /// Foreign server and options.
    pub(super) foreign: Option<(String, Option<String>)>,
    /// The key of a partitioned table, as SQL.
    pub(super) partition_key: Option<String>,
    /// Access method.
    pub(super) access_method: Option<String>,
    /// Tablespace, empty for the database's own.
    pub(super) tablespace: String,
    /// Of a sequence: the table and column that own it.
    pub(super) owned_by: Option<(u32, i64)>,
    /// The sequence belongs to an identity column.
    pub(super) identity: bool,
    /// It is a partition.
    pub(super) partition: bool,
    /// It must be made without its parents and then join them: the order of its columns is not the
    /// one that `INHERITS` would give.
    pub(super) apart: bool,
    /// It has indexes, or had.
    pub(super) has_index: bool,
    /// It has triggers, or had.
    pub(super) has_triggers: bool,
    /// Rows have hidden OIDs (servers before 12).
    pub(super) has_oids: bool,
    /// `relacl`.
    pub(super) acl: Option<String>,
    /// What `relacl` is by default.
    pub(super) acl_default: String,
    /// Blocks by the last estimate, without and with TOAST.
    pub(super) pages: [u64; 2],
    /// Rows by the last estimate.
    pub(super) tuples: Option<u64>,
    /// Its parents, in order.
    pub(super) parents: Vec<u32>,
    /// Its columns, dropped ones included.
    pub(super) columns: Vec<Column>,
    /// Its CHECK constraints, by name.
    pub(super) checks: Vec<Check>,
    /// What of it belongs to the backup.
    pub(super) parts: Parts,
    /// Its object, once it has one; 0 before and for what is not saved.
    pub(super) number: ObjectNumber,
}

/// A column.
#[derive(Debug, Default)]
pub(super) struct Column {
    /// `attnum`.
    pub(super) number: i64,
    /// Unquoted.
    pub(super) name: String,
    /// As SQL; empty when dropped.
    pub(super) type_name: String,
    /// It is gone.
    pub(super) dropped: bool,
    /// It is defined here, not only inherited.
    pub(super) local: bool,
    /// NOT NULL, if it is and that lies in the table's definition.
    pub(super) not_null: Option<NotNull>,
    /// Default or generation expression.
    pub(super) default: Option<Expression>,
    /// `attidentity`.
    pub(super) identity: char,
    /// `attgenerated`.
    pub(super) generated: char,
    /// `attstorage`, when it differs from the type's.
    pub(super) storage: Option<char>,
    /// `attcompression`.
    pub(super) compression: char,
    /// `attstattarget`, when set.
    pub(super) statistics: Option<i64>,
    /// `attoptions`, joined.
    pub(super) options: String,
    /// `attfdwoptions`.
    pub(super) foreign_options: Option<String>,
    /// Collation as SQL, when it is not the type's.
    pub(super) collation: Option<String>,
}

/// A NOT NULL.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct NotNull {
    /// Its name, where it is not what the server would choose.
    pub(super) name: Option<String>,
    /// It is defined here.
    pub(super) local: bool,
    /// Children do not get it.
    pub(super) no_inherit: bool,
    /// The comment on it.
    pub(super) comment: Option<String>,
}

/// A default or generation expression.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Expression {
    /// `pg_attrdef.oid`, 0 for one that only overrides what would be inherited.
    pub(super) oid: u32,
    /// As SQL.
    pub(super) text: String,
    /// It has its own statement from the start.
    pub(super) separate: bool,
    /// It is inherited anyway and needs no mention.
    pub(super) implied: bool,
    /// Its draft; 0 before.
    pub(super) number: ObjectNumber,
}

/// A CHECK constraint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Check {
    /// `pg_constraint.oid`.
    pub(super) oid: u32,
    /// Unquoted.
    pub(super) name: String,
    /// `CHECK (…)` and what follows.
    pub(super) definition: String,
    /// It is defined here.
    pub(super) local: bool,
    /// Existing rows satisfy it, or would have to.
    pub(super) valid: bool,
    /// Its draft; 0 before.
    pub(super) number: ObjectNumber,
}

impl Relation {
    /// Schema and name as SQL.
    pub(super) fn qualified(&self) -> String {
        qualified(&self.schema, &self.name)
    }

    /// The kind of its object.
    pub(super) fn object_kind(&self) -> ObjectKind {
        match self.kind {
            'v' => ObjectKind::View,
            'm' => ObjectKind::MaterializedView,
            'f' => ObjectKind::ForeignTable,
            'S' => ObjectKind::Sequence,
            _ => ObjectKind::Table,
        }
    }

    /// Whether its definition is saved.
    pub(super) fn defined(&self) -> bool {
        self.parts.definition
    }

    /// What stands between `ALTER` and `TABLE`.
    pub(super) fn foreign_word(&self) -> &'static str {
        if self.kind == 'f' { "FOREIGN " } else { "" }
    }

    /// Whether a statement that makes it lists the column: it is local, or the table is made
    /// apart from its parent.
    pub(super) fn lists(&self, column: &Column) -> bool {
        !column.dropped && (column.local || self.alone())
    }

    /// Whether it is made without its parents and joins them later, so that its own statement must
    /// say everything.
    pub(super) fn alone(&self) -> bool {
        self.partition || self.apart
    }

    /// The column with that number.
    pub(super) fn column(&self, number: i64) -> Option<&Column> {
        let at = usize::try_from(number).ok()?.checked_sub(1)?;
        self.columns.get(at)
    }
}

/// All relations of the database, saved or not.
#[derive(Debug, Default)]
pub(super) struct Relations {
    /// By OID, ascending.
    pub(super) list: Vec<Relation>,
    places: HashMap<u32, usize>,
}

impl Relations {
    /// From a list; remembers where each is.
    pub(super) fn new(list: Vec<Relation>) -> Self {
        let places = list.iter().enumerate().map(|(at, r)| (r.oid, at)).collect();
        Self { list, places }
    }

    /// Where the relation is in the list.
    pub(super) fn place(&self, oid: u32) -> Option<usize> {
        self.places.get(&oid).copied()
    }

    /// The relation.
    pub(super) fn get(&self, oid: u32) -> Option<&Relation> {
        self.list.get(self.place(oid)?)
    }

    /// The relation, if it is saved.
    pub(super) fn saved(&self, oid: u32) -> Option<&Relation> {
        self.get(oid).filter(|r| r.number != 0)
    }

    /// The rows of `pg_class` that pass a test, as a source of `oid`s for a query's FROM; only
    /// these are locked, so only of these may functions like `pg_get_expr` be asked.
    pub(super) fn source(&self, test: impl Fn(&Relation) -> bool) -> String {
        let oids: Vec<String> = self
            .list
            .iter()
            .filter(|r| test(r))
            .map(|r| r.oid.to_string())
            .collect();
        format!(
            "pg_catalog.unnest('{{{}}}'::pg_catalog.oid[]) AS src(oid)",
            oids.join(",")
        )
    }
}
