//! Durable writes, grouped: while one commit is under way, new rows gather, and all go in the next. No timer.
//!
//! New cards, new attempts with their ledger rows, and decisions share these commits. One task writes, so a node's ledger
//! rows have an order; the next sequence, and the tree that the rows form, are known here and nowhere else. Who gets an
//! answer knows that it is on disk.

use std::sync::Arc;

use kura_ledger::tree::Edge;
use kura_platform::database::{PgConnection, PgPool, is_outage};
use kura_wire::vault::VaultErrorCode;
use tokio::sync::{mpsc, oneshot, watch};
use uuid::Uuid;

use crate::guard::Permitted;
use crate::ledger::recover::recover;
use crate::ledger::{Growing, LedgerError};
use crate::store::attempts::{AttemptRow, Decision};
use crate::store::cards::CardRow;
use crate::store::openings::OpeningRow;
use crate::store::{StoreError, attempts, cards, ledger_tiles, openings};

/// Field 39: the issuer wants to know first who it is.
const WANTS_PROOF: &str = "1A";
/// Rows in one commit at the most.
const MAX_BATCH: usize = 256;
/// Rows that may wait; the next is refused as overload.
const MAX_WAITING: usize = 4096;

/// Witness: the opening that it stands for is durable in the access ledger. Only the writer makes one, and only who holds
/// one can open a sealed PAN ([`crate::domain`]).
#[derive(Debug)]
pub struct LedgerReceipt {
    record: Uuid,
}

impl LedgerReceipt {
    /// The record that may be opened.
    pub fn record(&self) -> Uuid {
        self.record
    }
}

/// What became of an attempt that wanted to begin.
#[derive(Debug)]
pub enum Begun {
    /// It is durable, with its ledger row if it opens a card.
    New(Option<LedgerReceipt>),
    /// The id was used before; nothing was written.
    Existing,
    /// Its single-use token was used by something else; nothing was written.
    TokenUsed,
}

/// What became of a new card.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Inserted {
    /// It is durable.
    Done,
    /// Its key was retired meanwhile; nothing was written. Seal it anew.
    KeyRetired,
}

/// What became of an outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decided {
    /// It is on record.
    Now,
    /// Another one came first, or it is being taken back: nothing was written.
    Before,
}

/// An attempt to begin: one row, its ledger row, and the single-use token that it uses up.
pub struct NewAttempt {
    /// The row.
    pub attempt: AttemptRow,
    /// The opening that it needs; node and sequence are filled in by the writer.
    pub opening: Option<Permitted>,
    /// Whether the card's `tok_` is used up by it.
    pub spends_token: bool,
}

enum Write {
    Card(Box<CardRow>, oneshot::Sender<Result<Inserted, VaultErrorCode>>),
    Begin(Box<NewAttempt>, oneshot::Sender<Result<Begun, VaultErrorCode>>),
    Decide(Box<Decision>, oneshot::Sender<Result<Decided, VaultErrorCode>>),
    Open(Box<Permitted>, oneshot::Sender<Result<LedgerReceipt, VaultErrorCode>>),
}

/// The sending end, for everybody.
#[derive(Clone)]
pub struct Committer {
    queue: mpsc::Sender<Write>,
}

impl Committer {
    /// Starts the writer of a node, whose tree stands at `growing`.
    pub fn start(pool: PgPool, node: i16, growing: Growing) -> Self {
        let (queue, waiting) = mpsc::channel(MAX_WAITING);
        let Growing { edge, published } = growing;
        tokio::spawn(Writer { pool, node, edge: Some(edge), published, in_doubt: None }.run(waiting));
        Self { queue }
    }

    /// Inserts a card; durable when this returns `Done`.
    ///
    /// # Errors
    /// `Overloaded` when there is no room, or no database; `Internal` when the database failed.
    pub async fn insert_card(&self, card: CardRow) -> Result<Inserted, VaultErrorCode> {
        self.send(|done| Write::Card(Box::new(card), done)).await
    }

    /// Begins an attempt; durable when this returns.
    ///
    /// # Errors
    /// `Overloaded` when there is no room, or no database; `Internal` when the database failed.
    pub async fn begin(&self, attempt: NewAttempt) -> Result<Begun, VaultErrorCode> {
        self.send(|done| Write::Begin(Box::new(attempt), done)).await
    }

