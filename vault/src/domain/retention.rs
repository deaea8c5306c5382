//! The retention report (PCI DSS 3.2.1): what is held, for how long, that what is past its time is gone, and where account data
//! is kept and why, from the database's own catalogue.

use kura_platform::clock;
use kura_wire::erasure::{DataColumn, ErasedRecords, HeldRecords, RetentionReport, SweepState};
use kura_wire::ids::MerchantId;
use time::Duration;

use super::Vault;
use crate::store::held::{self, Table};
use crate::store::sweeps::SweepRow;
use crate::store::{StoreError, catalogue, erasures, retention, sweeps};

/// What is past its time for so long is overdue even if no sweep came by since: it should have, several times. Without this a
/// sweeper that stands still would leave nothing overdue.
const SWEPT_WITHIN: Duration = Duration::days(1);

impl Vault {
    /// Makes the report.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn retention(&self) -> Result<RetentionReport, StoreError> {
        let limits = retention::list(&self.pool).await?;
        let sweeps = sweeps::list(&self.pool).await?;
        let mut held = Vec::new();
        for table in Table::ALL {
            held.extend(self.held(table, &limits, &sweeps).await?);
        }
        let erased = erasures::count(&self.pool).await?.into_iter().map(|row| ErasedRecords {
            rule: row.rule,
            merchant: MerchantId::from_bytes(row.merchant_id.into_bytes()),
            records: row.records,
            keys: row.keys,
            last_at: row.last_at,
        });
        let (mut columns, mut unexplained_columns) = (Vec::new(), Vec::new());
        for column in catalogue::list_data_columns(&self.pool).await? {
            match column.why {
                Some(why) => columns.push(DataColumn { column: column.name, why }),
                None => unexplained_columns.push(column.name),
            }
        }
        Ok(RetentionReport {
            at: clock::now(),
            held,
            erased: erased.collect(),
            sweeps: sweeps.into_iter().map(state_of).collect(),
            limits,
            columns,
            security_code_columns: catalogue::list_security_code_columns(&self.pool).await?,
            unexplained_columns,
        })
    }

    async fn held(
        &self,
        table: Table,
        limits: &[(String, i32)],
        sweeps: &[SweepRow],
    ) -> Result<Vec<HeldRecords>, StoreError> {
        let swept = sweeps.iter().find(|row| row.table_name == table.as_str()).and_then(|row| row.last_started_at);
        let now = clock::now();
        let rows = held::count(&self.pool, table, swept.unwrap_or(now).max(now - SWEPT_WITHIN)).await?;
        let limit = |rule: &str| limits.iter().find(|(name, _)| name == rule).map_or(0, |(_, days)| *days);
        let record = |row: held::HeldCount| HeldRecords {
            limit_days: limit(&row.rule),
            rule: row.rule,
            merchant: MerchantId::from_bytes(row.merchant_id.into_bytes()),
            records: row.records,
            oldest_at: row.oldest_at,
            overdue: row.overdue,
        };
        Ok(rows.into_iter().map(record).collect())
    }
}

fn state_of(row: SweepRow) -> SweepState {
    SweepState { table: row.table_name, last_finished_at: row.last_finished_at, passes: row.passes, erased: row.erased }
}
