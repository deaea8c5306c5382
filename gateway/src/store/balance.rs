//! Table `transfers`, read as what moved a merchant's balance.

use kura_wire::ids::BalanceTransactionId;
use time::OffsetDateTime;
use uuid::Uuid;

use super::{Conn, Cursor, Listed, Page, Tenant, page_of, uuid};

/// A movement of a merchant's balance.
#[derive(Debug, Clone)]
pub struct BalanceTransaction {
    /// Its id.
    pub id: BalanceTransactionId,
    /// What moved it: the bytes of a charge's, a refund's or a dispute's id, by the kind.
    pub source: [u8; 16],
    /// The books' word.
    pub kind: String,
    /// Over the cards' network.
    pub by_card: bool,
    /// To the merchant; from it where negative.
    pub amount_minor: i64,
    /// Three lower-case letters.
    pub currency: String,
    /// When.
    pub created_at: OffsetDateTime,
    /// From when on it is at the merchant's disposal.
    pub available_at: OffsetDateTime,
}

struct Row {
    id: Uuid,
    source_id: Uuid,
    kind: String,
    debit_account: String,
    credit_account: String,
    amount_minor: i64,
    currency: String,
    created_at: OffsetDateTime,
    available_at: OffsetDateTime,
}

impl From<Row> for BalanceTransaction {
    fn from(row: Row) -> Self {
        let from = row.debit_account == "merchant_payable";
        let network = if from { &row.credit_account } else { &row.debit_account };
        Self {
            id: BalanceTransactionId::from_bytes(row.id.into_bytes()),
            source: row.source_id.into_bytes(),
            kind: row.kind,
            by_card: network == "acquirer_receivable",
            amount_minor: if from { -row.amount_minor } else { row.amount_minor },
            currency: row.currency,
            created_at: row.created_at,
            available_at: row.available_at,
        }
    }
}

macro_rules! select {
    ($head:literal, $($tail:literal)+, $($argument:expr),* $(,)?) => {
        sqlx::query_as!(
            Row,
            $head + "SELECT id, source_id, kind, debit_account, credit_account, amount_minor, currency, created_at, available_at
                FROM transfers " $(+ $tail)+,
            $($argument),*
        )
    };
}

/// The merchant's balance transaction of this id.
pub(crate) async fn find(
    conn: Conn<'_>,
    tenant: Tenant,
    id: BalanceTransactionId,
) -> sqlx::Result<Option<BalanceTransaction>> {
    let row = select!(
        "/* gateway balance::find */ ",
        "WHERE merchant_id = $1 AND id = $2 AND livemode = $3 AND 'merchant_payable' IN (debit_account, credit_account)",
        tenant.id(),
        uuid(id.as_bytes()),
        tenant.livemode,
    )
    .fetch_optional(conn)
    .await?;
    Ok(row.map(BalanceTransaction::from))
}

/// The merchant's balance transactions of these ids.
pub(crate) async fn find_many(
    conn: Conn<'_>,
    tenant: Tenant,
    ids: &[BalanceTransactionId],
) -> sqlx::Result<Vec<BalanceTransaction>> {
    let ids: Vec<Uuid> = ids.iter().map(|id| uuid(id.as_bytes())).collect();
    let rows = select!(
        "/* gateway balance::find_many */ ",
        "WHERE merchant_id = $1 AND id = ANY($2) AND livemode = $3 AND 'merchant_payable' IN (debit_account, credit_account)",
        tenant.id(),
        &ids,
        tenant.livemode,
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(BalanceTransaction::from).collect())
}

/// The merchant's balance transactions, perhaps of one charge, refund or dispute.
pub(crate) async fn list(
    conn: Conn<'_>,
    tenant: Tenant,
    source: Option<[u8; 16]>,
    page: &Page,
) -> sqlx::Result<Listed<BalanceTransaction>> {
    let rows = match source.map(Uuid::from_bytes) {
        None => page_of!(
            select,
            "/* gateway balance::list */ ",
            "id",
            "AND 'merchant_payable' IN (debit_account, credit_account)",
            conn,
            tenant,
            page,
        ),
        Some(source) => page_of!(
            select,
            "/* gateway balance::list of source */ ",
            "id",
            "AND source_id = $7 AND 'merchant_payable' IN (debit_account, credit_account)",
            conn,
            tenant,
            page,
            source,
        ),
    };
    Ok(page.close(rows.into_iter().map(BalanceTransaction::from).collect()))
}

/// What a dispute did to the balance, oldest first: two movements at the most.
pub(crate) async fn of_source(
    conn: Conn<'_>,
    tenant: Tenant,
    source: [u8; 16],
) -> sqlx::Result<Vec<BalanceTransaction>> {
    let rows = select!(
        "/* gateway balance::of_source */ ",
        "WHERE merchant_id = $1 AND source_id = $2 AND livemode = $3 AND 'merchant_payable' IN (debit_account, credit_account)
         ORDER BY created_at, kind LIMIT 10",
        tenant.id(),
        uuid(&source),
        tenant.livemode,
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(BalanceTransaction::from).collect())
}

/// Where this one stands in lists.
pub fn cursor(transaction: &BalanceTransaction) -> Cursor {
    (transaction.created_at, uuid(transaction.id.as_bytes()))
}

/// What a merchant has in one currency.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sum {
    /// Three lower-case letters.
    pub currency: String,
    /// Over the cards' network.
    pub by_card: bool,
    /// At its disposal.
    pub available_minor: i64,
    /// Not yet.
    pub pending_minor: i64,
}

/// What the merchant has at this moment.
pub(crate) async fn sums(conn: Conn<'_>, tenant: Tenant, at: OffsetDateTime) -> sqlx::Result<Vec<Sum>> {
    let rows = sqlx::query!(
        r#"/* gateway balance::sums */
         SELECT currency, 'acquirer_receivable' IN (debit_account, credit_account) AS "by_card!",
                COALESCE(sum(CASE WHEN credit_account = 'merchant_payable' THEN amount_minor ELSE -amount_minor END)
                    FILTER (WHERE available_at <= $3), 0)::bigint AS "available!",
                COALESCE(sum(CASE WHEN credit_account = 'merchant_payable' THEN amount_minor ELSE -amount_minor END)
                    FILTER (WHERE available_at > $3), 0)::bigint AS "pending!"
         FROM transfers
         WHERE merchant_id = $1 AND livemode = $2 AND 'merchant_payable' IN (debit_account, credit_account)
         GROUP BY 1, 2 ORDER BY 1, 2"#,
        tenant.id(),
        tenant.livemode,
        at,
    )
    .fetch_all(conn)
    .await?;
    let sums = rows.into_iter().map(|row| Sum {
        currency: row.currency,
        by_card: row.by_card,
        available_minor: row.available,
        pending_minor: row.pending,
    });
    Ok(sums.collect())
}
