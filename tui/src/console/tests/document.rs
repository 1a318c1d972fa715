//! `assets/docs/KEYS.md`, made of the table of actions.

use std::fmt::Write as _;

use super::is_generated;
use crate::console::action::{ACTIONS, Context, Tier};

const HEAD: &str = "\
# The console's keys, and its file

<!-- Made of the table of actions in tui/src/console/action.rs; a test holds it to that. -->

`backstay` alone opens the console. `?` shows what can be done where you are, and why something cannot; `:` finds any
action by its name; `K` shows every key. Esc closes, clears or goes back and never leaves; `q` and Ctrl-C leave, and the
engine and its runs go on.

What an action can lose decides how it is asked for:

| | Asked for |
|---|---|
| look | Nothing changes. The only ones in a console that only reads (`--read-only`) |
| safe | Done at once; nobody can regret it |
| reversible | A question: `y`, or the button. The key that asked is no answer |
| costly | What it will do, then its button |
| irreversible | What it will do, then the name of what it is done to, typed |

Pasted text fills a name and never presses a button; keys pressed within 0.3 seconds after a question came are not meant
for it. `Y` copies the command line that does the same.

## The file

`console.toml` lies beside what logins are kept in: `~/.config/backstay/`, or `$BACKSTAY_HOME/`. All of it may be left out.

```toml
theme = \"default\"        # the terminal's 16 colours; high-contrast, colour-blind, mono
ascii = false            # signs that every terminal can show; without it the locale decides
mouse = true             # without it: on, except over ssh
read_only = false        # no action but those that look

[contexts.prod]          # `backstay --context prod`, or 0 in the console
host = \"https://backup.example.com:8443\"
token_file = \"/home/ann/.config/backstay/prod.token\"
read_only = true

[contexts.lab]
socket = \"/run/lab/backstay.sock\"

[keys.backups]           # a context of the tables below: only what is named here changes
delete = [\"X\"]           # instead of D
verify = [\"v\", \"f5\"]

[keys.global]
freeze = [\"none\"]        # bound to nothing
```

A key is a letter, `ctrl-p`, `alt-x`, `f5`, `shift-tab` or one of enter, esc, tab, space, minus, backspace, delete, insert,
home, end, pgup, pgdn, up, down, left, right; several with spaces between follow each other: `g g`. A capital letter stands
for itself with shift. Ctrl-C and Ctrl-Z cannot be bound, `back` keeps a key that is no letter, no two actions of a context
share a key, and none hides a key of `list`, `text` or `global` that holds on the same screen; what is wrong is told with
its place. `NO_COLOR` chooses `mono`.
";

fn tier(tier: Tier) -> &'static str {
    match tier {
        Tier::Look => "look",
        Tier::Safe => "safe",
        Tier::Reversible => "reversible",
        Tier::Costly => "costly",
        Tier::Irreversible => "irreversible",
    }
}

fn document() -> String {
    let mut text = HEAD.to_owned();
    for context in Context::ALL {
        let rows: Vec<_> = ACTIONS
            .iter()
            .filter(|row| row.contexts.contains(context))
            .collect();
        if rows.is_empty() {
            continue;
        }
        let _ = write!(
            text,
            "\n## {}\n\n| Keys | Action | | What it does |\n|---|---|---|---|\n",
            context.name()
        );
        for row in rows {
            let keys: Vec<String> = row.keys.iter().map(|key| format!("`{key}`")).collect();
            let _ = writeln!(
                text,
                "| {} | {} | {} | {} |",
                keys.join(" "),
                row.name,
                tier(row.tier),
                row.help
            );
        }
    }
    text
}

#[test]
fn the_document_of_keys_is_as_the_table_says() {
    is_generated("assets/docs/KEYS.md", &document());
}

#[test]
fn the_example_in_the_document_is_taken() {
    let example = HEAD.split("```toml\n").nth(1).unwrap();
    let example = example.split("```").next().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("console.toml");
    std::fs::write(&file, example).unwrap();
    crate::console::config::File::load(&file).unwrap();
}
