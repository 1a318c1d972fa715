//! `backstay`: the command line, and the engine behind it.

mod autostart;
mod cli;
mod client;
mod console;
mod logging;
mod logins;
mod serve;

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::main()
}
