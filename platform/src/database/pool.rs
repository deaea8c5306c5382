//! Connections on which nothing waits for ever: a server that doesn't answer (stopped, its disk gone, its network cut) costs
//! a caller the pool's limit and no more.
//!
//! A server's own limits (`statement_timeout`) can't help there, for it is the server that would have to keep them. So each
//! call has its limit on this side too, a little longer than the server's. A connection on which one struck, or whose caller
//! went away in the midst of a call, is never used again: nobody knows what is still to come on it.

use std::io;
use std::ops::{Deref, DerefMut};
use std::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::stream::{self, BoxStream};
use futures_util::{FutureExt, StreamExt};
use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgQueryResult, PgRow, PgStatement, PgTransactionManager, PgTypeInfo};
use sqlx::{Connection, Describe, Either, Execute, Executor, Postgres, SqlStr};
use sqlx_core::transaction::TransactionManager;
use tokio::time::timeout;

/// How long a call may wait for the server, unless the configuration says otherwise. The roles' `statement_timeout` is shorter,
/// so that a server that lives speaks first.
pub const ANSWERS_WITHIN: Duration = Duration::from_millis(4_500);

/// Connections of one role.
#[derive(Debug, Clone)]
pub struct PgPool {
    inner: sqlx::PgPool,
    limit: Duration,
}

impl PgPool {
    /// With this limit on each call.
    pub(super) fn new(inner: sqlx::PgPool, limit: Duration) -> Self {
        Self { inner, limit }
    }

    /// To a database that nobody reaches, for tests: what has to ask it fails.
    ///
    /// # Errors
    /// None that a caller could cause.
    pub fn unreachable() -> sqlx::Result<Self> {
        let options = sqlx::postgres::PgPoolOptions::new().acquire_timeout(Duration::from_millis(50));
        Ok(Self::new(options.connect_lazy("postgres://nobody@127.0.0.1:1/none")?, ANSWERS_WITHIN))
    }

    /// A connection, to be given back by dropping it.
    ///
    /// # Errors
    /// The database's; [`sqlx::Error::PoolTimedOut`] when there is none in time.
    pub async fn acquire(&self) -> sqlx::Result<PooledConnection> {
        let held = timeout(self.limit, self.inner.acquire()).await.map_err(|_| sqlx::Error::PoolTimedOut)??;
        Ok(PooledConnection(PgConnection { held: Held::Pooled(held), limit: self.limit, lost: false }))
    }

    /// A transaction on a connection of its own.
    ///
    /// # Errors
    /// The database's.
    pub async fn begin(&self) -> sqlx::Result<PgTransaction<'static>> {
        self.acquire().await?.begin_owned().await
    }

    /// Ends all connections, or stops waiting for it.
    pub async fn close(&self) {
        timeout(self.limit, self.inner.close()).await.ok();
    }
}

/// A connection, with a limit on each call.
#[derive(Debug)]
pub struct PgConnection {
    held: Held,
    limit: Duration,
    /// A call on it did not come to its end.
    lost: bool,
}

#[derive(Debug)]
enum Held {
    Pooled(PoolConnection<Postgres>),
    Detached(sqlx::PgConnection),
    Gone,
}

impl PgConnection {
    /// Asks whether the server is there.
    ///
    /// # Errors
    /// It is not.
    pub async fn ping(&mut self) -> sqlx::Result<()> {
        self.within(|raw| raw.ping().boxed()).await
    }

