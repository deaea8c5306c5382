//! The root key of the local demo, in a file of mode 0600. Refused outside development, since whoever reads that file and
//! the database has everything.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;

use data_encoding::BASE64;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::key_provider::{DEK_LEN, KeyError, ProviderKind, random_key};
use super::root_key::RootKey;

const SET_ID: &[u8] = b"development file";

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Contents {
    warning: String,
    root: Zeroizing<String>,
}

/// Makes the file with a new root; keeps one that exists.
///
/// # Errors
/// The operating system's.
pub fn create(path: &Path) -> io::Result<()> {
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    let mut file = match file {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Ok(()),
        other => other?,
    };
    let contents = Contents {
        warning: "development only: anyone with this file and the database can open every card".to_owned(),
        root: Zeroizing::new(BASE64.encode(random_key().as_slice())),
    };
    let text = Zeroizing::new(serde_json::to_vec_pretty(&contents)?);
    file.write_all(&text)?;
    file.sync_all()
}

/// Reads the file.
///
/// # Errors
/// [`KeyError::Provider`] when it is missing, readable by others, or not ours.
pub fn open(path: &Path) -> Result<RootKey, KeyError> {
    let fail = |why: &str| KeyError::Provider(format!("{}: {why}", path.display()));
    require_private(path)?;
    let file = File::open(path).map_err(|error| fail(&error.to_string()))?;
    let not_ours = "not a development key file of this version; a demo starts over with `cargo kura up --fresh`";
    let contents: Contents = serde_json::from_reader(file).map_err(|_| fail(not_ours))?;
    let bytes = Zeroizing::new(BASE64.decode(contents.root.as_bytes()).map_err(|_| fail(not_ours))?);
    let mut root = Box::new(Zeroizing::new([0; DEK_LEN]));
    if bytes.len() != DEK_LEN {
        return Err(fail("the root key is not 32 bytes of base64"));
    }
    root.copy_from_slice(&bytes);
    RootKey::new(ProviderKind::DevFile, SET_ID, &root)
}

/// A secret's file must be its owner's alone.
///
/// # Errors
/// [`KeyError::Provider`] when it is missing, or readable by others.
pub(super) fn require_private(path: &Path) -> Result<(), KeyError> {
    let fail = |why: &str| KeyError::Provider(format!("{}: {why}", path.display()));
    let mode = std::fs::metadata(path).map_err(|error| fail(&error.to_string()))?.permissions().mode();
    if mode & 0o077 == 0 { Ok(()) } else { Err(fail("readable by others; chmod 600")) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::key_provider::KeyProvider;

    /// The file is made once, kept from then on, and refused when others may read it or when it is something else.
    #[test]
    fn the_file_is_private_and_kept() {
        let path = std::env::temp_dir().join(format!("kura-dev-file-{}", std::process::id()));
        create(&path).unwrap();
        let material = open(&path).unwrap().make_kek(1).unwrap();
        create(&path).unwrap();
        assert!(create(&path.join("not a directory")).is_err(), "what can't be made is told");
        assert!(open(&path).unwrap().open_kek(1, &material).is_ok());
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        assert!(open(&path).is_err());
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        for text in ["{}", r#"{"warning":"","root":"AAAA"}"#, r#"{"warning":"","root":"!"}"#] {
            std::fs::write(&path, text).unwrap();
            assert!(open(&path).is_err(), "{text}");
        }
        std::fs::remove_file(path).unwrap();
    }
}