    /// Records an opening that belongs to no attempt; durable when this returns. Node and sequence are filled in.
    ///
    /// # Errors
    /// `Overloaded` when there is no room, or no database; `Internal` when the database failed.
    pub async fn open(&self, opening: Permitted) -> Result<LedgerReceipt, VaultErrorCode> {
        self.send(|done| Write::Open(Box::new(opening), done)).await
    }

    /// Records an outcome; durable when this returns. The first one stays. It waits for room: the network has spoken, and
    /// "overloaded, nothing was done" would be a lie now.
    ///
    /// # Errors
    /// `Internal` when the database failed; the outcome is then unknown to everyone but the network.
    pub async fn decide(&self, decision: Decision) -> Result<Decided, VaultErrorCode> {
        let (done, answer) = oneshot::channel();
        let write = Write::Decide(Box::new(decision), done);
        self.queue.send(write).await.map_err(|_| VaultErrorCode::Internal)?;
        answer.await.map_err(|_| VaultErrorCode::Internal)?
    }

    async fn send<T>(
        &self,
        write: impl FnOnce(oneshot::Sender<Result<T, VaultErrorCode>>) -> Write,
    ) -> Result<T, VaultErrorCode> {
        let (done, answer) = oneshot::channel();
        self.queue.try_send(write(done)).map_err(|_| VaultErrorCode::Overloaded)?;
        answer.await.map_err(|_| VaultErrorCode::Internal)?
    }
}

/// Why a commit failed.
#[derive(Debug, Clone, Copy)]
enum Cause {
    /// The database is away: nothing is wrong with what was to be written.
    Outage,
    /// Anything else.
    Other,
}

impl Cause {
    fn of(error: &LedgerError) -> Self {
        match error {
            LedgerError::Store(error) if is_outage(error) => Self::Outage,
            _ => Self::Other,
        }
    }
}

struct Writer {
    pool: PgPool,
    node: i16,
    /// The tree of the rows that are on disk. Unknown after a commit that failed: it may be on disk all the same, and the
    /// next row must come after it.
    edge: Option<Arc<Edge>>,
    /// Where the tree is made known, once its rows are on disk.
    published: watch::Sender<Arc<Edge>>,
    /// What a transaction did whose commit was sent and not answered.
    in_doubt: Option<Written>,
}

impl Writer {
    async fn run(mut self, mut waiting: mpsc::Receiver<Write>) {
        let mut batch = Vec::with_capacity(MAX_BATCH);
        while waiting.recv_many(&mut batch, MAX_BATCH).await > 0 {
            let writes = std::mem::take(&mut batch);
            match self.commit(writes).await {
                Ok(()) => {}
                // Trying them one by one would cost each its time.
                Err((writes, Cause::Outage)) => writes.into_iter().for_each(|write| write.fail(Cause::Outage)),
                // One row may have broken a constraint, and must not take the others with it.
                Err((writes, Cause::Other)) => {
                    for write in writes {
                        if let Err((failed, cause)) = self.commit(vec![write]).await {
                            failed.into_iter().for_each(|write| write.fail(cause));
                        }
                    }
                }
            }
        }
    }

    /// Commits all and answers all, or gives all back.
    async fn commit(&mut self, writes: Vec<Write>) -> Result<(), (Vec<Write>, Cause)> {
        let written = match self.write(&writes).await {
            Ok(written) => written,
            Err(error) => {
                tracing::error!(%error, rows = writes.len(), "commit failed");
                match self.committed_all_the_same().await {
                    Some(written) => written,
                    None => return Err((writes, Cause::of(&error))),
                }
            }
        };
        let Written { refused, begun, decided, edge } = written;
        if let Some(edge) = edge {
            self.published.send_replace(Arc::clone(&edge));
            self.edge = Some(edge);
        }
        let mut begun = begun.into_iter();
        writes.into_iter().for_each(|write| write.succeed(&refused, &decided, &mut begun));
        Ok(())
    }

    /// After a failure: what was done if the commit's answer alone was lost. The rows are then on disk, once, and writing them
    /// again would make two openings of one.
    async fn committed_all_the_same(&mut self) -> Option<Written> {
        self.edge = None;
        let written = self.in_doubt.take()?;
        let intended = Arc::clone(written.edge.as_ref()?);
        let found =
            self.known_edge().await.inspect_err(|error| tracing::error!(%error, "the tree is not known")).ok()?;
        (found == intended).then_some(written)
    }

