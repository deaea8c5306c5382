//! A node's access ledger beside its rows: the tree that they form, the checkpoints that are signed, proofs.
//!
//! The tree's right edge lives here in memory. The writer ([`crate::commit`]) alone moves it, once a commit is on disk;
//! [`recover`] finds it again in the database, after a start and after a commit that failed.

pub mod checkpoints;
mod claim;
pub mod days;
pub mod proofs;
pub mod recover;

use std::sync::Arc;

use kura_ledger::note::{PublicIdentity, origin_of};
use kura_ledger::tree::Edge;
use kura_platform::database::PgPool;
use tokio::sync::watch;

use crate::crypto::identity::Identity;
use crate::store::StoreError;
use claim::Claim;

/// Why the ledger can't be gone on with.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// The database.
    #[error("database: {0}")]
    Store(#[from] StoreError),
    /// Another process writes under the same number.
    #[error(
        "another vault process runs as node {0} on this database; give each its own `node`, or stop the other one first"
    )]
    NodeTaken(i16),
    /// The head is not where this writer left it: the commit is not made.
    #[error("the ledger's head was moved by somebody else")]
    HeadMoved,
    /// What is stored is not what was written or signed.
    #[error(
        "the access ledger of node {node} is not what this vault wrote: {what}. Nothing is signed on top of it. Export it \
         and verify it against the witness; then run under a new node number, and keep this ledger as evidence"
    )]
    Inconsistent {
        /// Whose.
        node: i16,
        /// What is wrong.
        what: String,
    },
    /// The identity's public half can't be read.
    #[error("the vault identity's public key is malformed")]
    Identity,
}

/// What everybody may know of the ledger.
#[derive(Clone)]
pub struct Ledger {
    /// The node.
    pub node: i16,
    /// The log's name.
    pub origin: String,
    /// Whose signatures its checkpoints have.
    pub identity: PublicIdentity,
    pool: PgPool,
    edge: watch::Receiver<Arc<Edge>>,
    claim: Claim,
}

/// The writer's end.
pub struct Growing {
    /// The edge at the start.
    pub edge: Arc<Edge>,
    /// Where it is made known.
    pub published: watch::Sender<Arc<Edge>>,
}

impl Ledger {
    /// Takes the node's number, and finds the tree again as it was signed.
    ///
    /// # Errors
    /// [`LedgerError`], and the vault must not start.
    pub async fn open(pool: PgPool, node: i16, identity: &Identity) -> Result<(Self, Growing), LedgerError> {
        let claim = Claim::take(&pool, node).await?;
        let identity = PublicIdentity::parse(&identity.public_key()).ok_or(LedgerError::Identity)?;
        let edge = Arc::new(recover::recover(&pool, node).await?);
        let (published, receiver) = watch::channel(Arc::clone(&edge));
        let origin = origin_of(u16::try_from(node).unwrap_or_default());
        let ledger = Self { node, origin, identity, pool, edge: receiver, claim };
        recover::require_as_signed(&ledger).await?;
        Ok((ledger, Growing { edge, published }))
    }

    /// The tree as it is on disk.
    pub fn edge(&self) -> Arc<Edge> {
        Arc::clone(&self.edge.borrow())
    }

    /// Ends when another process has taken the node's number.
    ///
    /// # Errors
    /// [`LedgerError::NodeTaken`], always.
    pub async fn lose_claim(&self) -> Result<(), LedgerError> {
        self.claim.lost().await;
        Err(LedgerError::NodeTaken(self.node))
    }
}
