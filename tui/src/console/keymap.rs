//! Which keys do what, where: the table's defaults with what the user's file changes.

use std::collections::BTreeMap;

use crossterm::event::{KeyCode, KeyModifiers};

use super::action::{ACTIONS, Action, Context};
use super::key::{Key, Keys};

/// What the user's file says: context, action, keys.
pub(crate) type Overrides = BTreeMap<String, BTreeMap<String, Vec<String>>>;

/// What becomes of keys that were pressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// They are bound to that.
    Action(Action),
    /// More keys are needed.
    Prefix,
    Nothing,
}

/// The bindings of every context.
#[derive(Clone, Debug)]
pub(crate) struct Keymap(BTreeMap<Context, Vec<(Keys, Action)>>);

impl Default for Keymap {
    fn default() -> Self {
        let mut all: BTreeMap<Context, Vec<(Keys, Action)>> = BTreeMap::new();
        for row in ACTIONS {
            for context in row.contexts {
                let own = all.entry(*context).or_default();
                for key in row.keys {
                    if let Ok(keys) = key.parse() {
                        own.push((keys, row.action));
                    }
                }
            }
        }
        Self(all)
    }
}

impl Keymap {
    /// The defaults with what the file changes. An error names the place in the file and what would be right.
    pub(crate) fn with(overrides: &Overrides) -> Result<Self, String> {
        let mut map = Self::default();
        for (context_name, actions) in overrides {
            let context = Context::ALL
                .iter()
                .find(|context| context.name() == context_name)
                .ok_or_else(|| {
                    unknown(
                        "[keys.",
                        context_name,
                        Context::ALL.iter().map(|c| c.name()),
                    )
                })?;
            for (name, keys) in actions {
                map.bind(*context, name, keys)?;
            }
        }
        map.check_back()?;
        for context in Context::ALL {
            map.check(*context)?;
            for far in context.over() {
                map.check_over(*context, *far)?;
            }
        }
        Ok(map)
    }

    /// Nothing keeps anybody in a dialog: there is a way back that no text field takes for a letter.
    fn check_back(&self) -> Result<(), String> {
        let closes = |(keys, action): &&(Keys, Action)| {
            let letter = matches!(keys.0[0].code, KeyCode::Char(_) | KeyCode::Backspace)
                && keys.0[0].modifiers == KeyModifiers::NONE;
            *action == Action::Back && keys.0.len() == 1 && !letter
        };
        let global = self.0.get(&Context::Global);
        match global.into_iter().flatten().find(closes) {
            Some(_) => Ok(()),
            None => Err(
                "[keys.global] \"back\" needs a key that is no letter, such as esc; dialogs could not be closed"
                    .to_owned(),
            ),
        }
    }

    /// No key of a context hides one of another that holds on the same screen.
    fn check_over(&self, near: Context, far: Context) -> Result<(), String> {
        // The wizard goes on for both.
        let same = |own: Action, other: Action| {
            own == other || (own, other) == (Action::Next, Action::Open)
        };
        let of = |context| self.0.get(&context).into_iter().flatten();
        for (keys, action) in of(near) {
            for (others, other) in of(far) {
                let shorter = keys.0.len().min(others.0.len());
                if keys.0[..shorter] == others.0[..shorter] && !same(*action, *other) {
                    return Err(format!(
                        "[keys.{}] \"{}\" would hide [keys.{}] \"{}\", which is on {others}; give one of them another key, or \"none\"",
                        near.name(),
                        action.row().name,
                        far.name(),
                        other.row().name,
                    ));
                }
            }
        }
        Ok(())
    }

