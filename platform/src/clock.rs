//! The one wall clock. Nobody else may read it (`tests/tests/tidy.rs`), so that time can be found and, one day, moved.

use time::OffsetDateTime;

/// Now, in UTC, to the microsecond: what PostgreSQL keeps, so a value read back equals the one written.
pub fn now() -> OffsetDateTime {
    #[allow(clippy::disallowed_methods)] // This is that one place.
    let now = OffsetDateTime::now_utc();
    let microsecond = now.microsecond();
    now.replace_microsecond(microsecond).unwrap_or(now)
}

/// Unix milliseconds.
pub fn now_ms() -> i64 {
    let nanos = now().unix_timestamp_nanos() / 1_000_000;
    i64::try_from(nanos).unwrap_or(i64::MAX)
}
