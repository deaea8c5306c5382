//! The console's database: static SQL, one file per table. Secrets come in as hashes; nothing here opens anything.

pub mod audit;
pub mod ceremonies;
pub mod invitations;
pub mod passkeys;
pub mod people;
pub mod sessions;
pub mod sign_in_attempts;
pub mod witness_checkpoints;
pub mod witness_findings;

use kura_platform::database::{PgConnection, PgPool, PgTransaction, is_outage};

/// The schema that this program knows.
pub static MIGRATIONS: sqlx::migrate::Migrator = sqlx::migrate!("../migrations/admin");

/// Why the database gave no answer.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database.
    #[error("database: {0}")]
    Sql(#[from] sqlx::Error),
    /// A row that the schema permits and this program doesn't know.
    #[error("a stored {0} can't be read")]
    Malformed(&'static str),
    /// This role may change the audit: whoever set it up gave it too much.
    #[error("the database role may change or delete audit rows; run with the role that the migrations grant to")]
    RoleTooStrong,
}

type Result<T> = std::result::Result<T, StoreError>;

/// Connections, with a limit on their number and on waiting for one.
pub type Pool = PgPool;
/// One connection, inside a transaction.
pub type Connection = PgConnection;

/// All of it, or nothing: dropped without [`Self::commit`] it leaves no trace.
pub struct Transaction(PgTransaction<'static>);

impl Transaction {
    /// Begins one.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn begin(pool: &Pool) -> Result<Self> {
        Ok(Self(pool.begin().await?))
    }

    /// What statements run on.
    pub fn on(&mut self) -> &mut Connection {
        &mut self.0
    }

    /// Makes it so.
    ///
    /// # Errors
    /// [`StoreError`]; then nothing was done.
    pub async fn commit(self) -> Result<()> {
        Ok(self.0.commit().await?)
    }
}

impl StoreError {
    /// Whether there was merely no free connection, or no answer on it.
    pub fn is_busy(&self) -> bool {
        matches!(self, Self::Sql(error) if is_outage(error))
    }
}
