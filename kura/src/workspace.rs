//! Where the sources are, and building the programs from them.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

/// What `cargo run` leaves in our environment that would make a nested cargo see another world than its caller's.
const CARGO_LEFTOVERS: &[&str] =
    &["CARGO_MANIFEST_", "CARGO_PKG_", "CARGO_CRATE_NAME", "CARGO_BIN_NAME", "LD_LIBRARY_"];

/// The workspace's root: at or above the current directory, else where `cargo run` found us.
///
/// # Errors
/// When neither is inside a clone of Kura.
pub(crate) fn root() -> Result<PathBuf> {
    let here = std::env::current_dir().context("no current directory")?;
    let of_cargo = std::env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from);
    [Some(here), of_cargo]
        .into_iter()
        .flatten()
        .find_map(|start| start.ancestors().find(|dir| is_root(dir)).map(Path::to_owned))
        .context("this is not inside a clone of Kura; change to one and run `cargo kura` there")
}

fn is_root(dir: &Path) -> bool {
    dir.join("Cargo.toml").is_file() && dir.join("kura/Cargo.toml").is_file() && dir.join("migrations/roles").is_dir()
}

/// `cargo` in the workspace, in an environment like the one that the person's own cargo runs in.
pub(crate) fn cargo(root: &Path) -> Command {
    let mut cargo = Command::new(cargo_program());
    cargo.current_dir(root).stdin(std::process::Stdio::null());
    without_leftovers(&mut cargo);
    cargo
}

/// A built test program, in its crate's directory and with what it may know of cargo: as cargo itself would run it.
pub(crate) fn test_program(executable: &Path, directory: &Path) -> Command {
    let mut program = Command::new(executable);
    program.current_dir(directory);
    without_leftovers(&mut program);
    program.env("CARGO", cargo_program()).env("CARGO_MANIFEST_DIR", directory);
    program
}

fn cargo_program() -> OsString {
    std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into())
}

fn without_leftovers(command: &mut Command) {
    for (name, _) in std::env::vars_os() {
        let leftover = name.to_str().is_some_and(|name| CARGO_LEFTOVERS.iter().any(|prefix| name.starts_with(prefix)));
        if leftover {
            command.env_remove(name);
        }
    }
}

/// Builds every program, with cargo's own progress on the terminal.
///
/// # Errors
/// When it doesn't compile; cargo has said why.
pub(crate) fn build(root: &Path) -> Result<()> {
    let status = cargo(root)
        .args(["build", "--release", "--workspace", "--bins"])
        .status()
        .context("can't run cargo; is Rust installed? See https://rustup.rs")?;
    if !status.success() {
        bail!("the build failed; cargo said why above");
    }
    Ok(())
}

/// Where cargo puts the programs: beside this one.
///
/// # Errors
/// When this program can't tell where it is.
pub(crate) fn built_programs() -> Result<PathBuf> {
    let own = std::env::current_exe().context("this program can't tell where it is")?;
    own.parent().map(Path::to_owned).context("this program is in no directory")
}