    /// A transaction on this connection.
    ///
    /// # Errors
    /// The database's.
    pub async fn begin(&mut self) -> sqlx::Result<PgTransaction<'_>> {
        PgTransaction::begin_on(On::Lent(self)).await
    }

    /// Copies rows in with a `COPY … FROM STDIN`, and gives their number.
    ///
    /// # Errors
    /// The database's; none is in then.
    pub async fn copy_in(&mut self, statement: &'static str, rows: &[u8]) -> sqlx::Result<u64> {
        self.within(|raw| {
            async move {
                let mut copy = raw.copy_in_raw(statement).await?;
                copy.send(rows).await?;
                copy.finish().await
            }
            .boxed()
        })
        .await
    }

    /// Ends it, with a word of farewell.
    ///
    /// # Errors
    /// The database's; it is ended all the same.
    pub async fn close(mut self) -> sqlx::Result<()> {
        let limit = self.limit;
        let ended = match std::mem::replace(&mut self.held, Held::Gone) {
            Held::Pooled(pooled) => timeout(limit, pooled.close()).await,
            Held::Detached(raw) => timeout(limit, raw.close()).await,
            Held::Gone => return Ok(()),
        };
        ended.map_err(|_| no_answer())?
    }

    /// From here on each call may take longer. For work that is known to, in which nobody waits.
    pub fn be_patient(&mut self, limit: Duration) {
        self.limit = limit;
    }

    /// The connection for one call, its mark and its limit.
    fn usable(&mut self) -> sqlx::Result<(&mut sqlx::PgConnection, &mut bool, Duration)> {
        let raw = match &mut self.held {
            _ if self.lost => return Err(no_answer()),
            Held::Pooled(pooled) => &mut **pooled,
            Held::Detached(raw) => raw,
            Held::Gone => return Err(sqlx::Error::PoolClosed),
        };
        Ok((raw, &mut self.lost, self.limit))
    }

    /// One call. Whoever drops it on the way loses the connection, as does one that takes too long.
    async fn within<'a, T>(
        &'a mut self,
        call: impl FnOnce(&'a mut sqlx::PgConnection) -> BoxFuture<'a, sqlx::Result<T>>,
    ) -> sqlx::Result<T> {
        let (raw, lost, limit) = self.usable()?;
        *lost = true;
        let answer = timeout(limit, call(raw)).await.map_err(|_| no_answer())?;
        *lost = false;
        answer
    }
}

impl Drop for PgConnection {
    fn drop(&mut self) {
        let Held::Pooled(mut pooled) = std::mem::replace(&mut self.held, Held::Gone) else { return };
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return drop(pooled.detach()) };
        if self.lost {
            // No farewell: nobody may be there to hear it.
            drop(pooled.detach());
        } else {
            // It is looked at before others get it, and what was begun on it is rolled back.
            runtime.spawn(timeout(self.limit, pooled.return_to_pool()));
        }
    }
}

/// The server said nothing in time. What was asked may be done all the same.
fn no_answer() -> sqlx::Error {
    sqlx::Error::Io(io::Error::new(io::ErrorKind::TimedOut, "the database did not answer in time"))
}

/// Whether this is a limit of ours, so that it is of no use to try the next connection.
pub fn is_silence(error: &sqlx::Error) -> bool {
    matches!(error, sqlx::Error::Io(error) if error.kind() == io::ErrorKind::TimedOut)
}

/// No connection, a broken one, or a server that is silent, going or coming: nothing is wrong with what was asked, and whether it
/// was done is open.
pub fn is_outage(error: &sqlx::Error) -> bool {
    use sqlx::Error as E;
    match error {
        E::Io(_) | E::Tls(_) | E::PoolTimedOut | E::PoolClosed | E::WorkerCrashed => true,
        // Class 08, connection exceptions; class 57, operator intervention; class 53, out of something.
        E::Database(error) => {
            error.code().is_some_and(|code| ["08", "57", "53"].iter().any(|class| code.starts_with(class)))
        }
        _ => false,
    }
}

/// A connection out of the pool, which goes back there.
#[derive(Debug)]
pub struct PooledConnection(PgConnection);

impl PooledConnection {
    /// It is ended instead of going back.
    pub fn close_on_drop(&mut self) {
        self.0.lost = true;
    }

    /// Takes it out of the pool for good.
    pub fn detach(mut self) -> PgConnection {
        let held = match std::mem::replace(&mut self.0.held, Held::Gone) {
            Held::Pooled(pooled) => Held::Detached(pooled.detach()),
            other => other,
        };
        PgConnection { held, limit: self.0.limit, lost: self.0.lost }
    }

    /// A transaction that keeps the connection.
    ///
    /// # Errors
    /// The database's.
    pub async fn begin_owned(self) -> sqlx::Result<PgTransaction<'static>> {
        PgTransaction::begin_on(On::Owned(self.0)).await
    }
}

impl Deref for PooledConnection {
    type Target = PgConnection;

    fn deref(&self) -> &PgConnection {
        &self.0
    }
}

impl DerefMut for PooledConnection {
    fn deref_mut(&mut self) -> &mut PgConnection {
        &mut self.0
    }
}

/// All of it, or nothing: dropped without [`Self::commit`] it is rolled back.
#[derive(Debug)]
pub struct PgTransaction<'c> {
    on: On<'c>,
    open: bool,
}

#[derive(Debug)]
enum On<'c> {
    Lent(&'c mut PgConnection),
    Owned(PgConnection),
}

