//! `repository recovery-kit`.

use std::path::{Path, PathBuf};

use backstay_engine::Error;
use serde_json::json;

use super::private::answered_into;
use crate::cli::args::RepositoryRecoveryKit;
use crate::cli::failure::Done;
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
    let is_piped = output == Path::new("-");
    if is_piped && Output::prints_to_terminal() {
        return Err(Error::invalid("A ZIP would garble the terminal")
            .hint("Name a file with -o FILE, or pipe the output on")
            .into());
    }
    let asked = async {
        let client = session.engine().await?;
        let target = path(&["repositories", name, "recovery-kit"]);
        let asked = client.request(hyper::Method::GET, &target, &[], None);
        crate::client::read(asked.await?).await
    };
    if is_piped {
        return session.output.raw(&asked.await?);
    }
    let kit = answered_into(&output, asked, |kit| kit.to_vec()).await?;
    let record = json!({"file": output.display().to_string(), "size_bytes": kit.len()});
    session.output.record(&record, |_, _| {
        format!(
            "Wrote {}\nWhoever has it can read the backups: keep it away from this machine and from strangers.",
            output.display()
        )
    })
}
