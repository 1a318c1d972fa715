//! `completions SHELL`

use clap::CommandFactory as _;

use super::args::{Cli, Completions};
use super::failure::Done;
use super::session::Session;

/// Prints the script.
pub(crate) fn completions(session: &Session, completions: &Completions) -> Done {
    let mut script = Vec::new();
    clap_complete::generate(
        completions.shell,
        &mut Cli::command(),
        "backstay",
        &mut script,
    );
    session.output.raw(&script)
}
