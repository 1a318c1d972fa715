//! The console's own file, `console.toml`: looks, keys, and engines by name.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use backstay_engine::{Code, Error, Result};
use serde::Deserialize;

use super::keymap::{Keymap, Overrides};
use super::theme::Theme;

/// A larger file is not one of these.
const FILE_MAX_BYTES: u64 = 1 << 20;

/// What the file may say; all of it may be left out.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct File {
    /// `default`, `high-contrast`, `colour-blind`, `mono`.
    pub(crate) theme: Option<String>,
    /// Signs every terminal can show.
    pub(crate) ascii: Option<bool>,
    pub(crate) mouse: Option<bool>,
    pub(crate) read_only: Option<bool>,
    /// `[keys.backups] delete = ["X"]`; `"none"` unbinds.
    #[serde(default)]
    keys: Overrides,
    /// `[contexts.prod] host = "https://…"`
    #[serde(default)]
    pub(crate) contexts: BTreeMap<String, Context>,
}

/// Where an engine is, and how it is shown who asks.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Context {
    pub(crate) host: Option<String>,
    pub(crate) socket: Option<PathBuf>,
    pub(crate) token_file: Option<PathBuf>,
    pub(crate) ca_file: Option<PathBuf>,
    pub(crate) client_cert: Option<PathBuf>,
    pub(crate) read_only: Option<bool>,
}

impl File {
    /// Reads the file; one that is not there says nothing.
    pub(crate) fn load(path: &Path) -> Result<Self> {
        let size = match std::fs::metadata(path) {
            Ok(found) => found.len(),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Ok(Self::default());
            }
            Err(error) => return Err(unreadable(path).because(error)),
        };
        if size > FILE_MAX_BYTES {
            return Err(wrong(path, "it is larger than 1 MiB"));
        }
        let text =
            std::fs::read_to_string(path).map_err(|error| unreadable(path).because(error))?;
        Self::parse(&text).map_err(|why| wrong(path, &why))
    }

    fn parse(text: &str) -> Result<Self, String> {
        let own: Self = toml::from_str(text).map_err(|error| placed(text, &error))?;
        own.theme()?;
        Keymap::with(&own.keys)?;
        for (name, context) in &own.contexts {
            if context.host.is_some() == context.socket.is_some() {
                return Err(format!("[contexts.{name}] needs either host or socket"));
            }
        }
        Ok(own)
    }

    /// The theme it names.
    pub(crate) fn theme(&self) -> Result<Option<Theme>, String> {
        self.theme.as_deref().map(theme_named).transpose()
    }

    /// The keys with what it changes.
    pub(crate) fn keymap(&self) -> Keymap {
        // `parse` has tried it.
        Keymap::with(&self.keys).unwrap_or_default()
    }
}

/// What is wrong, and in which line.
fn placed(text: &str, error: &toml::de::Error) -> String {
    let before = error.span().and_then(|span| text.get(..span.start));
    match before {
        Some(before) => format!(
            "line {}: {}",
            before.matches('\n').count() + 1,
            error.message()
        ),
        None => error.message().to_owned(),
    }
}

/// The theme of that name.
pub(crate) fn theme_named(name: &str) -> Result<Theme, String> {
    let names = || {
        let all = Theme::ALL.iter().map(|(name, _)| *name);
        all.collect::<Vec<_>>().join(", ")
    };
    Theme::named(name).ok_or_else(|| format!("there is no theme \"{name}\"; there are {}", names()))
}

fn unreadable(path: &Path) -> Error {
    Error::new(
        Code::ConfigInvalid,
        format!("The console's file {} cannot be read", path.display()),
    )
}

fn wrong(path: &Path, why: &str) -> Error {
    let why = why.trim().replace('\n', " ");
    Error::new(
        Code::ConfigInvalid,
        format!("The console's file {} is not right: {why}", path.display()),
    )
    .hint("Correct it or move it away; what it may say is in assets/docs/KEYS.md")
}

#[cfg(test)]
mod tests;
