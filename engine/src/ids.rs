//! Identifiers: 128 sortable bits with two spellings, `bck_01J…` (prefix + ULID) and UUID.
//!
//! Both spellings are accepted everywhere; the prefixed one is answered. The layout is ULID's:
//! 48 bits of milliseconds since 1970, 80 random bits. <https://github.com/ulid/spec>
//! Of two ids of one kind that this process makes in one millisecond the later one is the greater.

use std::borrow::Cow;
use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::hash::{Hash, Hasher};
use std::marker::PhantomData;
use std::str::FromStr;

use chrono::{DateTime, Utc};
use parking_lot::Mutex;
use utoipa::openapi::{Object, RefOr, Schema, Type};

use crate::error::{Error, Result};
use crate::secret::random_bytes;

const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/// The newest id of each of the last milliseconds ids of a kind were made of, by its prefix: whoever makes several
/// of one moment has them in order whatever others make meanwhile.
static NEWEST: Mutex<BTreeMap<&'static str, VecDeque<u128>>> = Mutex::new(BTreeMap::new());

/// How many milliseconds are remembered for each kind.
const REMEMBERED: usize = 16;

/// A kind of record that has ids.
pub trait Kind: 'static {
    /// What stands before the `_`.
    const PREFIX: &'static str;
    /// The noun, for messages.
    const NOUN: &'static str;
    /// The name of its ids in the API's document.
    const ID: &'static str;
}

