//! Proofs of inclusion and of consistency (RFC 9162, 2.1.3 and 2.1.4): which nodes they are made of, their hashes out of
//! tiles, and their verification, which is ct-merkle's: whoever made the proof isn't the one who judges it.

use ct_merkle::{ConsistencyProof, InclusionProof, RootHash};
use sha2::Sha256;

use crate::tree::{Hash, MAX_SIZE, TILE_HEIGHT, node_hash, root_of};

/// A perfect subtree: the leaves from `index << height` on, `1 << height` of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Node {
    /// 0 is a leaf.
    pub height: u8,
    /// Its place among those of its height.
    pub index: u64,
}

/// Where a tile stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TileId {
    /// 0 holds leaf hashes.
    pub level: u8,
    /// Its place in its level.
    pub index: u64,
}

/// One hash of a proof: that of a subtree, as the perfect ones it is made of, the largest first.
pub type Part = Vec<Node>;

impl Node {
    /// The tile that has this subtree's hashes, and which of them.
    pub fn tile(self) -> (TileId, std::ops::Range<usize>) {
        let (level, within) = (self.height / TILE_HEIGHT, self.height % TILE_HEIGHT);
        let first = self.index << within;
        let begin = usize::from(u8::try_from(first % 256).unwrap_or(0));
        (TileId { level, index: first / 256 }, begin..begin + (1 << within))
    }
}

/// The perfect subtrees that leaves `begin..end` are made of; `begin` is a subtree's beginning.
pub fn perfect_nodes(mut begin: u64, end: u64) -> Part {
    let mut nodes = Vec::new();
    while begin < end {
        let height = u8::try_from((end - begin).ilog2()).unwrap_or(0);
        nodes.push(Node { height, index: begin >> height });
        begin += 1 << height;
    }
    nodes
}

/// The largest power of two below `n`, which is 2 or more.
fn split(n: u64) -> u64 {
    1 << (n - 1).ilog2()
}

/// What proves that leaf `index` is in the tree of this size; `None` when it can't be.
pub fn inclusion(index: u64, size: u64) -> Option<Vec<Part>> {
    if index >= size || size >= MAX_SIZE {
        return None;
    }
    let (mut begin, mut end, mut parts) = (0, size, Vec::new());
    while end - begin > 1 {
        let middle = begin + split(end - begin);
        if index < middle {
            parts.push(perfect_nodes(middle, end));
            end = middle;
        } else {
            parts.push(perfect_nodes(begin, middle));
            begin = middle;
        }
    }
    parts.reverse();
    Some(parts)
}

/// What proves that the tree of size `first` is the beginning of that of size `second`; `None` when it can't be.
pub fn consistency(first: u64, second: u64) -> Option<Vec<Part>> {
    if first == 0 || first > second || second >= MAX_SIZE {
        return None;
    }
    let (mut begin, mut end, mut parts) = (0, second, Vec::new());
    let mut is_known = true;
    while first != end {
        let middle = begin + split(end - begin);
        if first <= middle {
            parts.push(perfect_nodes(middle, end));
            end = middle;
        } else {
            parts.push(perfect_nodes(begin, middle));
            begin = middle;
            is_known = false;
        }
    }
    if !is_known {
        parts.push(perfect_nodes(begin, end));
    }
    parts.reverse();
    Some(parts)
}

/// The tiles that these parts need, each once.
pub fn tiles_of(parts: &[Part]) -> Vec<TileId> {
    let mut tiles: Vec<TileId> = parts.iter().flatten().map(|node| node.tile().0).collect();
    tiles.sort_unstable();
    tiles.dedup();
    tiles
}

/// The parts' hashes, from tiles; `None` when one is missing or too short.
pub fn hashes_of<'a>(parts: &[Part], tile: impl Fn(TileId) -> Option<&'a [Hash]>) -> Option<Vec<Hash>> {
    let of_node = |node: &Node| {
        let (id, range) = node.tile();
        root_of(tile(id)?.get(range)?.to_vec())
    };
    let of_part = |part: &Part| {
        let hashes: Option<Vec<Hash>> = part.iter().map(of_node).collect();
        hashes?.into_iter().rev().reduce(|right, left| node_hash(&left, &right))
    };
    parts.iter().map(of_part).collect()
}

