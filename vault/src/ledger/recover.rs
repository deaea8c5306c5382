//! The tree, found again in the database: tiles as they were stored, and the rows since the last complete one, each hashed
//! anew. At the start it must also be the tree that this vault has signed.

use kura_ledger::tree::{Edge, Hash, TILE_LEN, edge_tiles, root_of};
use kura_platform::clock;
use kura_platform::database::{PgConnection, PgPool};

use super::{Ledger, LedgerError};
use crate::store::alerts::{self, AlertKind};
use crate::store::openings::StoredOpening;
use crate::store::{StoreError, checkpoints, ledger_heads, ledger_tiles, openings};

/// Rows that are read at once.
const PAGE: i64 = 4096;
const TILE: i64 = 256;

fn inconsistent(node: i16, what: impl Into<String>) -> LedgerError {
    LedgerError::Inconsistent { node, what: what.into() }
}

/// The edge of a node's tree as it is on disk, once no commit of its is under way. Tiles that are missing (rows that are
/// older than the tree) are made.
///
/// # Errors
/// [`LedgerError`].
pub async fn recover(pool: &PgPool, node: i16) -> Result<Edge, LedgerError> {
    let mut connection = pool.acquire().await?;
    ledger_heads::ensure(&mut *connection, node).await?;
    let mut transaction = connection.begin().await?;
    let size = ledger_heads::lock(&mut transaction, node).await?;
    let last = openings::last_sequence(&mut *transaction, node).await?;
    if last != size {
        return Err(inconsistent(node, format!("its last row is {last} and should be {size}")));
    }
    let edge = grow(&mut transaction, node, size).await?;
    transaction.commit().await?;
    Ok(edge)
}

async fn grow(connection: &mut PgConnection, node: i16, size: i64) -> Result<Edge, LedgerError> {
    let tiles = ledger_tiles::count_leaves(&mut *connection, node).await?;
    if tiles > size / TILE {
        return Err(inconsistent(node, format!("it has {tiles} tiles for {size} rows")));
    }
    let mut edge = edge_of_tiles(connection, node, tiles).await?;
    let mut last = tiles * TILE;
    while last < size {
        let rows = openings::list_after(&mut *connection, node, last, PAGE).await?;
        let mut completed = Vec::new();
        for row in &rows {
            edge.push(intact(node, row, last + 1)?, &mut completed);
            last += 1;
        }
        if rows.is_empty() {
            return Err(inconsistent(node, format!("row {} is missing", last + 1)));
        }
        if !completed.is_empty() {
            ledger_tiles::insert_all(connection, node, &completed).await?;
        }
    }
    Ok(edge)
}

/// A row's leaf hash, if it is the next row and its columns give that hash.
fn intact(node: i16, stored: &StoredOpening, expected: i64) -> Result<Hash, LedgerError> {
    let found = stored.row.sequence;
    if found != expected {
        return Err(inconsistent(node, format!("row {expected} is missing: {found} comes next")));
    }
    let hash = stored.row.leaf().leaf_hash();
    if stored.leaf_hash != hash.as_bytes() {
        return Err(inconsistent(node, format!("row {expected} was altered")));
    }
    Ok(hash)
}

/// Of so many complete tiles and no row more: each level's incomplete tile is the roots of complete ones below.
async fn edge_of_tiles(connection: &mut PgConnection, node: i16, tiles: i64) -> Result<Edge, LedgerError> {
    let size = u64::try_from(tiles * TILE).unwrap_or_default();
    let mut roots: Vec<Vec<Hash>> = Vec::new();
    for (level, (index, count)) in (0_i16..).zip(edge_tiles(size)) {
        if level == 0 {
            roots.push(Vec::new());
            continue;
        }
        let from = i64::try_from(index * 256).unwrap_or(i64::MAX);
        let to = from + i64::try_from(count).unwrap_or_default();
        let below = ledger_tiles::list(&mut *connection, node, level - 1, from, to).await?;
        roots.push(below.into_iter().filter(|tile| tile.len() == TILE_LEN).filter_map(root_of).collect());
    }
    let edge = Edge::of_tiles(size, |level, _, _| roots.get(usize::from(level)).cloned());
    edge.ok_or_else(|| inconsistent(node, "tiles are missing"))
}

