//! The tree of RFC 9162 (SHA-256; leaf 0x00, node 0x01), grown at its right edge.
//!
//! Hashes are kept in tiles of 256, as C2SP's tlog-tiles has them: tile `index` of level 0 holds leaf hashes, one of level L
//! the roots of 256 tiles of level L-1. Complete tiles are never touched again. A tree of any size is known by its
//! [`Edge`]: the last, incomplete tile of each level, and nothing else.

use std::fmt;

use data_encoding::BASE64;
use sha2::{Digest, Sha256};

/// Hashes in a complete tile.
pub const TILE_LEN: usize = 256;
/// Bits of an index that choose a hash within its tile.
pub const TILE_HEIGHT: u8 = 8;
/// Trees are smaller than this; ct-merkle counts nodes in 64 bits.
pub const MAX_SIZE: u64 = 1 << 62;

/// SHA-256 of a leaf or of a node.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Hash([u8; 32]);

impl Hash {
    /// Of its bytes.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Of a column or a body; `None` when it hasn't 32 bytes.
    pub fn from_slice(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }

    /// Of its text, as [`fmt::Display`] gives it.
    pub fn parse(text: &str) -> Option<Self> {
        BASE64.decode(text.as_bytes()).ok().and_then(|bytes| Self::from_slice(&bytes))
    }

    /// Its bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&BASE64.encode(&self.0))
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The hash of a leaf (RFC 9162, 2.1.1).
pub fn leaf_hash(leaf: &[u8]) -> Hash {
    Hash(Sha256::new().chain_update([0]).chain_update(leaf).finalize().into())
}

/// The hash of a node (RFC 9162, 2.1.1).
pub fn node_hash(left: &Hash, right: &Hash) -> Hash {
    Hash(Sha256::new().chain_update([1]).chain_update(left.0).chain_update(right.0).finalize().into())
}

/// The root of the tree without leaves: the hash of nothing.
pub fn empty_root() -> Hash {
    Hash(Sha256::digest([]).into())
}

/// The root over these neighbours of one height, of which the last may be incomplete; `None` over none.
pub fn root_of(mut hashes: Vec<Hash>) -> Option<Hash> {
    while hashes.len() > 1 {
        hashes = hashes
            .chunks(2)
            .filter_map(|pair| match pair {
                [left, right] => Some(node_hash(left, right)),
                [alone] => Some(*alone),
                _ => None,
            })
            .collect();
    }
    hashes.pop()
}

/// A tile that is complete, and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tile {
    /// 0 holds leaf hashes.
    pub level: u8,
    /// Its place in its level.
    pub index: u64,
    /// 256 of them.
    pub hashes: Vec<Hash>,
}

/// The right edge of a tree.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Edge {
    size: u64,
    /// The incomplete tile of each level, from the leaves up; less than 256 hashes each.
    levels: Vec<Vec<Hash>>,
}

impl Edge {
    /// Of a tree that is known by its tiles: `hashes(level, index, count)` gives the first `count` hashes of a tile.
    /// `None` when it can't.
    pub fn of_tiles(size: u64, mut hashes: impl FnMut(u8, u64, usize) -> Option<Vec<Hash>>) -> Option<Self> {
        let mut levels = Vec::new();
        for (level, (index, count)) in edge_tiles(size).into_iter().enumerate() {
            let found = if count == 0 { Vec::new() } else { hashes(u8::try_from(level).ok()?, index, count)? };
            if found.len() != count {
                return None;
            }
            levels.push(found);
        }
        Some(Self { size, levels })
    }

    /// Leaves.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The incomplete tile of a level; empty when there is none.
    pub fn level(&self, level: u8) -> &[Hash] {
        self.levels.get(usize::from(level)).map_or(&[], Vec::as_slice)
    }

    /// Adds a leaf; the tiles that it completes, from the leaves up, go into `completed`.
    pub fn push(&mut self, leaf: Hash, completed: &mut Vec<Tile>) {
        let index = self.size / 256;
        self.size += 1;
        let (mut hash, mut index) = (leaf, index);
        for level in 0.. {
            if self.levels.len() == usize::from(level) {
                self.levels.push(Vec::new());
            }
            let Some(tile) = self.levels.get_mut(usize::from(level)) else { return };
            tile.push(hash);
            if tile.len() < TILE_LEN {
                return;
            }
            let hashes = std::mem::take(tile);
            let Some(root) = root_of(hashes.clone()) else { return };
            completed.push(Tile { level, index, hashes });
            (hash, index) = (root, index / 256);
        }
    }

    /// The root hash.
    pub fn root(&self) -> Hash {
        let mut below = None;
        for level in &self.levels {
            let mut hashes = level.clone();
            hashes.extend(below);
            below = root_of(hashes);
        }
        below.unwrap_or_else(empty_root)
    }
}

/// The edge's tile of each level, from the leaves up: its index, and how many hashes of it belong to a tree of this size.
pub fn edge_tiles(size: u64) -> Vec<(u64, usize)> {
    let mut tiles = Vec::new();
    let mut nodes = size;
    while nodes > 0 {
        tiles.push((nodes / 256, usize::from(u8::try_from(nodes % 256).unwrap_or(u8::MAX))));
        nodes /= 256;
    }
    tiles
}

