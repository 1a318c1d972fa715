//! Records of users, groups, API keys, logins and the audit log.

use serde::{Deserialize, Serialize};

use super::super::record::{Facet, Record, Table};
use crate::access::password::PasswordRecord;
use crate::ids::{LoginId, UserId};
use crate::model::{ApiKey, AuditEvent, Group, Time, User};

/// Facet numbers of API keys.
pub mod api_key {
    /// SHA-256 of the key.
    pub const HASH: u8 = 0;
}

/// Facet numbers of logins.
pub mod login {
    /// SHA-256 of the token.
    pub const HASH: u8 = 0;
    /// User id.
    pub const USER: u8 = 1;
}

/// Facet numbers of the audit log.
pub mod audit {
    /// Who.
    pub const ACTOR: u8 = 0;
    /// What was done.
    pub const ACTION: u8 = 1;
    /// To what.
    pub const SUBJECT: u8 = 2;
}

/// A user and their password.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserRecord {
    /// What may be shown.
    pub user: User,
    /// Hashed; nothing where no password was set.
    pub password: Option<PasswordRecord>,
}

/// A group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct GroupRecord(pub Group);

/// An API key and the hash it is found by.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApiKeyRecord {
    /// What may be shown.
    pub key: ApiKey,
    /// SHA-256 of the key, hex.
    pub hash: String,
}

/// A login that has not ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoginRecord {
    /// Its id.
    pub id: LoginId,
    /// Its number.
    pub serial: u64,
    /// Whose.
    pub user: UserId,
    /// SHA-256 of the token, hex.
    pub hash: String,
    /// From where.
    pub address: Option<String>,
    /// When it was made.
    pub created_at: Time,
    /// When it ends.
    pub expires_at: Time,
}

/// An entry of the audit log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct AuditRecord(pub AuditEvent);

impl Record for UserRecord {
    const TABLE: Table = Table::Users;
    const VERSION: u8 = 1;
    fn id(&self) -> u128 {
        self.user.id.bits()
    }
    fn serial(&self) -> u64 {
        self.user.serial
    }
    fn set_serial(&mut self, serial: u64) {
        self.user.serial = serial;
    }
    fn name(&self) -> Option<String> {
        Some(self.user.name.clone())
    }
}

impl Record for GroupRecord {
    const TABLE: Table = Table::Groups;
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
    fn name(&self) -> Option<String> {
        Some(self.0.name.clone())
    }
}

impl Record for ApiKeyRecord {
    const TABLE: Table = Table::ApiKeys;
    const VERSION: u8 = 1;
    fn id(&self) -> u128 {
        self.key.id.bits()
    }
    fn serial(&self) -> u64 {
        self.key.serial
    }
    fn set_serial(&mut self, serial: u64) {
        self.key.serial = serial;
    }
    fn name(&self) -> Option<String> {
        Some(self.key.name.clone())
    }
    fn facets(&self) -> Vec<Facet> {
        vec![(api_key::HASH, self.hash.clone())]
    }
}

impl Record for LoginRecord {
    const TABLE: Table = Table::Logins;
    const VERSION: u8 = 1;
    fn id(&self) -> u128 {
        self.id.bits()
    }
    fn serial(&self) -> u64 {
        self.serial
    }
    fn set_serial(&mut self, serial: u64) {
        self.serial = serial;
    }
    fn facets(&self) -> Vec<Facet> {
        vec![
            (login::HASH, self.hash.clone()),
            (login::USER, self.user.to_string()),
        ]
    }
}

impl Record for AuditRecord {
    const TABLE: Table = Table::Audit;
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
    fn facets(&self) -> Vec<Facet> {
        let mut facets = vec![
            (audit::ACTOR, self.0.actor.clone()),
            (audit::ACTION, self.0.action.clone()),
        ];
        facets.extend(
            self.0
                .subject
                .clone()
                .map(|subject| (audit::SUBJECT, subject)),
        );
        facets
    }
}
