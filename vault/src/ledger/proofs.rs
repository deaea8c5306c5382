//! Proofs, out of stored tiles and the edge: for any two sizes, however old, a few tiles are read.

use std::collections::BTreeMap;

use kura_ledger::proof::{self, Part, TileId};
use kura_ledger::tree::{Edge, Hash, edge_tiles};

use super::{Ledger, LedgerError};
use crate::store::ledger_tiles;

type Tiles = BTreeMap<TileId, Vec<Hash>>;

impl Ledger {
    /// That the tree of size `second` goes on from that of size `first`; `None` when there are no such trees.
    ///
    /// # Errors
    /// [`LedgerError`].
    pub async fn consistency(&self, first: u64, second: u64) -> Result<Option<Vec<Hash>>, LedgerError> {
        match proof::consistency(first, second) {
            Some(parts) => self.hashes(&parts, second).await,
            None => Ok(None),
        }
    }

    /// That a row is in the tree of this size; `None` when there is no such row or tree.
    ///
    /// # Errors
    /// [`LedgerError`].
    pub async fn inclusion(&self, sequence: u64, size: u64) -> Result<Option<Vec<Hash>>, LedgerError> {
        match sequence.checked_sub(1).and_then(|index| proof::inclusion(index, size)) {
            Some(parts) => self.hashes(&parts, size).await,
            None => Ok(None),
        }
    }

    /// The roots of the perfect subtrees of the first `size` rows; `None` when there are fewer.
    ///
    /// # Errors
    /// [`LedgerError`].
    pub async fn base(&self, size: u64) -> Result<Option<Vec<Hash>>, LedgerError> {
        let parts: Vec<Part> = proof::perfect_nodes(0, size).into_iter().map(|node| vec![node]).collect();
        self.hashes(&parts, size).await
    }

    async fn hashes(&self, parts: &[Part], size: u64) -> Result<Option<Vec<Hash>>, LedgerError> {
        let edge = self.edge();
        if size > edge.size() {
            return Ok(None);
        }
        let tiles = self.tiles(&edge, proof::tiles_of(parts)).await?;
        Ok(proof::hashes_of(parts, |id| tiles.get(&id).map(Vec::as_slice)))
    }

    /// The edge of the tree as it was at this size.
    pub(super) async fn edge_at(&self, edge: &Edge, size: u64) -> Result<Edge, LedgerError> {
        let ids = (0..).zip(edge_tiles(size)).map(|(level, (index, _))| TileId { level, index }).collect();
        let tiles = self.tiles(edge, ids).await?;
        let found = Edge::of_tiles(size, |level, index, count| {
            tiles.get(&TileId { level, index })?.get(..count).map(<[Hash]>::to_vec)
        });
        found.ok_or_else(|| LedgerError::Inconsistent { node: self.node, what: "tiles are missing".to_owned() })
    }

    /// A complete tile is in the database, an incomplete one at the edge.
    async fn tiles(&self, edge: &Edge, ids: Vec<TileId>) -> Result<Tiles, LedgerError> {
        let mut tiles = Tiles::new();
        for id in ids {
            let complete = edge.size().checked_shr(8 * (u32::from(id.level) + 1)).unwrap_or(0);
            if id.index >= complete {
                tiles.insert(id, edge.level(id.level).to_vec());
                continue;
            }
            let index = i64::try_from(id.index).unwrap_or(i64::MAX);
            let found = ledger_tiles::list(&self.pool, self.node, i16::from(id.level), index, index + 1).await?;
            if let Some(hashes) = found.into_iter().next() {
                tiles.insert(id, hashes);
            }
        }
        Ok(tiles)
    }
}
