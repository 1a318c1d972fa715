//! `backup export`.

use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use backstay_engine::model::RunStatus;
use backstay_engine::secret::random_bytes;
use backstay_engine::{Code, Error, Result};
use http_body_util::BodyExt as _;

use super::{find, source, warn_of_what_lacks};
use crate::cli::args::BackupExport;
use crate::cli::failure::{Done, Failure, unwritable};
use crate::cli::output::{Output, bytes, time};
use crate::cli::session::Session;
use crate::client::{path, with_query};

pub(super) async fn export(session: &Session, args: &BackupExport) -> Done {
    let to_terminal = args.output == Path::new("-");
    if to_terminal && args.format.name() != "sql" && Output::prints_to_terminal() {
        return Err(Error::invalid("An archive would garble the terminal")
            .hint("Name a file with -o FILE, or pipe the output on")
            .into());
    }
    if !args.force && is_file(&args.output) {
        return Err(Error::new(
            Code::Conflict,
            format!("{} exists already", args.output.display()),
        )
        .hint("Name another file with -o FILE, or write over it with --force")
        .into());
    }
    let backup = find(session, &args.backup.backup).await?;
    session.output.note(&format!(
        "Exporting {} of {}, made {}",
        backup.id,
        source(&backup),
        time(backup.point_at.unwrap_or(backup.created_at))
    ));
    let client = session.client();
    let target = path(&["backups", &backup.id.to_string(), "export"]);
    let query = serde_json::json!({"format": args.format.name(), "globals": args.globals});
    let response = client
        .request(
            hyper::Method::GET,
            &with_query(&target, &query)?,
            &crate::client::tell_errors(),
            None,
        )
        .await?;
    let mut sink = Sink::open(session.output, &args.output)?;
    let mut body = response.into_body();
    let mut written: u64 = 0;
    loop {
        let frame = tokio::select! {
            frame = body.frame() => frame,
            _ = tokio::signal::ctrl_c() => {
                return Err(Failure::Exit(Code::Cancelled.exit()));
            }
        };
        let Some(frame) = frame else { break };
        let frame = frame.map_err(|error| {
            Error::new(
                Code::EngineUnreachable,
                "The export broke off; what was written is not whole",
            )
            .hint("The engine's log says why")
            .because(error)
        })?;
        if let Some(error) = frame.trailers_ref().and_then(crate::client::told_error) {
            return Err(error
                .context("The export ends in the middle")
                .hint("`backstay backup verify` names all that is damaged; another backup may be whole")
                .into());
        }
        if let Some(data) = frame.data_ref() {
            sink.write(data)?;
            written += data.len() as u64;
        }
    }
    sink.finish()?;
    if !to_terminal {
        let file = args.output.display().to_string();
        let record = serde_json::json!({
            "backup_id": backup.id,
            "file": file,
            "losses": backup.losses,
            "size_bytes": written,
        });
        session
            .output
            .record(&record, |_, _| format!("Wrote {file}, {}", bytes(written)))?;
    }
    warn_of_what_lacks(session, &backup);
    if backup.status == RunStatus::Partial {
        return Err(Failure::Exit(Code::Partial.exit()));
    }
    Ok(())
}

/// Whether writing there would take the place of something; a device or a pipe only takes the bytes.
fn is_file(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|there| there.is_file())
}

/// Where an export goes. A file appears under its name only when it is whole.
enum Sink {
    Standard(Output),
    /// A device or a pipe, which nothing may take the place of.
    Special {
        file: std::fs::File,
        path: PathBuf,
    },
    File {
        file: std::io::BufWriter<std::fs::File>,
        temporary: PathBuf,
        path: PathBuf,
        whole: bool,
    },
}

impl Sink {
    fn open(output: Output, path: &Path) -> Result<Self> {
        if path == Path::new("-") {
            return Ok(Self::Standard(output));
        }
        let failed = |error| unwritable(path, error);
        match std::fs::metadata(path) {
            Ok(there) if there.is_dir() => {
                return Err(failed(std::io::ErrorKind::IsADirectory.into()));
            }
            Ok(there) if !there.is_file() => {
                let file = std::fs::OpenOptions::new().write(true).open(path);
                return Ok(Self::Special {
                    file: file.map_err(failed)?,
                    path: path.to_path_buf(),
                });
            }
            _ => {}
        }
        let mut temporary = path.as_os_str().to_owned();
        let unique = u64::from_le_bytes(random_bytes());
        temporary.push(format!(".{unique:016x}.part"));
        let temporary = PathBuf::from(temporary);
        // A whole database in clear is nobody else's to read.
        let file = std::fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&temporary)
            .map_err(failed)?;
        Ok(Self::File {
            file: std::io::BufWriter::with_capacity(1 << 18, file),
            temporary,
            path: path.to_path_buf(),
            whole: false,
        })
    }

    fn write(&mut self, data: &[u8]) -> Done {
        match self {
            Self::Standard(output) => output.raw(data),
            Self::Special { file, path } => Ok(file
                .write_all(data)
                .map_err(|error| unwritable(path, error))?),
            Self::File { file, path, .. } => Ok(file
                .write_all(data)
                .map_err(|error| unwritable(path, error))?),
        }
    }

    fn finish(&mut self) -> Done {
        if let Self::File {
            file,
            temporary,
            path,
            whole,
        } = self
        {
            file.flush()
                .and_then(|()| file.get_ref().sync_all())
                .and_then(|()| std::fs::rename(&temporary, &path))
                .map_err(|error| unwritable(path, error))?;
            *whole = true;
        }
        Ok(())
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        if let Self::File {
            temporary,
            whole: false,
            ..
        } = self
        {
            let _ = std::fs::remove_file(temporary);
        }
    }
}
