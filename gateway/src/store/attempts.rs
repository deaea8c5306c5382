//! Table `attempts`: each attempt at moving money, written before the vault is asked, settled once.

use kura_platform::database::PgPool;
use kura_wire::ids::{AttemptId, AuthenticationId, ChargeId, PaymentIntentId, RefundId, RequestId};
use time::OffsetDateTime;
use uuid::Uuid;

use super::methods::MethodRef;
use super::{Claimed, Conn, Look, Tenant, claim_due, column, uuid};

/// What an attempt is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Ask for money.
    Authorize,
    /// Take what was authorized.
    Capture,
    /// Give an authorization up.
    Void,
    /// Give money back.
    Refund,
    /// Have a network wait for a payment without a card.
    Deposit,
}

impl Kind {
    /// The word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Authorize => "authorize",
            Self::Capture => "capture",
            Self::Void => "void",
            Self::Refund => "refund",
            Self::Deposit => "deposit",
        }
    }

    fn parse(word: &str) -> Option<Self> {
        [Self::Authorize, Self::Capture, Self::Void, Self::Refund, Self::Deposit]
            .into_iter()
            .find(|kind| kind.as_str() == word)
    }
}

/// Where an attempt stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Asked, or about to be; the end is not known.
    Unresolved,
    /// The network said yes.
    Approved,
    /// The network said no.
    Declined,
    /// It did not happen.
    Reversed,
    /// The vault refused before anything was sent.
    Unsent,
}

impl State {
    /// The word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unresolved => "unresolved",
            Self::Approved => "approved",
            Self::Declined => "declined",
            Self::Reversed => "reversed",
            Self::Unsent => "unsent",
        }
    }

    fn parse(word: &str) -> Option<Self> {
        [Self::Unresolved, Self::Approved, Self::Declined, Self::Reversed, Self::Unsent]
            .into_iter()
            .find(|state| state.as_str() == word)
    }
}

/// An attempt.
#[derive(Debug, Clone)]
pub struct Attempt {
    /// Its id: the vault's key against doing it twice.
    pub id: AttemptId,
    /// The payment.
    pub intent: PaymentIntentId,
    /// What for.
    pub kind: Kind,
    /// The authorization that it is about.
    pub original: Option<AttemptId>,
    /// The charge that it makes or is about.
    pub charge: ChargeId,
    /// The refund that it makes.
    pub refund: Option<RefundId>,
    /// ISO 8583 field 37.
    pub network_reference: String,
    /// How much.
    pub amount_minor: i64,
    /// Three lower-case letters.
    pub currency: String,
    /// The card, or who pays without one.
    pub method: MethodRef,
    /// Authorize and capture in one.
    pub capture: bool,
    /// The proof of who the cardholder is that went along.
    pub authentication: Option<AuthenticationId>,
    /// Set going by the merchant, by an agreement with the cardholder.
    pub off_session: bool,
    /// Declined for want of a proof, which was then asked for.
    pub stepped_up: bool,
    /// Where it stands.
    pub state: State,
    /// The request that made it.
    pub request: RequestId,
    /// When.
    pub created_at: OffsetDateTime,
}

struct Row {
    id: Uuid,
    payment_intent_id: Uuid,
    kind: String,
    original_id: Option<Uuid>,
    charge_id: Uuid,
    refund_id: Option<Uuid>,
    network_reference: String,
    amount_minor: i64,
    currency: String,
    card_record: Option<Uuid>,
    payer_id: Option<Uuid>,
    capture: bool,
    authentication_id: Option<Uuid>,
    off_session: bool,
    stepped_up: bool,
    state: String,
    request_id: Uuid,
    created_at: OffsetDateTime,
}

impl TryFrom<Row> for Attempt {
    type Error = sqlx::Error;

    fn try_from(row: Row) -> sqlx::Result<Self> {
        let bad = |what: &'static str| sqlx::Error::Decode(what.into());
        Ok(Self {
            id: AttemptId::from_bytes(row.id.into_bytes()),
            intent: PaymentIntentId::from_bytes(row.payment_intent_id.into_bytes()),
            kind: Kind::parse(&row.kind).ok_or_else(|| bad("kind"))?,
            original: row.original_id.map(|id| AttemptId::from_bytes(id.into_bytes())),
            charge: ChargeId::from_bytes(row.charge_id.into_bytes()),
            refund: row.refund_id.map(|id| RefundId::from_bytes(id.into_bytes())),
            network_reference: row.network_reference,
            amount_minor: row.amount_minor,
            currency: row.currency,
            method: MethodRef::of_columns(row.card_record, row.payer_id).ok_or_else(|| bad("method"))?,
            capture: row.capture,
            authentication: row.authentication_id.map(|id| AuthenticationId::from_bytes(id.into_bytes())),
            off_session: row.off_session,
            stepped_up: row.stepped_up,
            state: State::parse(&row.state).ok_or_else(|| bad("state"))?,
            request: RequestId::from_bytes(row.request_id.into_bytes()),
            created_at: row.created_at,
        })
    }
}