impl<'c> PgTransaction<'c> {
    async fn begin_on(on: On<'c>) -> sqlx::Result<Self> {
        // From the first moment on, since the server may have begun it though its answer does not come.
        let mut transaction = Self { on, open: true };
        transaction.within(|raw| PgTransactionManager::begin(raw, None).boxed()).await?;
        Ok(transaction)
    }

    /// Makes it so.
    ///
    /// # Errors
    /// The database's. Where no answer came ([`is_silence`]), it may be so all the same.
    pub async fn commit(mut self) -> sqlx::Result<()> {
        self.within(|raw| PgTransactionManager::commit(raw).boxed()).await?;
        self.open = false;
        Ok(())
    }

    /// Leaves no trace of it.
    ///
    /// # Errors
    /// The database's; there is no trace then either.
    pub async fn rollback(mut self) -> sqlx::Result<()> {
        self.within(|raw| PgTransactionManager::rollback(raw).boxed()).await?;
        self.open = false;
        Ok(())
    }
}

impl Deref for PgTransaction<'_> {
    type Target = PgConnection;

    fn deref(&self) -> &PgConnection {
        match &self.on {
            On::Lent(connection) => connection,
            On::Owned(connection) => connection,
        }
    }
}

impl DerefMut for PgTransaction<'_> {
    fn deref_mut(&mut self) -> &mut PgConnection {
        match &mut self.on {
            On::Lent(connection) => connection,
            On::Owned(connection) => connection,
        }
    }
}

impl Drop for PgTransaction<'_> {
    fn drop(&mut self) {
        if self.open
            && let Ok((raw, _, _)) = self.usable()
        {
            // Sent with the next call, which is the pool's look at it.
            PgTransactionManager::start_rollback(raw);
        }
    }
}

type Step = Either<PgQueryResult, PgRow>;

impl<'c> Executor<'c> for &'c mut PgConnection {
    type Database = Postgres;

    /// The limit is on each wait for the next row, not on what the caller does between rows.
    fn fetch_many<'e, 'q: 'e, E>(self, query: E) -> BoxStream<'e, sqlx::Result<Step>>
    where
        'c: 'e,
        E: 'q + Execute<'q, Postgres>,
    {
        let (raw, lost, limit) = match self.usable() {
            Ok(usable) => usable,
            Err(error) => return stream::once(std::future::ready(Err(error))).boxed(),
        };
        let begun = Some((raw.fetch_many(query), lost));
        stream::unfold(begun, move |under_way| async move {
            let (mut steps, lost) = under_way?;
            *lost = true;
            let Ok(step) = timeout(limit, steps.next()).await else { return Some((Err(no_answer()), None)) };
            *lost = false;
            step.map(|step| (step, Some((steps, lost))))
        })
        .boxed()
    }

    fn fetch_optional<'e, 'q: 'e, E>(self, query: E) -> BoxFuture<'e, sqlx::Result<Option<PgRow>>>
    where
        'c: 'e,
        E: 'q + Execute<'q, Postgres>,
    {
        self.within(move |raw| raw.fetch_optional(query)).boxed()
    }

    fn prepare_with<'e>(self, sql: SqlStr, parameters: &'e [PgTypeInfo]) -> BoxFuture<'e, sqlx::Result<PgStatement>>
    where
        'c: 'e,
    {
        self.within(move |raw| raw.prepare_with(sql, parameters)).boxed()
    }

    fn describe<'e>(self, sql: SqlStr) -> BoxFuture<'e, sqlx::Result<Describe<Postgres>>>
    where
        'c: 'e,
    {
        self.within(move |raw| raw.describe(sql)).boxed()
    }
}

impl<'p> Executor<'p> for &PgPool {
    type Database = Postgres;

    fn fetch_many<'e, 'q: 'e, E>(self, query: E) -> BoxStream<'e, sqlx::Result<Step>>
    where
        'p: 'e,
        E: 'q + Execute<'q, Postgres>,
    {
        let pool = self.clone();
        let all = async move {
            let limit = pool.limit;
            let all = async move { Ok(pool.acquire().await?.fetch_many(query).collect().await) };
            let all: sqlx::Result<Vec<_>> = timeout(limit, all).await.unwrap_or_else(|_| Err(no_answer()));
            stream::iter(all.unwrap_or_else(|error| vec![Err(error)]))
        };
        all.flatten_stream().boxed()
    }

    fn fetch_optional<'e, 'q: 'e, E>(self, query: E) -> BoxFuture<'e, sqlx::Result<Option<PgRow>>>
    where
        'p: 'e,
        E: 'q + Execute<'q, Postgres>,
    {
        let pool = self.clone();
        async move {
            let limit = pool.limit;
            let one = async move { pool.acquire().await?.fetch_optional(query).await };
            timeout(limit, one).await.unwrap_or_else(|_| Err(no_answer()))
        }
        .boxed()
    }

