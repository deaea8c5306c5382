//! Table `payers`: who pays without a card, as far as it may be known outside the vault.

use kura_wire::ids::PayerId;
use kura_wire::payer::{PayerMethod, PersonFields};
use serde_json::{Map, Value};
use time::OffsetDateTime;
use uuid::Uuid;

use super::{Conn, Tenant, object, uuid};

/// A payer.
#[derive(Debug, Clone)]
pub struct Payer {
    /// The vault's record.
    pub id: PayerId,
    /// How it pays.
    pub method: PayerMethod,
    /// Masked, as the vault made it.
    pub masked: PersonFields<String>,
    /// The merchant's data.
    pub metadata: Map<String, Value>,
    /// When it was made.
    pub created_at: OffsetDateTime,
}

const METHOD_PREFIX: &str = "pm_";

impl Payer {
    /// `pm_…`.
    pub fn method_id(&self) -> String {
        method_id(self.id)
    }
}

/// A payer's id as the API has it: a payment method's.
pub fn method_id(id: PayerId) -> String {
    let text = id.to_string();
    let body = text.split_once('_').map_or("", |(_, body)| body);
    format!("{METHOD_PREFIX}{body}")
}

/// Reads `pm_…` of a payer. Cards' are longer.
pub fn parse_method_id(text: &str) -> Option<PayerId> {
    let (prefix, _) =
        PayerId::from_bytes([0; 16]).to_string().split_once('_').map(|(p, b)| (p.to_owned(), b.to_owned()))?;
    format!("{prefix}_{}", text.strip_prefix(METHOD_PREFIX)?).parse().ok()
}

/// The word for a method.
pub const fn word(method: PayerMethod) -> &'static str {
    match method {
        PayerMethod::Konbini => "konbini",
        PayerMethod::Payeasy => "payeasy",
        PayerMethod::Emoney => "emoney",
    }
}

/// The method of a word.
pub fn of_word(text: &str) -> Option<PayerMethod> {
    [PayerMethod::Konbini, PayerMethod::Payeasy, PayerMethod::Emoney].into_iter().find(|method| word(*method) == text)
}

struct Row {
    id: Uuid,
    method: String,
    name_masked: Option<String>,
    email_masked: Option<String>,
    phone_masked: Option<String>,
    postcode_masked: Option<String>,
    address_masked: Option<String>,
    metadata: Value,
    created_at: OffsetDateTime,
}

impl TryFrom<Row> for Payer {
    type Error = sqlx::Error;

    fn try_from(row: Row) -> sqlx::Result<Self> {
        Ok(Self {
            id: PayerId::from_bytes(row.id.into_bytes()),
            method: of_word(&row.method).ok_or_else(|| sqlx::Error::Decode("method".into()))?,
            masked: PersonFields {
                name: row.name_masked,
                email: row.email_masked,
                phone: row.phone_masked,
                postcode: row.postcode_masked,
                address: row.address_masked,
            },
            metadata: object(row.metadata),
            created_at: row.created_at,
        })
    }
}

/// Keeps what the vault told of a payer.
pub(crate) async fn insert(conn: Conn<'_>, tenant: Tenant, payer: &Payer) -> sqlx::Result<()> {
    let masked = &payer.masked;
    sqlx::query!(
        "/* gateway payers::insert */
         INSERT INTO payers (merchant_id, id, livemode, method, name_masked, email_masked, phone_masked, postcode_masked,
             address_masked, metadata, created_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) ON CONFLICT DO NOTHING",
        tenant.id(),
        uuid(payer.id.as_bytes()),
        tenant.livemode,
        word(payer.method),
        masked.name,
        masked.email,
        masked.phone,
        masked.postcode,
        masked.address,
        Value::Object(payer.metadata.clone()),
        payer.created_at,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// The merchant's payer of this id.
pub(crate) async fn find(conn: Conn<'_>, tenant: Tenant, id: PayerId) -> sqlx::Result<Option<Payer>> {
    let row = sqlx::query_as!(
        Row,
        "/* gateway payers::find */
         SELECT id, method, name_masked, email_masked, phone_masked, postcode_masked, address_masked, metadata, created_at
         FROM payers WHERE merchant_id = $1 AND id = $2 AND livemode = $3",
        tenant.id(),
        uuid(id.as_bytes()),
        tenant.livemode,
    )
    .fetch_optional(conn)
    .await?;
    row.map(Payer::try_from).transpose()
}

/// The merchant's payer of this id, for as long as the transaction lasts.
pub(crate) async fn lock(conn: Conn<'_>, tenant: Tenant, id: PayerId) -> sqlx::Result<Option<Payer>> {
    let row = sqlx::query_as!(
        Row,
        "/* gateway payers::lock */
         SELECT id, method, name_masked, email_masked, phone_masked, postcode_masked, address_masked, metadata, created_at
         FROM payers WHERE merchant_id = $1 AND id = $2 AND livemode = $3 FOR NO KEY UPDATE",
        tenant.id(),
        uuid(id.as_bytes()),
        tenant.livemode,
    )
    .fetch_optional(conn)
    .await?;
    row.map(Payer::try_from).transpose()
}

/// The payment method's own data.
pub(crate) async fn describe(
    conn: Conn<'_>,
    tenant: Tenant,
    id: PayerId,
    metadata: &Map<String, Value>,
) -> sqlx::Result<()> {
    sqlx::query!(
        "/* gateway payers::describe */
         UPDATE payers SET metadata = $4 WHERE merchant_id = $1 AND id = $2 AND livemode = $3",
        tenant.id(),
        uuid(id.as_bytes()),
        tenant.livemode,
        Value::Object(metadata.clone()),
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// The merchant's payers of these ids.
pub(crate) async fn find_many(conn: Conn<'_>, tenant: Tenant, ids: &[PayerId]) -> sqlx::Result<Vec<Payer>> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let ids: Vec<Uuid> = ids.iter().map(|id| uuid(id.as_bytes())).collect();
    let rows = sqlx::query_as!(
        Row,
        "/* gateway payers::find_many */
         SELECT id, method, name_masked, email_masked, phone_masked, postcode_masked, address_masked, metadata, created_at
         FROM payers WHERE merchant_id = $1 AND livemode = $2 AND id = ANY($3)",
        tenant.id(),
        tenant.livemode,
        &ids,
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter().map(Payer::try_from).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A payer's id survives being written as a payment method's, and a card's is none.
    #[test]
    fn ids_are_payment_methods() {
        let id = PayerId::from_bytes([7; 16]);
        assert_eq!(parse_method_id(&method_id(id)), Some(id));
        assert_eq!(parse_method_id("pm_card_visa"), None);
        assert_eq!(parse_method_id(&id.to_string()), None);
        for method in [PayerMethod::Konbini, PayerMethod::Payeasy, PayerMethod::Emoney] {
            assert_eq!(of_word(word(method)), Some(method));
        }
    }
}
