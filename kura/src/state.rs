//! The state directory (`.kura/`): who may use it, and files in it that only their owner can read.

use std::fs::{DirBuilder, File, OpenOptions, Permissions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use data_encoding::{BASE64URL_NOPAD, HEXLOWER};
use rustix::fs::{FlockOperation, flock};
use serde::Serialize;

const LOCK: &str = "lock";
const RUN: &str = "run.json";
/// What `--fresh` leaves: the lock that it holds, tools that took long to install, and the logs of earlier runs.
const KEPT: &[&str] = &[LOCK, "tools", "logs"];

/// A state directory that this process alone uses, as long as it lives.
#[derive(Debug)]
pub(crate) struct State {
    root: PathBuf,
    _lock: File,
}

impl State {
    /// Makes the directory when it is missing, and takes it for this process alone.
    ///
    /// # Errors
    /// When another process has it, or when it holds something that is not ours.
    pub(crate) fn take(root: &Path) -> Result<Self> {
        private_directory(root)?;
        let root = root.canonicalize().with_context(|| format!("can't resolve {}", root.display()))?;
        let path = root.join(LOCK);
        if !path.exists() && has_foreign_content(&root)? {
            bail!("{} is neither empty nor Kura's; choose another directory with --state", root.display());
        }
        let mut options = OpenOptions::new();
        let lock = options.create(true).truncate(false).write(true).mode(0o600).open(&path);
        let lock = lock.with_context(|| format!("can't write to {}", path.display()))?;
        if flock(&lock, FlockOperation::NonBlockingLockExclusive).is_err() {
            bail!(
                "Kura already runs on {}{}; stop it with Ctrl-C there, or give this one its own with --state DIR --port-base N",
                root.display(),
                running(&root)
            );
        }
        Ok(Self { root, _lock: lock })
    }

    /// The directory itself.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// A path below it.
    pub(crate) fn path(&self, below: &str) -> PathBuf {
        self.root.join(below)
    }

    /// What tools and tests read to find the running Kura.
    pub(crate) fn run_file(&self) -> PathBuf {
        self.root.join(RUN)
    }

    /// Deletes what earlier runs made. Nothing may run on it any more.
    ///
    /// # Errors
    /// When something can't be deleted.
    pub(crate) fn clear(&self) -> Result<()> {
        let databases = self.path("postgres");
        if databases.is_symlink()
            && let Ok(elsewhere) = databases.canonicalize()
        {
            remove(&elsewhere)?;
        }
        for entry in std::fs::read_dir(&self.root)? {
            let entry = entry?;
            if !KEPT.iter().any(|kept| entry.file_name() == *kept) {
                remove(&entry.path())?;
            }
        }
        Ok(())
    }

    /// Deletes everything, the directory too.
    ///
    /// # Errors
    /// When something can't be deleted.
    pub(crate) fn discard(self) -> Result<()> {
        self.clear()?;
        remove(&self.root)
    }
}

/// The file that tells of the Kura that runs on the state directory `root`.
pub(crate) fn run_file(root: &Path) -> PathBuf {
    root.join(RUN)
}

fn has_foreign_content(root: &Path) -> Result<bool> {
    let mut entries = std::fs::read_dir(root)?.filter_map(Result::ok);
    Ok(entries.any(|entry| !["tools", "logs"].iter().any(|ours| entry.file_name() == *ours)))
}

fn running(root: &Path) -> String {
    let address = std::fs::read(run_file(root))
        .ok()
        .and_then(|json| serde_json::from_slice::<serde_json::Value>(&json).ok())
        .and_then(|run| run.get("gateway")?.as_str().map(str::to_owned));
    address.map_or_else(String::new, |address| format!(" ({address})"))
}

fn remove(path: &Path) -> Result<()> {
    let removed =
        if path.is_dir() && !path.is_symlink() { std::fs::remove_dir_all(path) } else { std::fs::remove_file(path) };
    removed.with_context(|| format!("can't delete {}", path.display()))
}

/// Makes a directory of mode 0700, and those above it, when they are missing.
///
/// # Errors
/// When it can't be made.
pub(crate) fn private_directory(path: &Path) -> Result<()> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(path);
    made.with_context(|| format!("can't make the directory {}", path.display()))
}

/// Sets a file's mode.
///
/// # Errors
/// When it isn't ours.
pub(crate) fn set_mode(path: &Path, mode: u32) -> Result<()> {
    std::fs::set_permissions(path, Permissions::from_mode(mode))
        .with_context(|| format!("can't change the mode of {}", path.display()))
}

/// Writes a file of mode 0600, wholly or not at all.
///
/// # Errors
/// When it can't be written.
pub(crate) fn write_private(path: &Path, content: &[u8]) -> Result<()> {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or("file");
    let draft = path.with_file_name(format!(".{name}.{}", HEXLOWER.encode(&kura_platform::random::bytes::<6>())));
    let written = OpenOptions::new()
        .create_new(true)
        .write(true)
        .mode(0o600)
        .open(&draft)
        .and_then(|mut file| file.write_all(content))
        .and_then(|()| std::fs::rename(&draft, path));
    if written.is_err() {
        let _ = std::fs::remove_file(&draft);
    }
    written.with_context(|| format!("can't write {}", path.display()))
}

/// [`write_private`], as JSON for people and programs.
///
/// # Errors
/// When it can't be written.
pub(crate) fn write_private_json(path: &Path, value: &impl Serialize) -> Result<()> {
    let mut json = serde_json::to_vec_pretty(value)?;
    json.push(b'\n');
    write_private(path, &json)
}

/// The file's text; `None` when there is no such file.
///
/// # Errors
/// When it is there and can't be read.
pub(crate) fn read_if_there(path: &Path) -> Result<Option<String>> {
    match std::fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("can't read {}", path.display())),
    }
}

/// 256 random bits as text. It fits in SQL, TOML and URLs without quoting.
pub(crate) fn random_secret() -> String {
    BASE64URL_NOPAD.encode(&kura_platform::random::bytes::<32>())
}

/// Makes a secret for signing messages in this file (`whsec_…`), when there is none.
///
/// # Errors
/// When it can't be read or written.
pub(crate) fn signing_secret_in(path: &Path) -> Result<()> {
    if read_if_there(path)?.is_some() {
        return Ok(());
    }
    write_private(path, kura_platform::standard_webhooks::Secret::draw().as_bytes())
}

/// The secret in this file, made now when there is none.
///
/// # Errors
/// When it can't be read or written.
pub(crate) fn secret_in(path: &Path) -> Result<String> {
    if let Some(secret) = read_if_there(path)? {
        return Ok(secret.trim_end().to_owned());
    }
    let secret = random_secret();
    write_private(path, secret.as_bytes())?;
    Ok(secret)
}
