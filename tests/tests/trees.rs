//! The tree of an access ledger, found again in a real database by the vault's own code: at every kind of size, with proofs of
//! what is in it; and what is not as it was signed, which is not gone on from. The nodes are ones that the stack doesn't have.
#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use std::sync::OnceLock;
use std::time::Duration;

use kura_ledger::note::{Checkpoint, PublicIdentity, origin_of};
use kura_ledger::proof::{includes, is_consistent};
use kura_ledger::tree::{Compact, Edge, Hash, leaf_hash};
use kura_platform::clock;
use kura_tests::key_material::database;
use kura_tests::{Stack, block_on};
use kura_vault::crypto::identity::Identity;
use kura_vault::ledger::recover::recover;
use kura_vault::ledger::{Ledger, LedgerError, days};
use kura_vault::store::checkpoints::CheckpointRow;
use kura_vault::store::openings::OpeningRow;
use kura_vault::store::{Pool, checkpoints, ledger_heads, ledger_tiles, openings};
use time::OffsetDateTime;
use uuid::Uuid;

/// Three levels of tiles, and a piece of each.
const SIZES: [i64; 8] = [1, 255, 256, 257, 600, 65_535, 65_536, 66_100];
/// Rows of a small ledger: two tiles and a piece.
const FEW: i64 = 600;

fn row(node: i16, sequence: i64) -> OpeningRow {
    static BEGAN: OnceLock<OffsetDateTime> = OnceLock::new();
    OpeningRow {
        node,
        sequence,
        at: *BEGAN.get_or_init(clock::now),
        actor: "gateway.kura.internal".to_owned(),
        request_id: Uuid::from_bytes([1; 16]),
        merchant_id: Uuid::from_bytes([2; 16]),
        record_id: Uuid::from_bytes([3; 16]),
        class: "card".to_owned(),
        records: 1,
        fields: vec!["pan".to_owned(), "holder".to_owned()],
        purpose: "authorize".to_owned(),
        attempt_id: None,
    }
}

fn hash_of(node: i16, sequence: i64) -> Hash {
    row(node, sequence).leaf().leaf_hash()
}

/// Appends rows up to a size; their tiles are for recovery to make.
async fn append(pool: &Pool, node: i16, mut size: i64, to: i64) {
    let mut connection = pool.acquire().await.unwrap();
    ledger_heads::ensure(&mut *connection, node).await.unwrap();
    while size < to {
        let rows: Vec<OpeningRow> = (size + 1..=to.min(size + 4096)).map(|sequence| row(node, sequence)).collect();
        let hashes: Vec<Vec<u8>> = rows.iter().map(|row| row.leaf().leaf_hash().as_bytes().to_vec()).collect();
        assert!(openings::insert_all(&mut connection, node, size, &rows, &hashes).await.unwrap());
        size += i64::try_from(rows.len()).unwrap();
    }
}

fn identity(stack: &Stack) -> Identity {
    Identity::open(&stack.state().join("vault/identity.pem")).expect("the identity")
}

/// Signs, as the vault does, that a node's first rows have this root.
async fn sign(stack: &Stack, pool: &Pool, node: i16, size: i64, root: Hash) {
    let identity = identity(stack);
    let origin = origin_of(node.try_into().unwrap());
    let checkpoint = Checkpoint { origin, size: size.try_into().unwrap(), root };
    let public = PublicIdentity::parse(&identity.public_key()).unwrap();
    let note = checkpoint.note(&public, &identity.sign_text(&checkpoint.text()).unwrap());
    let row = CheckpointRow { size, note, at: clock::now() };
    checkpoints::insert(pool, node, root.as_bytes(), &row).await.unwrap();
}

/// The trees of a node's first rows, by their size.
struct Grown {
    roots: Vec<Hash>,
    bases: Vec<(u64, Vec<Hash>)>,
}

fn grown(node: i16, to: i64) -> Grown {
    let mut tree = Compact::default();
    let mut grown = Grown { roots: vec![tree.root()], bases: Vec::new() };
    for sequence in 1..=to {
        tree.push(hash_of(node, sequence));
        grown.roots.push(tree.root());
        if SIZES.contains(&sequence) {
            grown.bases.push((tree.size(), tree.roots().to_vec()));
        }
    }
    grown
}

impl Grown {
    fn root(&self, size: u64) -> &Hash {
        &self.roots[usize::try_from(size).unwrap()]
    }
}

