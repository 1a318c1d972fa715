//! An open repository's keys.

use std::sync::Arc;

use super::format::derive::{Domain, Role, role_key};
use super::format::slot::Bundle;
use crate::secret::SecretKey;

/// Every key that follows from a slot's bundle.
pub(crate) struct Keys {
    pub(crate) uid: [u8; 16],
    pub(crate) domain: Domain,
    pub(crate) gear: Arc<[u64; 256]>,
    pub(crate) bundle: Bundle,
    roles: [SecretKey; Role::ALL.len()],
}

impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Keys(…)")
    }
}

impl Keys {
    pub(crate) fn new(uid: [u8; 16], bundle: Bundle) -> Self {
        let domain = Domain::new(bundle.domain.clone());
        Self {
            uid,
            gear: Arc::from(domain.gear_table()),
            domain,
            roles: Role::ALL.map(|role| role_key(&uid, &bundle.repository, role)),
            bundle,
        }
    }

    pub(crate) fn role(&self, role: Role) -> &SecretKey {
        &self.roles[role as usize]
    }
}
