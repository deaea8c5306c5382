//! Tables `settlement_rows`, `reconciliations` and `reconciliation_differences`: the networks' days and what differs.

use std::time::Duration;

use kura_platform::database::PgPool;
use kura_wire::control::reconciliation::{DayCompared, Difference, Explanation, ReconcileDay};
use kura_wire::ids::{DifferenceId, MerchantId};
use kura_wire::notice::Network;
use time::{Date, OffsetDateTime};

use super::{Conn, uuid};
use crate::domain::reconciliation::Counted;

/// Rows of a network's, each once. Gives how many were new.
pub(crate) async fn insert_rows(pool: &PgPool, of: ReconcileDay, rows: &[Counted]) -> sqlx::Result<u64> {
    let column = |name: fn(&Counted) -> &str| rows.iter().map(|row| name(row).to_owned()).collect::<Vec<String>>();
    let done = sqlx::query!(
        "/* gateway reconciliation::insert_rows */
         INSERT INTO settlement_rows (livemode, network, day, sequence, kind, network_reference, class, subject, amount_minor,
             currency, at)
         SELECT $1, $2, $3, row.* FROM unnest($4::bigint[], $5::text[], $6::text[], $7::text[], $8::text[], $9::bigint[],
             $10::text[], $11::timestamptz[]) AS row
         ON CONFLICT DO NOTHING",
        of.livemode,
        of.network.as_str(),
        of.day,
        &rows.iter().map(|row| row.sequence).collect::<Vec<i64>>(),
        &column(|row| row.kind),
        &column(|row| &row.reference),
        &column(|row| row.class),
        &column(|row| &row.subject),
        &rows.iter().map(|row| row.amount_minor).collect::<Vec<i64>>(),
        &column(|row| &row.currency),
        &rows.iter().map(|row| row.at).collect::<Vec<OffsetDateTime>>(),
    )
    .execute(pool)
    .await?;
    Ok(done.rows_affected())
}

