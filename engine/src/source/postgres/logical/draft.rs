//! What the readers of a schema collect before it is put in order: objects with everything the
//! ordering must know of them, among it which of them can be taken out of another's statement.

use std::collections::HashMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::object::{CatalogRow, Object, ObjectNumber};

/// Tells a part's owner whether the part with that number stands alone.
pub type IsSeparate<'a> = &'a dyn Fn(ObjectNumber) -> bool;

/// Writes an object's final statements once it is known which parts stand alone.
pub type Assemble = Box<dyn FnOnce(&mut Object, IsSeparate<'_>) + Send>;

/// How an object takes part in another's statement.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Part {
    /// It has statements of its own.
    #[default]
    Whole,
    /// It lies inside the statement of that object, unless a dependency loop forces it out;
    /// then `create` of its own object is used. A view's query, a default, a CHECK.
    Inside(ObjectNumber),
}

/// An object before it has its place.
pub struct Draft {
    /// The object; its number is given by [`Collected::add`], its `depends_on` by the ordering.
    pub object: Object,
    /// Objects that must come before it and that `pg_depend` does not tell of.
    pub needs: Vec<ObjectNumber>,
    /// Whether it lies in another's statement.
    pub part: Part,
    /// The shell type that can stand in for it (base and range types).
    pub shell: Option<ObjectNumber>,
    /// The index of the parent table that this index belongs to.
    pub parent_index: Option<ObjectNumber>,
    /// Further natural keys for a stable order among objects of one kind, schema and name.
    pub sort_key: Vec<String>,
    /// Writes `create` (and what else depends on the parts) at the end; `None` when it is final.
    pub assemble: Option<Assemble>,
}

impl Draft {
    /// A draft of an object that stands alone and is complete.
    pub fn of(object: Object) -> Self {
        Self {
            object,
            needs: Vec::new(),
            part: Part::Whole,
            shell: None,
            parent_index: None,
            sort_key: Vec::new(),
            assemble: None,
        }
    }
}

impl fmt::Debug for Draft {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Draft")
            .field("object", &self.object)
            .field("needs", &self.needs)
            .field("part", &self.part)
            .finish_non_exhaustive()
    }
}

/// What copying a table's rows needs to know.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableFacts {
    /// The table's object; of an extension's own table, the extension.
    pub number: ObjectNumber,
    /// OID in the source.
    pub oid: u32,
    /// Schema, unquoted.
    pub schema: String,
    /// Name, unquoted.
    pub name: String,
    /// Columns to copy, unquoted, in the table's order; without dropped and generated ones.
    pub columns: Vec<String>,
    /// Blocks of the table and its TOAST: by the catalog's estimate until it is locked and measured.
    pub pages: u64,
    /// Blocks of the table itself, likewise.
    pub heap_pages: u64,
    /// Rows by the catalog's estimate; `None` when never analyzed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rows: Option<u64>,
    /// Access method; ranges of blocks are only possible for `heap`.
    pub access_method: String,
    /// Which rows of an extension's configuration table belong to the user: `WHERE …`, or empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub filter: String,
    /// An extension made the table.
    #[serde(default)]
    pub extension: bool,
    /// The table to load into when the rows may fall into other partitions than here
    /// (hash partitions by an enum): schema and name of the root.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub load_through: Option<(String, String)>,
    /// Tables (their OIDs) whose rows must be loaded before, because foreign keys exist already.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub after: Vec<u32>,
}

/// All that was read, without order.
#[derive(Debug, Default)]
pub struct Collected {
    /// Drafts; the number of an object is its place here plus one.
    pub drafts: Vec<Draft>,
    /// Catalog rows that mean an object: its own and those that are a piece of it, like the row
    /// type of a table or the array type of a type. Their dependencies are the object's.
    pub rows: HashMap<CatalogRow, ObjectNumber>,
    /// Catalog rows that exist once an object does, like the members of an extension: whoever
    /// depends on them depends on it, but what they depend on does not matter.
    pub members: HashMap<CatalogRow, ObjectNumber>,
    /// What data to copy.
    pub tables: Vec<TableFacts>,
}

impl Collected {
    /// Takes a draft, gives its object a number and remembers its catalog row.
    pub fn add(&mut self, mut draft: Draft) -> ObjectNumber {
        let number = ObjectNumber::try_from(self.drafts.len() + 1).unwrap_or(ObjectNumber::MAX);
        draft.object.number = number;
        if let Some(row) = draft.object.row {
            self.rows.insert(row, number);
        }
        self.drafts.push(draft);
        number
    }

    /// Remembers that a catalog row is a piece of an object.
    pub fn also(&mut self, row: CatalogRow, number: ObjectNumber) {
        self.rows.insert(row, number);
    }

    /// Remembers that a catalog row comes with an object.
    pub fn member(&mut self, row: CatalogRow, number: ObjectNumber) {
        self.members.insert(row, number);
    }

    /// The object that a catalog row means.
    pub fn number_of(&self, class: u32, oid: u32) -> Option<ObjectNumber> {
        let row = CatalogRow { class, oid };
        self.rows
            .get(&row)
            .or_else(|| self.members.get(&row))
            .copied()
    }

    /// The draft of an object.
    pub fn draft_mut(&mut self, number: ObjectNumber) -> Option<&mut Draft> {
        self.drafts.get_mut((number as usize).checked_sub(1)?)
    }
}
