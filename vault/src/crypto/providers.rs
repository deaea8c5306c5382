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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::key_provider::ProviderKind;

    /// The development file opens in development and nowhere else; a root of shares is opened by nobody's configuration.
    #[test]
    fn the_development_file_is_for_development() {
        let path = std::env::temp_dir().join(format!("kura-provider-{}", std::process::id()));
        dev_file::create(&path).unwrap();
        let config = KeyProviderConfig::DevFile { path: path.clone() };
        let opened = open(&config, Environment::Development).unwrap();
        assert_eq!(opened.map(|provider| provider.kind()), Some(ProviderKind::DevFile));
        assert!(open(&config, Environment::Production).is_err());
        assert!(open(&KeyProviderConfig::Shamir {}, Environment::Production).unwrap().is_none());
        std::fs::remove_file(path).unwrap();
    }
}