/// The tree goes on from the last checkpoint, and the rows since then are as they were hashed.
///
/// # Errors
/// [`LedgerError::Inconsistent`], with an alert.
pub(super) async fn require_as_signed(ledger: &Ledger) -> Result<(), LedgerError> {
    let checked = as_signed(ledger).await;
    if let Err(LedgerError::Inconsistent { .. }) = &checked {
        raise(&ledger.pool).await;
    }
    checked
}

async fn as_signed(ledger: &Ledger) -> Result<(), LedgerError> {
    let node = ledger.node;
    let Some(latest) = checkpoints::find_latest(&ledger.pool, node).await? else { return Ok(()) };
    let signed = ledger.identity.open(&latest.note, &ledger.origin);
    let signed = signed.map_err(|error| inconsistent(node, format!("its last checkpoint is {error}")))?;
    let edge = ledger.edge();
    if signed.size > edge.size() {
        return Err(inconsistent(node, format!("{} rows were signed and {} are left", signed.size, edge.size())));
    }
    let then = ledger.edge_at(&edge, signed.size).await?;
    if then.root() != signed.root {
        return Err(inconsistent(node, format!("its first {} rows give another root than was signed", signed.size)));
    }
    let mut last = i64::try_from(signed.size).unwrap_or(i64::MAX);
    let tiles = i64::try_from(edge.size()).unwrap_or(i64::MAX) / TILE;
    while last < tiles * TILE {
        let rows = openings::list_after(&ledger.pool, node, last, PAGE).await?;
        for row in &rows {
            intact(node, row, last + 1)?;
            last += 1;
        }
        if rows.is_empty() {
            return Err(inconsistent(node, format!("row {} is missing", last + 1)));
        }
    }
    Ok(())
}

async fn raise(pool: &PgPool) {
    let kind = AlertKind::LedgerInconsistent;
    tracing::error!(alert = kind.as_str(), "the access ledger is not what was signed");
    let recorded: Result<(), StoreError> = alerts::insert(pool, clock::now(), kind, None, None, None).await;
    if let Err(error) = recorded {
        tracing::error!(%error, "the alert could not be recorded");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::openings::OpeningRow;
    use uuid::Uuid;

    fn stored(sequence: i64) -> StoredOpening {
        let row = OpeningRow {
            node: 1,
            sequence,
            at: clock::now(),
            actor: "gateway".to_owned(),
            request_id: Uuid::from_bytes([1; 16]),
            merchant_id: Uuid::from_bytes([2; 16]),
            record_id: Uuid::from_bytes([3; 16]),
            class: "card".to_owned(),
            records: 1,
            fields: vec!["pan".to_owned()],
            purpose: "authorize".to_owned(),
            attempt_id: None,
        };
        let leaf_hash = row.leaf().leaf_hash().as_bytes().to_vec();
        StoredOpening { row, leaf_hash }
    }

    fn refused(row: &StoredOpening, expected: i64) -> String {
        intact(1, row, expected).unwrap_err().to_string()
    }

    /// A row is taken if it is the next one and its columns give its hash; what is wrong with another is said.
    #[test]
    fn only_the_next_row_as_it_was_hashed_is_taken() {
        let row = stored(7);
        assert_eq!(intact(1, &row, 7).unwrap(), row.row.leaf().leaf_hash());
        assert!(refused(&row, 6).contains("row 6 is missing: 7 comes next"));
        let mut altered = stored(7);
        altered.row.actor = "nobody".to_owned();
        assert!(refused(&altered, 7).contains("row 7 was altered"));
        let cut = StoredOpening { leaf_hash: row.leaf_hash[..31].to_vec(), ..row };
        assert!(refused(&cut, 7).contains("row 7 was altered"));
    }
}
