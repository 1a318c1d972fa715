//! Who may do what: permissions and callers, users and groups, API keys, logins, the audit log.
//!
//! Nothing here knows HTTP: the surface says what a request carried, this says who that is and what they
//! may do. No secret is kept: passwords as Argon2id, keys and tokens as SHA-256 of 256 random bits.

pub mod caller;
pub mod chain;
pub mod password;
pub mod permissions;
pub mod scope;
pub mod token;

pub use caller::{Actor, Caller, Grant};
pub use permissions::{PERMISSIONS, Permission, Permissions};
