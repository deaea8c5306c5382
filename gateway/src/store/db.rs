//! The two ways into the database, and which rows each of them shows.
//!
//! Whatever is done for a merchant goes over [`Db::of`] or [`Db::begin`]: as a role to which the database shows this
//! merchant's rows only, so a statement that forgot its `merchant_id` finds and changes nothing of anybody else's. What
//! belongs to no merchant yet or to all of them, whose a key is, the workers' queues, the console's pages, goes over
//! [`Db::work`], as another role that has rights to little else.

use kura_platform::database::{DatabaseConfig, DatabaseError, PgPool, PgTransaction, PooledConnection, is_silence};

use super::{MIGRATIONS, Tenant};

/// Connections that are tried at the most, where the server ended those that were idle.
const TRIES: u32 = 64;

/// The database.
#[derive(Clone)]
pub struct Db {
    merchants: PgPool,
    work: PgPool,
}

impl Db {
    /// Connects as both roles.
    ///
    /// # Errors
    /// [`DatabaseError`], and the gateway must not start.
    pub async fn connect(merchants: &DatabaseConfig, work: &DatabaseConfig) -> Result<Self, DatabaseError> {
        Ok(Self {
            // `of` says something on each connection that it hands out, so it finds the dead ones itself.
            merchants: merchants.connect_with(&MIGRATIONS, |options| options.test_before_acquire(false)).await?,
            work: work.connect(&MIGRATIONS).await?,
        })
    }

    /// A connection that shows this merchant's rows.
    ///
    /// # Errors
    /// The database's.
    pub async fn of(&self, tenant: Tenant) -> sqlx::Result<PooledConnection> {
        let merchant = tenant.id().to_string();
        let mut tries = 0;
        loop {
            let mut connection = self.merchants.acquire().await?;
            let set = sqlx::query!("/* gateway db::of */ SELECT set_config('kura.merchant', $1, false)", merchant);
            match set.fetch_one(&mut *connection).await {
                Ok(_) => return Ok(connection),
                Err(error) => {
                    connection.close_on_drop();
                    tries += 1;
                    if tries == TRIES || !is_gone(&error) {
                        return Err(error);
                    }
                }
            }
        }
    }

    /// A transaction that shows this merchant's rows.
    ///
    /// # Errors
    /// The database's.
    pub async fn begin(&self, tenant: Tenant) -> sqlx::Result<PgTransaction<'static>> {
        self.of(tenant).await?.begin_owned().await
    }

    /// What is done for no merchant, or across them.
    pub fn work(&self) -> &PgPool {
        &self.work
    }

    /// Ends all connections.
    pub async fn close(&self) {
        self.merchants.close().await;
        self.work.close().await;
    }

    /// One that nobody answers.
    #[cfg(test)]
    pub(crate) fn unreachable() -> Self {
        Self { merchants: PgPool::unreachable().unwrap(), work: PgPool::unreachable().unwrap() }
    }
}

/// The connection was ended while nobody used it: by a restart, an operator, a failover. Another one may be well.
fn is_gone(error: &sqlx::Error) -> bool {
    match error {
        // It may be there and silent. Then the others are silent too.
        error if is_silence(error) => false,
        sqlx::Error::Io(_) | sqlx::Error::Protocol(_) => true,
        // Class 57: operator intervention.
        sqlx::Error::Database(error) => error.code().is_some_and(|code| code.starts_with("57P")),
        _ => false,
    }
}
