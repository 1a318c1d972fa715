//! Logins that `backstay login` keeps for later commands: a file that nobody else may read.

use std::collections::BTreeMap;
use std::io::{ErrorKind, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use backstay_engine::model::{Time, secret_field};
use backstay_engine::secret::SecretText;
use backstay_engine::{Code, Error, Result};
use serde::{Deserialize, Serialize};

/// A larger file is not one of these.
const FILE_MAX_BYTES: u64 = 1 << 20;

/// Where they are kept: beside everything else of `BACKSTAY_HOME`, or with the user's own configuration.
pub(crate) fn file(environment: &BTreeMap<String, String>) -> Option<PathBuf> {
    let folder = |name: &str| {
        let value = environment.get(name).filter(|value| !value.is_empty());
        value.map(PathBuf::from)
    };
    let users = || {
        folder("XDG_CONFIG_HOME")
            .filter(|path| path.is_absolute())
            .or_else(|| folder("HOME").map(|home| home.join(".config")))
            .map(|config| config.join("backstay"))
    };
    let found = folder("BACKSTAY_HOME").or_else(users);
    found.map(|folder| folder.join("logins.json"))
}

/// One login.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Kept {
    /// Who.
    pub(crate) user: String,
    /// The session's token.
    #[serde(with = "secret_field")]
    pub(crate) token: Option<SecretText>,
    /// When it ends.
    pub(crate) expires_at: Option<Time>,
    /// What vouches for the engine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) ca_file: Option<PathBuf>,
    /// What is shown to the engine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) client_cert: Option<PathBuf>,
}

impl Kept {
    /// The same from whatever folder later commands are given.
    pub(crate) fn absolute(mut self) -> Self {
        for path in [&mut self.ca_file, &mut self.client_cert]
            .into_iter()
            .flatten()
        {
            *path = std::path::absolute(&*path).unwrap_or_else(|_| path.clone());
        }
        self
    }
}

/// All logins of this user, by engine.
#[derive(Debug)]
pub(crate) struct Logins {
    file: PathBuf,
    kept: BTreeMap<String, Kept>,
    replaced: Option<Kept>,
}

impl Logins {
    /// What the file holds; nothing without a file.
    pub(crate) fn load(file: &Path) -> Result<Self> {
        let failed = |error: std::io::Error| unusable(file, "read").because(error);
        let mut text = String::new();
        match std::fs::File::open(file) {
            Ok(opened) => {
                opened
                    .take(FILE_MAX_BYTES)
                    .read_to_string(&mut text)
                    .map_err(failed)?;
            }
            Err(error) if error.kind() == ErrorKind::NotFound => text.push_str("{}"),
            Err(error) => return Err(failed(error)),
        }
        let kept = serde_json::from_str(&text)
            .map_err(|error| unusable(file, "understood").because(error))?;
        Ok(Self {
            file: file.to_owned(),
            kept,
            replaced: None,
        })
    }

    /// The login at that engine.
    pub(crate) fn get(&self, engine: &str) -> Option<&Kept> {
        self.kept.get(engine)
    }

    /// With that login in place of any other at that engine.
    pub(crate) fn with(mut self, engine: &str, login: Kept) -> Self {
        self.replaced = self.kept.insert(engine.to_owned(), login);
        self
    }

    /// Without a login at that engine.
    pub(crate) fn without(mut self, engine: &str) -> Self {
        self.replaced = self.kept.remove(engine);
        self
    }

    /// Writes the file in one step and answers the login that went.
    pub(crate) fn save(self) -> Result<Option<Kept>> {
        let failed = |error: std::io::Error| unusable(&self.file, "written").because(error);
        if self.kept.is_empty() && self.replaced.is_none() {
            return Ok(None);
        }
        if let Some(folder) = self.file.parent() {
            std::fs::DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(folder)
                .map_err(failed)?;
        }
        let text = serde_json::to_vec_pretty(&self.kept)
            .map_err(|error| Error::internal("Logins are not JSON").because(error))?;
        let new = self
            .file
            .with_extension(format!("new.{}", std::process::id()));
        let _ = std::fs::remove_file(&new);
        std::fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&new)
            .and_then(|mut opened| {
                opened.write_all(&text)?;
                opened.sync_all()
            })
            .and_then(|()| std::fs::rename(&new, &self.file))
            .map_err(failed)?;
        Ok(self.replaced)
    }
}

fn unusable(file: &Path, what: &str) -> Error {
    Error::new(
        Code::Conflict,
        format!("The logins in {} could not be {what}", file.display()),
    )
    .hint("Remove the file and log in again")
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn login(user: &str) -> Kept {
        Kept {
            user: user.to_owned(),
            token: Some(SecretText::new("bss_1")),
            expires_at: None,
            ca_file: Some("ca.pem".into()),
            client_cert: None,
        }
    }

    #[test]
    fn logins_come_back_and_are_for_their_owner_alone() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("new/logins.json");
        assert!(Logins::load(&file).unwrap().get("https://a:1").is_none());
        let logins = Logins::load(&file)
            .unwrap()
            .with("https://a:1", login("ann"));
        assert!(logins.save().unwrap().is_none());
        let mode = std::fs::metadata(&file).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let logins = Logins::load(&file).unwrap();
        let ann = logins.get("https://a:1").unwrap();
        assert_eq!(ann.token.as_ref().unwrap().expose(), "bss_1");
        let old = logins.with("https://a:1", login("bob")).save().unwrap();
        assert_eq!(old.unwrap().user, "ann");
        let gone = Logins::load(&file).unwrap().without("https://a:1").save();
        assert_eq!(gone.unwrap().unwrap().user, "bob");
        assert!(Logins::load(&file).unwrap().get("https://a:1").is_none());
    }

    #[test]
    fn a_file_of_something_else_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("logins.json");
        std::fs::write(&file, "no json").unwrap();
        let error = Logins::load(&file).unwrap_err();
        assert!(error.message().contains("logins.json"), "{error}");
    }
}