/// Whatever the size, the edge is found again: out of rows alone, and then out of the tiles that were made of them. It goes on
/// from a checkpoint in the middle of a tile of tiles, and proves what is in it.
#[test]
fn a_tree_of_any_size_is_found_again_and_proves_its_rows() {
    const NODE: i16 = 901;
    let stack = Stack::shared();
    block_on(async {
        let pool = database(stack).await;
        let (mut edge, mut size) = (Edge::default(), 0);
        append(&pool, NODE, 0, 0).await;
        assert_eq!(recover(&pool, NODE).await.unwrap(), edge);
        for to in SIZES {
            append(&pool, NODE, size, to).await;
            (size + 1..=to).for_each(|sequence| edge.push(hash_of(NODE, sequence), &mut Vec::new()));
            size = to;
            for made_of in ["rows", "tiles"] {
                assert_eq!(recover(&pool, NODE).await.unwrap(), edge, "{size}, out of {made_of}");
            }
            assert_eq!(ledger_tiles::count_leaves(&pool, NODE).await.unwrap(), size / 256);
        }
        let grown = grown(NODE, size);
        sign(stack, &pool, NODE, 65_700, *grown.root(65_700)).await;
        let (ledger, _growing) = Ledger::open(pool.clone(), NODE, &identity(stack)).await.expect("as it was signed");
        assert_eq!(*ledger.edge(), edge);
        proves(&ledger, &grown).await;
    });
}

async fn proves(ledger: &Ledger, grown: &Grown) {
    let sizes = [1_u64, 2, 255, 256, 257, 300, 512, 513, 65_535, 65_536, 65_537, 65_792, 66_000, 66_048, 66_100];
    for size in sizes {
        for sequence in sizes.into_iter().filter(|sequence| *sequence <= size) {
            let proof = ledger.inclusion(sequence, size).await.unwrap().expect("a row of the tree");
            let leaf = row(ledger.node, sequence.try_into().unwrap()).leaf().encode();
            assert!(includes(grown.root(size), size, sequence - 1, &leaf, &proof), "{sequence} {size}");
            let proof = ledger.consistency(sequence, size).await.unwrap().expect("trees that there were");
            assert!(is_consistent((grown.root(sequence), sequence), (grown.root(size), size), &proof));
        }
        assert_eq!(ledger.inclusion(size + 1, size).await.unwrap(), None);
    }
    for (size, base) in &grown.bases {
        assert_eq!(ledger.base(*size).await.unwrap().as_ref(), Some(base), "{size}");
    }
    assert_eq!(ledger.base(0).await.unwrap(), Some(vec![]));
    assert_eq!(ledger.base(66_101).await.unwrap(), None);
    assert_eq!(ledger.inclusion(0, 300).await.unwrap(), None, "rows count from 1");
    assert_eq!(ledger.inclusion(1, 66_101).await.unwrap(), None, "rows that there are not yet");
    assert_eq!(ledger.consistency(300, 66_101).await.unwrap(), None);
    assert_eq!(ledger.consistency(300, 299).await.unwrap(), None);
}

/// A ledger is gone on from, whatever its last checkpoint is about: nothing yet, a piece of a tile, whole tiles, all of it.
#[test]
fn a_ledger_is_gone_on_from_its_checkpoint() {
    let stack = Stack::shared();
    let cases =
        [(902, FEW, None), (903, FEW, Some(300)), (904, FEW, Some(512)), (905, FEW, Some(FEW)), (906, 512, Some(512))];
    block_on(async {
        let pool = database(stack).await;
        for (node, size, signed) in cases {
            append(&pool, node, 0, size).await;
            if let Some(signed) = signed {
                let grown = grown(node, signed);
                sign(stack, &pool, node, signed, *grown.root(signed.try_into().unwrap())).await;
            }
            let opened = Ledger::open(pool.clone(), node, &identity(stack)).await;
            let (ledger, _growing) = opened.unwrap_or_else(|error| panic!("{signed:?} of {size}: {error}"));
            assert_eq!(ledger.edge().size(), u64::try_from(size).unwrap());
        }
    });
}

