//! `repository recovery-kit`.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use backstay_engine::Error;
use serde_json::json;

use crate::cli::args::RepositoryRecoveryKit;
use crate::cli::failure::{Done, create_private, unwritable};
use crate::cli::output::Output;
use crate::cli::session::Session;
use crate::client::path;

pub(super) async fn recovery_kit(session: &Session, args: &RepositoryRecoveryKit) -> Done {
    let name = &args.repository.name;
    let output = args.output.clone().unwrap_or_else(|| {
        PathBuf::from(format!(
            "backstay-{}-recovery-kit.zip",
            name.replace('/', "_")
        ))
    });
    if output == Path::new("-") && Output::prints_to_terminal() {
        return Err(Error::invalid("A ZIP would garble the terminal")
            .hint("Name a file with -o FILE, or pipe the output on")
            .into());
    }
    // Made first: a kit that cannot be written would leave a code behind that nobody knows.
    let file = if output == Path::new("-") {
        None
    } else {
        Some(create_private(&output)?)
    };
    let client = session.engine().await?;
    let target = path(&["repositories", name, "recovery-kit"]);
    let kit = async {
        let response = client
            .request(hyper::Method::GET, &target, &[], None)
            .await?;
        crate::client::read(response).await
    };
    let kit = match kit.await {
        Ok(kit) => kit,
        Err(error) => {
            if file.is_some() {
                let _ = std::fs::remove_file(&output);
            }
            return Err(error.into());
        }
    };
    let Some(mut file) = file else {
        return session.output.raw(&kit);
    };
    file.write_all(&kit)
        .and_then(|()| file.sync_all())
        .map_err(|error| unwritable(&output, error))?;
    let record = json!({"file": output.display().to_string(), "size_bytes": kit.len()});
    session.output.record(&record, |_, _| {
        format!(
            "Wrote {}\nWhoever has it can read the backups: keep it away from this machine and from strangers.",
            output.display()
        )
    })
}
