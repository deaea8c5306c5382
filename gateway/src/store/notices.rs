//! Table `notices`: what networks told, each once.

use kura_wire::ids::AttemptId;
use kura_wire::notice::{Notice, NoticeKind};
use time::OffsetDateTime;

use super::payers::word;
use super::{Conn, Tenant, uuid};

const fn kind(kind: NoticeKind) -> &'static str {
    match kind {
        NoticeKind::Paid => "paid",
        NoticeKind::Refused => "refused",
        NoticeKind::Expired => "expired",
    }
}

/// Keeps a notice; false when it was here before.
pub(crate) async fn insert(
    conn: Conn<'_>,
    tenant: Tenant,
    attempt: AttemptId,
    notice: &Notice,
    received_at: OffsetDateTime,
) -> sqlx::Result<bool> {
    let done = sqlx::query!(
        "/* gateway notices::insert */
         INSERT INTO notices (merchant_id, method, id, livemode, attempt_id, kind, amount_minor, currency, at, received_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) ON CONFLICT DO NOTHING",
        tenant.id(),
        word(notice.method),
        notice.id,
        tenant.livemode,
        uuid(attempt.as_bytes()),
        kind(notice.kind),
        notice.money.amount_minor,
        notice.money.currency_code(),
        notice.at,
        received_at,
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}
