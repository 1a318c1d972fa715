//! How often somebody may ask. Over the Unix socket nobody is counted.
//!
//! Requests with an API key count against the key's tier, all others against the address they come from.

use std::hash::Hash;
use std::net::{IpAddr, Ipv6Addr};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use axum::extract::Request;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use backstay_engine::access::{Actor, Caller};
use backstay_engine::ids::ApiKeyId;
use backstay_engine::model::{KeyTier, RateLimits};
use governor::clock::{Clock as _, DefaultClock};
use governor::middleware::{StateInformationMiddleware, StateSnapshot};
use governor::state::keyed::HashMapStateStore;
use governor::{Quota, RateLimiter};
use parking_lot::RwLock;

use crate::identity::Origin;
use crate::problem::Problem;

/// After so many questions, those who have not asked for long are forgotten.
const SWEEP_EVERY: u32 = 4096;

/// Where passwords are tried.
const TRIALS: [&str; 2] = ["/api/v1/auth/login", "/api/v1/auth/password"];

/// Load balancers ask it often, for everybody behind them.
const HEALTH: &str = "/api/v1/health";

type Counter<K> = RateLimiter<K, HashMapStateStore<K>, DefaultClock, StateInformationMiddleware>;

/// All counters; clones share them. Other settings begin to count anew.
#[derive(Clone, Default)]
pub(crate) struct Quotas(Arc<RwLock<Arc<Counters>>>);

struct Counters {
    settings: RateLimits,
    logins: Counter<IpAddr>,
    reads: Counter<IpAddr>,
    writes: Counter<IpAddr>,
    free: Counter<ApiKeyId>,
    professional: Counter<ApiKeyId>,
    asked: AtomicU32,
}

impl std::fmt::Debug for Quotas {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Quotas")
    }
}

/// What is left to somebody who was let through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Leave {
    limit: u32,
    remaining: u32,
    /// Seconds until everything is there again.
    reset: u64,
}

/// Somebody asks too often.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TooOften {
    leave: Leave,
    /// Seconds until they may ask again.
    retry: u64,
}

impl Default for Counters {
    fn default() -> Self {
        Self::new(&RateLimits::default())
    }
}

impl Counters {
    fn new(settings: &RateLimits) -> Self {
        Self {
            logins: counter(Quota::per_minute(number(
                settings.authentication_per_minute,
            ))),
            reads: counter(Quota::per_minute(number(settings.reads_per_minute))),
            writes: counter(Quota::per_minute(number(settings.writes_per_minute))),
            free: counter(Quota::per_hour(number(settings.free_per_hour))),
            professional: counter(Quota::per_hour(number(settings.professional_per_hour))),
            asked: AtomicU32::new(0),
            settings: settings.clone(),
        }
    }

    fn sweep(&self) {
        if self.asked.fetch_add(1, Ordering::Relaxed) % SWEEP_EVERY == SWEEP_EVERY - 1 {
            for counter in [&self.logins, &self.reads, &self.writes] {
                counter.retain_recent();
            }
            self.free.retain_recent();
            self.professional.retain_recent();
        }
    }
}

fn counter<K: Hash + Eq + Clone>(quota: Quota) -> Counter<K> {
    let plain: RateLimiter<K, HashMapStateStore<K>, DefaultClock> =
        RateLimiter::new(quota, HashMapStateStore::default(), DefaultClock::default());
    plain.with_middleware()
}

fn number(count: u32) -> NonZeroU32 {
    NonZeroU32::new(count).unwrap_or(NonZeroU32::MIN)
}

impl Quotas {
    /// Counts a request, or refuses it.
    pub(crate) fn ask(
        &self,
        settings: &RateLimits,
        origin: Option<Origin>,
        caller: &Caller,
        tier: Option<KeyTier>,
        request: &Request,
    ) -> Result<Option<Leave>, TooOften> {
        let Some(address) = origin.and_then(Origin::address).map(network) else {
            return Ok(None);
        };
        if !settings.enabled || request.uri().path() == HEALTH {
            return Ok(None);
        }
        let counters = self.counters(settings);
        counters.sweep();
        // Whatever else somebody may do, nobody may try many passwords.
        if TRIALS.contains(&request.uri().path()) {
            return count(&counters.logins, &address).map(Some);
        }
        if let Actor::Key { id, .. } = &caller.actor {
            return match tier {
                Some(KeyTier::Free) => count(&counters.free, id).map(Some),
                Some(KeyTier::Professional) => count(&counters.professional, id).map(Some),
                _ => Ok(None),
            };
        }
        let counter = if request.method().is_safe() {
            &counters.reads
        } else {
            &counters.writes
        };
        count(counter, &address).map(Some)
    }

    /// Counts an attempt to be somebody that failed.
    pub(crate) fn attempt(
        &self,
        settings: &RateLimits,
        address: Option<IpAddr>,
    ) -> Result<(), TooOften> {
        match address.filter(|_| settings.enabled) {
            Some(address) => count(&self.counters(settings).logins, &network(address)).map(|_| ()),
            None => Ok(()),
        }
    }

    /// The counters of these settings.
    fn counters(&self, settings: &RateLimits) -> Arc<Counters> {
        let current = Arc::clone(&self.0.read());
        if current.settings == *settings {
            return current;
        }
        let mut current = self.0.write();
        if current.settings != *settings {
            *current = Arc::new(Counters::new(settings));
        }
        Arc::clone(&current)
    }
}

/// Whom an address counts as: a subscriber of IPv6 has a network of them (RFC 6177).
pub(crate) fn network(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(six) => {
            let [a, b, c, d, ..] = six.segments();
            Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into()
        }
    }
}

fn count<K: Hash + Eq + Clone>(counter: &Counter<K>, key: &K) -> Result<Leave, TooOften> {
    match counter.check_key(key) {
        Ok(snapshot) => Ok(leave(&snapshot)),
        Err(not_until) => {
            let quota = not_until.quota();
            let retry = not_until.wait_time_from(DefaultClock::default().now());
            let leave = Leave {
                limit: quota.burst_size().get(),
                remaining: 0,
                reset: quota.burst_size_replenished_in().as_secs(),
            };
            // A part of a second is a second to wait.
            Err(TooOften {
                leave,
                retry: retry.as_secs() + 1,
            })
        }
    }
}

fn leave(snapshot: &StateSnapshot) -> Leave {
    let quota = snapshot.quota();
    let limit = quota.burst_size().get();
    let remaining = snapshot.remaining_burst_capacity().min(limit);
    let used = u64::from(limit - remaining);
    Leave {
        limit,
        remaining,
        reset: (quota.replenish_interval().as_millis() as u64 * used).div_ceil(1000),
    }
}

impl Leave {
    /// Writes the headers of draft-ietf-httpapi-ratelimit-headers-07.
    pub(crate) fn tell(self, headers: &mut HeaderMap) {
        for (name, value) in [
            ("ratelimit-limit", u64::from(self.limit)),
            ("ratelimit-remaining", u64::from(self.remaining)),
            ("ratelimit-reset", self.reset),
        ] {
            headers.insert(HeaderName::from_static(name), HeaderValue::from(value));
        }
    }
}

impl IntoResponse for TooOften {
    fn into_response(self) -> Response {
        let problem = Problem::new(
            StatusCode::TOO_MANY_REQUESTS,
            "request.too_often",
            format!(
                "That was asked too often; the next is answered in {} s",
                self.retry
            ),
        )
        .hint("Wait, or use an API key of a higher tier")
        .wait(self.retry);
        let mut response = problem.into_response();
        self.leave.tell(response.headers_mut());
        response
    }
}