/// What is not as it was written or signed is not gone on from, and is named: rows, tiles, the head, the checkpoint. What was
/// signed and is no more is an alert too.
#[test]
fn what_is_not_as_it_was_is_not_gone_on_from() {
    let stack = Stack::shared();
    let altered =
        |sequence: i64| format!("UPDATE openings SET actor = 'nobody' WHERE sequence = {sequence} AND node = ");
    let removed = |sequence: i64| format!("DELETE FROM openings WHERE sequence = {sequence} AND node = ");
    let alerts = || -> u32 {
        let count = "SELECT count(*) FROM alerts WHERE kind = 'ledger_inconsistent'";
        stack.sql("vault", count).parse().unwrap()
    };
    let refused = |node: i16, signed: i64, with: Hash, done: &str, says: &str, is_alert: bool| {
        block_on(async {
            let pool = database(stack).await;
            append(&pool, node, 0, FEW).await;
            recover(&pool, node).await.expect("nothing is wrong yet");
            sign(stack, &pool, node, signed, with).await;
        });
        if !done.is_empty() {
            stack.sql("vault", &format!("{done}{node}"));
        }
        let before = alerts();
        let opened = block_on(async { Ledger::open(database(stack).await, node, &identity(stack)).await });
        let error = opened.err().unwrap_or_else(|| panic!("{says}: it was gone on from"));
        assert!(matches!(&error, LedgerError::Inconsistent { .. }) && error.to_string().contains(says), "{error}");
        assert_eq!(alerts() - before, u32::from(is_alert), "{says}");
    };
    let root = |node| *grown(node, 300).root(300);
    refused(911, FEW + 1, leaf_hash(b"any"), "", "601 rows were signed and 600 are left", true);
    refused(912, 300, leaf_hash(b"another"), "", "its first 300 rows give another root than was signed", true);
    refused(913, 300, root(913), &altered(400), "row 400 was altered", true);
    refused(914, 300, root(914), &removed(400), "row 400 is missing: 401 comes next", true);
    refused(915, 300, root(915), &altered(550), "row 550 was altered", false);
    refused(916, 300, root(916), &removed(FEW), "its last row is 599 and should be 600", false);
    let tile = "INSERT INTO ledger_tiles SELECT node, 0, 2, hashes FROM ledger_tiles WHERE level = 0 AND index = 1 AND node = ";
    refused(917, 300, root(917), tile, "it has 3 tiles for 600 rows", false);
    let tile = "UPDATE ledger_tiles SET index = 7 WHERE level = 0 AND index = 0 AND node = ";
    refused(918, 300, root(918), tile, "tiles are missing", false);
}

/// Whose claim on a number is lost to another process is told, and nobody before.
#[test]
fn a_lost_number_is_told() {
    const NODE: i16 = 921;
    let stack = Stack::shared();
    let holders = format!("FROM pg_locks WHERE locktype = 'advisory' AND objid = {NODE}");
    block_on(async {
        let pool = database(stack).await;
        let (ledger, _growing) = Ledger::open(pool.clone(), NODE, &identity(stack)).await.expect("a ledger");
        let told = tokio::time::timeout(Duration::from_secs(5), ledger.lose_claim()).await;
        assert!(told.is_err(), "it is ours");
        assert!(matches!(Ledger::open(pool.clone(), NODE, &identity(stack)).await, Err(LedgerError::NodeTaken(NODE))));
        // Its connection is cut. It is claimed again, since nobody else has it.
        let cut = format!("SELECT count(pg_terminate_backend(pid)) {holders}");
        assert_eq!(stack.sql("vault", &cut), "1");
        assert!(tokio::time::timeout(Duration::from_secs(5), ledger.lose_claim()).await.is_err(), "it is ours again");
        assert_eq!(stack.sql("vault", &format!("SELECT count(*) {holders}")), "1");
        // Cut again, and another process is faster.
        let mut another = pool.acquire().await.unwrap();
        assert_eq!(stack.sql("vault", &cut), "1");
        while !ledger_heads::claim(&mut another, NODE).await.unwrap() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let told = tokio::time::timeout(Duration::from_secs(30), ledger.lose_claim()).await;
        assert!(matches!(told, Ok(Err(LedgerError::NodeTaken(NODE)))), "{told:?}");
    });
}

/// A row whose day has no partition is kept all the same, and told of once; while there is none, nobody is alarmed.
#[test]
fn a_row_without_a_day_of_its_own_is_an_alert() {
    const NODE: i16 = 931;
    let stack = Stack::shared();
    let alerts = || stack.sql("vault", "SELECT count(*) FROM alerts WHERE kind = 'ledger_day_missing'");
    block_on(async {
        let pool = database(stack).await;
        let look = || tokio::time::timeout(Duration::from_secs(2), days::run(pool.clone()));
        assert_eq!(days::open(&pool).await, 0);
        assert!(look().await.is_err(), "it looks again in an hour");
        assert_eq!(alerts(), "0");
        let mut connection = pool.acquire().await.unwrap();
        ledger_heads::ensure(&mut *connection, NODE).await.unwrap();
        let late = OpeningRow { at: clock::now() - Duration::from_secs(30 * 86_400), ..row(NODE, 1) };
        let hash = late.leaf().leaf_hash().as_bytes().to_vec();
        assert!(openings::insert_all(&mut connection, NODE, 0, &[late], &[hash]).await.unwrap());
        assert_eq!(days::open(&pool).await, 1);
        assert!(look().await.is_err(), "it looks again in an hour");
        assert_eq!(alerts(), "1");
    });
}
