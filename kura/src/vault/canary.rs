//! `cargo kura vault canary …`: makes records that nobody has a reason to use, in the vault and on the gateway's books.

use std::fmt::Write as _;
use std::process::ExitCode;

use anyhow::Result;
use clap::Subcommand;
use kura_wire::guard::{
    CanaryGroup, MAX_CANARIES, MakeCanaries, PATH_CANARIES, PATH_CANARIES_ROTATE, PATH_CARD_MERCHANTS,
    PATH_SAVED_CARDS, SavedCard,
};
use kura_wire::ids::MerchantId;
use serde::Serialize;

use super::control::Control;
use crate::terminal::note;

/// Records that nobody has a reason to use: their first use stops the thief.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Put some among a merchant's saved cards
    Make {
        /// The merchant
        #[arg(long)]
        merchant: MerchantId,
        #[command(flatten)]
        kind: Kind,
    },
    /// Put some among every merchant's saved cards
    Spread {
        #[command(flatten)]
        kind: Kind,
    },
    /// Show how many each merchant has; which records they are can't be shown
    List,
    /// Replace all by new ones; the old ones are watched all the same
    Rotate {
        /// Do it; without this it is only shown
        #[arg(long)]
        execute: bool,
    },
}

#[derive(Debug, clap::Args)]
struct Kind {
    /// How many for each merchant
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..=i64::from(MAX_CANARIES)))]
    count: u16,
    /// Live mode instead of test mode
    #[arg(long)]
    live: bool,
    /// The first six digits [default: like the merchant's own cards]
    #[arg(long)]
    bin: Option<String>,
}

/// What was made: never which.
#[derive(Debug, Serialize)]
struct Made {
    merchants: usize,
    canaries: usize,
}

/// Does it.
pub(super) async fn run(control: &Control, arguments: &Arguments) -> Result<ExitCode> {
    match &arguments.command {
        Command::Make { merchant, kind } => make(control, &[*merchant], kind).await,
        Command::Spread { kind } => {
            let merchants: Vec<MerchantId> = control.get(PATH_CARD_MERCHANTS, &()).await?;
            make(control, &merchants, kind).await
        }
        Command::List => {
            let groups: Vec<CanaryGroup> = control.get(PATH_CANARIES, &()).await?;
            control.print(&groups, |groups| text(groups))?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Rotate { execute } => rotate(control, *execute).await,
    }
}

async fn make(control: &Control, merchants: &[MerchantId], kind: &Kind) -> Result<ExitCode> {
    let mut canaries = 0;
    for merchant in merchants {
        let (merchant, livemode, count, bin) = (*merchant, kind.live, kind.count, kind.bin.clone());
        let made: Vec<SavedCard> =
            control.post(PATH_CANARIES, &MakeCanaries { merchant, livemode, count, bin }).await?;
        canaries += made.len();
        place(control, &made).await?;
    }
    report(control, &Made { merchants: merchants.len(), canaries })
}

async fn rotate(control: &Control, execute: bool) -> Result<ExitCode> {
    if !execute {
        let groups: Vec<CanaryGroup> = control.get(PATH_CANARIES, &()).await?;
        note("dry run; with --execute the active ones of these would be replaced:");
        control.print(&groups, |groups| text(groups))?;
        return Ok(ExitCode::SUCCESS);
    }
    let made: Vec<SavedCard> = control.post(PATH_CANARIES_ROTATE, &()).await?;
    place(control, &made).await?;
    let mut merchants: Vec<MerchantId> = made.iter().map(|card| card.merchant).collect();
    merchants.dedup();
    report(control, &Made { merchants: merchants.len(), canaries: made.len() })
}

/// On the gateway's books they are saved cards like all others, so that a thief of those finds them too.
async fn place(control: &Control, made: &[SavedCard]) -> Result<()> {
    for card in made {
        control.post_to_gateway(PATH_SAVED_CARDS, card).await?;
    }
    Ok(())
}

fn report(control: &Control, made: &Made) -> Result<ExitCode> {
    control.print(made, |made| format!("{} canaries made, for {} merchants", made.canaries, made.merchants))?;
    Ok(ExitCode::SUCCESS)
}

fn text(groups: &[CanaryGroup]) -> String {
    if groups.is_empty() {
        return "no canaries".to_owned();
    }
    let mut text = String::new();
    for group in groups {
        let lead = if text.is_empty() { "" } else { "\n" };
        let CanaryGroup { merchant, active, retired, made_at, .. } = group;
        let mode = if group.livemode { "live" } else { "test" };
        let _ = write!(text, "{lead}{merchant} {mode}  {active} active, {retired} retired, the newest made {made_at}");
    }
    text
}
