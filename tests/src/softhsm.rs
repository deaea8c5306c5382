//! SoftHSM (Debian: `softhsm2`), an HSM in software, with a token of its own in a directory of its own.

use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::workspace;

const MODULES: [&str; 2] = ["/usr/lib/softhsm/libsofthsm2.so", "/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so"];
const PIN: &str = "8675309x";

/// One token. Its directory goes with it.
#[derive(Debug)]
pub struct SoftHsm {
    directory: PathBuf,
}

impl SoftHsm {
    /// The token's label.
    pub const LABEL: &'static str = "kura-tests";

    /// A new directory with a new token.
    ///
    /// # Panics
    /// When SoftHSM is missing: `cargo kura test` installs it.
    pub fn new() -> Self {
        let tag: String = kura_platform::random::bytes::<4>().iter().map(|byte| format!("{byte:02x}")).collect();
        let directory = workspace().join("target/kura-tests").join(format!("hsm-{tag}"));
        std::fs::create_dir_all(directory.join("tokens")).expect("a directory");
        let hsm = Self { directory };
        let tokens = hsm.directory.join("tokens");
        let configuration =
            format!("directories.tokendir = {}\nobjectstore.backend = file\nlog.level = ERROR\n", tokens.display());
        std::fs::write(hsm.configuration(), configuration).expect("a configuration");
        let mut options = std::fs::OpenOptions::new();
        let pin = options.write(true).create_new(true).mode(0o600).open(hsm.pin_file());
        std::io::Write::write_all(&mut pin.expect("a file"), format!("{PIN}\n").as_bytes()).expect("a PIN");
        let made = Command::new("softhsm2-util")
            .args(["--init-token", "--free", "--label", Self::LABEL, "--pin", PIN, "--so-pin", "12345678"])
            .env("SOFTHSM2_CONF", hsm.configuration())
            .output()
            .expect("softhsm2-util; `cargo kura test` installs it");
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        hsm
    }

    /// What `SOFTHSM2_CONF` must name for a process that uses this token.
    pub fn configuration(&self) -> PathBuf {
        self.directory.join("softhsm2.conf")
    }

    /// A file with the user's PIN.
    pub fn pin_file(&self) -> PathBuf {
        self.directory.join("pin")
    }

    /// Where the token keeps its objects.
    pub fn tokens(&self) -> PathBuf {
        self.directory.join("tokens")
    }

    /// The module.
    ///
    /// # Panics
    /// When it is at neither of its usual places.
    pub fn module() -> &'static Path {
        MODULES.iter().map(Path::new).find(|path| path.is_file()).expect("SoftHSM's module")
    }

    /// The vault's `key_provider`, as `--set` takes it.
    pub fn key_provider(&self) -> String {
        let value = serde_json::json!({
            "kind": "pkcs11",
            "module": Self::module(),
            "token_label": Self::LABEL,
            "pin_file": self.pin_file(),
        });
        value.to_string()
    }
}

impl Default for SoftHsm {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for SoftHsm {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            let _ = std::fs::remove_dir_all(&self.directory);
        }
    }
}