/// Holds what both sides say against each other: of everything that either of them moved on this day, and of everything that
/// was open. What differs is listed; what differed and no longer does is resolved by itself; what was explained and now differs in
/// another way is open again.
pub(crate) async fn compare(conn: Conn<'_>, of: ReconcileDay, at: OffsetDateTime) -> sqlx::Result<u64> {
    let account = match of.network {
        Network::Card => "acquirer_receivable",
        Network::Konbini => "konbini_receivable",
        Network::Payeasy => "payeasy_receivable",
        Network::Emoney => "emoney_receivable",
    };
    let from = of.day.midnight().assume_utc();
    let until = from + time::Duration::days(1);
    let done = sqlx::query!(
        "/* gateway reconciliation::compare */
         WITH touched AS (
             SELECT DISTINCT subject FROM settlement_rows WHERE livemode = $1 AND network = $2 AND day = $3
             UNION SELECT a.network_reference FROM transfers t JOIN attempts a ON a.merchant_id = t.merchant_id AND a.id = t.attempt_id
                 WHERE t.livemode = $1 AND $4 IN (t.debit_account, t.credit_account) AND t.created_at >= $5 AND t.created_at < $6
             UNION SELECT subject FROM reconciliation_differences WHERE livemode = $1 AND network = $2 AND resolved_at IS NULL
         ), theirs AS (
             SELECT subject, class, currency, sum(s.amount_minor) AS amount FROM settlement_rows s JOIN touched USING (subject)
             WHERE s.livemode = $1 AND s.network = $2 GROUP BY 1, 2, 3
         ), ours AS (
             SELECT a.network_reference AS subject,
                    CASE WHEN t.kind = 'refund' THEN 'refund' WHEN t.kind LIKE 'dispute%' THEN 'dispute' ELSE 'payment' END AS class,
                    t.currency, sum(CASE t.kind WHEN 'dispute_reversal' THEN -t.amount_minor ELSE t.amount_minor END) AS amount,
                    min(t.merchant_id::text)::uuid AS owner
             FROM touched JOIN attempts a ON a.network_reference = touched.subject
                 JOIN transfers t ON t.merchant_id = a.merchant_id AND t.attempt_id = a.id
             WHERE t.livemode = $1 AND $4 IN (t.debit_account, t.credit_account) GROUP BY 1, 2, 3
         ), both_sides AS (
             SELECT subject, class, currency, COALESCE(theirs.amount, 0)::bigint AS theirs, COALESCE(ours.amount, 0)::bigint AS ours,
                    COALESCE(ours.owner, (SELECT merchant_id FROM attempts a WHERE a.network_reference = subject)) AS owner
             FROM theirs FULL JOIN ours USING (subject, class, currency)
             UNION SELECT d.subject, d.class, d.currency, 0, 0, d.owner_id FROM reconciliation_differences d
                 WHERE d.livemode = $1 AND d.network = $2 AND d.resolved_at IS NULL
                   AND NOT EXISTS (SELECT FROM theirs WHERE (theirs.subject, theirs.class, theirs.currency) = (d.subject, d.class, d.currency))
                   AND NOT EXISTS (SELECT FROM ours WHERE (ours.subject, ours.class, ours.currency) = (d.subject, d.class, d.currency))
         ), known AS (
             UPDATE reconciliation_differences d SET theirs_minor = b.theirs, ours_minor = b.ours,
                 resolved_at = CASE WHEN b.theirs = b.ours THEN $7::timestamptz END,
                 resolution = CASE WHEN b.theirs = b.ours THEN 'matched' END,
                 resolved_by = NULL, note = NULL
             FROM both_sides b
             WHERE d.livemode = $1 AND d.network = $2 AND d.subject = b.subject AND d.class = b.class AND d.currency = b.currency
               AND (d.theirs_minor, d.ours_minor) <> (b.theirs, b.ours)
         )
         INSERT INTO reconciliation_differences (id, livemode, network, class, subject, currency, theirs_minor, ours_minor, owner_id,
             day, found_at)
         SELECT gen_random_uuid(), $1, $2, class, subject, currency, theirs, ours, owner, $3, $7::timestamptz FROM both_sides
         WHERE theirs <> ours
         ON CONFLICT DO NOTHING",
        of.livemode,
        of.network.as_str(),
        of.day,
        account,
        from,
        until,
        at,
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected())
}

/// A little longer than the database's own limit.
const COMPARED_WITHIN: Duration = Duration::from_secs(305);

/// Nobody else compares this network at the same time. A day of a million rows may take its time.
pub(crate) async fn lock(conn: Conn<'_>, livemode: bool, network: Network) -> sqlx::Result<()> {
    let name = format!("reconciliation {} {livemode}", network.as_str());
    conn.be_patient(COMPARED_WITHIN);
    sqlx::query!(
        "/* gateway reconciliation::lock */
         SELECT set_config('statement_timeout', '300s', true), pg_advisory_xact_lock(hashtextextended($1, 0))",
        name,
    )
    .fetch_one(conn)
    .await?;
    Ok(())
}

/// The day was compared.
pub(crate) async fn mark_compared(
    conn: Conn<'_>,
    of: ReconcileDay,
    complete: bool,
    at: OffsetDateTime,
) -> sqlx::Result<DayCompared> {
    let row = sqlx::query!(
        "/* gateway reconciliation::mark_compared */
         INSERT INTO reconciliations (livemode, network, day, complete, rows, compared_at)
         SELECT $1, $2, $3, $4, (SELECT count(*) FROM settlement_rows WHERE livemode = $1 AND network = $2 AND day = $3), $5
         ON CONFLICT (livemode, network, day) DO UPDATE SET complete = reconciliations.complete OR excluded.complete,
             rows = excluded.rows, compared_at = excluded.compared_at
         RETURNING complete, rows",
        of.livemode,
        of.network.as_str(),
        of.day,
        complete,
        at,
    )
    .fetch_one(conn)
    .await?;
    let ReconcileDay { livemode, network, day } = of;
    Ok(DayCompared { livemode, network, day, complete: row.complete, rows: row.rows, compared_at: at })
}

