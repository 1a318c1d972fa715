//! `backstay` alone on a terminal: the console, as flags, the console's file and the terminal want it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use backstay_engine::config::Config;
use backstay_engine::{Code, Error, Result};

use super::args::{Console, Global};
use super::failure::Done;
use super::output::Output;
use super::session::Session;
use crate::autostart::{self, Launch};
use crate::client::Client;
use crate::console::{
    self, ASCII, Contexts, Engine, Glyphs, Remote, Settings, Starter, Theme, config,
};
use crate::logins;

/// Opens the console.
pub(crate) async fn open(global: Global, output: Output, flags: &Console) -> Done {
    let environment = |name: &str| std::env::var(name).ok();
    let file = match file() {
        Some(path) => config::File::load(&path)?,
        None => config::File::default(),
    };
    let contexts = named(global.clone(), output, file.clone());
    let (engine, name) = match &flags.context {
        Some(name) => (contexts(name)?, name.clone()),
        None => {
            let session = Session::new(global.clone(), output)?;
            let name = session.engine_name().to_owned();
            (remote(&session, &global), name)
        }
    };
    let context = flags
        .context
        .as_ref()
        .and_then(|name| file.contexts.get(name));
    let no_colour = environment("NO_COLOR").is_some_and(|value| !value.is_empty());
    let theme = match &flags.theme {
        Some(name) => Some(config::theme_named(name).map_err(Error::invalid)?),
        None if no_colour => Some(Theme::Mono),
        None => file.theme().map_err(Error::invalid)?,
    };
    let ascii = flags.ascii || file.ascii.unwrap_or(false);
    let far = environment("SSH_CONNECTION").is_some();
    let settings = Settings {
        theme: theme.unwrap_or(Theme::Default),
        glyphs: if ascii {
            ASCII
        } else {
            Glyphs::of_locale(environment)
        },
        keymap: file.keymap(),
        read_only: flags.read_only
            || context
                .and_then(|own| own.read_only)
                .or(file.read_only)
                .unwrap_or(false),
        mouse: file.mouse.unwrap_or(!far),
        flags: flags_of(&global, flags),
        engine: name,
        contexts: file.contexts.keys().cloned().collect(),
    };
    console::open(settings, engine, contexts).await?;
    Ok(())
}

/// The console's file: beside what logins are kept in.
fn file() -> Option<PathBuf> {
    let environment = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect();
    logins::file(&environment).map(|file| file.with_file_name("console.toml"))
}

/// What a command needs to reach the same engine.
fn flags_of(global: &Global, flags: &Console) -> String {
    let mut words = Vec::new();
    let mut add = |flag: &str, value: Option<&Path>| {
        if let Some(value) = value {
            words.push(format!("{flag} {}", value.display()));
        }
    };
    if flags.context.is_none() {
        add("--host", global.host.as_deref().map(Path::new));
        add("--socket", global.socket.as_deref());
        add("--token-file", global.token_file.as_deref());
        add("--ca-file", global.ca_file.as_deref());
        add("--client-cert", global.client_cert.as_deref());
        add("--config", global.config.as_deref());
    }
    words.join(" ")
}

/// Finds the engines that the console's file names.
fn named(global: Global, output: Output, file: config::File) -> Contexts {
    Arc::new(move |name| {
        let context = file.contexts.get(name).ok_or_else(|| {
            let known: Vec<&str> = file.contexts.keys().map(String::as_str).collect();
            let error = Error::new(Code::NotFound, format!("There is no context \"{name}\""));
            match known.as_slice() {
                [] => error.hint("Write [contexts.NAME] with host or socket into console.toml"),
                known => error.hint(format!("There are {}", known.join(", "))),
            }
        })?;
        let mut own = global.clone();
        own.host.clone_from(&context.host);
        own.socket.clone_from(&context.socket);
        own.token_file.clone_from(&context.token_file);
        own.ca_file.clone_from(&context.ca_file);
        own.client_cert.clone_from(&context.client_cert);
        let session = Session::new(own.clone(), output)?;
        Ok(remote(&session, &own))
    })
}

fn remote(session: &Session, global: &Global) -> Arc<dyn Engine> {
    let starter = session.config().ok().map(|config| {
        let launch = Launch {
            config_file: global.config.clone(),
            socket: global.socket.clone(),
            verbose: global.verbose,
        };
        let config = config.clone();
        Box::new(Local { config, launch }) as Box<dyn Starter>
    });
    Arc::new(Remote {
        client: session.client().clone(),
        starter,
    })
}

/// Starts the engine of this machine.
struct Local {
    config: Config,
    launch: Launch,
}

#[async_trait]
impl Starter for Local {
    async fn start(&self, client: &Client) -> Result<bool> {
        autostart::start(&self.config, &self.launch, client).await?;
        Ok(true)
    }
}
