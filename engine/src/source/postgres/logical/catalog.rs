//! OIDs of the system catalogs. PostgreSQL fixes them for good: `pg_depend`, `pg_description` and
//! their like name a catalog by them.

use super::object::CatalogRow;

/// OIDs below this are made by `initdb`; they exist in every database.
pub const FIRST_NORMAL_OID: u32 = 16_384;

/// `pg_default_acl`
pub const DEFAULT_ACL: u32 = 826;
/// `pg_type`
pub const TYPE: u32 = 1247;
/// `pg_proc`
pub const PROC: u32 = 1255;
/// `pg_class`
pub const CLASS: u32 = 1259;
/// `pg_foreign_server`
pub const FOREIGN_SERVER: u32 = 1417;
/// `pg_user_mapping`
pub const USER_MAPPING: u32 = 1418;
/// `pg_foreign_data_wrapper`
pub const FOREIGN_DATA_WRAPPER: u32 = 2328;
/// `pg_am`
pub const ACCESS_METHOD: u32 = 2601;
/// `pg_amop`
pub const AMOP: u32 = 2602;
/// `pg_amproc`
pub const AMPROC: u32 = 2603;
/// `pg_attrdef`
pub const ATTRDEF: u32 = 2604;
/// `pg_cast`
pub const CAST: u32 = 2605;
/// `pg_constraint`
pub const CONSTRAINT: u32 = 2606;
/// `pg_conversion`
pub const CONVERSION: u32 = 2607;
/// `pg_language`
pub const LANGUAGE: u32 = 2612;
/// `pg_largeobject`; comments on large objects name this one.
pub const LARGE_OBJECT: u32 = 2613;
/// `pg_namespace`
pub const NAMESPACE: u32 = 2615;
/// `pg_opclass`
pub const OPERATOR_CLASS: u32 = 2616;
/// `pg_operator`
pub const OPERATOR: u32 = 2617;
/// `pg_rewrite`
pub const REWRITE: u32 = 2618;
/// `pg_trigger`
pub const TRIGGER: u32 = 2620;
/// `pg_opfamily`
pub const OPERATOR_FAMILY: u32 = 2753;
/// `pg_largeobject_metadata`
pub const LARGE_OBJECT_METADATA: u32 = 2995;
/// `pg_extension`
pub const EXTENSION: u32 = 3079;
/// `pg_policy`
pub const POLICY: u32 = 3256;
/// `pg_statistic_ext`
pub const STATISTICS: u32 = 3381;
/// `pg_collation`
pub const COLLATION: u32 = 3456;
/// `pg_event_trigger`
pub const EVENT_TRIGGER: u32 = 3466;
/// `pg_transform`
pub const TRANSFORM: u32 = 3576;
/// `pg_ts_dict`
pub const TEXT_SEARCH_DICTIONARY: u32 = 3600;
/// `pg_ts_parser`
pub const TEXT_SEARCH_PARSER: u32 = 3601;
/// `pg_ts_config`
pub const TEXT_SEARCH_CONFIGURATION: u32 = 3602;
/// `pg_ts_template`
pub const TEXT_SEARCH_TEMPLATE: u32 = 3764;
/// `pg_subscription`
pub const SUBSCRIPTION: u32 = 6100;
/// `pg_publication`
pub const PUBLICATION: u32 = 6104;
/// `pg_publication_rel`
pub const PUBLICATION_REL: u32 = 6106;
/// `pg_publication_namespace`
pub const PUBLICATION_NAMESPACE: u32 = 6237;

/// The row of a catalog.
pub const fn row(class: u32, oid: u32) -> CatalogRow {
    CatalogRow { class, oid }
}
