//! Tries of passwords, counted by account: many addresses together guess no faster than one.
//!
//! The waits stay short, and whoever logged in from an address before does not wait there, so that guessing
//! keeps nobody out of their own account.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::http::StatusCode;
use parking_lot::Mutex;

use crate::problem::Problem;
use crate::quotas::network;

/// Tries that failed before anybody has to wait.
const FREE: u32 = 10;
/// The longest wait; the first is a second, and each doubles.
const LONGEST: Duration = Duration::from_secs(30);
/// How long failures are remembered after the last try.
const REMEMBERED: Duration = Duration::from_hours(1);
/// Accounts that are counted; the one that was tried longest ago goes first.
const ACCOUNTS_MAX: usize = 10_000;
/// Networks of one account that are known.
const KNOWN_MAX: usize = 20;

/// All accounts that were tried; clones share them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Trials(Arc<Mutex<HashMap<Name, Account>>>);

/// A hash: what is typed as a name may be a password.
type Name = [u8; 32];

#[derive(Debug, Default)]
struct Account {
    failed: u32,
    until: Duration,
    tried: Duration,
    /// Where somebody logged in, the newest last.
    known: Vec<IpAddr>,
}

/// Somebody has to wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Wait(Duration);

impl Trials {
    /// Counts a try as failed, or refuses it; `now` since the start of the machine.
    pub(crate) fn begin(&self, name: &str, address: IpAddr, now: Duration) -> Result<(), Wait> {
        let mut all = self.0.lock();
        let name = hash(name);
        if !all.contains_key(&name) && all.len() >= ACCOUNTS_MAX {
            all.retain(|_, account| now < account.tried + REMEMBERED);
            let oldest = all.iter().min_by_key(|(_, account)| account.tried);
            if let Some(oldest) = oldest.map(|(name, _)| *name)
                && all.len() >= ACCOUNTS_MAX
            {
                all.remove(&oldest);
            }
        }
        let account = all.entry(name).or_default();
        if account.known.contains(&network(address)) {
            return Ok(());
        }
        if now < account.until {
            return Err(Wait(account.until.saturating_sub(now)));
        }
        if now >= account.tried + REMEMBERED {
            account.failed = 0;
        }
        account.tried = now;
        account.failed = account.failed.saturating_add(1);
        if let Some(beyond) = account.failed.checked_sub(FREE) {
            let seconds = 1_u64.checked_shl(beyond).unwrap_or(u64::MAX);
            account.until = now + Duration::from_secs(seconds).min(LONGEST);
        }
        Ok(())
    }

    /// The try was right.
    pub(crate) fn succeeded(&self, name: &str, address: IpAddr) {
        let mut all = self.0.lock();
        let account = all.entry(hash(name)).or_default();
        account.failed = 0;
        account.until = Duration::ZERO;
        let address = network(address);
        account.known.retain(|known| *known != address);
        account.known.push(address);
        if account.known.len() > KNOWN_MAX {
            account.known.remove(0);
        }
    }
}

fn hash(name: &str) -> Name {
    *blake3::hash(name.as_bytes()).as_bytes()
}

impl From<Wait> for Problem {
    fn from(wait: Wait) -> Self {
        // A part of a second is a second to wait.
        let seconds = wait.0.as_secs() + 1;
        Self::new(
            StatusCode::TOO_MANY_REQUESTS,
            "request.too_often",
            format!("This account was tried too often; the next is answered in {seconds} s"),
        )
        .hint("Wait, and try again")
        .wait(seconds)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(last: u8) -> IpAddr {
        IpAddr::from([192, 0, 2, last])
    }

    #[test]
    fn many_addresses_wait_together_and_the_known_one_does_not() {
        let trials = Trials::default();
        let second = Duration::from_secs(1);
        let mut now = second;
        trials.begin("ann", address(200), now).unwrap();
        trials.succeeded("ann", address(200));
        for number in 0..FREE as u8 {
            trials.begin("ann", address(number), now).unwrap();
        }
        assert_eq!(trials.begin("ann", address(100), now), Err(Wait(second)));
        trials.begin("bob", address(100), now).unwrap();
        trials.begin("ann", address(200), now).unwrap();
        for number in 0..20 {
            now += LONGEST;
            trials.begin("ann", address(number), now).unwrap();
        }
        let wait = trials.begin("ann", address(100), now);
        assert_eq!(wait, Err(Wait(LONGEST)), "and no longer");
        now += LONGEST;
        trials.begin("ann", address(100), now).unwrap();
        trials.succeeded("ann", address(100));
        trials.begin("ann", address(1), now).unwrap();
        trials.begin("ann", address(1), now).unwrap();
    }

    #[test]
    fn accounts_are_bounded() {
        let trials = Trials::default();
        for number in 0..ACCOUNTS_MAX + 5 {
            let now = Duration::from_millis(number as u64);
            trials.begin(&number.to_string(), address(1), now).unwrap();
        }
        assert_eq!(trials.0.lock().len(), ACCOUNTS_MAX);
    }
}
