//! Rows with what belongs to them, as the API shows them.

use kura_platform::database::PgConnection;
use kura_wire::ids::{InvoiceId, SubscriptionId};

use crate::error::ApiResult;
use crate::render;
use crate::store::invoices::Invoice;
use crate::store::subscriptions::Subscription;
use crate::store::{Tenant, cards, invoice_lines, subscription_items};

/// An invoice with its lines.
///
/// # Errors
/// The database's.
pub async fn invoice(conn: &mut PgConnection, tenant: Tenant, row: &Invoice) -> ApiResult<render::invoice::Invoice> {
    let lines = invoice_lines::of(conn, tenant, &[row.id]).await?;
    Ok(render::invoice::invoice(tenant, row, &lines))
}

/// Invoices, with one look-up for all lines.
///
/// # Errors
/// The database's.
pub async fn invoices(
    conn: &mut PgConnection,
    tenant: Tenant,
    rows: &[Invoice],
) -> ApiResult<Vec<render::invoice::Invoice>> {
    let ids: Vec<InvoiceId> = rows.iter().map(|row| row.id).collect();
    let lines = invoice_lines::of(conn, tenant, &ids).await?;
    Ok(rows.iter().map(|row| render::invoice::invoice(tenant, row, &lines)).collect())
}

/// A subscription with its items and its card.
///
/// # Errors
/// The database's.
pub async fn subscription(
    conn: &mut PgConnection,
    tenant: Tenant,
    row: &Subscription,
) -> ApiResult<render::subscription::Subscription> {
    let items = subscription_items::of(conn, tenant, &[row.id]).await?;
    let card = match row.default_card {
        Some(record) => cards::find(conn, tenant, record).await?,
        None => None,
    };
    Ok(render::subscription::subscription(tenant, row, &items, card.as_ref()))
}

/// Subscriptions, with one look-up for all items and one for all cards.
///
/// # Errors
/// The database's.
pub async fn subscriptions(
    conn: &mut PgConnection,
    tenant: Tenant,
    rows: &[Subscription],
) -> ApiResult<Vec<render::subscription::Subscription>> {
    let ids: Vec<SubscriptionId> = rows.iter().map(|row| row.id).collect();
    let items = subscription_items::of(conn, tenant, &ids).await?;
    let records: Vec<[u8; 16]> = rows.iter().filter_map(|row| row.default_card).collect();
    let cards = cards::find_many(conn, tenant, &records).await?;
    let card = |row: &Subscription| cards.iter().find(|card| Some(card.record) == row.default_card);
    Ok(rows.iter().map(|row| render::subscription::subscription(tenant, row, &items, card(row))).collect())
}
