//! The tables that a DEK rotation reseals: the one place to add another, with its statements beside [`crate::store::reseal`].

use kura_platform::database::{PgConnection, PgPool};
use sqlx::PgExecutor;

use crate::crypto::field::DataClass;
use crate::store::reseal::{self, Pages, Resealed, SealedRow};
use crate::store::{StoreError, reseal_customers, reseal_payers};

/// A table with sealed columns and a `key_id`; where its rows are of several classes, those of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Table {
    /// Cards.
    Cards,
    /// Payers of one method.
    Payers(DataClass),
    /// Customers.
    Customers,
}

impl Table {
    /// All of them. No key is destroyed while the database has a sealed table that is not among them.
    pub const ALL: [Self; 5] = [
        Self::Cards,
        Self::Payers(DataClass::Konbini),
        Self::Payers(DataClass::Payeasy),
        Self::Payers(DataClass::Emoney),
        Self::Customers,
    ];

    /// Its name: part of what its values are bound to.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Cards => "cards",
            Self::Payers(_) => "payers",
            Self::Customers => "customers",
        }
    }

    /// The class of its keys.
    pub const fn class(self) -> DataClass {
        match self {
            Self::Cards => DataClass::Card,
            Self::Payers(class) => class,
            Self::Customers => DataClass::Customer,
        }
    }

    /// Its sealed columns, in the order of [`SealedRow::sealed`].
    pub const fn columns(self) -> &'static [&'static str] {
        match self {
            Self::Cards => &["pan_sealed", "holder_sealed"],
            Self::Payers(_) => &["name_sealed", "phone_sealed", "email_sealed", "postcode_sealed", "address_sealed"],
            Self::Customers => &["name_sealed", "phone_sealed", "email_sealed", "address_sealed"],
        }
    }

    pub(super) async fn count_pages(self, executor: impl PgExecutor<'_>) -> Result<i64, StoreError> {
        match self {
            Self::Cards => reseal::count_card_pages(executor).await,
            Self::Payers(_) => reseal_payers::count_pages(executor).await,
            Self::Customers => reseal_customers::count_pages(executor).await,
        }
    }

    pub(super) async fn list(self, pool: &PgPool, pages: Pages, keys: &[i64]) -> Result<Vec<SealedRow>, StoreError> {
        match self {
            Self::Cards => reseal::list_cards(pool, pages, keys).await,
            Self::Payers(class) => reseal_payers::list(pool, pages, keys, class.as_str()).await,
            Self::Customers => reseal_customers::list(pool, pages, keys).await,
        }
    }

    pub(super) async fn count(
        self,
        executor: impl PgExecutor<'_>,
        pages: Pages,
        keys: &[i64],
    ) -> Result<Vec<(i64, i64)>, StoreError> {
        match self {
            Self::Cards => reseal::count_cards(executor, pages, keys).await,
            Self::Payers(class) => reseal_payers::count(executor, pages, keys, class.as_str()).await,
            Self::Customers => reseal_customers::count(executor, pages, keys).await,
        }
    }

    pub(super) async fn update(self, connection: &mut PgConnection, rows: &[Resealed]) -> Result<u64, StoreError> {
        match self {
            Self::Cards => reseal::update_cards(connection, rows).await,
            Self::Payers(_) => reseal_payers::update(connection, rows).await,
            Self::Customers => reseal_customers::update(connection, rows).await,
        }
    }
}
