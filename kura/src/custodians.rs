//! The demo's custodians: three whose keys and shares lie together in one directory, which is just what nobody must do in
//! earnest. They make the first set and unseal a vault that `cargo kura up` has started.

use std::path::PathBuf;

use anyhow::{Context, Result};
use kura_custody::custodian_key::CustodianKey;
use kura_custody::share::Share;
use kura_wire::custody::{
    Custodian, CustodyStatus, MadeCustodianSet, NewCustodianSet, PATH_CUSTODIAN_SETS, PATH_CUSTODY, SharePurpose,
};
use zeroize::Zeroizing;

use crate::state::{State, private_directory, read_if_there, write_private};
use crate::vault::{Control, enter};

const NAMES: [&str; 3] = ["hana", "ken", "mio"];
const THRESHOLD: u8 = 2;

/// Unseals the vault, after making its custodians when it has none. Gives what to tell about it.
///
/// # Errors
/// When the vault refuses, or the shares are gone.
pub(crate) async fn unseal(state: &State, control: &Control) -> Result<String> {
    private_directory(&state.path("custodians"))?;
    let status: CustodyStatus = control.get(PATH_CUSTODY, &()).await?;
    if status.active.is_none() {
        make(state, control).await?;
    }
    for name in NAMES.iter().take(THRESHOLD.into()) {
        let file = share_file(state, name);
        let text = read_if_there(&file)?.map(Zeroizing::new);
        let text = text.with_context(|| format!("{} is gone; enter the shares yourself", file.display()))?;
        enter(control, &Share::parse(text.trim())?, SharePurpose::Unseal).await?;
    }
    Ok(format!("unsealed by {THRESHOLD} of {} sample custodians, whose shares lie in custodians/", NAMES.len()))
}

async fn make(state: &State, control: &Control) -> Result<()> {
    let mut keys = Vec::new();
    for name in NAMES {
        let file = state.path("custodians").join(format!("{name}.key.json"));
        let key = match read_if_there(&file)?.map(Zeroizing::new) {
            Some(text) => CustodianKey::parse(&text)?,
            None => CustodianKey::generate()?,
        };
        write_private(&file, key.reveal_as_file().as_bytes())?;
        keys.push(key);
    }
    let custodian =
        |(name, key): (&str, &CustodianKey)| Custodian { name: name.to_owned(), public_key: key.public_key() };
    let custodians = NAMES.into_iter().zip(&keys).map(custodian).collect();
    let made: MadeCustodianSet =
        control.post(PATH_CUSTODIAN_SETS, &NewCustodianSet { threshold: THRESHOLD, custodians }).await?;
    for (key, sealed) in keys.iter().zip(&made.shares) {
        write_private(&share_file(state, &sealed.custodian), key.open(sealed)?.reveal_as_text().as_bytes())?;
    }
    Ok(())
}

fn share_file(state: &State, name: &str) -> PathBuf {
    state.path("custodians").join(format!("{name}.share"))
}