/// The roots of a tree's perfect subtrees, the largest first; enough to grow it and to know its root.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Compact {
    size: u64,
    roots: Vec<Hash>,
}

impl Compact {
    /// Of the roots of the tree's perfect subtrees, the largest (leftmost) first. `None` when their number doesn't fit the size.
    pub fn of_roots(size: u64, roots: Vec<Hash>) -> Option<Self> {
        let fits = usize::try_from(size.count_ones()).ok()? == roots.len() && size < MAX_SIZE;
        fits.then_some(Self { size, roots })
    }

    /// Leaves.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The perfect subtrees' roots, the largest first.
    pub fn roots(&self) -> &[Hash] {
        &self.roots
    }

    /// Adds a leaf.
    pub fn push(&mut self, leaf: Hash) {
        let mut hash = leaf;
        for _ in 0..self.size.trailing_ones() {
            if let Some(left) = self.roots.pop() {
                hash = node_hash(&left, &hash);
            }
        }
        self.roots.push(hash);
        self.size += 1;
    }

    /// The root hash.
    pub fn root(&self) -> Hash {
        let from_the_right = self.roots.iter().rev().copied();
        from_the_right.reduce(|right, left| node_hash(&left, &right)).unwrap_or_else(empty_root)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use data_encoding::HEXLOWER;

    /// Leaves and roots of the test vectors of Certificate Transparency's reference code (RFC 6962, whose tree RFC 9162 keeps).
    const LEAVES: [&str; 8] =
        ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"];
    const ROOTS: [&str; 8] = [
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
        "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
        "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
        "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
        "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
    ];

    #[test]
    fn the_roots_are_those_of_the_reference_vectors() {
        let (mut edge, mut compact) = (Edge::default(), Compact::default());
        assert_eq!(
            HEXLOWER.encode(edge.root().as_bytes()),
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
        );
        assert_eq!(edge.root(), compact.root());
        for (leaf, root) in LEAVES.iter().zip(ROOTS) {
            let hash = leaf_hash(&HEXLOWER.decode(leaf.as_bytes()).unwrap());
            edge.push(hash, &mut Vec::new());
            compact.push(hash);
            assert_eq!(HEXLOWER.encode(edge.root().as_bytes()), root);
            assert_eq!(edge.root(), compact.root());
        }
    }

    fn leaf(number: u64) -> Hash {
        leaf_hash(&number.to_be_bytes())
    }

    /// Across many tiles of two levels: the edge agrees with the compact range at every size, completes each tile once and in
    /// order, and is found again from tiles alone.
    #[test]
    fn the_edge_agrees_with_the_compact_range_and_its_own_tiles() {
        let (mut edge, mut compact, mut tiles) = (Edge::default(), Compact::default(), Vec::new());
        for number in 0..70_000 {
            edge.push(leaf(number), &mut tiles);
            compact.push(leaf(number));
            if number % 997 == 0 || number > 69_000 {
                assert_eq!(edge.root(), compact.root(), "{number}");
            }
        }
        assert_eq!(edge.size(), 70_000);
        for level in 0..2 {
            let indexes: Vec<u64> = tiles.iter().filter(|tile| tile.level == level).map(|tile| tile.index).collect();
            assert_eq!(indexes, (0..70_000 / 256_u64.pow(u32::from(level) + 1)).collect::<Vec<_>>(), "{level}");
        }
        let found = |level: u8, index: u64, count: usize| {
            let stored = tiles.iter().find(|tile| (tile.level, tile.index) == (level, index));
            let hashes = stored.map_or_else(|| edge.level(level), |tile| &tile.hashes);
            Some(hashes[..count].to_vec())
        };
        assert_eq!(Edge::of_tiles(70_000, found).unwrap(), edge);
        let mut older = Compact::default();
        for number in 0..70_000 {
            if [1, 255, 256, 257, 65_535, 65_536, 65_537, 69_999].contains(&number) {
                assert_eq!(Edge::of_tiles(number, found).unwrap().root(), older.root(), "{number}");
            }
            older.push(leaf(number));
        }
    }

    /// A compact range goes on from what was handed over, and refuses what can't be one.
    #[test]
    fn a_compact_range_goes_on() {
        let mut whole = Compact::default();
        for number in 0..1000 {
            whole.push(leaf(number));
        }
        let mut rest = Compact::of_roots(1000, whole.roots().to_vec()).unwrap();
        (1000..1100).for_each(|number| rest.push(leaf(number)));
        (1000..1100).for_each(|number| whole.push(leaf(number)));
        assert_eq!(rest.root(), whole.root());
        assert!(Compact::of_roots(1001, rest.roots().to_vec()).is_none());
        assert!(Compact::of_roots(MAX_SIZE / 2, vec![leaf(0)]).is_some());
        assert!(Compact::of_roots(MAX_SIZE, vec![leaf(0)]).is_none());
    }
}
