//! The gateway's database: one file for each table, static SQL only, every statement named.
//!
//! Whatever belongs to a merchant is sought with its [`Tenant`], so another merchant's id is as absent as one that never
//! was. Nothing here decides anything.

pub mod api_keys;
pub mod attempts;
pub mod authentications;
pub mod balance;
pub mod cards;
pub mod charges;
pub mod checkout_sessions;
pub mod control;
pub mod customers;
pub mod db;
pub mod deposits;
pub mod disputes;
pub mod events;
pub mod idempotency;
pub mod invoice_lines;
pub mod invoices;
pub mod merchants;
pub mod methods;
pub mod notices;
pub mod payers;
pub mod payment_intents;
pub mod prices;
pub mod products;
pub mod reconciliation;
pub mod refunds;
pub mod request_logs;
pub mod setup_intents;
pub mod signals;
pub mod subscription_items;
pub mod subscriptions;
pub mod test_clocks;
pub mod timeline;
pub mod transfers;
pub mod webhook_deliveries;
pub mod webhook_endpoints;

use std::time::Duration;

use kura_platform::database::{PgConnection, PgPool};
use kura_wire::ids::MerchantId;
use serde_json::{Map, Value};
use sqlx::migrate::Migrator;
use time::OffsetDateTime;
use uuid::Uuid;

/// The schema that this program knows.
pub static MIGRATIONS: Migrator = sqlx::migrate!();

/// Whose data, in which mode. Made by authentication, or from a row that already belongs to somebody.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Tenant {
    merchant: MerchantId,
    livemode: bool,
}

impl Tenant {
    /// Of a merchant that was authenticated, or that a row names.
    pub(crate) const fn new(merchant: MerchantId, livemode: bool) -> Self {
        Self { merchant, livemode }
    }

    /// Of the merchant that a row names.
    fn of(merchant: Uuid, livemode: bool) -> Self {
        Self::new(MerchantId::from_bytes(merchant.into_bytes()), livemode)
    }

    /// The merchant.
    pub const fn merchant(&self) -> MerchantId {
        self.merchant
    }

    /// Live or test.
    pub const fn livemode(&self) -> bool {
        self.livemode
    }

    fn id(&self) -> Uuid {
        Uuid::from_bytes(*self.merchant.as_bytes())
    }
}

/// One page of a list, newest first unless it ends before something.
#[derive(Debug, Clone, Copy, Default)]
pub struct Page {
    /// 1 to 100.
    pub limit: i64,
    /// Only what is older than this one: (made at, id).
    pub after: Option<Cursor>,
    /// Only what is newer than this one.
    pub before: Option<Cursor>,
    /// `created[gte]` and `created[gt]`, as the earliest moment.
    pub from: Option<OffsetDateTime>,
    /// `created[lt]` and `created[lte]`, as the first moment too late.
    pub until: Option<OffsetDateTime>,
}

/// Later than everything.
const END: OffsetDateTime = time::macros::datetime!(9999-12-31 0:00 UTC);
/// The database's own step.
const MOMENT: time::Duration = time::Duration::microseconds(1);

/// Where in a list.
pub type Cursor = (OffsetDateTime, Uuid);

/// What a page holds, and whether there is more in its direction.
#[derive(Debug, Clone)]
pub struct Listed<T> {
    /// Newest first.
    pub items: Vec<T>,
    /// More in the direction of travel.
    pub has_more: bool,
}

impl Page {
    fn fetch(&self) -> i64 {
        self.limit + 1
    }

    fn ascending(&self) -> bool {
        self.before.is_some()
    }

    /// Where the walk begins, exclusively: at the cursor, or at the bound of `created` that lies before it.
    fn edge(&self) -> Cursor {
        match self.before {
            Some(before) => self.from.map_or(before, |from| before.max((from - MOMENT, Uuid::max()))),
            None => {
                let until = (self.until.unwrap_or(END), Uuid::nil());
                self.after.map_or(until, |after| after.min(until))
            }
        }
    }

    /// The bound of `created` at which it ends: the first moment too late where it goes to what is newer, else the earliest.
    fn stop(&self) -> OffsetDateTime {
        if self.ascending() { self.until.unwrap_or(END) } else { self.from.unwrap_or(OffsetDateTime::UNIX_EPOCH) }
    }

    /// One row more than asked for was fetched, to know whether there is more.
    fn close<T>(&self, mut rows: Vec<T>) -> Listed<T> {
        let limit = usize::try_from(self.limit).unwrap_or(0);
        let has_more = rows.len() > limit;
        rows.truncate(limit);
        if self.ascending() {
            rows.reverse();
        }
        Listed { items: rows, has_more }
    }
}

/// Whether the database answers.
pub(crate) async fn answers(pool: &PgPool) -> bool {
    sqlx::query_scalar!("/* gateway answers */ SELECT 1").fetch_one(pool).await.is_ok()
}

pub(crate) type Conn<'c> = &'c mut PgConnection;

fn uuid(bytes: &[u8; 16]) -> Uuid {
    Uuid::from_bytes(*bytes)
}

/// One column of many rows, as `UNNEST` takes it.
fn column<R, T>(rows: &[R], of: impl Fn(&R) -> T) -> Vec<T> {
    rows.iter().map(of).collect()
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}

