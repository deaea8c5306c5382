//! Table `cards`: what may be known of each card record of the vault, under both of its names.

use std::collections::BTreeMap;

use kura_wire::card::CardSummary;
use kura_wire::ids::{CardToken, CustomerId, NodeId, TokenUse};
use serde_json::{Map, Value};
use time::OffsetDateTime;
use uuid::Uuid;

use super::{Conn, Listed, Page, Tenant, object, page_of, uuid};

/// A card.
#[derive(Debug, Clone)]
pub struct Card {
    /// The vault's record.
    pub record: [u8; 16],
    /// The node that made it.
    pub node: NodeId,
    /// `visa`, …
    pub brand: String,
    /// First six digits.
    pub bin: String,
    /// Last four digits.
    pub last_four: String,
    /// 1 to 12.
    pub exp_month: i16,
    /// Four digits.
    pub exp_year: i16,
    /// The merchant's own.
    pub fingerprint: String,
    /// When its `tok_` was spent.
    pub token_used_at: Option<OffsetDateTime>,
    /// When it became a `pm_`.
    pub saved_at: Option<OffsetDateTime>,
    /// Whom it is attached to.
    pub customer: Option<CustomerId>,
    /// Of the payment method.
    pub metadata: Map<String, Value>,
    /// When it was made.
    pub created_at: OffsetDateTime,
    /// When a charge of it was first approved; of an imported card, when it was first named here.
    pub charged_at: Option<OffsetDateTime>,
}

impl Card {
    /// One of its two names.
    pub fn token(&self, allows: TokenUse) -> CardToken {
        CardToken { allows, node: self.node, record: self.record }
    }
}

struct Row {
    record: Uuid,
    node: i16,
    brand: String,
    bin: String,
    last_four: String,
    exp_month: i16,
    exp_year: i16,
    fingerprint: String,
    token_used_at: Option<OffsetDateTime>,
    saved_at: Option<OffsetDateTime>,
    customer_id: Option<Uuid>,
    metadata: Value,
    created_at: OffsetDateTime,
    charged_at: Option<OffsetDateTime>,
}

impl TryFrom<Row> for Card {
    type Error = sqlx::Error;

    fn try_from(row: Row) -> sqlx::Result<Self> {
        let node = u16::try_from(row.node).ok().and_then(NodeId::new);
        Ok(Self {
            record: row.record.into_bytes(),
            node: node.ok_or_else(|| sqlx::Error::Decode("node out of range".into()))?,
            brand: row.brand,
            bin: row.bin,
            last_four: row.last_four,
            exp_month: row.exp_month,
            exp_year: row.exp_year,
            fingerprint: row.fingerprint,
            token_used_at: row.token_used_at,
            saved_at: row.saved_at,
            customer: row.customer_id.map(|id| CustomerId::from_bytes(id.into_bytes())),
            metadata: object(row.metadata),
            created_at: row.created_at,
            charged_at: row.charged_at,
        })
    }
}

/// Keeps what the vault told of a new card.
pub(crate) async fn insert(
    conn: Conn<'_>,
    tenant: Tenant,
    token: CardToken,
    card: &CardSummary,
    at: OffsetDateTime,
) -> sqlx::Result<()> {
    let saved_at = (token.allows == TokenUse::Multi).then_some(at);
    insert_with(conn, tenant, token, card, at, Before { saved_at, charged_at: None }).await
}

/// When a card that is kept here for the first time was saved, and charged.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Before {
    /// When it became a `pm_`.
    pub saved_at: Option<OffsetDateTime>,
    /// Of an imported card: its first charge was made where it comes from. Written with the card, since without it the card
    /// would be asked for a code that nobody has.
    pub charged_at: Option<OffsetDateTime>,
}

