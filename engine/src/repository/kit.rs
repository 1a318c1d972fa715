//! The recovery kit: a ZIP that opens a repository when everything but its objects is lost.

use std::io::{Cursor, Read, Write};

use serde::{Deserialize, Serialize};

use super::format::digest::{hex, unhex};
use crate::error::{Code, Error, Result};
use crate::secret::SecretText;

/// Longest kit a reader accepts, in bytes.
const KIT_BYTES_MAX: u64 = 1 << 20;
const DATA_NAME: &str = "kit.json";
const READ_ME_NAME: &str = "READ-ME-FIRST.txt";

/// What a kit says.
#[derive(Clone, Debug)]
pub struct RecoveryKit {
    /// The repository's name in the engine that made the kit.
    pub name: String,
    /// Where the repository's objects lie, as `repository rebuild` takes it.
    pub location: String,
    /// The repository's own identity.
    pub uid: [u8; 16],
    /// Opens the repository.
    pub recovery_code: SecretText,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Data {
    kit: u32,
    name: String,
    location: String,
    repository_id: String,
    recovery_code: String,
}

impl RecoveryKit {
    /// The ZIP file.
    pub fn zip(&self) -> Result<Vec<u8>> {
        let data = Data {
            kit: 1,
            name: self.name.clone(),
            location: self.location.clone(),
            repository_id: hex(&self.uid),
            recovery_code: self.recovery_code.expose().to_owned(),
        };
        let json = serde_json::to_vec_pretty(&data).map_err(unmade)?;
        let mut archive = zip::ZipWriter::new(Cursor::new(Vec::new()));
        let options = zip::write::SimpleFileOptions::default()
            .compression_method(zip::CompressionMethod::Stored)
            .unix_permissions(0o600);
        for (name, bytes) in [
            (READ_ME_NAME, self.instructions().as_bytes()),
            (DATA_NAME, &json),
        ] {
            archive.start_file(name, options).map_err(unmade)?;
            archive.write_all(bytes).map_err(unmade)?;
        }
        Ok(archive.finish().map_err(unmade)?.into_inner())
    }

    /// What a person reads who has nothing but the kit.
    pub fn instructions(&self) -> String {
        format!(
            "Recovery kit of the Backstay repository \"{name}\"\n\
             \n\
             Whoever has this file and can read the repository can read every backup in it.\n\
             Keep it away from the machine that makes the backups, in a safe or a password manager.\n\
             \n\
             Location:       {location}\n\
             Repository id:  {uid}\n\
             Recovery code:  {code}\n\
             \n\
             To get everything back on an empty machine:\n\
             \n\
             1. Install the backstay program.\n\
             2. Make the repository's objects reachable. If they lie elsewhere now, use that place\n\
                instead of the location above.\n\
             3. Write the recovery code, and nothing else, into a file that only you can read.\n\
             4. Run:  backstay repository rebuild {location} --recovery-code-file THAT-FILE\n\
             5. Run:  backstay backup list\n\
             \n\
             The format is documented in FORMAT.md of the program's sources; the recovery code alone\n\
             opens the repository for any program that follows it.\n",
            name = self.name,
            location = self.location,
            uid = hex(&self.uid),
            code = self.recovery_code.expose(),
        )
    }

    /// Reads a kit back.
    pub fn parse(zip: &[u8]) -> Result<Self> {
        let malformed = || {
            Error::invalid("This file is not a recovery kit")
                .hint("Give the ZIP file that `backstay repository recovery-kit` wrote")
        };
        let mut archive =
            zip::ZipArchive::new(Cursor::new(zip)).map_err(|error| malformed().because(error))?;
        let file = archive
            .by_name(DATA_NAME)
            .map_err(|error| malformed().because(error))?;
        let mut json = Vec::new();
        file.take(KIT_BYTES_MAX)
            .read_to_end(&mut json)
            .map_err(|error| malformed().because(error))?;
        let data: Data =
            serde_json::from_slice(&json).map_err(|error| malformed().because(error))?;
        let uid = unhex(&data.repository_id)
            .filter(|_| data.kit == 1)
            .ok_or_else(malformed)?;
        Ok(Self {
            name: data.name,
            location: data.location,
            uid,
            recovery_code: SecretText::new(data.recovery_code),
        })
    }
}

fn unmade(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    Error::new(Code::Internal, "The recovery kit cannot be made").because(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kit_comes_back_and_anything_else_is_refused() {
        let kit = RecoveryKit {
            name: "local".into(),
            location: "/srv/backups".into(),
            uid: [7; 16],
            recovery_code: SecretText::new("AAAA-BBBB"),
        };
        let zip = kit.zip().unwrap();
        let back = RecoveryKit::parse(&zip).unwrap();
        assert_eq!((back.location, back.uid), (kit.location.clone(), kit.uid));
        assert_eq!(back.recovery_code, kit.recovery_code);
        assert!(kit.instructions().contains("AAAA-BBBB"));
        for cut in 0..zip.len() - 1 {
            let _ = RecoveryKit::parse(&zip[..cut]);
        }
        assert!(RecoveryKit::parse(b"not a zip").is_err());
    }
}
