//! Rate limits by address and by key, and a limit on requests at once.
//!
//! Token buckets (GCRA, the `governor` crate). A key is held as a keyed 64-bit hash that this process alone can compute, never
//! as itself. Idle buckets are dropped on a timer, so memory follows the traffic of the last seconds.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use governor::clock::{Clock, DefaultClock};
use governor::middleware::StateInformationMiddleware;
use governor::state::keyed::DefaultKeyedStateStore;
use governor::{Quota, RateLimiter};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::codes::Code;
use crate::config::RateLimits;
use crate::error::{ApiError, ApiResult};

/// Requests at once. The next is told to come back, before memory grows.
const MAX_IN_FLIGHT: usize = 1024;

type Buckets<K> = RateLimiter<K, DefaultKeyedStateStore<K>, DefaultClock, StateInformationMiddleware>;

/// All limits of this process.
pub struct Limits {
    clock: DefaultClock,
    addresses: Buckets<IpAddr>,
    keys: Buckets<u64>,
    hasher: RandomState,
    in_flight: Arc<Semaphore>,
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

    /// Takes one from the address's bucket.
    ///
    /// # Errors
    /// `rate_limit`.
    pub fn take_for_address(&self, address: IpAddr) -> ApiResult<Allowance> {
        self.take(&self.addresses, &network_of(address))
    }

    /// Takes one from the bucket of the key that is presented, right or wrong. Nothing presented, nothing taken.
    ///
    /// # Errors
    /// `rate_limit`.
    pub fn take_for_key(&self, headers: &HeaderMap) -> Option<ApiResult<Allowance>> {
        let presented = headers.get(header::AUTHORIZATION)?;
        Some(self.take(&self.keys, &self.hasher.hash_one(presented.as_bytes())))
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

/// One household has one IPv4 address, or 2^64 IPv6 addresses.
fn network_of(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(v4) => IpAddr::V4(v4),
        IpAddr::V6(v6) => IpAddr::V6((u128::from(v6) >> 64 << 64).into()),
    }
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

    /// A key is limited whoever presents it; no key, no key limit.
    #[test]
    fn keys_have_buckets_of_their_own() {
        let limits = limits(1);
        let with = |key: &str| {
            let mut headers = HeaderMap::new();
            headers.insert("authorization", key.parse().unwrap());
            headers
        };
        assert!(limits.take_for_key(&with("Bearer a")).unwrap().is_ok());
        assert!(limits.take_for_key(&with("Bearer a")).unwrap().is_err());
        assert!(limits.take_for_key(&with("Bearer b")).unwrap().is_ok());
        assert!(limits.take_for_key(&HeaderMap::new()).is_none());
    }

    /// One IPv6 network shares a bucket, and IPv4 written as IPv6 is IPv4.
    #[test]
    fn networks_share_a_bucket() {
        let of = |text: &str| network_of(text.parse().unwrap());
        assert_eq!(of("2001:db8::1"), of("2001:db8::ffff:1"));
        assert_ne!(of("2001:db8::1"), of("2001:db8:0:1::1"));
        assert_eq!(of("::ffff:192.0.2.1"), of("192.0.2.1"));
    }
}