macro_rules! kinds {
    ($($(#[$doc:meta])* $kind:ident, $alias:ident, $prefix:literal, $noun:literal;)*) => {$(
        /// Marker of the kind.
        #[derive(Debug)]
        pub enum $kind {}
        impl Kind for $kind {
            const PREFIX: &'static str = $prefix;
            const NOUN: &'static str = $noun;
            const ID: &'static str = stringify!($alias);
        }
        $(#[$doc])*
        pub type $alias = Id<$kind>;
    )*};
}

kinds! {
    /// Names a connection.
    ConnectionKind, ConnectionId, "con", "connection";
    /// Names a database of a connection.
    DatabaseKind, DatabaseId, "dbs", "database";
    /// Names a repository.
    RepositoryKind, RepositoryId, "rep", "repository";
    /// Names a backup; the same bits name its snapshot object.
    BackupKind, BackupId, "bck", "backup";
    /// Names a run.
    RunKind, RunId, "run", "run";
    /// Names a restore.
    RestoreKind, RestoreId, "rst", "restore";
    /// Names a writer's session in a repository.
    SessionKind, SessionId, "ses", "session";
    /// Names a key slot.
    SlotKind, SlotId, "key", "key slot";
    /// Names a note, deletion, mark or export object.
    NoteKind, NoteId, "obj", "object";
    /// Names a user.
    UserKind, UserId, "usr", "user";
    /// Names a group.
    GroupKind, GroupId, "grp", "group";
    /// Names an API key; not the key itself.
    ApiKeyKind, ApiKeyId, "apk", "API key";
    /// Names a login.
    LoginKind, LoginId, "lgn", "login";
    /// Names an entry of the audit log.
    AuditKind, AuditId, "aud", "audit event";
    /// Names a job.
    JobKind, JobId, "job", "job";
    /// Names a project.
    ProjectKind, ProjectId, "prj", "project";
    /// Names an environment.
    EnvironmentKind, EnvironmentId, "env", "environment";
    /// Names a restore drill.
    DrillKind, DrillId, "drl", "drill";
    /// Names an alert.
    AlertKind, AlertId, "alr", "alert";
    /// Names a notification target.
    TargetKind, TargetId, "ntf", "notification target";
    /// Names a delivery.
    DeliveryKind, DeliveryId, "dlv", "delivery";
    /// Names a download that was promised.
    DownloadKind, DownloadId, "dwn", "download";
    /// Names an answer that is given again.
    AnswerKind, AnswerId, "ans", "answer";
    /// Names an event.
    EventKind, EventId, "evt", "event";
}

/// A typed identifier.
pub struct Id<K>(u128, PhantomData<fn() -> K>);

impl<K: Kind> Id<K> {
    /// A new id of that moment.
    pub fn generate(at: DateTime<Utc>) -> Self {
        let millis = u128::from(at.timestamp_millis().max(0).unsigned_abs()) & 0xFFFF_FFFF_FFFF;
        let mut all = NEWEST.lock();
        let newest = all.entry(K::PREFIX).or_default();
        let own = newest.iter_mut().find(|bits| **bits >> 80 == millis);
        let bits = if let Some(own) = own {
            // A step of chance, so that the next id cannot be told from this one.
            *own += 1 + u128::from(u64::from_be_bytes(random_bytes::<8>()) >> 16);
            *own
        } else {
            let mut random = [0; 16];
            random[6..].copy_from_slice(&random_bytes::<10>());
            // Room for all that may follow in this millisecond.
            random[6] &= 0x7F;
            let bits = (millis << 80) | u128::from_be_bytes(random);
            newest.truncate(REMEMBERED - 1);
            newest.push_front(bits);
            bits
        };
        Self::from_bits(bits)
    }
}

impl<K> Id<K> {
    /// The id with these bits.
    pub fn from_bits(bits: u128) -> Self {
        Self(bits, PhantomData)
    }

    /// All 128 bits; big-endian order is time order.
    pub fn bits(self) -> u128 {
        self.0
    }

    /// The bytes, most significant first.
    pub fn to_bytes(self) -> [u8; 16] {
        self.0.to_be_bytes()
    }

    /// From the bytes, most significant first.
    pub fn from_bytes(bytes: [u8; 16]) -> Self {
        Self::from_bits(u128::from_be_bytes(bytes))
    }

    /// The 26 ULID characters, without prefix.
    pub fn ulid(self) -> String {
        (0..26)
            .rev()
            .map(|digit| char::from(ALPHABET[((self.0 >> (digit * 5)) & 31) as usize]))
            .collect()
    }

    /// The UUID spelling.
    pub fn uuid(self) -> String {
        let hex = format!("{:032x}", self.0);
        [
            &hex[..8],
            &hex[8..12],
            &hex[12..16],
            &hex[16..20],
            &hex[20..],
        ]
        .join("-")
    }

    /// The moment the id was made.
    pub fn created_at(self) -> DateTime<Utc> {
        let millis = i64::try_from(self.0 >> 80).unwrap_or(0);
        DateTime::from_timestamp_millis(millis).unwrap_or_default()
    }
}

impl<K: Kind> FromStr for Id<K> {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let body = match text.split_once('_') {
            Some((prefix, body)) if prefix == K::PREFIX => body,
            Some(_) => "",
            None => text,
        };
        let bits = match body.len() {
            26 => parse_ulid(body),
            36 if body.as_bytes()[8] == b'-' => {
                let hex: String = body.split('-').collect();
                (hex.len() == 32)
                    .then(|| u128::from_str_radix(&hex, 16).ok())
                    .flatten()
            }
            _ => None,
        };
        bits.map(Self::from_bits).ok_or_else(|| {
            let article = if K::NOUN.starts_with(['a', 'e', 'i', 'o']) {
                "an"
            } else {
                "a"
            };
            Error::invalid(format!("\"{text}\" is not the id of {article} {}", K::NOUN)).hint(
                format!(
                    "Ids look like {}_{}",
                    K::PREFIX,
                    "01J0000000000000000000000"
                ),
            )
        })
    }
}

fn parse_ulid(body: &str) -> Option<u128> {
    let mut bits: u128 = 0;
    for (place, byte) in body.bytes().enumerate() {
        let value = match byte.to_ascii_uppercase() {
            b'I' | b'L' => 1,
            b'O' => 0,
            upper => ALPHABET.iter().position(|known| *known == upper)?,
        };
        if place == 0 && value > 7 {
            return None;
        }
        bits = (bits << 5) | value as u128;
    }
    Some(bits)
}

impl<K: Kind> fmt::Display for Id<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}_{}", K::PREFIX, self.ulid())
    }
}

impl<K: Kind> fmt::Debug for Id<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl<K> Clone for Id<K> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<K> Copy for Id<K> {}
impl<K> PartialEq for Id<K> {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}
impl<K> Eq for Id<K> {}
impl<K> PartialOrd for Id<K> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl<K> Ord for Id<K> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.cmp(&other.0)
    }
}
impl<K> Hash for Id<K> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}

impl<K: Kind> serde::Serialize for Id<K> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de, K: Kind> serde::Deserialize<'de> for Id<K> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse()
            .map_err(|error: Error| serde::de::Error::custom(error.message()))
    }
}

impl<K: Kind> utoipa::PartialSchema for Id<K> {
    fn schema() -> RefOr<Schema> {
        Object::builder()
            .schema_type(Type::String)
            .description(Some(format!("Names one {}.", K::NOUN)))
            .pattern(Some(format!("^{}_[0-9A-HJKMNP-TV-Z]{{26}}$", K::PREFIX)))
            .examples([format!("{}_01JQ8ZK4T0W3M5N7P9R1S2V4X6", K::PREFIX)])
            .into()
    }
}

impl<K: Kind> utoipa::ToSchema for Id<K> {
    fn name() -> Cow<'static, str> {
        Cow::Borrowed(K::ID)
    }
}

#[cfg(test)]
mod tests;
