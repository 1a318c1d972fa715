//! What the console's own file may say, and how its faults are told.

use super::*;

fn wrong_with(text: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("console.toml");
    std::fs::write(&path, text).unwrap();
    let error = File::load(&path).unwrap_err();
    assert_eq!(error.code(), Code::ConfigInvalid);
    assert!(error.hint_text().unwrap().contains("KEYS.md"));
    error.message().to_owned()
}

#[test]
fn a_file_that_is_not_there_says_nothing() {
    let file = File::load(Path::new("/nowhere/console.toml")).unwrap();
    assert!(file.theme.is_none() && file.contexts.is_empty());
}

#[test]
fn everything_it_may_say_is_taken() {
    let file = File::parse(
        "theme = \"high-contrast\"\nascii = true\nmouse = false\nread_only = true\n\
         [keys.backups]\ndelete = [\"X\"]\n\
         [contexts.prod]\nhost = \"https://db:8443\"\ntoken_file = \"/t\"\nread_only = true\n\
         [contexts.lab]\nsocket = \"/run/lab.sock\"\n",
    )
    .unwrap();
    assert_eq!(file.theme().unwrap(), Some(Theme::HighContrast));
    assert_eq!(file.contexts.len(), 2);
    let here = [super::super::action::Context::Backups];
    let keys = file.keymap();
    let delete = keys.keys(&here, super::super::action::Action::Delete);
    assert_eq!(delete[0].to_string(), "X");
}

#[test]
fn what_is_wrong_is_named_with_its_place() {
    for (text, wanted) in [
        (
            "theme = \"pink\"",
            "there is no theme \"pink\"; there are default, high-contrast, colour-blind, mono",
        ),
        (
            "ascii = true\nthem = \"mono\"",
            "line 2: unknown field `them`",
        ),
        ("ascii = \"yes\"", "line 1: invalid type"),
        ("a = [", "line 1"),
        ("[keys.backups]\ndelete = \"X\"", "line 2: invalid type"),
        (
            "[keys.backups]\ndelete = [\"v\"]",
            "[keys.backups] \"verify\" and \"delete\" are both on v",
        ),
        (
            "[keys.global]\nback = [\"none\"]",
            "[keys.global] \"back\" needs a key",
        ),
        (
            "[contexts.prod]\nread_only = true",
            "[contexts.prod] needs either host or socket",
        ),
        (
            "[contexts.prod]\nhost = \"h\"\nsocket = \"s\"",
            "[contexts.prod] needs either host or socket",
        ),
    ] {
        let said = wrong_with(text);
        assert!(said.contains(wanted), "{text:?}: {said}");
        assert!(!said.contains('\n'), "{said}");
    }
    assert!(wrong_with(&"#".repeat(2 << 20)).contains("larger than 1 MiB"));
}