    fn prepare_with<'e>(self, sql: SqlStr, parameters: &'e [PgTypeInfo]) -> BoxFuture<'e, sqlx::Result<PgStatement>>
    where
        'p: 'e,
    {
        let pool = self.clone();
        async move { pool.acquire().await?.prepare_with(sql, parameters).await }.boxed()
    }

    fn describe<'e>(self, sql: SqlStr) -> BoxFuture<'e, sqlx::Result<Describe<Postgres>>>
    where
        'p: 'e,
    {
        let pool = self.clone();
        async move { pool.acquire().await?.describe(sql).await }.boxed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Instant;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;
    use tokio::sync::mpsc;

    const LIMIT: Duration = Duration::from_millis(200);
    /// AuthenticationOk, ReadyForQuery.
    const WELCOME: [u8; 15] = [b'R', 0, 0, 0, 8, 0, 0, 0, 0, b'Z', 0, 0, 0, 5, b'I'];

    /// A server that lets everybody in and then says nothing more; it tells when somebody leaves.
    async fn silent() -> (PgPool, mpsc::UnboundedReceiver<()>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (left, leaving) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let left = left.clone();
                tokio::spawn(async move {
                    let mut read = [0; 1024];
                    let _ = stream.read(&mut read).await;
                    let _ = stream.write_all(&WELCOME).await;
                    while stream.read(&mut read).await.is_ok_and(|len| len > 0) {}
                    let _ = left.send(());
                });
            }
        });
        let options = sqlx::postgres::PgPoolOptions::new().max_connections(1).test_before_acquire(false);
        let pool = options.connect_lazy(&format!("postgres://nobody@{address}/none?sslmode=disable")).unwrap();
        (PgPool::new(pool, LIMIT), leaving)
    }

    /// Every kind of call ends in time, as silence; the connection is ended at once and its place is free for the next one.
    #[tokio::test]
    async fn silence_has_an_end_and_costs_the_connection() {
        let (pool, mut leaving) = silent().await;
        for turn in 0..5 {
            let began = Instant::now();
            let mut connection = pool.acquire().await.unwrap();
            let ended = match turn {
                0 => (&mut *connection).fetch_optional("SELECT 1").await.map(drop),
                1 => (&mut *connection).fetch_all("SELECT 1").await.map(drop),
                2 => connection.ping().await,
                3 => connection.begin().await.map(drop),
                _ => connection.copy_in("COPY t FROM STDIN", &[]).await.map(drop),
            };
            let error = ended.unwrap_err();
            assert!(is_silence(&error) && is_outage(&error), "{turn}: {error}");
            assert!(began.elapsed() >= LIMIT && began.elapsed() < LIMIT * 5, "{turn}: {:?}", began.elapsed());
            let again = connection.ping().await.unwrap_err();
            assert!(is_silence(&again) && began.elapsed() < LIMIT * 5, "{turn}: nothing more is asked on it");
            drop(connection);
            timeout(LIMIT, leaving.recv()).await.expect("the connection is ended at once");
        }
    }

    /// A caller who goes away in the midst of a call takes the connection with him: an answer that comes later is for nobody else.
    #[tokio::test]
    async fn a_call_that_is_left_costs_the_connection() {
        let (pool, mut leaving) = silent().await;
        let mut connection = pool.acquire().await.unwrap();
        timeout(LIMIT / 4, connection.ping()).await.unwrap_err();
        drop(connection);
        timeout(LIMIT / 2, leaving.recv()).await.expect("the connection is ended at once");
    }

    /// Calls of the pool's own have the limit with all that they wait for, one that gives a connection back unharmed too.
    #[tokio::test]
    async fn waiting_for_a_connection_counts() {
        let (pool, mut leaving) = silent().await;
        let held = pool.acquire().await.unwrap();
        let began = Instant::now();
        assert!(is_outage(&pool.fetch_optional("SELECT 1").await.unwrap_err()));
        assert!(is_outage(&pool.fetch_all("SELECT 1").await.unwrap_err()));
        assert!(began.elapsed() < LIMIT * 5, "{:?}", began.elapsed());
        // It is looked at on its way back, and given up.
        drop(held);
        timeout(LIMIT * 3, leaving.recv()).await.expect("the connection is ended");
        assert!(is_silence(&pool.fetch_optional("SELECT 1").await.unwrap_err()), "its place is free again");
    }
}
