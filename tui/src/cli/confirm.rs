//! Asks before something is lost.

use std::io::{IsTerminal as _, Write as _};

use backstay_engine::{Code, Error};

use super::args::Global;
use super::failure::{Done, Failure};

/// For what can be undone: `--yes`, or a yes on the terminal.
pub(crate) fn agree(global: &Global, question: &str) -> Done {
    if global.yes {
        return Ok(());
    }
    if !terminal() {
        return Err(
            Error::new(Code::Unconfirmed, format!("Not confirmed: {question}"))
                .hint("Answer with --yes")
                .into(),
        );
    }
    match ask(&format!("{question} [y/N] "))?.trim() {
        "y" | "Y" | "yes" | "Yes" => Ok(()),
        _ => Err(declined()),
    }
}

/// For what cannot be undone: the name itself, by `--confirm` or typed on the terminal. Answers the name as it was given.
pub(crate) fn typed(global: &Global, what: &str, name: &str) -> Done<String> {
    if let Some(given) = &global.confirm {
        return if given == name {
            Ok(given.clone())
        } else {
            Err(Error::new(
                Code::Unconfirmed,
                format!("Not confirmed: --confirm says \"{given}\" instead of \"{name}\""),
            )
            .hint(what)
            .into())
        };
    }
    if !terminal() {
        return Err(
            Error::new(Code::Unconfirmed, format!("Not confirmed: {what}"))
                .hint(format!("Confirm it with --confirm {}", shell_word(name)))
                .into(),
        );
    }
    let given = ask(&format!("{what}. Type {name} to go on: "))?;
    if given.trim() == name {
        Ok(name.to_owned())
    } else {
        Err(declined())
    }
}

fn declined() -> Failure {
    Error::new(Code::Unconfirmed, "Nothing was done").into()
}

fn terminal() -> bool {
    std::io::stdin().is_terminal() && std::io::stderr().is_terminal()
}

fn ask(question: &str) -> Done<String> {
    let mut err = std::io::stderr().lock();
    let _ = write!(err, "{question}");
    let _ = err.flush();
    let mut line = String::new();
    std::io::stdin()
        .read_line(&mut line)
        .map_err(Failure::writing)?;
    Ok(line)
}

/// The name as a shell reads it back.
pub(crate) fn shell_word(name: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "._-/@:".contains(c);
    if !name.is_empty() && name.chars().all(plain) {
        name.to_owned()
    } else {
        format!("'{}'", name.replace('\'', "'\\''"))
    }
}
