//! Configuration: one TOML file, named on the command line; `KURA_SECTION__KEY` in the environment overrides a value.

use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;

/// The configuration can't be used; the message says which file and which key.
#[derive(Debug, thiserror::Error)]
#[error("configuration {path}: {source}")]
pub struct ConfigError {
    path: PathBuf,
    source: Box<config::ConfigError>,
}

/// Reads a configuration file. Unknown keys are errors where the type says so (`deny_unknown_fields`).
///
/// # Errors
/// [`ConfigError`] when the file is missing, is not TOML, or does not fit the type.
pub fn load<T: DeserializeOwned>(path: &Path) -> Result<T, ConfigError> {
    let wrap = |source| ConfigError { path: path.to_owned(), source: Box::new(source) };
    config::Config::builder()
        .add_source(config::File::from(path).format(config::FileFormat::Toml))
        .add_source(config::Environment::with_prefix("KURA").prefix_separator("_").separator("__").try_parsing(true))
        .build()
        .and_then(config::Config::try_deserialize)
        .map_err(wrap)
}
