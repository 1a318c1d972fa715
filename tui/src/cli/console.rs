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
    self, ASCII, Contexts, Engine, Glyphs, Named, Remote, Settings, Starter, Theme, config,
};
use crate::logins;

/// Opens the console.
pub(crate) async fn open(global: Global, output: Output, flags: &Console) -> Done {
    let environment = |name: &str| std::env::var(name).ok();
    let file = match file() {
        Some(path) => config::File::load(&path)?,
        None => config::File::default(),
    };
    let read_only = flags.read_only || file.read_only.unwrap_or(false);
    let named = |(name, context): (&String, &config::Context)| Named {
        name: name.clone(),
        flags: flags_of(&within(&global, context)),
        read_only: flags.read_only || context.read_only.unwrap_or(read_only),
    };
    let named: Vec<Named> = file.contexts.iter().map(named).collect();
    let contexts = contexts(global.clone(), output, file.clone());
    let chosen = flags.context.as_ref();
    let (engine, name) = if let Some(name) = chosen {
        (contexts(name)?, name.clone())
    } else {
        let session = Session::new(global.clone(), output)?;
        let name = session.engine_name().to_owned();
        (remote(&session, &global), name)
    };
    let context = named.iter().find(|own| Some(&own.name) == chosen);
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
        read_only: context.map_or(read_only, |own| own.read_only),
        mouse: file.mouse.unwrap_or(!far),
        flags: context.map_or_else(|| flags_of(&global), |own| own.flags.clone()),
        engine: name,
        contexts: named.clone(),
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
fn flags_of(global: &Global) -> String {
    let mut words = Vec::new();
    let mut add = |flag: &str, value: Option<&Path>| {
        if let Some(value) = value {
            words.push(format!(
                "{flag} {}",
                console::shell(&value.to_string_lossy())
            ));
        }
    };
    add("--host", global.host.as_deref().map(Path::new));
    add("--socket", global.socket.as_deref());
    add("--token-file", global.token_file.as_deref());
    add("--ca-file", global.ca_file.as_deref());
    add("--client-cert", global.client_cert.as_deref());
    add("--config", global.config.as_deref());
    words.join(" ")
}

/// The global flags as they would be for the engine of a context.
fn within(global: &Global, context: &config::Context) -> Global {
    Global {
        host: context.host.clone(),
        socket: context.socket.clone(),
        token_file: context.token_file.clone(),
        ca_file: context.ca_file.clone(),
        client_cert: context.client_cert.clone(),
        ..global.clone()
    }
}

/// Finds the engines that the console's file names.
fn contexts(global: Global, output: Output, file: config::File) -> Contexts {
    Arc::new(move |name| {
        let context = file.contexts.get(name).ok_or_else(|| {
            let known: Vec<&str> = file.contexts.keys().map(String::as_str).collect();
            let error = Error::new(Code::NotFound, format!("There is no context \"{name}\""));
            match known.as_slice() {
                [] => error.hint("Write [contexts.NAME] with host or socket into console.toml"),
                known => error.hint(format!("There are {}", known.join(", "))),
            }
        })?;
        let own = within(&global, context);
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
