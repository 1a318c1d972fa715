//! The command line: reads arguments, calls the API, prints the answer.

mod access;
mod alert;
mod api;
pub(crate) mod args;
pub(crate) mod backup;
mod completions;
mod config;
mod confirm;
mod connection;
mod console;
mod demo;
mod drill;
mod engine;
mod events;
mod failure;
mod job;
mod login;
mod notification;
pub(crate) mod outcome;
pub(crate) mod output;
mod overview;
mod progress;
mod project;
mod repository;
pub(crate) mod restore;
mod run;
pub(crate) mod secrets;
mod session;
mod settings;
mod task;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::Parser as _;

use self::args::{Cli, Command};
use self::failure::{Done, Failure};
use self::output::Output;
use self::session::Session;

pub(crate) use self::job::rules;

/// Reads the arguments, does what they say, and answers the exit code.
pub(crate) fn main() -> ExitCode {
    let cli = match Cli::try_parse_from(words(std::env::args_os())) {
        Ok(cli) => cli,
        Err(error) => return misused(&error),
    };
    let output = Output::new(&cli.global);
    let many = matches!(cli.command, None | Some(Command::Serve(_)));
    let runtime = match runtime(many) {
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

/// The arguments; `help COMMAND` means `COMMAND --help`.
fn words(given: impl Iterator<Item = OsString>) -> Vec<OsString> {
    let mut words: Vec<OsString> = given.collect();
    if words.get(1).is_some_and(|word| word == "help") {
        words.remove(1);
        words.push("--help".into());
    }
    words
}

/// Says what was wrong with the arguments, or prints the help that was asked for.
fn misused(error: &clap::Error) -> ExitCode {
    let wrong = error.use_stderr();
    let for_program = std::env::args_os()
        .take_while(|word| word != "--")
        .any(|word| word == "--json");
    if wrong && for_program {
        let text = error.render().to_string();
        let text = text.split("\n\n").next().unwrap_or_default();
        let message = text.trim_start_matches("error: ").trim();
        output::problem(
            &backstay_engine::Error::invalid(message)
                .hint("The command with --help says what it takes"),
        );
    } else {
        let _ = error.print();
    }
    ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2))
}

fn runtime(many: bool) -> std::io::Result<tokio::runtime::Runtime> {
    let mut builder = if many {
        tokio::runtime::Builder::new_multi_thread()
    } else {
        tokio::runtime::Builder::new_current_thread()
    };
    builder.enable_all().build()
}

async fn dispatch(cli: Cli, output: Output) -> Done {
    if cli.command.is_some() {
        cli.console.refuse()?;
    } else if !output.json && Output::is_for_a_person() {
        return console::open(cli.global, output, &cli.console).await;
    }
    let session = Session::new(cli.global, output)?;
    match cli.command {
        None => engine::overview(&session).await,
        Some(Command::Serve(serve)) => engine::serve(&session, &serve).await,
        Some(Command::Status) => engine::status(&session).await,
        Some(Command::Overview(args)) => overview::overview(&session, args).await,
        Some(Command::Stop(stop)) => engine::stop(&session, &stop).await,
        Some(Command::Doctor) => engine::doctor(&session).await,
        Some(Command::Demo(demo)) => demo::demo(&session, &demo).await,
        Some(Command::Connection(command)) => connection::connection(&session, command).await,
        Some(Command::Repository(command)) => repository::repository(&session, command).await,
        Some(Command::Backup(command)) => backup::backup(&session, command).await,
        Some(Command::Restore(command)) => restore::restore(&session, command).await,
        Some(Command::Job(command)) => job::job(&session, command).await,
        Some(Command::Project(command)) => project::project(&session, command).await,
        Some(Command::Environment(command)) => project::environment(&session, command).await,
        Some(Command::Drill(command)) => drill::drill(&session, command).await,
        Some(Command::Run(command)) => run::run(&session, command).await,
        Some(Command::Config(command)) => config::config(&session, command).await,
        Some(Command::Settings(command)) => settings::settings(&session, command).await,
        Some(Command::Task(command)) => task::task(&session, command).await,
        Some(Command::Alert(command)) => alert::alert(&session, command).await,
        Some(Command::Notification(command)) => notification::notification(&session, command).await,
        Some(Command::Events(events)) => events::events(&session, &events).await,
        Some(Command::Api(api)) => api::api(&session, api).await,
        Some(Command::User(command)) => access::user(&session, command).await,
        Some(Command::Group(command)) => access::group(&session, command).await,
        Some(Command::ApiKey(command)) => access::api_key(&session, command).await,
        Some(Command::Audit(command)) => access::audit(&session, command).await,
        Some(Command::Login(args)) => login::login(&session, &args).await,
        Some(Command::Logout) => login::logout(&session).await,
        Some(Command::Completions(completions)) => completions::completions(&session, &completions),
    }
}
