//! What every command has at hand: flags, output, and a client of the engine.

use std::collections::BTreeMap;
use std::path::PathBuf;

use backstay_engine::config::Config;
use backstay_engine::model::{Health, Page};
use backstay_engine::secret::SecretText;
use backstay_engine::{Code, Error, Result};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::args::{Global, Page as PageArgs};
use super::output::Output;
use super::secrets;
use crate::autostart::{self, Launch};
use crate::client::connect::Address;
use crate::client::{Client, Endpoint, Trust, with_query};
use crate::logins::{self, Kept, Logins};

/// The most one request may ask for.
const LIMIT_MAX: u32 = 200;

/// One invocation of the program.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) global: Global,
    pub(crate) output: Output,
    client: Client,
    /// Absent when another machine's engine is used.
    config: Option<Config>,
    engine: String,
    logins_file: Option<PathBuf>,
}

/// The login that is kept for that engine, unless a key is given.
fn kept(file: Option<&PathBuf>, engine: String, global: &Global) -> Result<(String, Option<Kept>)> {
    let kept = match file {
        Some(file) => Logins::load(file)
            .map(|logins| logins.get(&engine).cloned())
            // What is kept matters only to those who would use it.
            .or_else(|error| if global.token_file.is_some() { Ok(None) } else { Err(error) })?,
        None => None,
    };
    Ok((engine, kept))
}

fn token(global: &Global, kept: Option<Kept>) -> Result<Option<SecretText>> {
    match &global.token_file {
        Some(file) => secrets::first_line(file, "API key").map(Some),
        None => Ok(kept.and_then(|kept| kept.token)),
    }
}

impl Session {
    /// Reads what it takes to find the engine; contacts nobody.
    pub(crate) fn new(mut global: Global, output: Output) -> Result<Self> {
        let environment: BTreeMap<String, String> = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .collect();
        let logins_file = logins::file(&environment);
        if let Some(url) = &global.host {
            let address = Address::parse(url)?;
            let (engine, kept) = kept(logins_file.as_ref(), address.url(), &global)?;
            let trusted =
                |own: &Option<PathBuf>, kept: Option<&PathBuf>| own.clone().or(kept.cloned());
            let ca = trusted(
                &global.ca_file,
                kept.as_ref().and_then(|kept| kept.ca_file.as_ref()),
            );
            let cert = trusted(
                &global.client_cert,
                kept.as_ref().and_then(|kept| kept.client_cert.as_ref()),
            );
            let tls = address
                .secure
                .then(|| Trust::new(&address, ca.as_deref(), cert.as_deref()))
                .transpose()?;
            let token = token(&global, kept)?;
            // A login that takes the place of this one keeps them.
            (global.ca_file, global.client_cert) = (ca, cert);
            if token.is_some() && address.is_in_the_clear() {
                output.warn("over http:// anybody on the way can read the key; use https://");
            }
            let authority = address.authority();
            return Ok(Self {
                client: Client::new(Endpoint::Tcp { authority, tls }, token),
                global,
                output,
                config: None,
                engine,
                logins_file,
            });
        }
        let root = rustix::process::geteuid().is_root();
        let mut config = Config::load(global.config.as_deref(), &environment, root)?;
        if let Some(socket) = &global.socket {
            config.socket = std::path::absolute(socket).unwrap_or_else(|_| socket.clone());
        }
        let engine = format!("unix:{}", config.socket.display());
        let (engine, kept) = kept(logins_file.as_ref(), engine, &global)?;
        let token = token(&global, kept)?;
        Ok(Self {
            client: Client::new(Endpoint::Unix(config.socket.clone()), token),
            global,
            output,
            config: Some(config),
            engine,
            logins_file,
        })
    }

    /// How the engine is named where logins are kept.
    pub(crate) fn engine_name(&self) -> &str {
        &self.engine
    }

    /// Where logins are kept.
    pub(crate) fn logins_file(&self) -> Result<PathBuf> {
        self.logins_file.clone().ok_or_else(|| {
            Error::new(Code::ConfigInvalid, "There is no folder to keep a login in")
                .hint("Set HOME, XDG_CONFIG_HOME or BACKSTAY_HOME")
        })
    }

    /// A client that does not say who asks.
    pub(crate) fn anonymous(&self) -> Client {
        self.client.with(None)
    }

    /// A client that shows that token.
    pub(crate) fn named(&self, token: SecretText) -> Client {
        self.client.with(Some(token))
    }

    /// The configuration of the engine on this machine.
    pub(crate) fn config(&self) -> Result<&Config> {
        self.config.as_ref().ok_or_else(|| {
            Error::invalid("This command works on this machine's engine only")
                .hint("Run it without --host")
        })
    }

    /// A client, without looking whether an engine answers.
    pub(crate) fn client(&self) -> &Client {
        &self.client
    }

    /// A client of an engine that answers; starts one when there is none on this machine.
    pub(crate) async fn engine(&self) -> Result<&Client> {
        let health = match self.client.get::<Health>("/api/v1/health").await {
            Ok(health) => health,
            Err(error) if error.code() == Code::EngineUnreachable => match &self.config {
                Some(config) => {
                    self.start(config).await?;
                    return Ok(&self.client);
                }
                None => return Err(error),
            },
            // The request itself says more.
            Err(error) if error.code() == Code::EngineStopping => return Ok(&self.client),
            Err(error) => return Err(error),
        };
        if health.version != env!("CARGO_PKG_VERSION") {
            self.output.warn(&format!(
                "the engine has version {}, this program {}; `backstay stop` ends the old one",
                health.version,
                env!("CARGO_PKG_VERSION")
            ));
        }
        Ok(&self.client)
    }

    async fn start(&self, config: &Config) -> Result<()> {
        let launch = Launch {
            config_file: self.global.config.clone(),
            socket: self.global.socket.clone(),
            verbose: self.global.verbose,
        };
        let pid = autostart::start(config, &launch, &self.client).await?;
        if self.output.watched {
            self.output.note(&format!(
                "Started the engine (process {pid}, log {})",
                autostart::log_file(config).display()
            ));
        }
        Ok(())
    }

    /// Reads as many pages of a list as it takes to fill `page`.
    pub(crate) async fn list<Q: Serialize, T: DeserializeOwned>(
        &self,
        path: &str,
        query: &Q,
        page: &PageArgs,
    ) -> Result<Page<T>> {
        let client = self.engine().await?;
        let mut items: Vec<T> = Vec::new();
        let mut cursor = page.cursor.clone();
        loop {
            let wanted = page.limit - items.len() as u32;
            let mut query = serde_json::to_value(query).map_err(|error| {
                Error::internal("The query could not be written").because(error)
            })?;
            query["limit"] = json!(wanted.min(LIMIT_MAX));
            query["cursor"] = cursor.map_or(Value::Null, Value::String);
            let answer: Page<T> = client.get(&with_query(path, &query)?).await?;
            let empty = answer.items.is_empty();
            items.extend(answer.items);
            cursor = answer.next_cursor;
            if cursor.is_none() || empty || items.len() as u64 >= u64::from(page.limit) {
                return Ok(Page {
                    items,
                    next_cursor: cursor,
                });
            }
        }
    }
}
