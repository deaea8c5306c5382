//! The gateway's database: one file for each table, static SQL only, every statement named.
//!
//! Whatever belongs to a merchant is sought with its [`Tenant`], so another merchant's id is as absent as one that never
//! was. Nothing here decides anything.

pub mod api_keys;
pub mod attempts;
pub mod authentications;
pub mod cards;
pub mod charges;
pub mod checkout_sessions;
pub mod control;
pub mod customers;
pub mod db;
pub mod deposits;
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
pub mod refunds;
pub mod setup_intents;
pub mod subscription_items;
pub mod subscriptions;
pub mod test_clocks;
pub mod timeline;
pub mod transfers;

use kura_wire::ids::MerchantId;
use serde_json::{Map, Value};
use sqlx::PgConnection;
use sqlx::migrate::Migrator;
use sqlx::postgres::PgPool;
use time::OffsetDateTime;
use uuid::Uuid;

/// The schema that this program knows.
pub static MIGRATIONS: Migrator = sqlx::migrate!();

/// Whose data, in which mode. Made by authentication, or from a row that already belongs to somebody.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tenant {
    merchant: MerchantId,
    livemode: bool,
}

impl Tenant {
    /// Of a merchant that was authenticated, or that a row names.
    pub(crate) const fn new(merchant: MerchantId, livemode: bool) -> Self {
        Self { merchant, livemode }
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

    fn after_parts(&self) -> (Option<OffsetDateTime>, Option<Uuid>) {
        (self.after.map(|cursor| cursor.0), self.after.map(|cursor| cursor.1))
    }

    fn before_parts(&self) -> (Option<OffsetDateTime>, Option<Uuid>) {
        (self.before.map(|cursor| cursor.0), self.before.map(|cursor| cursor.1))
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

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}
