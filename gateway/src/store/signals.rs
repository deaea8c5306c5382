//! Table `signals`, and whose an id is that somebody asked for.

use ipnet::IpNet;
use kura_platform::database::PgPool;
use kura_wire::ids::{ApiKeyId, MerchantId, RequestId, SignalId};
use time::OffsetDateTime;
use uuid::Uuid;

use super::uuid;
use crate::signals::Kind;

/// Something that was seen.
#[derive(Debug, Clone)]
pub struct Signal {
    /// Its id.
    pub id: SignalId,
    /// Whose key it was.
    pub merchant: MerchantId,
    /// Live or test.
    pub livemode: bool,
    /// What.
    pub kind: Kind,
    /// With which key.
    pub key: ApiKeyId,
    /// Its prefix and last letters.
    pub hint: String,
    /// From where.
    pub address: IpNet,
    /// Method and path, without ids.
    pub route: String,
    /// The id that was asked for.
    pub object: Option<String>,
    /// Whose that is, if it is somebody's.
    pub owner: Option<MerchantId>,
    /// The first of its requests.
    pub request: RequestId,
    /// How often within a moment.
    pub times: i32,
    /// When.
    pub at: OffsetDateTime,
}

/// Writes it down.
pub(crate) async fn insert(pool: &PgPool, signal: &Signal) -> sqlx::Result<()> {
    sqlx::query!(
        "/* gateway signals::insert */
         INSERT INTO signals (merchant_id, id, livemode, kind, key_id, key_hint, address, route, object, owner_id, request_id,
             times, at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)",
        uuid(signal.merchant.as_bytes()),
        uuid(signal.id.as_bytes()),
        signal.livemode,
        signal.kind.as_str(),
        uuid(signal.key.as_bytes()),
        signal.hint,
        signal.address,
        signal.route,
        signal.object,
        signal.owner.map(|id| uuid(id.as_bytes())),
        uuid(signal.request.as_bytes()),
        signal.times,
        signal.at,
    )
    .execute(pool)
    .await?;
    Ok(())
}

/// The newest ones, perhaps of one merchant, before one of them.
pub(crate) async fn list(
    pool: &PgPool,
    merchant: Option<MerchantId>,
    before: Option<SignalId>,
    limit: i64,
) -> sqlx::Result<Vec<Signal>> {
    let rows = sqlx::query!(
        "/* gateway signals::list */
         SELECT merchant_id, id, livemode, kind, key_id, key_hint, address, route, object, owner_id, request_id, times, at
         FROM signals
         WHERE ($1::uuid IS NULL OR merchant_id = $1)
           AND ($2::uuid IS NULL OR (at, id) < ((SELECT at FROM signals WHERE id = $2 LIMIT 1), $2))
         ORDER BY at DESC, id DESC LIMIT $3",
        merchant.map(|id| uuid(id.as_bytes())),
        before.map(|id| uuid(id.as_bytes())),
        limit,
    )
    .fetch_all(pool)
    .await?;
    let signals = rows.into_iter().filter_map(|row| {
        Some(Signal {
            id: SignalId::from_bytes(row.id.into_bytes()),
            merchant: MerchantId::from_bytes(row.merchant_id.into_bytes()),
            livemode: row.livemode,
            kind: Kind::parse(&row.kind)?,
            key: ApiKeyId::from_bytes(row.key_id.into_bytes()),
            hint: row.key_hint,
            address: row.address,
            route: row.route,
            object: row.object,
            owner: row.owner_id.map(|id| MerchantId::from_bytes(id.into_bytes())),
            request: RequestId::from_bytes(row.request_id.into_bytes()),
            times: row.times,
            at: row.at,
        })
    });
    Ok(signals.collect())
}

/// Forgets old ones.
pub(crate) async fn forget_older(pool: &PgPool, than: OffsetDateTime) -> sqlx::Result<u64> {
    let done = sqlx::query!("/* gateway signals::forget_older */ DELETE FROM signals WHERE at < $1", than);
    Ok(done.execute(pool).await?.rows_affected())
}

/// For each prefix of ids its table, with a statement of its own.
macro_rules! owners {
    ($head:literal, $pool:expr, $prefix:expr, $id:expr, $($word:literal => $table:literal),* $(,)?) => {
        match $prefix {
            $($word => {
                sqlx::query_scalar!(
                    $head + "SELECT merchants.id FROM merchants WHERE EXISTS (SELECT FROM " + $table + " = $1) LIMIT 1",
                    $id
                )
                .fetch_optional($pool)
                .await
            })*
            _ => return Ok(None),
        }
    };
}

/// Whose an object is, whose id has this prefix; `None` for nobody's.
pub(crate) async fn find_owner(pool: &PgPool, prefix: &str, id: [u8; 16]) -> sqlx::Result<Option<MerchantId>> {
    let id = Uuid::from_bytes(id);
    let owner = owners!(
        "/* gateway signals::find_owner */ ",
        pool, prefix, id,
        "cus" => "customers AS o WHERE o.merchant_id = merchants.id AND o.id",
        "pi" => "payment_intents AS o WHERE o.merchant_id = merchants.id AND o.id",
        "seti" => "setup_intents AS o WHERE o.merchant_id = merchants.id AND o.id",
        "ch" => "charges AS o WHERE o.merchant_id = merchants.id AND o.id",
        "re" => "refunds AS o WHERE o.merchant_id = merchants.id AND o.id",
        "evt" => "events AS o WHERE o.merchant_id = merchants.id AND o.id",
        "dp" => "disputes AS o WHERE o.merchant_id = merchants.id AND o.id",
        "card" => "cards AS o WHERE o.merchant_id = merchants.id AND o.record",
        "payer" => "payers AS o WHERE o.merchant_id = merchants.id AND o.id",
        "prod" => "products AS o WHERE o.merchant_id = merchants.id AND o.id",
        "price" => "prices AS o WHERE o.merchant_id = merchants.id AND o.id",
        "sub" => "subscriptions AS o WHERE o.merchant_id = merchants.id AND o.id",
        "si" => "subscription_items AS o WHERE o.merchant_id = merchants.id AND o.id",
        "ii" => "invoice_lines AS o WHERE o.merchant_id = merchants.id AND o.id",
        "in" => "invoices AS o WHERE o.merchant_id = merchants.id AND o.id",
        "cs" => "checkout_sessions AS o WHERE o.merchant_id = merchants.id AND o.id",
        "clock" => "test_clocks AS o WHERE o.merchant_id = merchants.id AND o.id",
        "we" => "webhook_endpoints AS o WHERE o.merchant_id = merchants.id AND o.id",
        "req" => "request_logs AS o WHERE o.merchant_id = merchants.id AND o.id",
    )?;
    Ok(owner.map(|id| MerchantId::from_bytes(id.into_bytes())))
}
