//! How the sessions of a restore are set up, as `pg_restore` sets up its own.

use crate::source::postgres::logical::snapshot;

/// The statements a session begins with, for a server of `version`.
///
/// Nothing may time out, no function body is checked before what it names exists, nothing is found
/// by search path, and a value is read the way it was written.
pub fn settings(version: u32) -> String {
    // What decides how values are read must be what decided how they were written. But refreshing
    // materialized views reads views, and may use all the server has.
    format!(
        "{}; SELECT pg_catalog.set_config(name, '', false) FROM pg_catalog.pg_settings \
         WHERE name = 'restrict_nonsystem_relation_kind'; \
         RESET max_parallel_workers_per_gather; \
         SET check_function_bodies = off; SET client_min_messages = warning; \
         SET synchronous_commit = off; SET default_transaction_read_only = off; \
         SELECT pg_catalog.set_config('search_path', '', false)",
        snapshot::settings(version)
    )
}

/// What building indexes may use. The server's own setting is kept where it is larger.
pub const INDEX_MEMORY: &str = "SELECT pg_catalog.set_config('maintenance_work_mem', '256MB', false) \
     WHERE pg_catalog.pg_size_bytes(pg_catalog.current_setting('maintenance_work_mem')) \
     < pg_catalog.pg_size_bytes('256MB')";