fn joined(hashes: &[Hash]) -> Vec<u8> {
    hashes.iter().flat_map(|hash| *hash.as_bytes()).collect()
}

fn tree(root: &Hash, size: u64) -> RootHash<Sha256> {
    RootHash::new((*root.as_bytes()).into(), size)
}

/// Whether `leaf`, the bytes that are hashed, is leaf `index` of the tree.
pub fn includes(root: &Hash, size: u64, index: u64, leaf: &[u8], proof: &[Hash]) -> bool {
    let Ok(proof) = InclusionProof::try_from_bytes(joined(proof)) else { return false };
    // An index outside of the tree is refused by ct-merkle itself.
    size < MAX_SIZE && tree(root, size).verify_inclusion(&leaf, index, &proof).is_ok()
}

/// Whether the first tree is the beginning of the second one. The tree without leaves is the beginning of every tree.
pub fn is_consistent(first: (&Hash, u64), second: (&Hash, u64), proof: &[Hash]) -> bool {
    if first.1 == 0 {
        return *first.0 == crate::tree::empty_root() && proof.is_empty();
    }
    let Ok(proof) = ConsistencyProof::try_from_bytes(joined(proof)) else { return false };
    first.1 <= second.1
        && second.1 < MAX_SIZE
        && tree(second.0, second.1).verify_consistency(&tree(first.0, first.1), &proof).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::{Compact, Edge, Tile, leaf_hash};
    use data_encoding::HEXLOWER;

    /// A whole tree, with all that is asked about it.
    struct Grown {
        edge: Edge,
        tiles: Vec<Tile>,
        roots: Vec<Hash>,
    }

    fn leaf(number: u64) -> Vec<u8> {
        number.to_be_bytes().to_vec()
    }

    fn grown(leaves: impl Iterator<Item = Vec<u8>>) -> Grown {
        let (mut edge, mut compact, mut tiles) = (Edge::default(), Compact::default(), Vec::new());
        let mut roots = vec![edge.root()];
        for leaf in leaves {
            edge.push(leaf_hash(&leaf), &mut tiles);
            compact.push(leaf_hash(&leaf));
            roots.push(compact.root());
        }
        Grown { edge, tiles, roots }
    }

    impl Grown {
        fn hashes(&self, parts: &[Part]) -> Vec<Hash> {
            let tile = |id: TileId| {
                let stored = self.tiles.iter().find(|tile| (tile.level, tile.index) == (id.level, id.index));
                Some(stored.map_or_else(|| self.edge.level(id.level), |tile| &tile.hashes))
            };
            hashes_of(parts, tile).unwrap()
        }
    }

    /// Proofs of the reference vectors of RFC 6962's code.
    #[test]
    fn the_proofs_are_those_of_the_reference_vectors() {
        let leaves =
            ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"];
        let tree = grown(leaves.iter().map(|leaf| HEXLOWER.decode(leaf.as_bytes()).unwrap()));
        let hex = |hashes: Vec<Hash>| hashes.iter().map(|hash| HEXLOWER.encode(hash.as_bytes())).collect::<Vec<_>>();
        assert_eq!(
            hex(tree.hashes(&inclusion(0, 8).unwrap())),
            [
                "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
                "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
                "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
            ]
        );
        assert_eq!(
            hex(tree.hashes(&consistency(6, 8).unwrap())),
            [
                "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
                "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
                "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
            ]
        );
    }

    /// Between any two sizes up to 300 the proof verifies, and not for another root, another size or a changed hash.
    #[test]
    fn consistency_is_proven_between_all_sizes_up_to_300() {
        let tree = grown((0..300).map(leaf));
        for second in 1..=300_usize {
            for first in 0..=second {
                let (one, two) = ((&tree.roots[first], first as u64), (&tree.roots[second], second as u64));
                let proof = consistency(one.1, two.1).map_or_else(Vec::new, |parts| tree.hashes(&parts));
                assert!(is_consistent(one, two, &proof), "{first} {second}");
                let other = leaf_hash(b"another");
                assert!(!is_consistent((&other, one.1), two, &proof), "{first} {second}");
                // The empty tree is the beginning of whatever there is.
                if first > 0 {
                    assert!(!is_consistent(one, (&other, two.1), &proof), "{first} {second}");
                    assert!(!is_consistent((one.0, one.1 + two.1), two, &proof), "a tree that shrank");
                }
                if let Some(last) = proof.len().checked_sub(1) {
                    let mut changed = proof.clone();
                    changed[last] = other;
                    assert!(!is_consistent(one, two, &changed), "{first} {second}");
                }
            }
        }
    }

    /// Each leaf of trees up to 300 is proven to be in them, and no other leaf in its place.
    #[test]
    fn inclusion_is_proven_for_all_leaves_up_to_300() {
        let tree = grown((0..300).map(leaf));
        for size in [1_u64, 2, 3, 7, 8, 100, 255, 256, 257, 299, 300] {
            let root = &tree.roots[usize::try_from(size).unwrap()];
            for index in 0..size {
                let proof = tree.hashes(&inclusion(index, size).unwrap());
                assert!(includes(root, size, index, &leaf(index), &proof), "{index} {size}");
                assert!(!includes(root, size, index, &leaf(index + 1), &proof), "{index} {size}");
                assert!(size == 1 || !includes(root, size, (index + 1) % size, &leaf(index), &proof));
            }
            assert!(inclusion(size, size).is_none());
            assert!(!includes(root, size, size, &leaf(size), &tree.hashes(&inclusion(size - 1, size).unwrap())));
        }
    }

    /// There is no proof of what can't be: a tree that shrank, one without leaves, one that is too large.
    #[test]
    fn impossible_proofs_are_not_made() {
        for (first, second) in [(5, 3), (2, 1), (0, 3), (0, 0), (1, MAX_SIZE), (MAX_SIZE, MAX_SIZE), (5, MAX_SIZE + 1)]
        {
            assert_eq!(consistency(first, second), None, "{first} {second}");
        }
        assert_eq!(consistency(3, 3), Some(vec![]));
        assert!(consistency(1, MAX_SIZE - 1).is_some() && inclusion(0, MAX_SIZE - 1).is_some());
        assert_eq!(inclusion(0, MAX_SIZE), None);
        assert_eq!(inclusion(0, 0), None);
    }

    /// Proofs are taken up to the largest tree and not beyond, be they right: here, of trees whose leaves are all alike.
    #[test]
    fn proofs_of_larger_trees_than_there_are_prove_nothing() {
        let mut roots = vec![leaf_hash(b"same")];
        for height in 0..62 {
            roots.push(node_hash(&roots[height], &roots[height]));
        }
        assert!(includes(&roots[61], MAX_SIZE / 2, 0, b"same", &roots[..61]));
        assert!(!includes(&roots[62], MAX_SIZE, 0, b"same", &roots[..62]));
        let of = |height: usize| (&roots[height], 1_u64 << height);
        assert!(is_consistent(of(60), of(61), &roots[60..61]));
        assert!(!is_consistent(of(61), of(62), &roots[61..62]));
    }

    /// Of the tiles that a proof needs, each is named once, in order.
    #[test]
    fn the_tiles_of_a_proof_are_named_once() {
        let id = |level, index| TileId { level, index };
        assert_eq!(tiles_of(&inclusion(300, 66_000).unwrap()), [id(0, 1), id(0, 257), id(1, 0), id(1, 1)]);
        assert_eq!(tiles_of(&inclusion(0, 256).unwrap()), [id(0, 0)]);
        assert_eq!(tiles_of(&[]), []);
    }

    /// Proofs across tiles of three levels are as good.
    #[test]
    fn proofs_reach_across_levels() {
        let tree = grown((0..70_000).map(leaf));
        for (first, second) in [(1, 70_000), (255, 66_000), (65_536, 65_537), (65_535, 69_999), (300, 65_792)] {
            let proof = tree.hashes(&consistency(first, second).unwrap());
            let root = |size: u64| &tree.roots[usize::try_from(size).unwrap()];
            assert!(is_consistent((root(first), first), (root(second), second), &proof), "{first} {second}");
            let included = tree.hashes(&inclusion(first, second).unwrap());
            assert!(includes(root(second), second, first, &leaf(first), &included));
        }
    }
}
