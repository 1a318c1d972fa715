//! What a logical backup knows of one database object: the statements that make it, and what must
//! stand before it. Written to the repository as one JSON document a line; a restore needs nothing else.

use serde::{Deserialize, Serialize};

/// Names an object within one backup; dependencies refer to it.
pub type ObjectNumber = u32;

/// Which system catalog row an object is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct CatalogRow {
    /// OID of the system catalog, for example 1259 for `pg_class`.
    pub class: u32,
    /// OID of the row.
    pub oid: u32,
}

/// When a restore makes the object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Section {
    /// Before any row: definitions.
    Pre,
    /// Rows, sequence values, large objects.
    Data,
    /// After all rows: indexes, constraints, triggers, rules, policies, refreshes.
    Post,
}

macro_rules! object_kinds {
    ($($(#[$doc:meta])* $variant:ident = $sql:literal, $section:ident;)*) => {
        /// Every kind of object a backup can hold. The order is the order of creation where
        /// dependencies leave a choice.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub enum ObjectKind { $($(#[$doc])* $variant,)* }

        impl ObjectKind {
            /// Every kind, in creation order.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// How messages and comments name it: `TABLE`, `OPERATOR CLASS`.
            pub fn sql_name(self) -> &'static str {
                match self { $(Self::$variant => $sql,)* }
            }

            /// When it is made.
            pub fn section(self) -> Section {
                match self { $(Self::$variant => Section::$section,)* }
            }
        }
    };
}

object_kinds! {
    /// A namespace.
    Schema = "SCHEMA", Pre;
    /// A procedural language that no extension owns.
    Language = "LANGUAGE", Pre;
    /// A collation.
    Collation = "COLLATION", Pre;
    /// A transform.
    Transform = "TRANSFORM", Pre;
    /// An extension.
    Extension = "EXTENSION", Pre;
    /// A type or domain, or the shell that stands in for one.
    Type = "TYPE", Pre;
    /// A shell type, made first because functions mention it.
    ShellType = "SHELL TYPE", Pre;
    /// A cast.
    Cast = "CAST", Pre;
    /// A function or procedure.
    Function = "FUNCTION", Pre;
    /// An aggregate.
    Aggregate = "AGGREGATE", Pre;
    /// An access method.
    AccessMethod = "ACCESS METHOD", Pre;
    /// An operator.
    Operator = "OPERATOR", Pre;
    /// An operator family.
    OperatorFamily = "OPERATOR FAMILY", Pre;
    /// An operator class.
    OperatorClass = "OPERATOR CLASS", Pre;
    /// A conversion.
    Conversion = "CONVERSION", Pre;
    /// A text search parser.
    TextSearchParser = "TEXT SEARCH PARSER", Pre;
    /// A text search template.
    TextSearchTemplate = "TEXT SEARCH TEMPLATE", Pre;
    /// A text search dictionary.
    TextSearchDictionary = "TEXT SEARCH DICTIONARY", Pre;
    /// A text search configuration.
    TextSearchConfiguration = "TEXT SEARCH CONFIGURATION", Pre;
    /// A foreign-data wrapper.
    ForeignDataWrapper = "FOREIGN DATA WRAPPER", Pre;
    /// A foreign server.
    ForeignServer = "SERVER", Pre;
    /// A user mapping of a foreign server.
    UserMapping = "USER MAPPING", Pre;
    /// A table, partitioned or not.
    Table = "TABLE", Pre;
    /// A foreign table.
    ForeignTable = "FOREIGN TABLE", Pre;
    /// A view.
    View = "VIEW", Pre;
    /// A materialized view, without rows.
    MaterializedView = "MATERIALIZED VIEW", Pre;
    /// A sequence, without its value.
    Sequence = "SEQUENCE", Pre;
    /// `ALTER SEQUENCE … OWNED BY`, `ALTER TABLE … ADD GENERATED …`.
    SequenceOwnedBy = "SEQUENCE OWNED BY", Pre;
    /// A partition joins its parent.
    TableAttach = "TABLE ATTACH", Pre;
    /// A column default kept apart from its table.
    Default = "DEFAULT", Pre;
    /// A large object, without its bytes.
    LargeObject = "LARGE OBJECT", Pre;
    /// The rows of a table.
    TableData = "TABLE DATA", Data;
    /// The value of a sequence.
    SequenceValue = "SEQUENCE SET", Data;
    /// The bytes of the large objects.
    LargeObjectData = "LARGE OBJECTS", Data;
    /// A constraint other than a foreign key, added after the rows.
    Constraint = "CONSTRAINT", Post;
    /// A CHECK constraint kept apart from its table or domain.
    CheckConstraint = "CHECK CONSTRAINT", Post;
    /// An index.
    Index = "INDEX", Post;
    /// A partition's index joins its parent.
    IndexAttach = "INDEX ATTACH", Post;
    /// Extended statistics.
    Statistics = "STATISTICS", Post;
    /// A rewrite rule, or the real query of a view that stood in for itself.
    Rule = "RULE", Post;
    /// A trigger.
    Trigger = "TRIGGER", Post;
    /// A foreign key.
    ForeignKey = "FK CONSTRAINT", Post;
    /// A row security policy, or a table's row security switch.
    Policy = "POLICY", Post;
    /// A publication.
    Publication = "PUBLICATION", Post;
    /// A table of a publication.
    PublicationTable = "PUBLICATION TABLE", Post;
    /// A schema of a publication.
    PublicationSchema = "PUBLICATION TABLES IN SCHEMA", Post;
    /// A subscription, left disconnected.
    Subscription = "SUBSCRIPTION", Post;
    /// Default privileges.
    DefaultAcl = "DEFAULT ACL", Post;
    /// An event trigger.
    EventTrigger = "EVENT TRIGGER", Post;
    /// Fills a materialized view.
    RefreshMaterializedView = "MATERIALIZED VIEW DATA", Post;
}

/// Statements that follow an object's creation and that a restore may leave out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attachments {
    /// `ALTER … OWNER TO`; left out with `--no-owner`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub owner: Vec<String>,
    /// `COMMENT ON …`, for the object and its parts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub comments: Vec<String>,
    /// `SECURITY LABEL …`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub security_labels: Vec<String>,
    /// `GRANT` and `REVOKE`; left out with `--no-privileges`. Run after everything else exists.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub privileges: Vec<String>,
}

