//! Ceilings on openings, for each peer and purpose: so many a minute and so many a day, by all nodes together.
//!
//! A node takes blocks out of the ceilings in the database and hands them out from memory. What is left of a block when a
//! node dies is lost to its window, so a ceiling is never exceeded and, near its end, reached a few openings early.

use std::sync::{Arc, Mutex, PoisonError};

use kura_platform::clock;
use kura_platform::database::PgPool;
use time::OffsetDateTime;

use crate::config::BudgetConfig;
use crate::store::StoreError;
use crate::store::budget_windows::{self, Window};

const SECONDS: [(&str, i64); 2] = [("minute", 60), ("day", 86_400)];
/// A block is this part of the minute's ceiling, so a busy minute takes some dozens of statements.
const BLOCKS: i64 = 64;

/// (peer, purpose, per minute, per day), where the configuration says nothing. A hundred authorizations a second is a large
/// shop's busiest minute; the vault's own batches are rotations and imports of some million cards.
const DEFAULTS: [(&str, &str, i64, i64); 9] = [
    ("gateway.kura.internal", "authorize", 6_000, 1_000_000),
    ("gateway.kura.internal", "authenticate", 6_000, 1_000_000),
    ("gateway.kura.internal", "verify", 6_000, 1_000_000),
    ("vault.kura.internal", "reseal", 12_000_000, 200_000_000),
    ("vault.kura.internal", "import", 12_000_000, 200_000_000),
    ("vault.kura.internal", "compare", 12_000_000, 200_000_000),
    ("admin.kura.internal", "account_update", 60_000, 5_000_000),
    ("gateway.kura.internal", "customer_update", 6_000, 500_000),
    ("gateway.kura.internal", "deposit", 6_000, 500_000),
];
/// For what nobody thought of: enough to work, too little to carry a store away.
const OTHERWISE: (i64, i64) = (600, 20_000);

/// What became of a wish.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taken {
    /// It is counted.
    Within,
    /// There are not as many left.
    Beyond,
}

/// All budgets of a node.
pub struct Budgets {
    pool: PgPool,
    configured: Vec<BudgetConfig>,
    accounts: Mutex<Vec<Arc<Account>>>,
}

struct Account {
    peer: String,
    purpose: String,
    /// By minute, by day.
    ceilings: [i64; 2],
    held: Mutex<[Block; 2]>,
    /// One statement at a time takes the next block; the others wait for it.
    leasing: tokio::sync::Mutex<()>,
}

/// What is left of what was taken out of a window.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Block {
    /// Which window: its number since 1970.
    window: i64,
    left: i64,
}

impl Budgets {
    /// Of a node.
    pub fn new(pool: PgPool, configured: &[BudgetConfig]) -> Self {
        Self { pool, configured: configured.to_vec(), accounts: Mutex::default() }
    }

    /// Counts so many openings.
    ///
    /// # Errors
    /// [`StoreError`]; nothing is counted then.
    pub async fn take(&self, peer: &str, purpose: &str, count: i64) -> Result<Taken, StoreError> {
        let account = self.account(peer, purpose);
        if account.take_held(count, clock::now().unix_timestamp()) {
            return Ok(Taken::Within);
        }
        let _turn = account.leasing.lock().await;
        // Read anew: the wait may have gone into another minute.
        let now_s = clock::now().unix_timestamp();
        for index in 0..SECONDS.len() {
            if !account.take_from(index, count, now_s) && !self.lease(&account, index, count, now_s).await? {
                return Ok(Taken::Beyond);
            }
        }
        Ok(Taken::Within)
    }

    /// Takes the next block and `count` out of it. False when the window has not as many left.
    async fn lease(&self, account: &Account, index: usize, count: i64, now_s: i64) -> Result<bool, StoreError> {
        let Some((span, seconds)) = SECONDS.get(index).copied() else { return Ok(false) };
        let Some(ceiling) = account.ceilings.get(index).copied() else { return Ok(false) };
        let window = now_s.div_euclid(seconds);
        let Ok(starts_at) = OffsetDateTime::from_unix_timestamp(window * seconds) else { return Ok(false) };
        let block = account.ceilings.first().map_or(1, |per_minute| per_minute / BLOCKS).max(count);
        let window_row = Window { peer: &account.peer, purpose: &account.purpose, span, starts_at };
        let Some(granted) = budget_windows::lease(&self.pool, window_row, ceiling, count, block).await? else {
            return Ok(false);
        };
        account.add(index, window, granted - count);
        Ok(true)
    }

