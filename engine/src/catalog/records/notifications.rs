//! Records of notification targets, deliveries and alerts.

use serde::{Deserialize, Serialize};

use super::super::record::{Facet, Owner, Record, Table};
use crate::ids::TargetId;
use crate::model::{Alert, Delivery, DeliveryStatus, Target};
use crate::notify::Notice;
use crate::vault::Sealed;

/// Facet numbers of notification targets.
pub mod target {
    /// Kind.
    pub const KIND: u8 = 0;
}

/// Facet numbers of deliveries.
pub mod delivery {
    /// Target id.
    pub const TARGET: u8 = 0;
    /// Status.
    pub const STATUS: u8 = 1;
    /// Event.
    pub const EVENT: u8 = 2;
}

/// Facet numbers of alerts.
pub mod alert {
    /// Kind.
    pub const KIND: u8 = 0;
    /// Whether it waits for a person: see [`super::AlertRecord::waits`].
    pub const WAITS: u8 = 1;
    /// Project.
    pub const PROJECT: u8 = 2;
    /// Whether the state goes on.
    pub const OPEN: u8 = 3;
}

/// Names of sums over alerts and deliveries.
pub mod sum {
    use crate::ids::TargetId;

    /// Alerts that wait for a person.
    pub const UNDISMISSED: &str = "undismissed";
    /// Of these, those nobody read.
    pub const UNREAD: &str = "unread";

    /// Deliveries that wait for that target.
    pub fn waiting(target: TargetId) -> String {
        format!("waiting/{target}")
    }

    /// All deliveries to that target that are kept.
    pub fn kept(target: TargetId) -> String {
        format!("kept/{target}")
    }
}

/// A notification target and its sealed secrets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TargetRecord {
    /// What may be shown.
    pub target: Target,
    /// Its whole address.
    pub url: Option<Sealed>,
    /// What signs, or lets in.
    pub secret: Option<Sealed>,
}

/// A delivery and what it says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeliveryRecord {
    /// What may be shown.
    pub delivery: Delivery,
    /// What happened.
    pub notice: Notice,
}

/// An alert.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct AlertRecord(pub Alert);

impl AlertRecord {
    /// The unique name of the open alert of that kind about that subject.
    pub fn key(kind: crate::model::AlertKind, subject: &str) -> String {
        format!("{kind}:{subject}")
    }

    /// Whether a person should still look at it.
    pub fn waits(&self) -> bool {
        self.0.is_open() && self.0.dismissed_at.is_none()
    }
}

impl Record for TargetRecord {
    const TABLE: Table = Table::Targets;
    const VERSION: u8 = 1;
    fn id(&self) -> u128 {
        self.target.id.bits()
    }
    fn serial(&self) -> u64 {
        self.target.serial
    }
    fn set_serial(&mut self, serial: u64) {
        self.target.serial = serial;
    }
    /// One that is for all projects, or names something else besides, is the engine's.
    fn owner(&self) -> Owner {
        let own = &self.target;
        if own.projects.is_empty() || !own.connection_ids.is_empty() || !own.job_ids.is_empty() {
            return Owner::Engine;
        }
        Owner::Projects(own.projects.clone())
    }
    fn name(&self) -> Option<String> {
        Some(self.target.name.clone())
    }
    fn facets(&self) -> Vec<Facet> {
        vec![(target::KIND, self.target.kind.to_string())]
    }
}

impl DeliveryRecord {
    fn target(&self) -> TargetId {
        self.delivery.target_id
    }
}

impl Record for DeliveryRecord {
    const TABLE: Table = Table::Deliveries;
    const VERSION: u8 = 1;
    fn id(&self) -> u128 {
        self.delivery.id.bits()
    }
    fn serial(&self) -> u64 {
        self.delivery.serial
    }
    fn set_serial(&mut self, serial: u64) {
        self.delivery.serial = serial;
    }
    fn facets(&self) -> Vec<Facet> {
        vec![
            (delivery::TARGET, self.target().to_string()),
            (delivery::STATUS, self.delivery.status.to_string()),
            (delivery::EVENT, self.delivery.event.clone()),
        ]
    }
    fn tallies(&self) -> Vec<(String, u64)> {
        let mut sums = vec![(sum::kept(self.target()), 1)];
        if self.delivery.status == DeliveryStatus::Pending {
            sums.push((sum::waiting(self.target()), 1));
        }
        sums
    }
}

impl Record for AlertRecord {
    const TABLE: Table = Table::Alerts;
    const VERSION: u8 = 1;
    fn id(&self) -> u128 {
        self.0.id.bits()
    }
    fn serial(&self) -> u64 {
        self.0.serial
    }
    fn set_serial(&mut self, serial: u64) {
        self.0.serial = serial;
    }
    fn owner(&self) -> Owner {
        let project = self.0.project.clone();
        project.map_or(Owner::Engine, Owner::Project)
    }
    fn name(&self) -> Option<String> {
        // Of one state there is one open alert: the catalog refuses a second.
        self.0
            .is_open()
            .then(|| Self::key(self.0.kind, &self.0.subject))
    }
    fn facets(&self) -> Vec<Facet> {
        let mut facets = vec![
            (alert::KIND, self.0.kind.to_string()),
            (alert::WAITS, self.waits().to_string()),
            (alert::OPEN, self.0.is_open().to_string()),
        ];
        let project = self.0.project.clone();
        facets.extend(project.map(|project| (alert::PROJECT, project)));
        facets
    }
    fn tallies(&self) -> Vec<(String, u64)> {
        let mut sums = Vec::new();
        if self.waits() {
            sums.push((sum::UNDISMISSED.to_owned(), 1));
            if self.0.read_at.is_none() {
                sums.push((sum::UNREAD.to_owned(), 1));
            }
        }
        sums
    }
}
