//! The end of a key: destroyed only when one view of the whole database, taken after the key had settled, holds no row that
//! names it.

use std::collections::BTreeMap;

use kura_platform::clock;
use kura_platform::database::PgPool;

use super::tables::Table;
use super::{RotationError, Work};
use crate::store::reseal::Pages;
use crate::store::{StoreError, deks, reseal};

/// Pages that one statement looks at: well within the time that a statement has.
const PAGES_AT_ONCE: i64 = 8192;

/// What still names a key.
pub(super) struct Named {
    /// Rows under these keys.
    pub(super) rows_left: i64,
}

/// Destroys those of these settled keys that no row names.
pub(super) async fn destroy_unnamed(work: &mut Work, keys: &[i64]) -> Result<Named, RotationError> {
    let named = count_rows(work.pool(), keys).await?;
    let rows_left = named.values().sum();
    let unnamed: Vec<i64> = keys.iter().copied().filter(|key| !named.contains_key(key)).collect();
    if unnamed.is_empty() {
        return Ok(Named { rows_left });
    }
    let unknown = list_unknown_tables(work.pool()).await?;
    if !unknown.is_empty() {
        tracing::error!(?unknown, "no key is destroyed: these tables may hold rows under it");
        return Ok(Named { rows_left });
    }
    let now = clock::now();
    deks::destroy(work.pool(), &unnamed, now).await?;
    tracing::info!(keys = unnamed.len(), "destroyed DEKs that no row names");
    work.keyring.deks.drop_destroyed(now).await?;
    Ok(Named { rows_left })
}

/// How many rows each of these keys has, in one view of all tables. Every row lies at one place in a view, so going through
/// the places in turn meets each once.
pub(super) async fn count_rows(pool: &PgPool, keys: &[i64]) -> Result<BTreeMap<i64, i64>, StoreError> {
    let mut named = BTreeMap::new();
    if keys.is_empty() {
        return Ok(named);
    }
    let mut connection = pool.acquire().await?;
    let mut view = connection.begin().await?;
    reseal::begin_snapshot(&mut view).await?;
    for table in Table::ALL {
        // Rows of this view lie on pages that are there already.
        let end = table.count_pages(&mut *view).await?;
        for from in (0..end).step_by(usize::try_from(PAGES_AT_ONCE).unwrap_or(1)) {
            for (key, rows) in table.count(&mut *view, Pages { from, to: from + PAGES_AT_ONCE }, keys).await? {
                *named.entry(key).or_default() += rows;
            }
        }
    }
    view.rollback().await?;
    Ok(named)
}

async fn list_unknown_tables(pool: &PgPool) -> Result<Vec<String>, StoreError> {
    let mut tables = reseal::list_sealed_tables(pool).await?;
    tables.retain(|name| !Table::ALL.iter().any(|table| table.name() == name));
    Ok(tables)
}