/// One page of a table, newest first, through the file's own `select!`: two statements, one for each direction of travel. Their
/// bounds are there always, so that one plan serves every page: as far in as it may be, a page is one walk along an index that
/// begins with merchant and mode (or what `$filter` names) and `(created_at, id)`.
///
/// `$1` is the merchant, `$2` the mode, `$3` and `$4` where the walk begins, `$5` where it ends, `$6` the limit; what `$filter`
/// needs begins with `$7`.
macro_rules! page_of {
    ($select:ident, $head:literal, $id:literal, $filter:literal, $conn:expr, $tenant:expr, $page:expr $(, $own:expr)* $(,)?) => {{
        let (at, id) = $page.edge();
        if $page.ascending() {
            $select!(
                $head,
                "WHERE merchant_id = $1 AND livemode = $2 AND (created_at, " $id ") > ($3, $4) AND created_at < $5 " $filter "
                 ORDER BY created_at, " $id " LIMIT $6",
                $tenant.id(), $tenant.livemode, at, id, $page.stop(), $page.fetch() $(, $own)*
            )
            .fetch_all($conn)
            .await?
        } else {
            $select!(
                $head,
                "WHERE merchant_id = $1 AND livemode = $2 AND (created_at, " $id ") < ($3, $4) AND created_at >= $5 " $filter "
                 ORDER BY created_at DESC, " $id " DESC LIMIT $6",
                $tenant.id(), $tenant.livemode, at, id, $page.stop(), $page.fetch() $(, $own)*
            )
            .fetch_all($conn)
            .await?
        }
    }};
}
pub(crate) use page_of;

/// A look of a worker's at what is due in a table.
#[derive(Debug, Clone, Copy)]
pub struct Look {
    /// What is due until now.
    pub now: OffsetDateTime,
    /// When what is claimed is due again, at first; each further time after twice as long.
    pub pause: Duration,
    /// The longest that gets.
    pub longest: Duration,
    /// How many are claimed at the most.
    pub limit: i64,
}

/// What a worker claimed: nobody else gets it before it is due again.
#[derive(Debug, Clone, Copy)]
pub struct Claimed<Id> {
    /// Whose.
    pub tenant: Tenant,
    /// Which.
    pub id: Id,
    /// How often it was claimed, this time included.
    pub count: i32,
}

/// Claims what is due in a table, each for one worker at a time. `$at` is the column with its date, `$count` the one with the
/// number of looks; `$filter` begins with what else must be so, and ends with AND.
macro_rules! claim_due {
    ($head:literal, $table:literal, $at:literal, $count:literal, $filter:literal, $id:ident, $pool:expr, $look:expr) => {{
        let $crate::store::Look { now, pause, longest, limit } = $look;
        let rows = sqlx::query!(
            $head
                + "UPDATE "
                + $table
                + " SET "
                + $count
                + " = "
                + $count
                + " + 1, "
                + $at
                + " = $1 + make_interval(secs => LEAST($2 * power(2, LEAST("
                + $count
                + ", 20)), $3))
             WHERE (merchant_id, id) IN (
                 SELECT merchant_id, id FROM "
                + $table
                + " WHERE "
                + $filter
                + $at
                + " <= $1
                 ORDER BY "
                + $at
                + " LIMIT $4 FOR UPDATE SKIP LOCKED)
             RETURNING merchant_id, id, livemode, "
                + $count
                + " AS count",
            now,
            pause.as_secs_f64(),
            longest.as_secs_f64(),
            limit,
        )
        .fetch_all($pool)
        .await?;
        let claimed = rows.into_iter().map(|row| $crate::store::Claimed {
            tenant: $crate::store::Tenant::of(row.merchant_id, row.livemode),
            id: $id::from_bytes(row.id.into_bytes()),
            count: row.count,
        });
        Ok(claimed.collect())
    }};
}
pub(crate) use claim_due;

#[cfg(test)]
mod tests {
    use super::*;
    use time::macros::datetime;

    /// The walk begins at the cursor or at the bound of `created`, whichever is met first.
    #[test]
    fn a_walk_begins_where_its_bounds_say() {
        let (early, late) = (datetime!(2026-11-01 0:00 UTC), datetime!(2026-11-20 0:00 UTC));
        let id = Uuid::from_bytes([5; 16]);
        assert_eq!(Page::default().edge(), (END, Uuid::nil()));
        assert_eq!(Page { until: Some(late), ..Page::default() }.edge(), (late, Uuid::nil()));
        let from_cursor = Page { after: Some((early, id)), until: Some(late), ..Page::default() };
        assert_eq!(from_cursor.edge(), (early, id));
        let beyond = Page { after: Some((late, id)), until: Some(early), ..Page::default() };
        assert_eq!(beyond.edge(), (early, Uuid::nil()));
        let up = Page { before: Some((early, id)), from: Some(late), until: Some(late), ..Page::default() };
        assert_eq!((up.edge(), up.stop()), ((late - MOMENT, Uuid::max()), late));
        assert_eq!(Page { before: Some((late, id)), from: Some(early), ..Page::default() }.edge(), (late, id));
        assert_eq!(Page { from: Some(early), ..Page::default() }.stop(), early);
    }
}