    fn bind(&mut self, context: Context, name: &str, keys: &[String]) -> Result<(), String> {
        let here = |row: &&super::action::Row| row.contexts.contains(&context);
        let row = ACTIONS.iter().filter(here).find(|row| row.name == name);
        let place = format!("[keys.{}] ", context.name());
        let row = row.ok_or_else(|| {
            unknown(
                &place,
                name,
                ACTIONS.iter().filter(here).map(|row| row.name),
            )
        })?;
        let own = self.0.entry(context).or_default();
        own.retain(|(_, action)| *action != row.action);
        for key in keys.iter().filter(|key| *key != "none") {
            let keys: Keys = key
                .parse()
                .map_err(|why| format!("{place}\"{name}\": {why}"))?;
            if let Some(taken) = keys
                .0
                .iter()
                .find(|key| always(**key) && !row.keys.contains(&key.to_string().as_str()))
            {
                return Err(format!(
                    "{place}\"{name}\": {taken} cannot be bound; it always quits, or always suspends"
                ));
            }
            own.push((keys, row.action));
        }
        Ok(())
    }

    /// No two actions of a context on the same keys, and none hidden behind another's beginning.
    fn check(&self, context: Context) -> Result<(), String> {
        let own = self.0.get(&context).map_or(&[][..], Vec::as_slice);
        for (n, (keys, action)) in own.iter().enumerate() {
            for (others, other) in &own[n + 1..] {
                let shorter = keys.0.len().min(others.0.len());
                if keys.0[..shorter] == others.0[..shorter] && action != other {
                    return Err(format!(
                        "[keys.{}] \"{}\" and \"{}\" are both on {keys}; give one of them another key, or \"none\"",
                        context.name(),
                        action.row().name,
                        other.row().name,
                    ));
                }
            }
        }
        Ok(())
    }

    /// What those keys do where these contexts hold, the nearest first.
    pub(crate) fn find(&self, contexts: &[Context], pressed: &[Key]) -> Found {
        let mut prefix = false;
        for context in contexts {
            for (keys, action) in self.0.get(context).into_iter().flatten() {
                if keys.0 == pressed {
                    return Found::Action(*action);
                }
                prefix |= keys.0.starts_with(pressed);
            }
        }
        if prefix {
            Found::Prefix
        } else {
            Found::Nothing
        }
    }

    /// The keys of an action where these contexts hold, without those that something nearer has taken.
    pub(crate) fn keys(&self, contexts: &[Context], action: Action) -> Vec<&Keys> {
        let all = contexts
            .iter()
            .flat_map(|context| self.0.get(context).into_iter().flatten());
        all.filter(|(keys, own)| {
            *own == action && self.find(contexts, &keys.0) == Found::Action(action)
        })
        .map(|(keys, _)| keys)
        .collect()
    }

    /// Whether some binding of an action, wherever that holds, ends with that key.
    pub(crate) fn ends(&self, action: Action, key: Key) -> bool {
        let all = self.0.values().flatten();
        all.filter(|(_, own)| *own == action)
            .any(|(keys, _)| keys.0.last() == Some(&key))
    }

    /// What may follow keys that are the beginning of something.
    pub(crate) fn continuations(
        &self,
        contexts: &[Context],
        pressed: &[Key],
    ) -> Vec<(Key, Action)> {
        let all = contexts
            .iter()
            .flat_map(|context| self.0.get(context).into_iter().flatten());
        all.filter(|(keys, _)| keys.0.len() > pressed.len() && keys.0.starts_with(pressed))
            .map(|(keys, action)| (keys.0[pressed.len()], *action))
            .collect()
    }
}

/// Keys that no screen and no keymap can take.
pub(crate) fn always(key: Key) -> bool {
    key.modifiers == KeyModifiers::CONTROL && matches!(key.code, KeyCode::Char('c' | 'z'))
}

/// "X is not known; did you mean Y?"
fn unknown<'a>(place: &str, name: &str, all: impl Iterator<Item = &'a str>) -> String {
    let close = |other: &&str| {
        let common = name.chars().zip(other.chars()).take_while(|(a, b)| a == b);
        std::cmp::Reverse(common.count())
    };
    let mut all: Vec<&str> = all.collect();
    all.sort_by_key(close);
    let near = all.first().copied().unwrap_or_default();
    format!("{place}\"{name}\" is not known here; did you mean \"{near}\"?")
}

#[cfg(test)]
mod tests;
