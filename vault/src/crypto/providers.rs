//! From a configuration to a key provider.

use std::sync::Arc;

use anyhow::ensure;

use super::key_provider::KeyProvider;
use super::{dev_file, pkcs11};
use crate::config::{Environment, KeyProviderConfig};

/// Opens a provider. None for `shamir`: its root is made of the custodians' shares.
///
/// # Errors
/// When it can't be used, or is not for this environment.
pub fn open(config: &KeyProviderConfig, environment: Environment) -> anyhow::Result<Option<Arc<dyn KeyProvider>>> {
    Ok(match config {
        KeyProviderConfig::DevFile { path } => {
            ensure!(
                environment == Environment::Development,
                "key_provider dev-file is for environment = \"development\" only: anyone with the file and the database can open every card"
            );
            Some(Arc::new(dev_file::open(path)?))
        }
        KeyProviderConfig::Shamir {} => None,
        KeyProviderConfig::Pkcs11 { module, token_label, pin_file } => {
            Some(Arc::new(pkcs11::Hsm::open(module, token_label, pin_file)?))
        }
    })
}
