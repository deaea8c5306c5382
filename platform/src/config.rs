//! Configuration: one TOML file, named on the command line; `KURA_SECTION__KEY` in the environment overrides a value.
//!
//! Names without the two underscores, such as `KURA_LOG`, are for others: read as keys, they would be unknown ones.

use std::collections::HashMap;
use std::ffi::OsString;
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
        .add_source(
            config::Environment::with_prefix("KURA")
                .prefix_separator("_")
                .separator("__")
                .try_parsing(true)
                .source(Some(overrides(std::env::vars_os()))),
        )
        .build()
        .and_then(config::Config::try_deserialize)
        .map_err(wrap)
}

/// The variables that name a section and a key.
fn overrides(variables: impl Iterator<Item = (OsString, OsString)>) -> HashMap<String, String> {
    variables
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .filter(|(name, _)| name.starts_with("KURA_") && name.contains("__"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A section's key is an override; the logger's level, a test's interpreter, and what isn't ours are not.
    #[test]
    fn only_a_sections_keys_are_overrides() {
        let names = ["KURA_TLS__CA", "KURA_LOG", "KURA_PYTHON", "OTHER__KEY", "PATH"];
        let found = overrides(names.into_iter().map(|name| (name.into(), "value".into())));
        assert_eq!(found.into_keys().collect::<Vec<_>>(), ["KURA_TLS__CA"]);
    }
}
