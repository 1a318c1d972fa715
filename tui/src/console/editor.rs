//! Text in the user's own editor.

use std::io::Write as _;
use std::process::Command;

/// Lets the user edit a text; `None` when it came back as it was. The terminal must be given back before.
pub(crate) fn edit(name: &str, text: &str) -> Result<Option<String>, String> {
    let editor = ["VISUAL", "EDITOR"]
        .into_iter()
        .find_map(|name| {
            std::env::var(name)
                .ok()
                .filter(|value| !value.trim().is_empty())
        })
        .unwrap_or_else(|| "vi".to_owned());
    let mut words = editor.split_whitespace();
    let program = words.next().unwrap_or("vi");
    let failed =
        |what: &str, error: std::io::Error| format!("{what}: {error}; nothing was changed");
    let folder = tempfile::Builder::new()
        .prefix("backstay-")
        .tempdir()
        .map_err(|error| failed("No place for the text to edit", error))?;
    let path = folder.path().join(name);
    let mut file = std::fs::File::create(&path)
        .map_err(|error| failed("The text could not be written", error))?;
    file.write_all(text.as_bytes())
        .map_err(|error| failed("The text could not be written", error))?;
    drop(file);
    let status = Command::new(program)
        .args(words)
        .arg(&path)
        .status()
        .map_err(|error| {
            failed(
                &format!("The editor \"{program}\" could not be started"),
                error,
            )
        })?;
    if !status.success() {
        return Err(format!(
            "The editor \"{program}\" ended with {status}; nothing was changed"
        ));
    }
    let edited = std::fs::read_to_string(&path)
        .map_err(|error| failed("The text could not be read back", error))?;
    Ok((edited != text).then_some(edited))
}
