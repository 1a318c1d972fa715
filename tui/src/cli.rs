//! The command line: reads arguments, calls the API, prints the answer.

mod api;
mod args;
mod backup;
mod completions;
mod confirm;
mod connection;
mod demo;
mod engine;
mod events;
mod failure;
mod output;
mod progress;
mod repository;
mod restore;
mod run;
mod secrets;
mod session;

use std::process::ExitCode;

use clap::Parser as _;

use self::args::{Cli, Command};
use self::failure::{Done, Failure};
use self::output::Output;
use self::session::Session;

/// Reads the arguments, does what they say, and answers the exit code.
pub(crate) fn main() -> ExitCode {
    let cli = Cli::parse();
    let output = Output::new(&cli.global);
    let runtime = match runtime(matches!(cli.command, Some(Command::Serve(_)))) {
        Ok(runtime) => runtime,
        Err(error) => {
            output.error(
                &backstay_engine::Error::internal("The program could not start").because(error),
            );
            return ExitCode::FAILURE;
        }
    };
    let done = runtime.block_on(dispatch(cli, output));
    // What still waits, such as a read of standard input, does not hold the program up.
    runtime.shutdown_background();
    match done {
        Ok(()) | Err(Failure::PipeClosed) => ExitCode::SUCCESS,
        Err(Failure::Exit(code)) => ExitCode::from(code),
        Err(Failure::Error(error)) => {
            output.error(&error);
            ExitCode::from(error.code().exit())
        }
    }
}

fn runtime(serving: bool) -> std::io::Result<tokio::runtime::Runtime> {
    let mut builder = if serving {
        tokio::runtime::Builder::new_multi_thread()
    } else {
        tokio::runtime::Builder::new_current_thread()
    };
    builder.enable_all().build()
}

async fn dispatch(cli: Cli, output: Output) -> Done {
    let session = Session::new(cli.global, output)?;
    match cli.command {
        None => engine::overview(&session).await,
        Some(Command::Serve(serve)) => engine::serve(&session, &serve).await,
        Some(Command::Status) => engine::status(&session).await,
        Some(Command::Stop(stop)) => engine::stop(&session, &stop).await,
        Some(Command::Doctor) => engine::doctor(&session).await,
        Some(Command::Demo(demo)) => demo::demo(&session, &demo).await,
        Some(Command::Connection(command)) => connection::connection(&session, command).await,
        Some(Command::Repository(command)) => repository::repository(&session, command).await,
        Some(Command::Backup(command)) => backup::backup(&session, command).await,
        Some(Command::Restore(command)) => restore::restore(&session, command).await,
        Some(Command::Run(command)) => run::run(&session, command).await,
        Some(Command::Events(events)) => events::events(&session, &events).await,
        Some(Command::Api(api)) => api::api(&session, api).await,
        Some(Command::Completions(completions)) => completions::completions(&session, &completions),
    }
}
