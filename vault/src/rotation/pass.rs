//! One pass over all resealable tables. While one batch is written, the next ones are read, recorded, opened and sealed.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;
use std::time::Instant;

use kura_platform::database::PgConnection;
use uuid::Uuid;

use super::batch::{self, Batch, Sealer};
use super::tables::Table;
use super::{RotationError, Work, pace};
use crate::store::reseal::Pages;
use crate::store::rotations::Progress;
use crate::store::{StoreError, rotations};

/// The most pages of one batch, where few of their rows are to be resealed.
const MOST_PAGES: i64 = 2048;
/// Batches that are made ready while one is written.
const AHEAD: usize = 2;
/// To begin with; then the cursor goes by what it finds.
const ROWS_ON_A_PAGE: i64 = 15;
/// What the database says where somebody else holds a lock for too long: `lock_not_available`.
const LOCKED: &str = "55P03";

/// What this worker knows beyond the database.
#[derive(Default)]
pub(super) struct Known {
    /// Rows of this pass that don't open.
    pub(super) damaged: HashSet<Uuid>,
    /// Rows whose alert was raised: once for each is enough.
    pub(super) alerted: HashSet<Uuid>,
    /// Keys that don't unwrap; their alert was raised where that was found.
    pub(super) broken_keys: HashSet<i64>,
}

/// Goes over all tables from where the rotation is.
pub(super) async fn run(work: &mut Work, keys: &[i64], known: &mut Known) -> Result<(), RotationError> {
    if keys.is_empty() {
        return Ok(());
    }
    let (next_table, next_page) = (work.rotation.next_table.take(), std::mem::take(&mut work.rotation.next_page));
    let start = next_table.and_then(|name| Table::ALL.iter().position(|table| table.name() == name)).unwrap_or(0);
    for (place, table) in Table::ALL.into_iter().enumerate().skip(start) {
        let from = if place == start { next_page } else { 0 };
        over_table(work, table, from, keys, known).await?;
    }
    Ok(())
}

/// Which pages come next. It adapts to how many rows there are to reseal on a page.
struct Cursor {
    next: i64,
    end: i64,
    pages: i64,
}

impl Cursor {
    fn take(&mut self) -> Option<Pages> {
        let from = self.next;
        self.next = (from + self.pages).min(self.end);
        (from < self.end).then_some(Pages { from, to: self.next })
    }

    fn adapt(&mut self, rows: usize, aim: i64) {
        let rows = i64::try_from(rows).unwrap_or(i64::MAX);
        let fitting = self.pages.saturating_mul(aim) / rows.max(1);
        self.pages = fitting.clamp(1, (self.pages * 2).min(MOST_PAGES));
    }
}

async fn over_table(
    work: &mut Work,
    table: Table,
    from: i64,
    keys: &[i64],
    known: &mut Known,
) -> Result<(), RotationError> {
    let end = table.count_pages(work.pool()).await?;
    let mut cursor = Cursor { next: from, end, pages: (work.pace.batch() / ROWS_ON_A_PAGE).max(1) };
    let sealer = Arc::new(Sealer {
        vault: Arc::clone(&work.vault),
        keyring: Arc::clone(&work.keyring),
        rotation: work.rotation.id,
        table,
        keys: keys.to_vec(),
    });
    let mut ahead = VecDeque::with_capacity(AHEAD);
    loop {
        work.check_unsealed()?;
        while ahead.len() < AHEAD
            && let Some(pages) = cursor.take()
        {
            ahead.push_back(tokio::spawn(batch::prepare(Arc::clone(&sealer), pages, known.broken_keys.clone())));
        }
        let Some(next) = ahead.pop_front() else { return Ok(()) };
        let began = Instant::now();
        let batch = next.await.map_err(|_| RotationError::Thread)??;
        cursor.adapt(batch.rows.len() + batch.damaged.len() + batch.keyless.len(), work.pace.batch());
        let report = Progress {
            id: work.rotation.id,
            done: 0,
            worked_ms: work.pace.lap_ms(),
            next_table: Some(table.name()),
            next_page: batch.pages.to,
        };
        let limit = write(&mut work.connection, &sealer, &batch, report).await?;
        work.pace.set(limit);
        batch::raise_alerts(&sealer, &batch, known).await;
        pace::rest(work, i64::try_from(batch.rows.len()).unwrap_or(i64::MAX), began).await?;
    }
}

/// Writes a batch and how far that is, in one transaction. Where somebody holds one of the rows, the batch waits for the next
/// pass instead. Gives the limit.
async fn write(
    connection: &mut PgConnection,
    sealer: &Sealer,
    batch: &Batch,
    report: Progress<'_>,
) -> Result<Option<i32>, RotationError> {
    let mut transaction = connection.begin().await?;
    let updated = match batch.rows.is_empty() {
        true => 0,
        false => match sealer.table.update(&mut transaction, &batch.rows).await {
            Ok(updated) => updated,
            Err(error) if is_locked(&error) => {
                transaction.rollback().await?;
                return Ok(rotations::advance(connection, report).await?);
            }
            Err(error) => return Err(error.into()),
        },
    };
    if updated == 0 {
        // Perhaps the new key was retired in its turn: the next seal looks again.
        batch.rows.first().inspect(|row| sealer.keyring.deks.forget(row.new_key));
    }
    let done = i64::try_from(updated).unwrap_or(i64::MAX);
    let limit = rotations::advance(&mut *transaction, Progress { done, ..report }).await?;
    transaction.commit().await?;
    Ok(limit)
}

fn is_locked(error: &StoreError) -> bool {
    error.as_database_error().and_then(|error| error.code()).is_some_and(|code| code == LOCKED)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A cursor meets every page once, takes more of them where little is to be done, and fewer where much is.
    #[test]
    fn a_cursor_meets_every_page_once() {
        let mut cursor = Cursor { next: 3, end: 1000, pages: 10 };
        let (mut met, mut widest) = (3, 0);
        while let Some(pages) = cursor.take() {
            assert_eq!(pages.from, met);
            widest = widest.max(pages.to - pages.from);
            met = pages.to;
            cursor.adapt(0, 100);
        }
        assert_eq!(met, 1000);
        assert!(widest > 100, "{widest}");
        let mut dense = Cursor { next: 0, end: 1000, pages: 100 };
        dense.adapt(10_000, 100);
        assert_eq!(dense.take(), Some(Pages { from: 0, to: 1 }));
    }
}
