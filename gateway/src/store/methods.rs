//! Payment methods of both kinds: cards (table `cards`) and payers by other means (table `payers`).

use kura_wire::ids::{CustomerId, PayerId, TokenUse};
use kura_wire::payer::PayerMethod;

use super::cards::{self, Card};
use super::payers::{self, Payer};
use super::{Conn, Tenant};

/// A payment method, by its record in the vault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MethodRef {
    /// A card.
    Card([u8; 16]),
    /// Somebody who pays without one.
    Payer(PayerId),
}

impl MethodRef {
    /// Of the two columns of a row. `None` where both are empty.
    pub(super) fn of_columns(card: Option<uuid::Uuid>, payer: Option<uuid::Uuid>) -> Option<Self> {
        match (card, payer) {
            (Some(record), _) => Some(Self::Card(record.into_bytes())),
            (None, Some(id)) => Some(Self::Payer(PayerId::from_bytes(id.into_bytes()))),
            (None, None) => None,
        }
    }

    /// The record of a card.
    pub const fn card(self) -> Option<[u8; 16]> {
        match self {
            Self::Card(record) => Some(record),
            Self::Payer(_) => None,
        }
    }

    /// The id of a payer.
    pub const fn payer(self) -> Option<PayerId> {
        match self {
            Self::Card(_) => None,
            Self::Payer(id) => Some(id),
        }
    }
}

/// A payment method, as it is known here.
#[derive(Debug, Clone)]
pub enum Method {
    /// A card.
    Card(Card),
    /// Somebody who pays without one.
    Payer(Payer),
}

impl Method {
    /// By what it is named in other rows.
    pub const fn reference(&self) -> MethodRef {
        match self {
            Self::Card(card) => MethodRef::Card(card.record),
            Self::Payer(payer) => MethodRef::Payer(payer.id),
        }
    }

    /// `pm_…`.
    pub fn id(&self) -> String {
        match self {
            Self::Card(card) => card.token(TokenUse::Multi).to_string(),
            Self::Payer(payer) => payer.method_id(),
        }
    }

    /// The card, if it is one.
    pub const fn card(&self) -> Option<&Card> {
        match self {
            Self::Card(card) => Some(card),
            Self::Payer(_) => None,
        }
    }

    /// How a payer pays; `None` for cards.
    pub const fn deposit(&self) -> Option<PayerMethod> {
        match self {
            Self::Card(_) => None,
            Self::Payer(payer) => Some(payer.method),
        }
    }

    /// Whom it is attached to.
    pub const fn customer(&self) -> Option<CustomerId> {
        match self {
            Self::Card(card) => card.customer,
            Self::Payer(_) => None,
        }
    }
}

/// The merchant's payment method of this record.
pub(crate) async fn find(conn: Conn<'_>, tenant: Tenant, method: MethodRef) -> sqlx::Result<Option<Method>> {
    Ok(match method {
        MethodRef::Card(record) => cards::find(conn, tenant, record).await?.map(Method::Card),
        MethodRef::Payer(id) => payers::find(conn, tenant, id).await?.map(Method::Payer),
    })
}

/// The merchant's payment methods of these records.
pub(crate) async fn find_many(conn: Conn<'_>, tenant: Tenant, wanted: &[MethodRef]) -> sqlx::Result<Vec<Method>> {
    let records: Vec<[u8; 16]> = wanted.iter().filter_map(|method| method.card()).collect();
    let payers: Vec<PayerId> = wanted.iter().filter_map(|method| method.payer()).collect();
    let mut found: Vec<Method> =
        cards::find_many(conn, tenant, &records).await?.into_iter().map(Method::Card).collect();
    found.extend(payers::find_many(conn, tenant, &payers).await?.into_iter().map(Method::Payer));
    Ok(found)
}
