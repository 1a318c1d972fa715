//! Where configuration, data, cache and socket lie.

use std::path::{Path, PathBuf};

use super::Environment;
use crate::error::{Code, Error, Result};

/// Folders and the configuration file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Paths {
    /// The configuration file, which need not exist.
    pub config_file: PathBuf,
    /// Catalog, keys, the repository `local`.
    pub data: PathBuf,
    /// What can be rebuilt.
    pub cache: PathBuf,
    /// The socket.
    pub runtime: PathBuf,
}

impl Paths {
    /// Everything under one folder.
    pub fn in_home(home: &Path) -> Self {
        Self {
            config_file: home.join("backstay.toml"),
            data: home.join("data"),
            cache: home.join("cache"),
            runtime: home.to_path_buf(),
        }
    }

    /// `BACKSTAY_HOME` puts everything under one folder; else a service has `/etc`, `/var/lib` and
    /// `/run`, and a user the XDG folders.
    pub fn find(environment: &Environment, root: bool) -> Result<Self> {
        let folder = |name: &str| {
            environment
                .get(name)
                .filter(|value| !value.is_empty())
                .map(PathBuf::from)
        };
        if let Some(home) = folder("BACKSTAY_HOME") {
            let home = std::path::absolute(&home).map_err(|error| {
                Error::new(Code::ConfigInvalid, "BACKSTAY_HOME is not a folder").because(error)
            })?;
            return Ok(Self::in_home(&home));
        }
        if root {
            return Ok(Self {
                config_file: "/etc/backstay/backstay.toml".into(),
                data: "/var/lib/backstay".into(),
                cache: "/var/cache/backstay".into(),
                runtime: "/run/backstay".into(),
            });
        }
        // The XDG specification: relative paths in these variables are to be ignored.
        let xdg = |name: &str| folder(name).filter(|path| path.is_absolute());
        let under_home = |rest: &str| {
            folder("HOME").map(|home| home.join(rest)).ok_or_else(|| {
                Error::new(Code::ConfigInvalid, "Neither HOME nor BACKSTAY_HOME is set")
                    .hint("Set BACKSTAY_HOME to a folder for configuration and data")
            })
        };
        let pick = |name: &str, rest: &str| xdg(name).map_or_else(|| under_home(rest), Ok);
        let data = pick("XDG_DATA_HOME", ".local/share")?.join("backstay");
        Ok(Self {
            config_file: pick("XDG_CONFIG_HOME", ".config")?.join("backstay/backstay.toml"),
            cache: pick("XDG_CACHE_HOME", ".cache")?.join("backstay"),
            runtime: xdg("XDG_RUNTIME_DIR")
                .map_or_else(|| data.clone(), |dir| dir.join("backstay")),
            data,
        })
    }
}
