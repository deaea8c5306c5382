//! The database pool: one role, over a socket or TLS, with limits on waiting; and the check that the schema is the one
//! that this program was built for.

use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use serde::Deserialize;
use sqlx::migrate::Migrator;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};

mod pool;

pub use pool::{ANSWERS_WITHIN, PgConnection, PgPool, PgTransaction, PooledConnection, is_outage, is_silence};

/// How to reach the database.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DatabaseConfig {
    /// `postgres:///vault?host=/run/kura/vault&user=vault_app`, without a password.
    pub url: String,
    /// A file that holds the role's password and nothing else.
    pub password_file: PathBuf,
    /// Connections at the most.
    #[serde(default = "default_max_connections")]
    pub max_connections: u32,
}

/// How long to wait for a free connection, or a new one.
const CONNECTED_WITHIN: Duration = Duration::from_secs(4);

fn default_max_connections() -> u32 {
    10
}

/// Why there is no database.
#[derive(Debug, thiserror::Error)]
pub enum DatabaseError {
    /// The password file.
    #[error("can't read the database password file {0}: {1}")]
    Password(PathBuf, std::io::Error),
    /// The server or the address.
    #[error("database: {0}")]
    Sql(#[from] sqlx::Error),
    /// Migrating.
    #[error("migration: {0}")]
    Migrate(#[from] sqlx::migrate::MigrateError),
    /// The schema is another one.
    #[error("the schema is not the one this program knows ({0}); run its `migrate` command with the owner's role")]
    UnknownSchema(String),
}

impl DatabaseConfig {
    fn options(&self) -> Result<PgConnectOptions, DatabaseError> {
        let password = std::fs::read_to_string(&self.password_file)
            .map_err(|error| DatabaseError::Password(self.password_file.clone(), error))?;
        Ok(PgConnectOptions::from_str(&self.url)?.password(password.trim_end()))
    }

    /// Opens the pool and refuses a schema that is not exactly `expected`.
    ///
    /// # Errors
    /// [`DatabaseError`], and the service must not start.
    pub async fn connect(&self, expected: &Migrator) -> Result<PgPool, DatabaseError> {
        self.connect_with(expected, |options| options).await
    }

    /// The same, with further options of the pool.
    ///
    /// # Errors
    /// [`DatabaseError`], and the service must not start.
    pub async fn connect_with(
        &self,
        expected: &Migrator,
        options: impl FnOnce(PgPoolOptions) -> PgPoolOptions,
    ) -> Result<PgPool, DatabaseError> {
        let usual = PgPoolOptions::new().max_connections(self.max_connections).acquire_timeout(CONNECTED_WITHIN);
        let pool = PgPool::new(options(usual).connect_with(self.options()?).await?, ANSWERS_WITHIN);
        check_schema(&pool, expected).await?;
        Ok(pool)
    }

    /// Applies the migrations, as the role that owns the schema.
    ///
    /// # Errors
    /// [`DatabaseError`]; what was applied before stays.
    pub async fn migrate(&self, migrations: &Migrator) -> Result<(), DatabaseError> {
        let pool = PgPoolOptions::new().max_connections(1).connect_with(self.options()?).await?;
        migrations.run(&pool).await?;
        pool.close().await;
        Ok(())
    }
}

/// Every expected migration applied with the same checksum, and none besides.
async fn check_schema(pool: &PgPool, expected: &Migrator) -> Result<(), DatabaseError> {
    let applied: Vec<(i64, Vec<u8>)> = sqlx::query_as(
        "/* platform check_schema */ SELECT version, checksum FROM _sqlx_migrations WHERE success ORDER BY version",
    )
    .fetch_all(pool)
    .await?;
    let known: Vec<(i64, Vec<u8>)> =
        expected.iter().map(|migration| (migration.version, migration.checksum.to_vec())).collect();
    if applied == known {
        return Ok(());
    }
    let last = |list: &[(i64, Vec<u8>)]| list.last().map_or(0, |(version, _)| *version);
    Err(DatabaseError::UnknownSchema(format!("database at {}, program at {}", last(&applied), last(&known))))
}

#[cfg(test)]
mod tests {
    use sqlx::ConnectOptions as _;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    use super::*;

    /// What `sslmode=require` asks for is there: the server is greeted in TLS. (The feature that does it has a name that sqlx
    /// may change; see Cargo.toml.)
    #[tokio::test]
    async fn a_database_is_reached_over_tls() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let server = async {
            let (mut client, _) = listener.accept().await.unwrap();
            let mut asked = [0; 8];
            client.read_exact(&mut asked).await.unwrap();
            client.write_all(b"S").await.unwrap();
            // The record of a ClientHello; none, when the client is gone.
            client.read_u8().await.unwrap_or_default()
        };
        let url = format!("postgres://vault_app:x@127.0.0.1:{port}/vault?sslmode=require");
        let options = PgConnectOptions::from_str(&url).unwrap();
        let (first, connected) = tokio::join!(server, options.connect());
        assert_eq!(first, 22, "{connected:?}");
        assert!(connected.is_err());
    }
}