/// [`insert`], of a card with a past of its own.
pub(crate) async fn insert_with(
    conn: Conn<'_>,
    tenant: Tenant,
    token: CardToken,
    card: &CardSummary,
    at: OffsetDateTime,
    before: Before,
) -> sqlx::Result<()> {
    sqlx::query!(
        "/* gateway cards::insert_with */
         INSERT INTO cards (merchant_id, record, livemode, node, brand, bin, last_four, exp_month, exp_year, fingerprint,
             token_used_at, saved_at, created_at, charged_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $11, $12, $13) ON CONFLICT DO NOTHING",
        tenant.id(),
        uuid(&token.record),
        tenant.livemode,
        i16::try_from(token.node.number()).unwrap_or(i16::MAX),
        card.brand.as_str(),
        card.bin,
        card.last_four,
        i16::from(card.exp_month),
        i16::try_from(card.exp_year).unwrap_or(i16::MAX),
        card.fingerprint,
        before.saved_at,
        at,
        before.charged_at,
    )
    .execute(conn)
    .await?;
    Ok(())
}

macro_rules! select {
    ($head:literal, $($tail:literal)+, $($argument:expr),* $(,)?) => {
        sqlx::query_as!(
            Row,
            $head + "SELECT record, node, brand, bin, last_four, exp_month, exp_year, fingerprint, token_used_at, saved_at,
                customer_id, metadata, created_at, charged_at FROM cards " $(+ $tail)+,
            $($argument),*
        )
    };
}

/// The merchant's card of this record.
pub(crate) async fn find(conn: Conn<'_>, tenant: Tenant, record: [u8; 16]) -> sqlx::Result<Option<Card>> {
    let row = select!(
        "/* gateway cards::find */ ",
        "WHERE merchant_id = $1 AND record = $2 AND livemode = $3",
        tenant.id(),
        uuid(&record),
        tenant.livemode,
    )
    .fetch_optional(conn)
    .await?;
    row.map(Card::try_from).transpose()
}

/// The merchant's card of this record, for as long as the transaction lasts.
pub(crate) async fn lock(conn: Conn<'_>, tenant: Tenant, record: [u8; 16]) -> sqlx::Result<Option<Card>> {
    let row = select!(
        "/* gateway cards::lock */ ",
        "WHERE merchant_id = $1 AND record = $2 AND livemode = $3 FOR NO KEY UPDATE",
        tenant.id(),
        uuid(&record),
        tenant.livemode,
    )
    .fetch_optional(conn)
    .await?;
    row.map(Card::try_from).transpose()
}