    /// The tree as it is on disk; asked of the database when that isn't known.
    async fn known_edge(&mut self) -> Result<Arc<Edge>, LedgerError> {
        if let Some(edge) = &self.edge {
            return Ok(Arc::clone(edge));
        }
        let edge = Arc::new(recover(&self.pool, self.node).await?);
        self.published.send_replace(Arc::clone(&edge));
        self.edge = Some(Arc::clone(&edge));
        Ok(edge)
    }

    /// One transaction.
    async fn write(&mut self, writes: &[Write]) -> Result<Written, LedgerError> {
        let new_cards: Vec<&CardRow> = writes.iter().filter_map(Write::card).collect();
        let new_attempts: Vec<&NewAttempt> = writes.iter().filter_map(Write::attempt).collect();
        let decisions: Vec<Decision> = writes.iter().filter_map(Write::decision).cloned().collect();
        let openings: Vec<&OpeningRow> = writes.iter().filter_map(Write::opening).collect();
        if new_attempts.is_empty() && decisions.is_empty() && openings.is_empty() {
            // A single statement is its own transaction, and saves two round trips.
            let mut connection = self.pool.acquire().await?;
            let refused = insert_cards(&mut connection, &new_cards).await?;
            return Ok(Written { refused, begun: Vec::new(), decided: Vec::new(), edge: None });
        }
        let before = self.known_edge().await?;
        let mut connection = self.pool.acquire().await?;
        let mut transaction = connection.begin().await?;
        let refused = insert_cards(&mut transaction, &new_cards).await?;
        let (begun, mut ledger) = begin_all(&mut transaction, &new_attempts).await?;
        ledger.extend(openings.into_iter().cloned());
        let edge = self.append(&mut transaction, ledger, &before).await?;
        let decided = decide_all(&mut transaction, &decisions).await?;
        self.in_doubt = Some(Written { refused, begun, decided, edge });
        transaction.commit().await?;
        self.in_doubt.take().ok_or(LedgerError::HeadMoved)
    }

    /// Numbers the rows, hashes them, and appends them to the ledger and to its tree. Gives the tree, if it grew.
    async fn append(
        &self,
        connection: &mut PgConnection,
        mut ledger: Vec<OpeningRow>,
        before: &Edge,
    ) -> Result<Option<Arc<Edge>>, LedgerError> {
        if ledger.is_empty() {
            return Ok(None);
        }
        let size = i64::try_from(before.size()).unwrap_or(i64::MAX);
        let (mut edge, mut completed, mut hashes) = (before.clone(), Vec::new(), Vec::with_capacity(ledger.len()));
        for (row, sequence) in ledger.iter_mut().zip(size + 1..) {
            (row.node, row.sequence) = (self.node, sequence);
            let hash = row.leaf().leaf_hash();
            edge.push(hash, &mut completed);
            hashes.push(hash.as_bytes().to_vec());
        }
        if !openings::insert_all(connection, self.node, size, &ledger, &hashes).await? {
            return Err(LedgerError::HeadMoved);
        }
        if !completed.is_empty() {
            ledger_tiles::insert_all(connection, self.node, &completed).await?;
        }
        Ok(Some(Arc::new(edge)))
    }
}

/// Tokens first: an attempt whose token is used up by something else must leave no row. Gives what became of each, and the
/// openings that those that are new need.
async fn begin_all(
    connection: &mut PgConnection,
    wanted: &[&NewAttempt],
) -> Result<(Vec<Begun>, Vec<OpeningRow>), StoreError> {
    if wanted.is_empty() {
        return Ok((Vec::new(), Vec::new()));
    }
    let spending = wanted.iter().filter(|new| new.spends_token);
    let pairs: (Vec<Uuid>, Vec<Uuid>) =
        spending.filter_map(|new| new.attempt.card_id.map(|card| (card, new.attempt.id))).unzip();
    let spent = if pairs.0.is_empty() { Vec::new() } else { cards::spend_all(connection, &pairs.0, &pairs.1).await? };
    let has_token = |new: &NewAttempt| {
        !new.spends_token || spent.iter().any(|(card, by)| Some(*card) == new.attempt.card_id && *by == new.attempt.id)
    };
    let rows: Vec<&AttemptRow> = wanted.iter().filter(|new| has_token(new)).map(|new| &new.attempt).collect();
    let mut inserted = attempts::insert_new(connection, &rows).await?;
    let mut ledger = Vec::new();
    let mut begun = Vec::with_capacity(wanted.len());
    for new in wanted {
        begun.push(if !has_token(new) {
            Begun::TokenUsed
        } else if let Some(place) = inserted.iter().position(|id| *id == new.attempt.id) {
            inserted.swap_remove(place);
            Begun::New(new.opening.as_ref().map(|opening| {
                ledger.push(opening.row().clone());
                LedgerReceipt { record: opening.row().record_id }
            }))
        } else {
            Begun::Existing
        });
    }
    Ok((begun, ledger))
}

