//! The key provider of the local demo: KEK and fingerprint root in a file of mode 0600. Refused outside development, since
//! whoever reads that file and the database has everything.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;

use data_encoding::BASE64;
use kura_platform::random;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::key_provider::{DEK_LEN, DekBytes, KeyError, KeyProvider, unwrap_under, wrap_under};

/// KEKs by version, and the fingerprint root.
pub struct DevFile {
    keks: BTreeMap<i32, DekBytes>,
    fingerprint_root: DekBytes,
}

#[derive(Serialize, Deserialize)]
struct Contents {
    warning: String,
    keks: BTreeMap<String, Zeroizing<String>>,
    fingerprint_root: Zeroizing<String>,
}

impl DevFile {
    /// Makes the file with new keys; keeps one that exists.
    ///
    /// # Errors
    /// The operating system's.
    pub fn create(path: &Path) -> io::Result<()> {
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
        let mut file = match file {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Ok(()),
            other => other?,
        };
        let key = || Zeroizing::new(BASE64.encode(&Zeroizing::new(random::bytes::<DEK_LEN>())[..]));
        let contents = Contents {
            warning: "development only: anyone with this file and the database can open every card".to_owned(),
            keks: BTreeMap::from([("1".to_owned(), key())]),
            fingerprint_root: key(),
        };
        let text = Zeroizing::new(serde_json::to_vec_pretty(&contents)?);
        file.write_all(&text)?;
        file.sync_all()
    }

    /// Reads the file.
    ///
    /// # Errors
    /// [`KeyError::Provider`] when it is missing, readable by others, or not ours.
    pub fn open(path: &Path) -> Result<Self, KeyError> {
        let fail = |why: &str| KeyError::Provider(format!("{}: {why}", path.display()));
        let file = File::open(path).map_err(|error| fail(&error.to_string()))?;
        let mode = file.metadata().map_err(|error| fail(&error.to_string()))?.permissions().mode();
        if mode & 0o077 != 0 {
            return Err(fail("readable by others; chmod 600"));
        }
        let contents: Contents = serde_json::from_reader(file).map_err(|_| fail("not a development key file"))?;
        let mut keks = BTreeMap::new();
        for (version, kek) in &contents.keks {
            let version = version.parse().map_err(|_| fail("a KEK's version is not a number"))?;
            keks.insert(version, decode(kek).ok_or_else(|| fail("a KEK is not 32 bytes of base64"))?);
        }
        if keks.is_empty() {
            return Err(fail("no KEK"));
        }
        let fingerprint_root = decode(&contents.fingerprint_root).ok_or_else(|| fail("no fingerprint root"))?;
        Ok(Self { keks, fingerprint_root })
    }
}

fn decode(text: &str) -> Option<DekBytes> {
    let bytes = Zeroizing::new(BASE64.decode(text.as_bytes()).ok()?);
    let mut key = Zeroizing::new([0; DEK_LEN]);
    (bytes.len() == DEK_LEN).then(|| key.copy_from_slice(&bytes))?;
    Some(key)
}

impl KeyProvider for DevFile {
    fn kek_version(&self) -> i32 {
        self.keks.keys().next_back().copied().unwrap_or(0)
    }

    fn wrap(&self, dek: &DekBytes, binding: &[u8]) -> Result<Vec<u8>, KeyError> {
        let version = self.kek_version();
        wrap_under(self.keks.get(&version).ok_or(KeyError::UnknownVersion(version))?, dek, binding)
    }

    fn unwrap(&self, kek_version: i32, wrapped: &[u8], binding: &[u8]) -> Result<DekBytes, KeyError> {
        unwrap_under(self.keks.get(&kek_version).ok_or(KeyError::UnknownVersion(kek_version))?, wrapped, binding)
    }

    fn fingerprint_root(&self) -> Result<DekBytes, KeyError> {
        Ok(self.fingerprint_root.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn provider(name: &str) -> (DevFile, std::path::PathBuf) {
        let path = std::env::temp_dir().join(format!("kura-dev-file-{}-{name}", std::process::id()));
        DevFile::create(&path).unwrap();
        (DevFile::open(&path).unwrap(), path)
    }

    /// A DEK comes back under its own binding only, and not when a byte of its wrapping was changed.
    #[test]
    fn a_wrapped_dek_is_bound() {
        let (provider, path) = provider("bound");
        let dek = Zeroizing::new([9; DEK_LEN]);
        let wrapped = provider.wrap(&dek, b"merchant a").unwrap();
        assert_eq!(provider.unwrap(1, &wrapped, b"merchant a").unwrap(), dek);
        assert!(matches!(provider.unwrap(1, &wrapped, b"merchant b"), Err(KeyError::Unwrap)));
        assert!(matches!(provider.unwrap(2, &wrapped, b"merchant a"), Err(KeyError::UnknownVersion(2))));
        for place in 0..wrapped.len() {
            let mut damaged = wrapped.clone();
            damaged[place] ^= 1;
            assert!(matches!(provider.unwrap(1, &damaged, b"merchant a"), Err(KeyError::Unwrap)), "byte {place}");
        }
        std::fs::remove_file(path).unwrap();
    }

    /// The file is made once, kept from then on, and refused when others may read it.
    #[test]
    fn the_file_is_private_and_kept() {
        let (first, path) = provider("private");
        DevFile::create(&path).unwrap();
        assert_eq!(DevFile::open(&path).unwrap().fingerprint_root, first.fingerprint_root);
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        assert!(DevFile::open(&path).is_err());
        std::fs::remove_file(path).unwrap();
    }
}
