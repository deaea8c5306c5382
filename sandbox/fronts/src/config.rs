//! What the fronts are told: where they are, where the gateway is, and the merchant's two keys.

use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use url::Url;

/// `fronts.toml`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FrontsConfig {
    /// Where to listen.
    pub listener: SocketAddr,
    /// The address that shoppers use; its origin must be among the publishable key's allowed ones.
    pub public_url: Url,
    /// The gateway's public address.
    pub gateway_url: Url,
    /// `pk_…`
    pub publishable_key: String,
    /// A file that holds the secret key and nothing else.
    pub secret_key_file: PathBuf,
}

/// The merchant's secret key. It goes into one header and nowhere else.
#[derive(Clone)]
pub struct SecretKey(String);

impl SecretKey {
    /// Reads the key's file.
    ///
    /// # Errors
    /// When the file can't be read or holds no secret key.
    pub fn read(path: &Path) -> anyhow::Result<Self> {
        let text = std::fs::read_to_string(path)
            .map_err(|error| anyhow::anyhow!("can't read the secret key file {}: {error}", path.display()))?;
        let key = text.trim();
        anyhow::ensure!(key.starts_with("sk_"), "{} holds no secret key (sk_…)", path.display());
        Ok(Self(key.to_owned()))
    }

    /// For the `Authorization` header of the gateway's API.
    pub(crate) fn reveal_to_gateway(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretKey(…)")
    }
}