macro_rules! select {
    ($head:literal, $tail:literal, $($argument:expr),* $(,)?) => {
        sqlx::query_as!(
            Row,
            $head + "SELECT id, payment_intent_id, kind, original_id, charge_id, refund_id, network_reference,
                amount_minor, currency, card_record, payer_id, capture, authentication_id, off_session, stepped_up, state,
                request_id, created_at FROM attempts " + $tail,
            $($argument),*
        )
    };
}

/// Writes it down, before anybody is asked. The recovery worker leaves it alone until `resolve_at`.
pub(crate) async fn insert(
    conn: Conn<'_>,
    tenant: Tenant,
    attempt: &Attempt,
    resolve_at: OffsetDateTime,
) -> sqlx::Result<()> {
    insert_all(conn, tenant, &[(attempt, resolve_at)]).await
}

/// The same of many.
pub(crate) async fn insert_all(
    conn: Conn<'_>,
    tenant: Tenant,
    attempts: &[(&Attempt, OffsetDateTime)],
) -> sqlx::Result<()> {
    sqlx::query!(
        "/* gateway attempts::insert_all */
         INSERT INTO attempts (merchant_id, livemode, state, id, payment_intent_id, kind, original_id, charge_id, refund_id,
             network_reference, amount_minor, currency, card_record, capture, request_id, created_at, resolve_at,
             authentication_id, off_session, payer_id)
         SELECT $1, $2, 'unresolved', made.*
         FROM UNNEST($3::uuid[], $4::uuid[], $5::text[], $6::uuid[], $7::uuid[], $8::uuid[], $9::text[], $10::bigint[],
             $11::text[], $12::uuid[], $13::boolean[], $14::uuid[], $15::timestamptz[], $16::timestamptz[], $17::uuid[],
             $18::boolean[], $19::uuid[]) AS made",
        tenant.id(),
        tenant.livemode,
        &column(attempts, |(attempt, _)| uuid(attempt.id.as_bytes())),
        &column(attempts, |(attempt, _)| uuid(attempt.intent.as_bytes())),
        &column(attempts, |(attempt, _)| attempt.kind.as_str().to_owned()),
        &column(attempts, |(attempt, _)| attempt.original.map(|id| uuid(id.as_bytes()))) as &[Option<Uuid>],
        &column(attempts, |(attempt, _)| uuid(attempt.charge.as_bytes())),
        &column(attempts, |(attempt, _)| attempt.refund.map(|id| uuid(id.as_bytes()))) as &[Option<Uuid>],
        &column(attempts, |(attempt, _)| attempt.network_reference.clone()),
        &column(attempts, |(attempt, _)| attempt.amount_minor),
        &column(attempts, |(attempt, _)| attempt.currency.clone()),
        &column(attempts, |(attempt, _)| attempt.method.card().map(|record| uuid(&record))) as &[Option<Uuid>],
        &column(attempts, |(attempt, _)| attempt.capture),
        &column(attempts, |(attempt, _)| uuid(attempt.request.as_bytes())),
        &column(attempts, |(attempt, _)| attempt.created_at),
        &column(attempts, |(_, resolve_at)| *resolve_at),
        &column(attempts, |(attempt, _)| attempt.authentication.map(|id| uuid(id.as_bytes()))) as &[Option<Uuid>],
        &column(attempts, |(attempt, _)| attempt.off_session),
        &column(attempts, |(attempt, _)| attempt.method.payer().map(|id| uuid(id.as_bytes()))) as &[Option<Uuid>],
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// The attempt of this id.
pub(crate) async fn find(conn: Conn<'_>, tenant: Tenant, id: AttemptId) -> sqlx::Result<Option<Attempt>> {
    let row = select!(
        "/* gateway attempts::find */ ",
        "WHERE merchant_id = $1 AND id = $2 AND livemode = $3",
        tenant.id(),
        uuid(id.as_bytes()),
        tenant.livemode,
    )
    .fetch_optional(conn)
    .await?;
    row.map(Attempt::try_from).transpose()
}

/// Settles an attempt that is unresolved; `None` when it is settled already: one of many comes first, the others change nothing.
/// Says whether the merchant was told that its end was not known.
pub(crate) async fn mark_settled(
    conn: Conn<'_>,
    tenant: Tenant,
    id: AttemptId,
    state: State,
    code: Option<&str>,
    at: OffsetDateTime,
) -> sqlx::Result<Option<bool>> {
    Ok(mark_all_settled(conn, tenant, &[(id, state, code)], at).await?.pop().map(|(_, told)| told))
}

/// The same of many; gives those that were unresolved.
pub(crate) async fn mark_all_settled(
    conn: Conn<'_>,
    tenant: Tenant,
    ends: &[(AttemptId, State, Option<&str>)],
    at: OffsetDateTime,
) -> sqlx::Result<Vec<(AttemptId, bool)>> {
    let rows = sqlx::query!(
        "/* gateway attempts::mark_all_settled */
         UPDATE attempts SET state = ended.state, code = ended.code, resolved_at = $2
         FROM UNNEST($3::uuid[], $4::text[], $5::text[]) AS ended (id, state, code)
         WHERE attempts.merchant_id = $1 AND attempts.id = ended.id AND attempts.state = 'unresolved'
         RETURNING attempts.id, attempts.told_processing",
        tenant.id(),
        at,
        &column(ends, |(id, _, _)| uuid(id.as_bytes())),
        &column(ends, |(_, state, _)| state.as_str().to_owned()),
        &column(ends, |(_, _, code)| code.map(str::to_owned)) as &[Option<String>],
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(|row| (AttemptId::from_bytes(row.id.into_bytes()), row.told_processing)).collect())
}

/// Leaves it alone until then: the shopper has time.
pub(crate) async fn postpone(conn: Conn<'_>, tenant: Tenant, id: AttemptId, until: OffsetDateTime) -> sqlx::Result<()> {
    sqlx::query!(
        "/* gateway attempts::postpone */
         UPDATE attempts SET resolve_at = $3, resolve_count = 0 WHERE merchant_id = $1 AND id = $2 AND state = 'unresolved'",
        tenant.id(),
        uuid(id.as_bytes()),
        until,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// The money of a deposit came after all, when nobody expected it any more.
pub(crate) async fn mark_late(conn: Conn<'_>, tenant: Tenant, id: AttemptId, at: OffsetDateTime) -> sqlx::Result<()> {
    sqlx::query!(
        "/* gateway attempts::mark_late */
         UPDATE attempts SET state = 'approved', code = NULL, resolved_at = $3
         WHERE merchant_id = $1 AND id = $2 AND kind = 'deposit' AND state <> 'unresolved'",
        tenant.id(),
        uuid(id.as_bytes()),
        at,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Whose attempt a network means that knows it by this reference, and which.
pub(crate) async fn find_by_reference(
    pool: &PgPool,
    network_reference: &str,
) -> sqlx::Result<Option<(Tenant, AttemptId)>> {
    let row = sqlx::query!(
        "/* gateway attempts::find_by_reference */
         SELECT merchant_id, id, livemode FROM attempts WHERE network_reference = $1",
        network_reference,
    )
    .fetch_optional(pool)
    .await?;
    Ok(row.map(|row| {
        let tenant = Tenant::of(row.merchant_id, row.livemode);
        (tenant, AttemptId::from_bytes(row.id.into_bytes()))
    }))
}

/// Whether a payment's card was tried, with its security code, before its proof was asked for.
pub(crate) async fn is_stepped_up(
    conn: Conn<'_>,
    tenant: Tenant,
    intent: PaymentIntentId,
    record: &[u8; 16],
) -> sqlx::Result<bool> {
    sqlx::query_scalar!(
        "/* gateway attempts::is_stepped_up */
         SELECT EXISTS (SELECT FROM attempts
             WHERE merchant_id = $1 AND payment_intent_id = $2 AND card_record = $3 AND stepped_up) AS \"stepped_up!\"",
        tenant.id(),
        uuid(intent.as_bytes()),
        uuid(record),
    )
    .fetch_one(conn)
    .await
}

/// Notes that a proof of who the cardholder is was asked for after this attempt's decline.
pub(crate) async fn mark_stepped_up(conn: Conn<'_>, tenant: Tenant, id: AttemptId) -> sqlx::Result<()> {
    sqlx::query!(
        "/* gateway attempts::mark_stepped_up */
         UPDATE attempts SET stepped_up = true WHERE merchant_id = $1 AND id = $2",
        tenant.id(),
        uuid(id.as_bytes()),
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Notes that the merchant was told that this attempt's end is not known; false when it was before, or when the end is known.
pub(crate) async fn mark_told(conn: Conn<'_>, tenant: Tenant, id: AttemptId) -> sqlx::Result<bool> {
    let done = sqlx::query!(
        "/* gateway attempts::mark_told */
         UPDATE attempts SET told_processing = true
         WHERE merchant_id = $1 AND id = $2 AND state = 'unresolved' AND NOT told_processing",
        tenant.id(),
        uuid(id.as_bytes()),
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Claims unresolved attempts that are due, each for one worker at a time: a claim lasts until its next date, which doubles
/// from `pause` up to `longest`.
pub async fn claim_due(pool: &PgPool, look: Look) -> sqlx::Result<Vec<Claimed<AttemptId>>> {
    claim_due!(
        "/* gateway attempts::claim_due */ ",
        "attempts",
        "resolve_at",
        "resolve_count",
        "state = 'unresolved' AND ",
        AttemptId,
        pool,
        look
    )
}
