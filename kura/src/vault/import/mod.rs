//! `cargo kura vault import`: cards from another system, as a stream. CSV comes in on standard input, with the header
//! `reference,number,exp_month,exp_year[,name]`; `reference,token` goes out on standard output.
//!
//! What may leave this process: boxes sealed to keys that the pinned vault identity has signed; references; codes. What never
//! does: a digit of a card, not even of one that is refused. Card numbers are in no argument and in no file, and memory is
//! wiped as it is freed. References stay here.

mod boxes;
mod report;
mod rows;

use std::collections::VecDeque;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, Result, anyhow};
use kura_wire::ids::{ImportId, MerchantId};
use kura_wire::import::{Import, ImportedBatch, PATH_IMPORT, PATH_IMPORT_FINISH, PATH_IMPORTS, StartImport};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::control::Control;
use crate::terminal::note;
use boxes::Sender;
use report::Report;
use rows::Batch;

/// Batches on their way at a time: while one is written, others are read and sealed.
const IN_FLIGHT: usize = 4;

/// Import cards: CSV on standard input, tokens on standard output.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Whose cards they are
    #[arg(long, value_name = "MERCHANT")]
    merchant: MerchantId,
    /// Import into live mode
    #[arg(long)]
    live: bool,
    /// Go on with this import: give the same file again. What was taken before is answered as before
    #[arg(long, value_name = "ID")]
    resume: Option<ImportId>,
    /// Import cards whose month is over, too
    #[arg(long)]
    keep_expired: bool,
    /// Write the rows that were refused here as CSV: line, reference, code
    #[arg(long, value_name = "FILE")]
    rejects: Option<PathBuf>,
}

/// Imports all of standard input.
pub(super) async fn run(control: Control, arguments: Arguments) -> Result<ExitCode> {
    kura_platform::harden::this_process()?;
    let mut report = Report::new(arguments.rejects.as_deref())?;
    let import = open(&control, &arguments).await?;
    note(&format!("import {}; if it is interrupted, go on with --resume {} and the same file", import.id, import.id));
    let sender = Arc::new(Sender::new(control, import.id).await?);
    let (read, mut batches) = mpsc::channel(IN_FLIGHT);
    // A thread that nobody waits for when something fails: standard input may never end.
    let reading = std::thread::spawn(move || rows::read(std::io::stdin().lock(), &read));
    let mut waiting: VecDeque<JoinHandle<Result<(Batch, ImportedBatch)>>> = VecDeque::new();
    loop {
        let more = batches.recv().await;
        let ended = more.is_none();
        if let Some(batch) = more {
            waiting.push_back(tokio::spawn(send(Arc::clone(&sender), batch)));
        }
        while waiting.len() >= IN_FLIGHT || (ended && !waiting.is_empty()) {
            let Some(oldest) = waiting.pop_front() else { break };
            let (batch, answer) = oldest.await??;
            report.batch(&batch, &answer)?;
        }
        if ended {
            break;
        }
    }
    reading.join().map_err(|_| anyhow!("the reader ended unseen"))??;
    report.flush()?;
    let finish = PATH_IMPORT_FINISH.replace("{id}", &import.id.to_string());
    let finished: Import = sender.control().post(&finish, &()).await?;
    report.finish(&finished)
}

async fn open(control: &Control, arguments: &Arguments) -> Result<Import> {
    let Some(id) = arguments.resume else {
        let (merchant, livemode, keep_expired) = (arguments.merchant, arguments.live, arguments.keep_expired);
        return control.post(PATH_IMPORTS, &StartImport { merchant, livemode, keep_expired }).await;
    };
    let import: Import = control.get(&PATH_IMPORT.replace("{id}", &id.to_string()), &()).await?;
    if import.merchant != arguments.merchant || import.livemode != arguments.live {
        return Err(anyhow!("import {id} is another merchant's, or of the other mode"));
    }
    if import.finished_at.is_some() {
        return Err(anyhow!("import {id} is finished"));
    }
    Ok(import)
}

async fn send(sender: Arc<Sender>, batch: Batch) -> Result<(Batch, ImportedBatch)> {
    let number = batch.number;
    let answer = sender.send(&batch).await.with_context(|| format!("batch {number} was not taken"))?;
    Ok((batch, answer))
}