/// The last sequence that was read of a day.
pub(crate) async fn last_sequence(pool: &PgPool, of: ReconcileDay) -> sqlx::Result<i64> {
    sqlx::query_scalar!(
        r#"/* gateway reconciliation::last_sequence */
         SELECT COALESCE(max(sequence), 0) AS "last!" FROM settlement_rows WHERE livemode = $1 AND network = $2 AND day = $3"#,
        of.livemode,
        of.network.as_str(),
        of.day,
    )
    .fetch_one(pool)
    .await
}

/// The newest day that is done, of one network.
pub(crate) async fn last_complete(pool: &PgPool, livemode: bool, network: Network) -> sqlx::Result<Option<Date>> {
    sqlx::query_scalar!(
        "/* gateway reconciliation::last_complete */
         SELECT max(day) FROM reconciliations WHERE livemode = $1 AND network = $2 AND complete",
        livemode,
        network.as_str(),
    )
    .fetch_one(pool)
    .await
}

/// The last days that were compared.
pub(crate) async fn list_days(pool: &PgPool) -> sqlx::Result<Vec<DayCompared>> {
    let rows = sqlx::query!(
        "/* gateway reconciliation::list_days */
         SELECT livemode, network, day, complete, rows, compared_at FROM reconciliations ORDER BY day DESC, network, livemode LIMIT 240",
    )
    .fetch_all(pool)
    .await?;
    let days = rows.into_iter().filter_map(|row| {
        Some(DayCompared {
            livemode: row.livemode,
            network: network_of(&row.network)?,
            day: row.day,
            complete: row.complete,
            rows: row.rows,
            compared_at: row.compared_at,
        })
    });
    Ok(days.collect())
}

/// Differences that nobody has explained, and how many there are.
pub(crate) async fn list_open(pool: &PgPool) -> sqlx::Result<(Vec<Difference>, i64)> {
    let rows = sqlx::query!(
        "/* gateway reconciliation::list_open */
         SELECT id, livemode, network, class, subject, currency, theirs_minor, ours_minor, owner_id, day, found_at
         FROM reconciliation_differences WHERE resolved_at IS NULL ORDER BY found_at DESC, id DESC LIMIT 1000",
    )
    .fetch_all(pool)
    .await?;
    let count = sqlx::query_scalar!(
        r#"/* gateway reconciliation::list_open */
         SELECT count(*) AS "count!" FROM reconciliation_differences WHERE resolved_at IS NULL"#,
    )
    .fetch_one(pool)
    .await?;
    let differences = rows.into_iter().filter_map(|row| {
        Some(Difference {
            id: DifferenceId::from_bytes(row.id.into_bytes()),
            livemode: row.livemode,
            network: network_of(&row.network)?,
            class: row.class,
            reference: row.subject,
            currency: row.currency,
            theirs_minor: row.theirs_minor,
            ours_minor: row.ours_minor,
            owner: row.owner_id.map(|id| MerchantId::from_bytes(id.into_bytes())),
            day: row.day,
            found_at: row.found_at,
        })
    });
    Ok((differences.collect(), count))
}

fn network_of(word: &str) -> Option<Network> {
    Network::ALL.into_iter().find(|network| network.as_str() == word)
}

/// Somebody explained it. False where it is not open.
pub(crate) async fn explain(
    pool: &PgPool,
    id: DifferenceId,
    explanation: &Explanation,
    at: OffsetDateTime,
) -> sqlx::Result<bool> {
    let done = sqlx::query!(
        "/* gateway reconciliation::explain */
         UPDATE reconciliation_differences SET resolved_at = $2, resolution = 'by_hand', resolved_by = $3, note = $4
         WHERE id = $1 AND resolved_at IS NULL",
        uuid(id.as_bytes()),
        at,
        explanation.by,
        explanation.note,
    )
    .execute(pool)
    .await?;
    Ok(done.rows_affected() == 1)
}
