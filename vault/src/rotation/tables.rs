//! The tables that a DEK rotation reseals: the one place to add another, with its statements in [`crate::store::reseal`].

use sqlx::{PgConnection, PgExecutor, PgPool};

use crate::crypto::field::DataClass;
use crate::store::StoreError;
use crate::store::reseal::{self, Pages, Resealed, SealedRow};

/// A table with sealed columns and a `key_id`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Table {
    /// Cards.
    Cards,
}

impl Table {
    /// All of them. No key is destroyed while the database has a sealed table that is not among them.
    pub const ALL: [Self; 1] = [Self::Cards];

    /// Its name: part of what its values are bound to.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Cards => "cards",
        }
    }

    /// The class of its keys.
    pub const fn class(self) -> DataClass {
        match self {
            Self::Cards => DataClass::Card,
        }
    }

    /// Its sealed columns, in the order of [`SealedRow::sealed`].
    pub const fn columns(self) -> &'static [&'static str] {
        match self {
            Self::Cards => &["pan_sealed", "holder_sealed"],
        }
    }

    pub(super) async fn count_pages(self, executor: impl PgExecutor<'_>) -> Result<i64, StoreError> {
        match self {
            Self::Cards => reseal::count_card_pages(executor).await,
        }
    }

    pub(super) async fn list(self, pool: &PgPool, pages: Pages, keys: &[i64]) -> Result<Vec<SealedRow>, StoreError> {
        match self {
            Self::Cards => reseal::list_cards(pool, pages, keys).await,
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
        }
    }

    pub(super) async fn update(self, connection: &mut PgConnection, rows: &[Resealed]) -> Result<u64, StoreError> {
        match self {
            Self::Cards => reseal::update_cards(connection, rows).await,
        }
    }
}