/// The merchant's cards of these records.
pub(crate) async fn find_many(conn: Conn<'_>, tenant: Tenant, records: &[[u8; 16]]) -> sqlx::Result<Vec<Card>> {
    if records.is_empty() {
        return Ok(Vec::new());
    }
    let records: Vec<Uuid> = records.iter().map(uuid).collect();
    let rows = select!(
        "/* gateway cards::find_many */ ",
        "WHERE merchant_id = $1 AND livemode = $2 AND record = ANY($3)",
        tenant.id(),
        tenant.livemode,
        &records,
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter().map(Card::try_from).collect()
}

/// A customer's saved cards.
pub(crate) async fn list(
    conn: Conn<'_>,
    tenant: Tenant,
    customer: CustomerId,
    page: &Page,
) -> sqlx::Result<Listed<Card>> {
    let customer = uuid(customer.as_bytes());
    let rows =
        page_of!(select, "/* gateway cards::list */ ", "record", "AND customer_id = $7", conn, tenant, page, customer,);
    Ok(page.close(rows.into_iter().map(Card::try_from).collect::<sqlx::Result<Vec<_>>>()?))
}

/// Its `tok_` was turned into a `pm_`.
pub(crate) async fn mark_saved(
    conn: Conn<'_>,
    tenant: Tenant,
    record: [u8; 16],
    at: OffsetDateTime,
) -> sqlx::Result<()> {
    sqlx::query!(
        "/* gateway cards::mark_saved */
         UPDATE cards SET saved_at = COALESCE(saved_at, $4), token_used_at = COALESCE(token_used_at, $4)
         WHERE merchant_id = $1 AND record = $2 AND livemode = $3",
        tenant.id(),
        uuid(&record),
        tenant.livemode,
        at,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// They were used for payments, which spends their `tok_`s; some of them were charged.
pub(crate) async fn mark_used(
    conn: Conn<'_>,
    tenant: Tenant,
    used: &BTreeMap<[u8; 16], bool>,
    at: OffsetDateTime,
) -> sqlx::Result<()> {
    let records: Vec<Uuid> = used.keys().map(uuid).collect();
    let charged: Vec<bool> = used.values().copied().collect();
    sqlx::query!(
        "/* gateway cards::mark_used */
         UPDATE cards SET token_used_at = COALESCE(token_used_at, $3),
             charged_at = CASE WHEN used.charged THEN COALESCE(charged_at, $3) ELSE charged_at END
         FROM UNNEST($4::uuid[], $5::boolean[]) AS used (record, charged)
         WHERE cards.merchant_id = $1 AND cards.record = used.record AND cards.livemode = $2
           AND (token_used_at IS NULL OR (used.charged AND charged_at IS NULL))",
        tenant.id(),
        tenant.livemode,
        at,
        &records,
        &charged,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// The payment method's own data, when it is made.
pub(crate) async fn describe(
    conn: Conn<'_>,
    tenant: Tenant,
    record: [u8; 16],
    metadata: &Map<String, Value>,
) -> sqlx::Result<()> {
    sqlx::query!(
        "/* gateway cards::describe */
         UPDATE cards SET metadata = $4 WHERE merchant_id = $1 AND record = $2 AND livemode = $3",
        tenant.id(),
        uuid(&record),
        tenant.livemode,
        Value::Object(metadata.clone()),
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// What an update of the payment method changes.
pub(crate) async fn update(conn: Conn<'_>, tenant: Tenant, card: &Card) -> sqlx::Result<()> {
    sqlx::query!(
        "/* gateway cards::update */
         UPDATE cards SET metadata = $4, exp_month = $5, exp_year = $6
         WHERE merchant_id = $1 AND record = $2 AND livemode = $3",
        tenant.id(),
        uuid(&card.record),
        tenant.livemode,
        Value::Object(card.metadata.clone()),
        card.exp_month,
        card.exp_year,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Attaches a saved card that is nobody's; false when it is somebody's already.
pub(crate) async fn attach(
    conn: Conn<'_>,
    tenant: Tenant,
    record: [u8; 16],
    customer: CustomerId,
) -> sqlx::Result<bool> {
    let done = sqlx::query!(
        "/* gateway cards::attach */
         UPDATE cards SET customer_id = $4
         WHERE merchant_id = $1 AND record = $2 AND livemode = $3 AND saved_at IS NOT NULL
           AND customer_id IS NULL",
        tenant.id(),
        uuid(&record),
        tenant.livemode,
        uuid(customer.as_bytes()),
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Attaches it to nobody.
pub(crate) async fn detach(conn: Conn<'_>, tenant: Tenant, record: [u8; 16]) -> sqlx::Result<bool> {
    let done = sqlx::query!(
        "/* gateway cards::detach */
         UPDATE cards SET customer_id = NULL
         WHERE merchant_id = $1 AND record = $2 AND livemode = $3 AND customer_id IS NOT NULL",
        tenant.id(),
        uuid(&record),
        tenant.livemode,
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Attaches all of a customer's cards to nobody; gives them as they were.
pub(crate) async fn detach_all(conn: Conn<'_>, tenant: Tenant, customer: CustomerId) -> sqlx::Result<Vec<Card>> {
    let rows = sqlx::query_as!(
        Row,
        "/* gateway cards::detach_all */
         UPDATE cards SET customer_id = NULL FROM cards AS before
         WHERE cards.merchant_id = $1 AND cards.livemode = $2 AND cards.customer_id = $3
           AND before.merchant_id = cards.merchant_id AND before.record = cards.record
         RETURNING before.record, before.node, before.brand, before.bin, before.last_four, before.exp_month, before.exp_year,
             before.fingerprint, before.token_used_at, before.saved_at, before.customer_id, before.metadata, before.created_at,
             before.charged_at",
        tenant.id(),
        tenant.livemode,
        uuid(customer.as_bytes()),
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter().map(Card::try_from).collect()
}

/// Where this one stands in lists.
pub fn cursor(card: &Card) -> super::Cursor {
    (card.created_at, uuid(&card.record))
}