/// Writes the outcomes; a token whose attempt was only asked for a proof is given back with it.
async fn decide_all(connection: &mut PgConnection, decisions: &[Decision]) -> Result<Vec<Uuid>, StoreError> {
    if decisions.is_empty() {
        return Ok(Vec::new());
    }
    let decided = attempts::decide_all(connection, decisions).await?;
    let wants_proof = |decision: &&Decision| decision.response_code.as_deref() == Some(WANTS_PROOF);
    if let Some(at) = decisions.iter().filter(wants_proof).map(|decision| decision.at).max() {
        cards::give_back(connection, &decided, WANTS_PROOF, at).await?;
    }
    Ok(decided)
}

/// What a transaction did.
struct Written {
    /// Cards that were not inserted, since their key was retired.
    refused: Vec<Uuid>,
    /// What became of each attempt, in order.
    begun: Vec<Begun>,
    /// Attempts whose outcome was written.
    decided: Vec<Uuid>,
    /// The tree, if it grew.
    edge: Option<Arc<Edge>>,
}

/// Gives those that were refused: hardly ever any, so they are looked for only when the count says so.
async fn insert_cards(connection: &mut PgConnection, rows: &[&CardRow]) -> Result<Vec<Uuid>, StoreError> {
    if rows.is_empty() {
        return Ok(Vec::new());
    }
    let inserted = cards::insert_all(connection, rows).await?;
    let ids: Vec<Uuid> = rows.iter().map(|row| row.id).collect();
    if inserted == u64::try_from(ids.len()).unwrap_or(u64::MAX) {
        return Ok(Vec::new());
    }
    let present = cards::list_present(connection, &ids).await?;
    Ok(ids.into_iter().filter(|id| !present.contains(id)).collect())
}

impl Write {
    fn card(&self) -> Option<&CardRow> {
        if let Self::Card(card, _) = self { Some(card) } else { None }
    }

    fn attempt(&self) -> Option<&NewAttempt> {
        if let Self::Begin(attempt, _) = self { Some(attempt) } else { None }
    }

    fn decision(&self) -> Option<&Decision> {
        if let Self::Decide(decision, _) = self { Some(decision) } else { None }
    }

    fn opening(&self) -> Option<&OpeningRow> {
        if let Self::Open(opening, _) = self { Some(opening.row()) } else { None }
    }

    /// Tells whoever waits, if they still do.
    fn succeed(self, refused: &[Uuid], decided: &[Uuid], begun: &mut impl Iterator<Item = Begun>) {
        match self {
            Self::Card(card, done) if refused.contains(&card.id) => drop(done.send(Ok(Inserted::KeyRetired))),
            Self::Card(_, done) => drop(done.send(Ok(Inserted::Done))),
            Self::Decide(decision, done) => {
                let told = if decided.contains(&decision.id) { Decided::Now } else { Decided::Before };
                let _ = done.send(Ok(told));
            }
            Self::Open(opening, done) => drop(done.send(Ok(LedgerReceipt { record: opening.row().record_id }))),
            Self::Begin(_, done) => drop(done.send(begun.next().ok_or(VaultErrorCode::Internal))),
        }
    }

    fn fail(self, cause: Cause) {
        let code = match cause {
            Cause::Outage => VaultErrorCode::Overloaded,
            Cause::Other => VaultErrorCode::Internal,
        };
        match self {
            Self::Card(_, done) => drop(done.send(Err(code))),
            // The network has spoken: whatever the cause, its word is not on record.
            Self::Decide(_, done) => drop(done.send(Err(VaultErrorCode::Internal))),
            Self::Begin(_, done) => drop(done.send(Err(code))),
            Self::Open(_, done) => drop(done.send(Err(code))),
        }
    }
}