    fn account(&self, peer: &str, purpose: &str) -> Arc<Account> {
        let mut accounts = self.accounts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = accounts.iter().find(|known| known.peer == peer && known.purpose == purpose) {
            return Arc::clone(known);
        }
        let account = Arc::new(Account {
            peer: peer.to_owned(),
            purpose: purpose.to_owned(),
            ceilings: ceilings(&self.configured, peer, purpose),
            held: Mutex::default(),
            leasing: tokio::sync::Mutex::default(),
        });
        accounts.push(Arc::clone(&account));
        account
    }
}

fn ceilings(configured: &[BudgetConfig], peer: &str, purpose: &str) -> [i64; 2] {
    if let Some(budget) = configured.iter().find(|budget| budget.peer == peer && budget.purpose == purpose) {
        return [i64::from(budget.per_minute.get()), i64::from(budget.per_day.get())];
    }
    let known = DEFAULTS.iter().find(|(who, what, ..)| *who == peer && *what == purpose);
    known.map_or([OTHERWISE.0, OTHERWISE.1], |(_, _, per_minute, per_day)| [*per_minute, *per_day])
}

impl Account {
    /// Takes from both blocks, or from neither.
    fn take_held(&self, count: i64, now_s: i64) -> bool {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let enough = held
            .iter()
            .zip(SECONDS)
            .all(|(block, (_, seconds))| block.window == now_s.div_euclid(seconds) && block.left >= count);
        if enough {
            held.iter_mut().for_each(|block| block.left -= count);
        }
        enough
    }

    /// Takes from one block alone.
    fn take_from(&self, index: usize, count: i64, now_s: i64) -> bool {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let Some((block, (_, seconds))) = held.get_mut(index).zip(SECONDS.get(index)) else { return false };
        let enough = block.window == now_s.div_euclid(*seconds) && block.left >= count;
        if enough {
            block.left -= count;
        }
        enough
    }

    fn add(&self, index: usize, window: i64, granted: i64) {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(block) = held.get_mut(index).filter(|block| block.window <= window) {
            // What was left of another window is void.
            let left = if block.window == window { block.left } else { 0 };
            *block = Block { window, left: left + granted };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::num::NonZeroU32;

    fn account() -> Account {
        let [peer, purpose] = ["p", "q"].map(str::to_owned);
        Account { peer, purpose, ceilings: [1, 1], held: Mutex::default(), leasing: tokio::sync::Mutex::default() }
    }

    /// Both windows must have enough, both are charged, and what is left of a minute ends with it.
    #[test]
    fn a_block_serves_its_own_window() {
        let account = account();
        let now_s = 86_400 * 20_000;
        assert!(!account.take_held(1, now_s));
        account.add(0, now_s / 60, 3);
        assert!(!account.take_held(1, now_s), "the day has none");
        account.add(1, now_s / 86_400, 10);
        assert!(account.take_held(2, now_s));
        assert!(!account.take_held(2, now_s), "one is left of the minute");
        assert!(account.take_held(1, now_s));
        account.add(0, now_s / 60, 5);
        assert!(!account.take_held(1, now_s + 60), "the next minute");
        assert!(!account.take_from(0, 1, now_s + 60) && account.take_from(1, 1, now_s + 60));
        account.add(0, now_s / 60 + 1, 5);
        assert!(!account.take_held(6, now_s + 60), "nothing is carried over");
        assert!(account.take_held(5, now_s + 60));
    }

    /// The configuration comes first, then what we know, then little.
    #[test]
    fn what_nobody_thought_of_gets_little() {
        let number = |value| NonZeroU32::new(value).unwrap();
        let own = BudgetConfig {
            peer: "gateway.kura.internal".to_owned(),
            purpose: "authorize".to_owned(),
            per_minute: number(5),
            per_day: number(7),
        };
        assert_eq!(ceilings(&[own], "gateway.kura.internal", "authorize"), [5, 7]);
        assert_eq!(ceilings(&[], "gateway.kura.internal", "authorize"), [6_000, 1_000_000]);
        assert_eq!(ceilings(&[], "gateway.kura.internal", "peek"), [600, 20_000]);
    }
}
