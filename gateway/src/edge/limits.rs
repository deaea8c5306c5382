//! Rate limits by address and by key, and a limit on requests at once.
//!
//! Token buckets (GCRA, the `governor` crate). A key is held as a keyed 64-bit hash that this process alone can compute, never
//! as itself. Idle buckets are dropped on a timer, so memory follows the traffic of the last seconds.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::net::IpAddr;
use std::num::{NonZeroU32, NonZeroUsize};
use std::sync::Arc;
use std::time::Duration;

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use governor::clock::{Clock, DefaultClock};
use governor::middleware::StateInformationMiddleware;
use governor::state::keyed::DefaultKeyedStateStore;
use governor::{Quota, RateLimiter};
use kura_platform::serve::{AddressPlace, PerAddress, network_of};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::auth;
use crate::api_key::{ApiKey, KeyKind};
use crate::codes::Code;
use crate::config::RateLimits;
use crate::error::{ApiError, ApiResult};

/// Requests at once. The next is told to come back, before memory grows.
const MAX_IN_FLIGHT: usize = 1024;
/// Bodies that are being read at once. Requests without a body need none of these places.
const MAX_BODIES: usize = 1024;
/// Bodies of one address that are being read at once, where nobody says otherwise.
pub const BODIES_PER_ADDRESS: NonZeroUsize = NonZeroUsize::MIN.saturating_add(63);

/// The right to read one body.
#[derive(Debug)]
pub struct BodyPlace {
    _all: OwnedSemaphorePermit,
    _address: AddressPlace,
}

type Buckets<K> = RateLimiter<K, DefaultKeyedStateStore<K>, DefaultClock, StateInformationMiddleware>;

/// All limits of this process.
pub struct Limits {
    clock: DefaultClock,
    addresses: Buckets<IpAddr>,
    keys: Buckets<u64>,
    hasher: RandomState,
    in_flight: Arc<Semaphore>,
    bodies: Arc<Semaphore>,
    bodies_by_address: PerAddress,
}

/// What is left of a bucket, for the answer's headers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Allowance {
    limit: u32,
    remaining: u32,
    reset_s: u64,
}

impl Limits {
    /// With full buckets.
    pub fn new(config: &RateLimits) -> Self {
        let quota = |per_second: NonZeroU32, burst: NonZeroU32| Quota::per_second(per_second).allow_burst(burst);
        let address = quota(config.per_address_per_second, config.per_address_burst);
        let key = quota(config.per_key_per_second, config.per_key_burst);
        Self {
            clock: DefaultClock::default(),
            addresses: RateLimiter::keyed(address).with_middleware(),
            keys: RateLimiter::keyed(key).with_middleware(),
            hasher: RandomState::new(),
            in_flight: Arc::new(Semaphore::new(MAX_IN_FLIGHT)),
            bodies: Arc::new(Semaphore::new(MAX_BODIES)),
            bodies_by_address: PerAddress::new(config.bodies_per_address),
        }
    }

    /// A place among the requests at once, for as long as it is held.
    ///
    /// # Errors
    /// `overloaded`.
    pub fn enter(&self) -> ApiResult<OwnedSemaphorePermit> {
        let permit = Arc::clone(&self.in_flight).try_acquire_owned();
        permit.map_err(|_| ApiError::new(Code::Overloaded).retry_after(1))
    }

    /// The right to read a body, which an address has only so often at once: a body may take as long as its sender likes.
    ///
    /// # Errors
    /// `rate_limit` when the address has too many under way, `overloaded` when all have together.
    pub fn enter_body(&self, address: IpAddr) -> ApiResult<BodyPlace> {
        let address = self.bodies_by_address.enter(address);
        let address = address.ok_or_else(|| ApiError::new(Code::RateLimit).retry_after(1))?;
        let all = Arc::clone(&self.bodies).try_acquire_owned();
        let all = all.map_err(|_| ApiError::new(Code::Overloaded).retry_after(1))?;
        Ok(BodyPlace { _all: all, _address: address })
    }

    /// Takes one from the address's bucket.
    ///
    /// # Errors
    /// `rate_limit`.
    pub fn take_for_address(&self, address: IpAddr) -> ApiResult<Allowance> {
        self.take(&self.addresses, &network_of(address))
    }

    /// Takes one from the bucket of the key that is presented, right or wrong, however it is written. Nothing presented,
    /// nothing taken. A publishable key is everybody's, so each address has a bucket of its own for it.
    ///
    /// # Errors
    /// `rate_limit`.
    pub fn take_for_key(&self, headers: &HeaderMap, address: IpAddr) -> Option<ApiResult<Allowance>> {
        let presented = auth::presented_key(headers).ok()?;
        let public = ApiKey::parse(&presented).is_some_and(|key| key.kind() == KeyKind::Publishable);
        let whose = public.then(|| network_of(address));
        Some(self.take(&self.keys, &self.hasher.hash_one((presented.as_str(), whose))))
    }

