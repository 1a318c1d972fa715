//! What every command has at hand: flags, output, and a client of the engine.

use std::collections::BTreeMap;

use backstay_engine::config::Config;
use backstay_engine::model::{Health, Page};
use backstay_engine::{Code, Error, Result};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::args::{Global, Page as PageArgs};
use super::output::Output;
use super::secrets;
use crate::autostart::{self, Launch};
use crate::client::connect::parse_host;
use crate::client::{Client, Endpoint, with_query};

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
}

impl Session {
    /// Reads what it takes to find the engine; contacts nobody.
    pub(crate) fn new(global: Global, output: Output) -> Result<Self> {
        if let Some(url) = &global.host {
            let token = global
                .token_file
                .as_deref()
                .map(|file| secrets::first_line(file, "API key"))
                .transpose()?;
            let authority = parse_host(url)?;
            return Ok(Self {
                client: Client::new(Endpoint::Tcp { authority, token }),
                global,
                output,
                config: None,
            });
        }
        let environment: BTreeMap<String, String> = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .collect();
        let root = rustix::process::geteuid().is_root();
        let mut config = Config::load(global.config.as_deref(), &environment, root)?;
        if let Some(socket) = &global.socket {
            config.socket = std::path::absolute(socket).unwrap_or_else(|_| socket.clone());
        }
        Ok(Self {
            client: Client::new(Endpoint::Unix(config.socket.clone())),
            global,
            output,
            config: Some(config),
        })
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
