//! `cargo kura ledger export`: pages of rows and of checkpoints, woven into one file as they come.

use std::collections::VecDeque;
use std::fs::File;
use std::io::BufWriter;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use kura_ledger::export::{Frame, Header, Kind, Writer};
use kura_ledger::note::PublicIdentity;
use kura_ledger::opening::place_of;
use kura_ledger::tree::{Compact, Hash};
use kura_wire::ledger::{
    Base, BaseQuery, Checkpoint, Head, HeadQuery, MAX_LEDGER_PAGE, PATH_BASE, PATH_CHECKPOINTS, PATH_HEAD, PATH_ROWS,
    PageQuery,
};
use serde::Serialize;

use crate::vault::control::Control;

/// A row is signed within a second; the vault may be busy.
const SIGNED_WITHIN: Duration = Duration::from_secs(10);
const TICK: Duration = Duration::from_millis(200);
/// How long a row that the vault doesn't know of may yet be one that it is just committing.
const KNOWN_WITHIN: Duration = Duration::from_secs(2);

/// Write the ledger's rows and checkpoints to a file.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The vault node
    #[arg(long, default_value_t = 0)]
    node: u16,
    /// Begin at this sequence, or at this UTC day (2026-01-31), instead of at the first row
    #[arg(long, value_name = "SEQUENCE|DATE")]
    since: Option<String>,
    /// The file; it must not exist yet
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

#[derive(Debug, Serialize)]
struct Exported {
    origin: String,
    identity: String,
    rows: u64,
    checkpoints: u64,
}

/// Exports.
pub(crate) async fn run(control: &Control, arguments: &Arguments) -> Result<ExitCode> {
    let head = signed_head(control).await?;
    if head.node != arguments.node {
        bail!("the vault that answers is node {}, not {}", head.node, arguments.node);
    }
    let identity = PublicIdentity::parse(&head.identity).context("the vault's identity is malformed")?;
    let base = base(control, arguments.since.as_deref()).await?;
    let until = head.checkpoint.as_ref().map_or(0, |latest| latest.size);
    let file = File::create_new(&arguments.out).with_context(|| format!("can't make {}", arguments.out.display()))?;
    let header = Header { origin: head.origin.clone(), identity, base };
    let mut weaver = Weaver {
        control,
        until,
        asked_after: header.base.size().saturating_sub(1),
        checkpoints: VecDeque::new(),
        writer: Writer::begin(BufWriter::with_capacity(1 << 20, file), Kind::Export, &header)?,
    };
    weaver.rows(header.base.size(), Some(until)).await?;
    weaver.checkpoints_before(until + 1).await?;
    weaver.strays().await?;
    let (rows, checkpoints) = weaver.writer.counts();
    let file = weaver.writer.end()?.into_inner().context("writing the file's end")?;
    file.sync_all()?;
    let exported = Exported { origin: header.origin, identity: head.identity, rows, checkpoints };
    control.print(&exported, |exported| {
        format!(
            "{}: {} rows and {} checkpoints in {}",
            exported.origin,
            exported.rows,
            exported.checkpoints,
            arguments.out.display()
        )
    })?;
    Ok(ExitCode::SUCCESS)
}

/// The ledger, once every row that it has now is signed for.
async fn signed_head(control: &Control) -> Result<Head> {
    let began = Instant::now();
    let first: Head = control.get(PATH_HEAD, &HeadQuery::default()).await?;
    let mut head = first.clone();
    while head.checkpoint.as_ref().map_or(0, |latest| latest.size) < first.rows {
        if began.elapsed() > SIGNED_WITHIN {
            bail!("the vault doesn't sign its latest rows; its log says why");
        }
        tokio::time::sleep(TICK).await;
        head = control.get(PATH_HEAD, &HeadQuery::default()).await?;
    }
    Ok(head)
}

async fn base(control: &Control, since: Option<&str>) -> Result<Compact> {
    let query = match since.map(|since| (since.parse::<u64>(), since)) {
        None => return Ok(Compact::default()),
        Some((Ok(sequence), _)) => BaseQuery { size: Some(sequence.saturating_sub(1)), day: None },
        Some((Err(_), day)) => BaseQuery { size: None, day: Some(day.to_owned()) },
    };
    let base: Base = control.get(PATH_BASE, &query).await?;
    let roots: Option<Vec<Hash>> = base.roots.iter().map(|root| Hash::parse(root)).collect();
    roots.and_then(|roots| Compact::of_roots(base.size, roots)).context("the vault's answer is of another version")
}

/// Writes rows in order, and each checkpoint behind the last row that it is about.
struct Weaver<'a> {
    control: &'a Control,
    /// The size of the last checkpoint that is wanted.
    until: u64,
    /// Checkpoints after this size were not asked for yet.
    asked_after: u64,
    checkpoints: VecDeque<Checkpoint>,
    writer: Writer<BufWriter<File>>,
}

impl Weaver<'_> {
    /// The rows after a sequence; up to `until`, or all.
    async fn rows(&mut self, mut after: u64, until: Option<u64>) -> Result<()> {
        loop {
            let page = self.control.bytes(PATH_ROWS, &PageQuery { after, limit: MAX_LEDGER_PAGE }).await?;
            if page.is_empty() {
                return Ok(());
            }
            let mut rest = page.as_slice();
            while !rest.is_empty() {
                let (frame, behind) = Frame::first(rest).context("the vault's answer is of another version")?;
                let Frame::Row { stored, leaf } = frame else { bail!("the vault's answer is of another version") };
                let (_, sequence) = place_of(leaf)?;
                if until.is_some_and(|until| sequence > until) {
                    return Ok(());
                }
                self.checkpoints_before(sequence).await?;
                self.writer.row(&stored, leaf)?;
                (rest, after) = (behind, sequence);
            }
        }
    }

    /// The checkpoints that are smaller than this.
    async fn checkpoints_before(&mut self, size: u64) -> Result<()> {
        loop {
            while self.checkpoints.front().is_some_and(|next| next.size < size) {
                let next = self.checkpoints.pop_front();
                next.map(|next| self.writer.checkpoint(&next.note)).transpose()?;
            }
            if !self.checkpoints.is_empty() || self.asked_after >= self.until {
                return Ok(());
            }
            let query = PageQuery { after: self.asked_after, limit: MAX_LEDGER_PAGE };
            let page: Vec<Checkpoint> = self.control.get(PATH_CHECKPOINTS, &query).await?;
            self.asked_after = page.last().map_or(self.until, |last| last.size);
            self.checkpoints = page.into_iter().filter(|checkpoint| checkpoint.size <= self.until).collect();
        }
    }

    /// Rows behind the last one that the vault knows of: somebody else's. The verifier will say so.
    async fn strays(&mut self) -> Result<()> {
        let stray = async || -> Result<(u64, bool)> {
            let head: Head = self.control.get(PATH_HEAD, &HeadQuery::default()).await?;
            let page = self.control.bytes(PATH_ROWS, &PageQuery { after: head.rows, limit: 1 }).await?;
            Ok((head.rows, !page.is_empty()))
        };
        if stray().await?.1 {
            tokio::time::sleep(KNOWN_WITHIN).await;
            let (known, is_there) = stray().await?;
            if is_there {
                self.rows(known, None).await?;
            }
        }
        Ok(())
    }
}