    fn take<K: std::hash::Hash + Eq + Clone>(&self, buckets: &Buckets<K>, key: &K) -> ApiResult<Allowance> {
        match buckets.check_key(key) {
            Ok(state) => {
                let (limit, remaining) = (state.quota().burst_size().get(), state.remaining_burst_capacity());
                let refill = state.quota().replenish_interval() * limit.saturating_sub(remaining);
                Ok(Allowance { limit, remaining, reset_s: whole_seconds(refill) })
            }
            Err(until) => {
                let wait = until.wait_time_from(self.clock.now());
                Err(ApiError::new(Code::RateLimit).retry_after(whole_seconds(wait).max(1)))
            }
        }
    }

    /// Drops the buckets that are full again.
    pub fn forget_idle(&self) {
        self.addresses.retain_recent();
        self.keys.retain_recent();
        self.addresses.shrink_to_fit();
        self.keys.shrink_to_fit();
    }
}

impl Allowance {
    /// The IETF draft's headers, `RateLimit-*`.
    pub fn headers(self) -> [(HeaderName, HeaderValue); 3] {
        [
            (HeaderName::from_static("ratelimit-limit"), HeaderValue::from(self.limit)),
            (HeaderName::from_static("ratelimit-remaining"), HeaderValue::from(self.remaining)),
            (HeaderName::from_static("ratelimit-reset"), HeaderValue::from(self.reset_s)),
        ]
    }
}

fn whole_seconds(duration: Duration) -> u64 {
    duration.as_secs() + u64::from(duration.subsec_nanos() > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(burst: u32) -> Limits {
        let number = |value| NonZeroU32::new(value).unwrap();
        Limits::new(&RateLimits {
            per_address_per_second: number(1),
            per_address_burst: number(burst),
            per_key_per_second: number(1),
            per_key_burst: number(burst),
            connections_per_address: kura_platform::serve::CONNECTIONS_PER_ADDRESS,
            bodies_per_address: BODIES_PER_ADDRESS,
        })
    }

    /// A bucket holds its burst, then says no and how long; another address has its own.
    #[test]
    fn a_bucket_is_emptied_by_its_owner_alone() {
        let limits = limits(3);
        let one: IpAddr = "192.0.2.1".parse().unwrap();
        for left in [2, 1, 0] {
            assert_eq!(limits.take_for_address(one).unwrap().remaining, left);
        }
        assert_eq!(limits.take_for_address(one).unwrap_err().code(), Code::RateLimit);
        assert!(limits.take_for_address("192.0.2.2".parse().unwrap()).is_ok());
    }

    fn with(authorization: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert("authorization", authorization.parse().unwrap());
        headers
    }

    const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));
    const THERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 2));

    /// A key is limited whoever presents it; no key, no key limit.
    #[test]
    fn keys_have_buckets_of_their_own() {
        let limits = limits(1);
        assert!(limits.take_for_key(&with("Bearer a"), HERE).unwrap().is_ok());
        assert!(limits.take_for_key(&with("Bearer a"), THERE).unwrap().is_err());
        assert!(limits.take_for_key(&with("Bearer b"), HERE).unwrap().is_ok());
        assert!(limits.take_for_key(&HeaderMap::new(), HERE).is_none());
    }

    /// A key written in another way, with a password or with more spaces, is still the same key.
    #[test]
    fn a_key_has_one_bucket_however_it_is_written() {
        let key = ApiKey::draw(KeyKind::Secret, false);
        let key = key.reveal_to_its_maker();
        let basic = |text: &str| format!("Basic {}", data_encoding::BASE64.encode(text.as_bytes()));
        let limits = limits(1);
        assert!(limits.take_for_key(&with(&format!("Bearer {key}")), HERE).unwrap().is_ok());
        for other in [
            format!("bearer   {key}"),
            format!("Bearer {key} "),
            basic(key),
            basic(&format!("{key}:")),
            basic(&format!("{key}:1")),
            basic(&format!("{key}:2")),
        ] {
            assert!(limits.take_for_key(&with(&other), THERE).unwrap().is_err());
        }
    }

    /// Whoever reads a publishable key off a shop's page can't use it up for the shop's other visitors.
    #[test]
    fn a_publishable_key_has_a_bucket_for_each_address() {
        let key = ApiKey::draw(KeyKind::Publishable, true);
        let headers = with(&format!("Bearer {}", key.reveal_to_its_maker()));
        let limits = limits(1);
        assert!(limits.take_for_key(&headers, HERE).unwrap().is_ok());
        assert!(limits.take_for_key(&headers, HERE).unwrap().is_err());
        assert!(limits.take_for_key(&headers, THERE).unwrap().is_ok());
    }
}
