//! Durable writes, grouped: while one commit is under way, new rows gather, and all go in the next. No timer.
//!
//! New cards, new attempts with their ledger rows, and decisions share these commits. One task writes, so a node's ledger
//! rows have an order; the next sequence is known here and nowhere else. Who gets an answer knows that it is on disk.

use kura_wire::vault::VaultErrorCode;
use sqlx::{Connection, PgConnection, PgPool};
use tokio::sync::{mpsc, oneshot};
use uuid::Uuid;

use crate::guard::Permitted;
use crate::store::attempts::{AttemptRow, Decision};
use crate::store::cards::CardRow;
use crate::store::openings::OpeningRow;
use crate::store::{StoreError, attempts, cards, openings};

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
    /// Starts the writer of a node.
    ///
    /// # Errors
    /// [`StoreError`] when the ledger's last sequence can't be read.
    pub async fn start(pool: PgPool, node: i16) -> Result<Self, StoreError> {
        let last_sequence = openings::last_sequence(&pool, node).await?;
        let (queue, waiting) = mpsc::channel(MAX_WAITING);
        tokio::spawn(Writer { pool, node, last_sequence: Some(last_sequence) }.run(waiting));
        Ok(Self { queue })
    }

    /// Inserts a card; durable when this returns `Done`.
    ///
    /// # Errors
    /// `Overloaded` before anything was done; `Internal` when the database failed.
    pub async fn insert_card(&self, card: CardRow) -> Result<Inserted, VaultErrorCode> {
        self.send(|done| Write::Card(Box::new(card), done)).await
    }

    /// Begins an attempt; durable when this returns.
    ///
    /// # Errors
    /// `Overloaded` before anything was done; `Internal` when the database failed.
    pub async fn begin(&self, attempt: NewAttempt) -> Result<Begun, VaultErrorCode> {
        self.send(|done| Write::Begin(Box::new(attempt), done)).await
    }

    /// Records an opening that belongs to no attempt; durable when this returns. Node and sequence are filled in.
    ///
    /// # Errors
    /// `Overloaded` before anything was done; `Internal` when the database failed.
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

struct Writer {
    pool: PgPool,
    node: i16,
    /// Unknown after a commit that failed: it may be on disk all the same, and the next row must come after it.
    last_sequence: Option<i64>,
}

impl Writer {
    async fn run(mut self, mut waiting: mpsc::Receiver<Write>) {
        let mut batch = Vec::with_capacity(MAX_BATCH);
        while waiting.recv_many(&mut batch, MAX_BATCH).await > 0 {
            let writes = std::mem::take(&mut batch);
            if let Err(writes) = self.commit(writes).await {
                // One row may have broken a constraint, and must not take the others with it.
                for write in writes {
                    if let Err(failed) = self.commit(vec![write]).await {
                        failed.into_iter().for_each(Write::fail);
                    }
                }
            }
        }
    }

    /// Commits all and answers all, or gives all back.
    async fn commit(&mut self, writes: Vec<Write>) -> Result<(), Vec<Write>> {
        match self.write(&writes).await {
            Ok(Written { refused, begun, decided }) => {
                let mut begun = begun.into_iter();
                writes.into_iter().for_each(|write| write.succeed(&refused, &decided, &mut begun));
                Ok(())
            }
            Err(error) => {
                tracing::error!(%error, rows = writes.len(), "commit failed");
                self.last_sequence = None;
                Err(writes)
            }
        }
    }

    /// One transaction.
    async fn write(&mut self, writes: &[Write]) -> Result<Written, StoreError> {
        let new_cards: Vec<&CardRow> = writes.iter().filter_map(Write::card).collect();
        let new_attempts: Vec<&NewAttempt> = writes.iter().filter_map(Write::attempt).collect();
        let decisions: Vec<Decision> = writes.iter().filter_map(Write::decision).cloned().collect();
        let openings: Vec<&OpeningRow> = writes.iter().filter_map(Write::opening).collect();
        let mut connection = self.pool.acquire().await?;
        if new_attempts.is_empty() && decisions.is_empty() && openings.is_empty() {
            // A single statement is its own transaction, and saves two round trips.
            let refused = insert_cards(&mut connection, &new_cards).await?;
            return Ok(Written { refused, begun: Vec::new(), decided: Vec::new() });
        }
        let before = match self.last_sequence {
            Some(sequence) => sequence,
            None => openings::last_sequence(&mut *connection, self.node).await?,
        };
        let mut transaction = connection.begin().await?;
        let refused = insert_cards(&mut transaction, &new_cards).await?;
        let (begun, mut ledger) = begin_all(&mut transaction, &new_attempts).await?;
        ledger.extend(openings.into_iter().cloned());
        let sequence = self.append(&mut transaction, ledger, before).await?;
        let decided = match decisions.as_slice() {
            [] => Vec::new(),
            decisions => attempts::decide_all(&mut transaction, decisions).await?,
        };
        transaction.commit().await?;
        self.last_sequence = Some(sequence);
        Ok(Written { refused, begun, decided })
    }

    /// Numbers the rows and appends them. Gives the last sequence.
    async fn append(
        &self,
        connection: &mut PgConnection,
        mut ledger: Vec<OpeningRow>,
        mut sequence: i64,
    ) -> Result<i64, StoreError> {
        for row in &mut ledger {
            sequence += 1;
            (row.node, row.sequence) = (self.node, sequence);
        }
        if !ledger.is_empty() {
            openings::insert_all(connection, &ledger).await?;
        }
        Ok(sequence)
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

/// What a transaction did.
struct Written {
    /// Cards that were not inserted, since their key was retired.
    refused: Vec<Uuid>,
    /// What became of each attempt, in order.
    begun: Vec<Begun>,
    /// Attempts whose outcome was written.
    decided: Vec<Uuid>,
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

    fn fail(self) {
        match self {
            Self::Card(_, done) => drop(done.send(Err(VaultErrorCode::Internal))),
            Self::Decide(_, done) => drop(done.send(Err(VaultErrorCode::Internal))),
            Self::Begin(_, done) => drop(done.send(Err(VaultErrorCode::Internal))),
            Self::Open(_, done) => drop(done.send(Err(VaultErrorCode::Internal))),
        }
    }
}
