//! What is missing on a Debian machine: installed by root, named for anyone else.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::terminal::note;
use crate::tools::{find, is_root};

/// Packages that bring what was looked for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Need {
    /// What it is for, as a person would say it.
    pub(crate) what: &'static str,
    /// Debian's names.
    pub(crate) packages: &'static [&'static str],
}

/// Installs them all in one go.
///
/// # Errors
/// For anyone but root, and without apt: the message names the command. And when apt fails.
pub(crate) fn install(needs: &[Need]) -> Result<()> {
    let packages: Vec<&str> = needs.iter().flat_map(|need| need.packages).copied().collect();
    if packages.is_empty() {
        return Ok(());
    }
    let what = needs.iter().map(|need| need.what).collect::<Vec<_>>().join(", ");
    if find("apt-get").is_none() {
        bail!("missing: {what}. Install what your system calls {}", packages.join(" "));
    }
    if !is_root() {
        bail!(
            "missing: {what}. Install it with\n\n    sudo apt-get install --no-install-recommends {}\n",
            packages.join(" ")
        );
    }
    note(&format!("installing {what}: apt-get install {}", packages.join(" ")));
    apt(&["update", "-qq"])?;
    let mut arguments = vec!["install", "-qq", "-y", "--no-install-recommends"];
    arguments.extend(packages);
    apt(&arguments)
}

fn apt(arguments: &[&str]) -> Result<()> {
    let output = Command::new("apt-get")
        .args(arguments)
        .env("DEBIAN_FRONTEND", "noninteractive")
        .stdin(Stdio::null())
        .output()
        .context("can't run apt-get")?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        bail!("apt-get {} failed:\n{}", arguments.join(" "), crate::tools::indented(said.trim()));
    }
    Ok(())
}

/// Debian's PostgreSQL package starts a server for the whole machine. We need the programs only.
///
/// # Errors
/// When the setting can't be written.
pub(crate) fn without_system_cluster() -> Result<()> {
    let directory = Path::new("/etc/postgresql-common");
    let setting = directory.join("createcluster.conf");
    if !is_root() || setting.exists() {
        return Ok(());
    }
    std::fs::create_dir_all(directory)
        .and_then(|()| std::fs::write(&setting, "create_main_cluster = false\n"))
        .with_context(|| format!("can't write {}", setting.display()))
}
