//! A whole setup as one document: written, compared with what is here, taken in.
//!
//! A document names things; what is here under the same name is the same thing, and keeps its id. What is new
//! keeps the ids that backups in repositories know it by. Taking in is one transaction: all of it or nothing.

mod apply;
mod document;
mod plan;
mod seal;

use std::collections::BTreeMap;

use serde_json::Value;

use super::Engine;
use crate::access::{Grant, Permissions, scope};
use crate::error::{Code, Error, Result};
use crate::model::{ConfigDocument, ConfigExportRequest, ConfigImport, ConfigImportRequest};
use plan::Planner;
use seal::Secrets;

/// What a document calls itself.
const FORMAT: &str = "backstay-config";
/// The version that is written, and the newest that is read.
const VERSION: u32 = 1;
/// Things that one document may hold.
const THINGS_MAX: usize = 20_000;
/// After so many of them, other work has its turn.
const BREATH: usize = 50;

/// What things are called in plans, and where their secrets are found.
mod kind {
    pub(super) const SETTINGS: &str = "settings";
    pub(super) const TASK: &str = "system_task";
    pub(super) const PROJECT: &str = "project";
    pub(super) const ENVIRONMENT: &str = "environment";
    pub(super) const REPOSITORY: &str = "repository";
    pub(super) const DEFAULT_REPOSITORY: &str = "default_repository";
    pub(super) const CONNECTION: &str = "connection";
    pub(super) const TARGET: &str = "notification";
    pub(super) const JOB: &str = "job";
    pub(super) const DRILL: &str = "drill";
    pub(super) const GROUP: &str = "group";
    pub(super) const USER: &str = "user";
    pub(super) const API_KEY: &str = "api_key";
}

impl Engine {
    /// The whole setup, with its secrets where there is a passphrase to seal them.
    pub async fn export_config(&self, request: ConfigExportRequest) -> Result<ConfigDocument> {
        let mut document = self.document().await?;
        if let Some(passphrase) = &request.passphrase {
            document.secrets = Some(seal::seal(&self.secrets()?, passphrase).await?);
        }
        let note = serde_json::json!({"with_secrets": document.secrets.is_some()});
        self.audit("config.export", "", None::<&()>, Some(&note))
            .await?;
        Ok(document)
    }

    /// Takes a setup in, or says what that would do.
    pub async fn import_config(&self, request: ConfigImportRequest) -> Result<ConfigImport> {
        // A document can hold any group and any key: whoever takes it in could give themselves anything.
        let caller = scope::current();
        if !caller.has(&Grant::new(Permissions::all(), &[])) {
            return Err(Error::new(
                Code::Forbidden,
                format!("{} cannot take in a whole setup", caller.actor.label()),
            )
            .hint("Ask an administrator: it takes every permission, in every project"));
        }
        let document = read(request.document)?;
        let secrets = match (&document.secrets, &request.passphrase) {
            (Some(sealed), Some(passphrase)) => seal::open(sealed, passphrase).await?,
            (None, Some(_)) => {
                let why = "is of no use: the document has no secrets";
                return Err(Error::invalid(format!("The passphrase {why}"))
                    .field("passphrase", why)
                    .hint("Leave it out, or export again with a passphrase"));
            }
            (_, None) => Secrets::default(),
        };
        let mut planner = Planner::new(self, &secrets, request.overwrite, request.paused);
        planner.plan(document).await?;
        let plan = planner.finish();
        let answer = ConfigImport {
            dry_run: request.dry_run,
            items: plan.items,
        };
        if request.dry_run {
            return Ok(answer);
        }
        if let Some(refusal) = plan.refusal {
            return Err(refusal);
        }
        self.write_import(plan.changes, plan.before, plan.after)
            .await?;
        self.publish(
            "config.imported",
            "",
            &BTreeMap::from([("items", answer.items.len())]),
        );
        self.after_import(plan.job_ids).await;
        Ok(answer)
    }
}

/// Reads a document, whoever wrote it.
fn read(document: Value) -> Result<ConfigDocument> {
    if document["format"] != FORMAT {
        let why = format!("must be \"{FORMAT}\"");
        return Err(
            Error::invalid("The document is not a configuration of Backstay")
                .field("document.format", why)
                .hint("Use what `backstay config export` wrote"),
        );
    }
    let version = document["version"].as_u64().unwrap_or_default();
    if version > u64::from(VERSION) {
        return Err(Error::invalid(format!(
            "The document is of version {version}, and this Backstay reads versions up to {VERSION}"
        ))
        .field("document.version", format!("must be at most {VERSION}"))
        .hint("Use the version of Backstay that wrote it, or a newer one"));
    }
    if version == 0 {
        return Err(Error::invalid("The document has no version")
            .field("document.version", format!("must be {VERSION}")));
    }
    let things = document.as_object().into_iter().flatten();
    let things = things.filter_map(|(_, part)| part.as_array().map(Vec::len));
    if things.sum::<usize>() > THINGS_MAX {
        return Err(
            Error::invalid(format!("The document holds more than {THINGS_MAX} things"))
                .hint("Take it in in parts: lists may be left out"),
        );
    }
    serde_path_to_error::deserialize(document).map_err(|error| {
        let (path, why) = (error.path().to_string(), error.into_inner().to_string());
        Error::invalid(format!("The document cannot be read at {path}: {why}"))
            .field(format!("document.{path}"), why)
    })
}