/// A statement for servers from a major version on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Newer {
    /// The first major version that understands it.
    pub since: u32,
    /// The statement, without the final semicolon.
    pub statement: String,
}

/// One database object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Object {
    /// Its number in this backup.
    pub number: ObjectNumber,
    /// What it is.
    pub kind: ObjectKind,
    /// The schema it lies in, unquoted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schema: Option<String>,
    /// Its name as a person would look for it, unquoted; functions with their argument types.
    pub name: String,
    /// The table (or other object) it belongs to: index → table, trigger → table.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub of: Option<ObjectNumber>,
    /// The catalog row it was read from; `None` for parts that have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub row: Option<CatalogRow>,
    /// The role that owns it, unquoted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// Statements that make it, each complete, without the final semicolon.
    pub create: Vec<String>,
    /// Statements that follow on newer servers than the source, which would otherwise do something
    /// else than the source did unasked.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub newer: Vec<Newer>,
    /// The statement that drops it (`IF EXISTS`), empty when dropping its owner suffices.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub drop: String,
    /// `default_tablespace` while it is made; empty is the database's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tablespace: Option<String>,
    /// `default_table_access_method` while it is made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub access_method: Option<String>,
    /// A dependency moved it behind the rows although its kind comes before them (a materialized
    /// view or function that needs a primary key).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub postponed: bool,
    /// What may be left out.
    #[serde(default)]
    pub attachments: Attachments,
    /// Numbers of the objects that must exist before it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub depends_on: Vec<ObjectNumber>,
}

impl Object {
    /// An object without statements, owner or place.
    pub fn new(kind: ObjectKind, schema: Option<&str>, name: impl Into<String>) -> Self {
        Self {
            number: 0,
            kind,
            schema: schema.map(str::to_owned),
            name: name.into(),
            of: None,
            row: None,
            owner: None,
            create: Vec::new(),
            newer: Vec::new(),
            drop: String::new(),
            tablespace: None,
            access_method: None,
            postponed: false,
            attachments: Attachments::default(),
            depends_on: Vec::new(),
        }
    }

    /// The statements that make it on a server of that major version.
    pub fn create_on(&self, major: u32) -> Vec<String> {
        let newer = self.newer.iter().filter(|newer| major >= newer.since);
        let newer = newer.map(|newer| newer.statement.clone());
        self.create.iter().cloned().chain(newer).collect()
    }

    /// The object that only stands in for itself until this one is made: dependency loops take the
    /// body of a function, the query of a view and the checks of a domain out of their statements.
    pub fn completes(&self) -> Option<ObjectNumber> {
        match self.kind {
            ObjectKind::Function | ObjectKind::CheckConstraint => self.of,
            ObjectKind::Rule if self.name == "_RETURN" => self.of,
            _ => None,
        }
    }

    /// When a restore makes it.
    pub fn section(&self) -> Section {
        if self.postponed {
            Section::Post
        } else {
            self.kind.section()
        }
    }
}
