//! What the verbs of custody share: reading a share, entering it, saying how custody stands.

use std::fmt::Write as _;
use std::io::{IsTerminal, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use kura_custody::custodian_key::is_public_key;
use kura_custody::enter::{seal_to_node, trusted_key};
use kura_custody::share::Share;
use kura_wire::custody::{
    Custodian, CustodianSet, CustodyStatus, MadeCustodianSet, NewCustodianSet, PATH_CUSTODIAN_SETS, PATH_CUSTODY,
    PATH_SHARES, SHARE_WAITS_MINUTES, SharePurpose,
};
use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};
use zeroize::Zeroizing;

use super::control::Control;
use crate::state::{private_directory, write_private_json};
use crate::terminal::note;

const MAX_INPUT_LEN: u64 = 4096;

/// A set to be, on the command line.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct NewSet {
    /// How many of the custodians it takes to open the vault
    #[arg(long, value_name = "K", required = true, value_parser = clap::value_parser!(u8).range(2..=32))]
    threshold: u8,
    /// Each custodian's name and own public key (`cargo kura vault custodian-key`)
    #[arg(long = "custodian", value_name = "NAME=PUBLIC_KEY", required = true, value_parser = custodian)]
    custodians: Vec<Custodian>,
    /// A directory for the sealed shares, one file for each custodian
    #[arg(long, value_name = "DIR")]
    out: std::path::PathBuf,
}

fn custodian(text: &str) -> Result<Custodian, String> {
    let (name, public_key) = text.split_once('=').ok_or("expected NAME=PUBLIC_KEY")?;
    if !is_public_key(public_key) {
        return Err(format!("the public key of {name} is mistyped: it has 43 letters, and this is none"));
    }
    Ok(Custodian { name: name.to_owned(), public_key: public_key.to_owned() })
}

/// Has the vault make the set, and writes each sealed share to its file.
pub(super) async fn make_set(control: &Control, set: &NewSet) -> Result<()> {
    ensure!(
        usize::from(set.threshold) <= set.custodians.len(),
        "the threshold is higher than the number of custodians"
    );
    private_directory(&set.out)?;
    let new = NewCustodianSet { threshold: set.threshold, custodians: set.custodians.clone() };
    let made: MadeCustodianSet = control.post(PATH_CUSTODIAN_SETS, &new).await?;
    for share in &made.shares {
        let name: String =
            share.custodian.chars().map(|letter| if letter.is_alphanumeric() { letter } else { '-' }).collect();
        let file = set.out.join(format!("{}-{name}.sealed.json", share.index));
        write_private_json(&file, share)?;
        note(&format!(
            "  {}: for {} alone, who opens it with `cargo kura vault share`",
            file.display(),
            share.custodian
        ));
    }
    note(&format!(
        "  tell the custodians: this vault's identity begins with {}",
        fingerprint(control.vault_identity())
    ));
    control.print(&made, |made| {
        format!("{}: {} shares, any {} of them make the key", made.set, made.shares.len(), set.threshold)
    })
}

/// Where a share comes from. Never an argument: those are seen by every process of the machine.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct ShareSource {
    /// A file of mode 0600 with the share [default: standard input]
    #[arg(long, value_name = "FILE")]
    share: Option<std::path::PathBuf>,
}

impl ShareSource {
    /// Reads the share; typing errors are told here, before anything is sent.
    pub(super) fn read(&self) -> Result<Share> {
        let text = match &self.share {
            Some(file) => read_private(file)?,
            None => read_input()?,
        };
        Ok(Share::parse(text.trim())?)
    }
}

/// A file that nobody else can read.
pub(super) fn read_private(file: &Path) -> Result<Zeroizing<String>> {
    let found = std::fs::metadata(file).with_context(|| format!("can't read {}", file.display()))?;
    if found.permissions().mode() & 0o077 != 0 {
        bail!("{} can be read by others; chmod 600 it", file.display());
    }
    let text = std::fs::read_to_string(file).with_context(|| format!("can't read {}", file.display()))?;
    Ok(Zeroizing::new(text))
}

/// Standard input; a terminal shows nothing of what is typed.
fn read_input() -> Result<Zeroizing<String>> {
    let mut text = Zeroizing::new(String::with_capacity(512));
    let input = std::io::stdin();
    if !input.is_terminal() {
        input.take(MAX_INPUT_LEN).read_to_string(&mut text).context("can't read standard input")?;
        return Ok(text);
    }
    note("  Your share (nothing is shown), then Enter:");
    let before = tcgetattr(&input)?;
    let mut silent = before.clone();
    silent.local_modes.remove(LocalModes::ECHO);
    tcsetattr(&input, OptionalActions::Flush, &silent)?;
    let read = input.read_line(&mut text);
    tcsetattr(&input, OptionalActions::Now, &before)?;
    read.context("can't read the terminal")?;
    Ok(text)
}

/// Seals a share to the node and enters it.
pub(crate) async fn enter(control: &Control, share: &Share, purpose: SharePurpose) -> Result<CustodyStatus> {
    let status: CustodyStatus = control.get(PATH_CUSTODY, &()).await?;
    let now_ms = kura_platform::clock::now_ms();
    let key = trusted_key(&status.keys, control.vault_identity(), now_ms)?;
    let entered = seal_to_node(share, &key, purpose, now_ms)?;
    control.post(PATH_SHARES, &entered).await
}

/// The first letters of the vault's identity, in fours: the console's page shows custodians the same.
pub(super) fn fingerprint(identity: &str) -> String {
    let letters: Vec<char> = identity.chars().take(24).collect();
    letters.chunks(4).map(|four| four.iter().collect::<String>()).collect::<Vec<_>>().join(" ")
}

/// How custody stands, for people.
pub(super) fn text(status: &CustodyStatus) -> String {
    let state = if status.sealed { "SEALED" } else { "unsealed" };
    let mut text = format!("node {}: {state}; key provider {}", status.node, status.provider);
    if let Some(next) = &status.next_provider {
        let _ = write!(text, ", moving to {next}");
    }
    for (word, set) in [("custodians", &status.active), ("custodians to be", &status.pending)] {
        if let Some(set) = set {
            let _ = write!(text, "\n  {word}: {}", of_set(set));
        }
    }
    for entered in &status.entered {
        let _ = write!(
            text,
            "\n  entered to {}: {}; {} more needed within {SHARE_WAITS_MINUTES} minutes ({})",
            entered.purpose.as_str(),
            entered.custodians.join(", "),
            entered.missing,
            entered.set
        );
    }
    if status.sealed && status.active.is_none() && status.pending.is_none() {
        text.push_str("\n  there are no custodians yet: cargo kura vault init");
    }
    text
}

fn of_set(set: &CustodianSet) -> String {
    format!("any {} of {} ({})", set.threshold, set.custodians.join(", "), set.id)
}
