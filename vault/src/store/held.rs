//! What is held and until when: the views `held_cards`, `held_payers` and `held_customers`, where the rules of retention are.

use kura_platform::database::{PgConnection, PgPool};
use time::OffsetDateTime;
use uuid::Uuid;

use super::StoreError;

/// A table with records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Table {
    /// Cards.
    Cards,
    /// Payers.
    Payers,
    /// Customers.
    Customers,
}

impl Table {
    /// All, in the order in which they are walked.
    pub const ALL: [Self; 3] = [Self::Cards, Self::Payers, Self::Customers];

    /// Its name in the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Cards => "cards",
            Self::Payers => "payers",
            Self::Customers => "customers",
        }
    }

    /// The table of a name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|table| table.as_str() == name)
    }

    /// The one that is walked after this.
    pub const fn next(self) -> Option<Self> {
        match self {
            Self::Cards => Some(Self::Payers),
            Self::Payers => Some(Self::Customers),
            Self::Customers => None,
        }
    }
}

/// A record that is held.
#[derive(Debug, Clone)]
pub struct HeldRow {
    /// The record.
    pub id: Uuid,
    /// Whose.
    pub merchant_id: Uuid,
    /// The rule of retention that covers it.
    pub rule: String,
    /// Its last use, change, or making.
    pub began_at: OffsetDateTime,
    /// Until when it may be kept.
    pub due_at: OffsetDateTime,
    /// Whether its key was destroyed.
    pub shredded: bool,
}

/// The records of one rule and merchant.
pub struct HeldCount {
    /// The rule.
    pub rule: String,
    /// Whose.
    pub merchant_id: Uuid,
    /// How many.
    pub records: i64,
    /// The oldest one's beginning.
    pub oldest_at: OffsetDateTime,
    /// Those that were due at the time asked for.
    pub overdue: i64,
}

/// The next records of a table after one, in the order of their ids. Few at a time: the walk may stop anywhere and go on.
///
/// # Errors
/// [`StoreError`].
pub async fn list(
    connection: &mut PgConnection,
    table: Table,
    after: Uuid,
    limit: i64,
) -> Result<Vec<HeldRow>, StoreError> {
    match table {
        Table::Cards => {
            sqlx::query_as!(
                HeldRow,
                "/* vault held::list cards */
                 SELECT id AS \"id!\", merchant_id AS \"merchant_id!\", rule AS \"rule!\",
                     GREATEST(began_at, used_at) AS \"began_at!\", due_at AS \"due_at!\",
                     EXISTS (SELECT FROM deks WHERE deks.id = key_id AND deks.state = 'destroyed') AS \"shredded!\"
                 FROM held_cards WHERE id > $1 ORDER BY id LIMIT $2",
                after,
                limit
            )
            .fetch_all(connection)
            .await
        }
        Table::Payers => {
            sqlx::query_as!(
                HeldRow,
                "/* vault held::list payers */
                 SELECT id AS \"id!\", merchant_id AS \"merchant_id!\", rule AS \"rule!\", began_at AS \"began_at!\",
                     due_at AS \"due_at!\",
                     EXISTS (SELECT FROM deks WHERE deks.id = key_id AND deks.state = 'destroyed') AS \"shredded!\"
                 FROM held_payers WHERE id > $1 ORDER BY id LIMIT $2",
                after,
                limit
            )
            .fetch_all(connection)
            .await
        }
        Table::Customers => {
            sqlx::query_as!(
                HeldRow,
                "/* vault held::list customers */
                 SELECT id AS \"id!\", merchant_id AS \"merchant_id!\", rule AS \"rule!\", began_at AS \"began_at!\",
                     due_at AS \"due_at!\",
                     EXISTS (SELECT FROM deks WHERE deks.id = key_id AND deks.state = 'destroyed') AS \"shredded!\"
                 FROM held_customers WHERE id > $1 ORDER BY id LIMIT $2",
                after,
                limit
            )
            .fetch_all(connection)
            .await
        }
    }
}

/// One record, if it is held.
///
/// # Errors
/// [`StoreError`].
pub async fn find(connection: &mut PgConnection, table: Table, id: Uuid) -> Result<Option<HeldRow>, StoreError> {
    let before = Uuid::from_u128(id.as_u128().saturating_sub(1));
    let next = list(connection, table, before, 1).await?.into_iter().next();
    Ok(next.filter(|row| row.id == id))
}

/// How much is held in a table, by rule and merchant.
///
/// # Errors
/// [`StoreError`].
pub async fn count(pool: &PgPool, table: Table, due_before: OffsetDateTime) -> Result<Vec<HeldCount>, StoreError> {
    match table {
        Table::Cards => {
            sqlx::query_as!(
                HeldCount,
                "/* vault held::count cards */
                 SELECT rule AS \"rule!\", merchant_id AS \"merchant_id!\", count(*) AS \"records!\",
                     min(began_at) AS \"oldest_at!\", count(*) FILTER (WHERE due_at < $1) AS \"overdue!\"
                 FROM held_cards GROUP BY rule, merchant_id ORDER BY rule, merchant_id",
                due_before
            )
            .fetch_all(pool)
            .await
        }
        Table::Payers => {
            sqlx::query_as!(
                HeldCount,
                "/* vault held::count payers */
                 SELECT rule AS \"rule!\", merchant_id AS \"merchant_id!\", count(*) AS \"records!\",
                     min(began_at) AS \"oldest_at!\", count(*) FILTER (WHERE due_at < $1) AS \"overdue!\"
                 FROM held_payers GROUP BY rule, merchant_id ORDER BY rule, merchant_id",
                due_before
            )
            .fetch_all(pool)
            .await
        }
        Table::Customers => {
            sqlx::query_as!(
                HeldCount,
                "/* vault held::count customers */
                 SELECT rule AS \"rule!\", merchant_id AS \"merchant_id!\", count(*) AS \"records!\",
                     min(began_at) AS \"oldest_at!\", count(*) FILTER (WHERE due_at < $1) AS \"overdue!\"
                 FROM held_customers GROUP BY rule, merchant_id ORDER BY rule, merchant_id",
                due_before
            )
            .fetch_all(pool)
            .await
        }
    }
}
