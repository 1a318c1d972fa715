//! What was chosen of where a backup goes, and how.

use std::cell::Cell;
use std::collections::BTreeMap;

use backstay_engine::model::{Backup, Page};
use serde::Deserialize;

use crate::cli::args::{BackupName, RestoreTarget};
use crate::client::path;
use crate::console::action::Action;
use crate::console::store::Want;
use crate::console::widgets::field::Field;

/// A connection, as far as it is chosen here.
#[derive(Debug, Deserialize)]
pub(super) struct Server {
    pub(super) name: String,
}

/// The connections there are; more than that are not gone through by hand.
pub(super) fn servers() -> Want {
    Want::one::<Page<Server>>(path(&["connections"]) + "?limit=199").on(&["connection"])
}

/// Where it goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::enum_variant_names, reason = "in place is what it is called")]
pub(super) enum Place {
    /// A new database on the same server.
    #[default]
    Beside,
    /// The database it came from, which keeps what it has.
    Original,
    /// A database of that name, on any connection.
    Other,
    /// The database it came from, which is replaced.
    InPlace,
}

/// What there is to choose, from top to bottom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Row {
    Place(Place),
    Server,
    Name,
    Switch(usize),
}

/// What can be turned on and off.
pub(super) const SWITCHES: [&str; 5] = [
    "empty the database first (of chosen tables: drop only those)",
    "leave ownership to the role that restores",
    "leave out GRANT and REVOKE",
    "leave out CREATE EXTENSION",
    "bring missing roles and tablespaces back too",
];

/// All that was chosen beside the backup and its objects.
#[derive(Debug)]
pub(super) struct Choice {
    pub(super) place: Place,
    /// Another connection than the backup's own.
    pub(super) server: Option<String>,
    pub(super) name: Field,
    pub(super) switches: [bool; SWITCHES.len()],
    /// Tables that get other names, by their keys.
    pub(super) names: BTreeMap<String, String>,
    at: Cell<usize>,
}

impl Default for Choice {
    fn default() -> Self {
        Self {
            place: Place::default(),
            server: None,
            name: Field::new(""),
            switches: [false; SWITCHES.len()],
            names: BTreeMap::new(),
            at: Cell::new(0),
        }
    }
}

impl Choice {
    /// What can be chosen as things are.
    pub(super) fn rows(&self) -> Vec<Row> {
        let mut rows = vec![
            Row::Place(Place::Beside),
            Row::Place(Place::Original),
            Row::Place(Place::Other),
        ];
        if self.place == Place::Other {
            rows.extend([Row::Server, Row::Name]);
        }
        rows.push(Row::Place(Place::InPlace));
        rows.extend(
            (0..SWITCHES.len())
                .filter(|n| *n > 0 || self.can_be_emptied())
                .map(Row::Switch),
        );
        rows
    }

    fn can_be_emptied(&self) -> bool {
        matches!(self.place, Place::Original | Place::Other)
    }

    /// What the cursor is on.
    pub(super) fn row(&self) -> Row {
        let rows = self.rows();
        rows[self.at.get().min(rows.len() - 1)]
    }

    /// Moves, chooses, turns on and off.
    pub(super) fn act(&mut self, action: Action, servers: &[String]) -> bool {
        let last = self.rows().len() - 1;
        match action {
            Action::Down => self.at.set((self.at.get() + 1).min(last)),
            Action::Up => self.at.set(self.at.get().min(last).saturating_sub(1)),
            Action::First => self.at.set(0),
            Action::Last => self.at.set(last),
            Action::Mark => self.turn(servers, true),
            Action::Left | Action::Right => self.turn(servers, action == Action::Right),
            _ => return false,
        }
        // Whoever is on a place has chosen it, as a row of buttons would have it.
        if let (Row::Place(place), Action::Mark) = (self.row(), action) {
            self.place = place;
        }
        true
    }

    fn turn(&mut self, servers: &[String], forward: bool) {
        match self.row() {
            Row::Switch(n) => self.switches[n] = !self.switches[n],
            Row::Server => {
                // The backup's own stands before all others.
                let at = self
                    .server
                    .as_ref()
                    .and_then(|own| servers.iter().position(|s| s == own));
                let (at, all) = (at.map_or(0, |at| at + 1), servers.len() + 1);
                let to = (at + if forward { 1 } else { all - 1 }) % all;
                self.server = to.checked_sub(1).and_then(|to| servers.get(to)).cloned();
            }
            Row::Place(_) | Row::Name => {}
        }
    }

    /// What is still missing.
    pub(super) fn lacks(&self) -> Option<&'static str> {
        let empties = self.switches[0] && self.place == Place::Other;
        (empties && self.name.text().trim().is_empty())
            .then_some("Name the database that is emptied first")
    }

    /// As the flags of `restore run`.
    pub(super) fn target(&self, backup: &Backup, object: Vec<String>) -> RestoreTarget {
        let name = Some(self.name.text().trim()).filter(|name| !name.is_empty());
        let other = self.place == Place::Other;
        RestoreTarget {
            backup: BackupName {
                backup: backup.id.to_string(),
            },
            to: self.server.clone().filter(|_| other),
            database: match self.place {
                Place::Original => Some(backup.database.clone()),
                Place::Other => name.map(ToOwned::to_owned),
                Place::Beside | Place::InPlace => None,
            },
            in_place: self.place == Place::InPlace,
            object,
            clean: self.switches[0] && self.can_be_emptied(),
            no_owner: self.switches[1],
            no_privileges: self.switches[2],
            no_extensions: self.switches[3],
            globals: self.switches[4],
        }
    }
}
