//! What a restore may not be asked for, whatever there is.

use super::RestoreOptions;
use crate::error::{Error, Result};
use crate::source::postgres::logical::restore::renaming;

/// New databases are copied from these.
const TEMPLATES: [&str; 2] = ["template0", "template1"];

/// An error when the options contradict each other.
pub(super) fn options(options: &RestoreOptions) -> Result<()> {
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
    renaming::check(&options.objects)
}

/// An error when nothing may be restored into that database.
pub(super) fn database(name: &str) -> Result<()> {
    if !TEMPLATES.contains(&name) {
        return Ok(());
    }
    Err(Error::invalid(format!(
        "Nothing is restored into \"{name}\": every new database is copied from it"
    ))
    .hint("Name another database with --database")
    .field("database", "must not be a template of the server"))
}
