//! The witness: fetches each vault node's latest checkpoint every second, and keeps those that go on from the one before. It
//! stands in another zone, with another database: whoever rewrites the vault's ledger, even with the vault's own key, can't
//! rewrite what is kept here.

use std::io::Write;
use std::time::{Duration, Instant};

use anyhow::Context;
use kura_ledger::export::{Header, Kind, Writer};
use kura_ledger::note::{Checkpoint, PublicIdentity, origin_of};
use kura_ledger::tree::{Compact, Hash};
use kura_platform::clock;
use kura_wire::ledger::Head;
use tokio::task::JoinHandle;

use crate::config::Config;
use crate::control::VaultNode;
use crate::domain::witness::{Kept, Verdict, Wrong, judge};
use crate::state::{App, StartError};
use crate::store::witness_checkpoints::{self, WitnessedRow};
use crate::store::witness_findings::{self, FindingRow};
use crate::store::{Pool, StoreError};

/// Notes that are read at once for an export.
const PAGE: i64 = 5000;

/// The identity that the configuration pins.
///
/// # Errors
/// [`StartError::VaultIdentity`].
pub fn identity(config: &Config) -> Result<PublicIdentity, StartError> {
    PublicIdentity::parse(&config.vault_identity).ok_or(StartError::VaultIdentity)
}

/// Watches every node, each in a task of its own.
///
/// # Errors
/// When the pinned identity is none.
pub fn start(app: &App, config: &Config) -> Result<Vec<JoinHandle<()>>, StartError> {
    let identity = identity(config)?;
    let watch = |node: &VaultNode| Watch {
        pool: app.pool.clone(),
        node: node.clone(),
        identity: identity.clone(),
        silent_after: Duration::from_millis(config.witness.silent_after_ms),
        kept: None,
        heard_at: Instant::now(),
        is_silent: false,
        told: None,
    };
    let every = Duration::from_millis(config.witness.every_ms.max(100));
    Ok(app.control.vault_nodes().iter().map(|node| tokio::spawn(watch(node).run(every))).collect())
}

/// One node, watched.
struct Watch {
    pool: Pool,
    node: VaultNode,
    identity: PublicIdentity,
    silent_after: Duration,
    kept: Option<Kept>,
    heard_at: Instant,
    is_silent: bool,
    /// The last finding, so that what stays wrong is one row and not one each second.
    told: Option<(Wrong, Option<String>)>,
}

impl Watch {
    async fn run(mut self, every: Duration) {
        let mut ticks = tokio::time::interval(every);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            if let Err(error) = self.look().await {
                tracing::error!(%error, "witness");
            }
        }
    }

    async fn look(&mut self) -> Result<(), StoreError> {
        let answer = self.node.ledger_head(self.kept.as_ref().map(|kept| kept.size)).await;
        let head = match answer {
            Ok(head) => head,
            Err(error) => {
                tracing::debug!(%error, "no checkpoint");
                return self.listen_to_silence().await;
            }
        };
        self.heard_at = Instant::now();
        self.is_silent = false;
        if self.kept.is_none()
            && let Some(kept) = self.known(&head).await?
        {
            // The proof that goes on from it comes with the next answer.
            self.kept = Some(kept);
            return Ok(());
        }
        match judge(&self.identity, self.kept.as_ref(), &head) {
            Verdict::Same => self.told = None,
            Verdict::Grown(checkpoint) => self.keep(checkpoint, &head).await?,
            Verdict::Wrong(wrong) => self.tell(wrong, Some(&head)).await?,
        }
        Ok(())
    }

    /// What was kept of this log before this process started.
    async fn known(&self, head: &Head) -> Result<Option<Kept>, StoreError> {
        let Some(row) = witness_checkpoints::find_latest(&self.pool, &head.origin).await? else { return Ok(None) };
        let size = u64::try_from(row.size).map_err(|_| StoreError::Malformed("checkpoint"))?;
        let root = Hash::from_slice(&row.root_hash).ok_or(StoreError::Malformed("checkpoint"))?;
        Ok(Some(Kept { origin: row.origin, size, root }))
    }

    async fn keep(&mut self, checkpoint: Checkpoint, head: &Head) -> Result<(), StoreError> {
        let note = head.checkpoint.as_ref().map(|latest| latest.note.clone()).unwrap_or_default();
        let row = WitnessedRow {
            origin: checkpoint.origin.clone(),
            size: i64::try_from(checkpoint.size).map_err(|_| StoreError::Malformed("checkpoint"))?,
            root_hash: checkpoint.root.as_bytes().to_vec(),
            note,
            seen_at: clock::now(),
        };
        witness_checkpoints::insert(&self.pool, &row).await?;
        let Checkpoint { origin, size, root } = checkpoint;
        self.kept = Some(Kept { origin, size, root });
        self.told = None;
        Ok(())
    }

    async fn listen_to_silence(&mut self) -> Result<(), StoreError> {
        if self.is_silent || self.heard_at.elapsed() < self.silent_after {
            return Ok(());
        }
        self.tell(Wrong::Silent, None).await?;
        self.is_silent = true;
        Ok(())
    }

    async fn tell(&mut self, kind: Wrong, head: Option<&Head>) -> Result<(), StoreError> {
        let latest = head.and_then(|head| head.checkpoint.as_ref());
        let note = latest.map(|latest| latest.note.chars().take(4096).collect::<String>());
        let this = Some((kind, note.clone()));
        if self.told == this {
            return Ok(());
        }
        let row = FindingRow {
            at: clock::now(),
            peer: self.node.address.clone(),
            origin: head.map(|head| head.origin.chars().take(200).collect()),
            kind,
            size: latest.and_then(|latest| i64::try_from(latest.size).ok()),
            note,
            kept: self.kept.as_ref().and_then(|kept| i64::try_from(kept.size).ok()),
        };
        let alert = format!("access_ledger_{}", kind.as_str());
        tracing::error!(alert, peer = row.peer, origin = row.origin, size = row.size, kept = row.kept, "witness");
        witness_findings::insert(&self.pool, &row).await?;
        self.told = this;
        Ok(())
    }
}

/// Writes what was kept of a node's log. Gives how many checkpoints.
///
/// # Errors
/// The database's or the writer's.
pub async fn export(pool: &Pool, identity: &PublicIdentity, node: u16, out: impl Write) -> anyhow::Result<u64> {
    let origin = origin_of(node);
    let header = Header { origin: origin.clone(), identity: identity.clone(), base: Compact::default() };
    let mut writer = Writer::begin(out, Kind::Witness, &header).context("writing")?;
    let mut after = 0;
    loop {
        let page = witness_checkpoints::list_after(pool, &origin, after, PAGE).await?;
        let Some((last, _)) = page.last() else { break };
        after = *last;
        for (_, note) in &page {
            writer.checkpoint(note).context("writing")?;
        }
    }
    let (_, checkpoints) = writer.counts();
    writer.end().context("writing")?;
    Ok(checkpoints)
}
