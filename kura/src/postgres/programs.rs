//! Finding PostgreSQL's programs, or getting them.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::install::{Need, install, without_system_cluster};
use crate::tools::find;

const OLDEST: u32 = 15;
const DEBIAN: &str = "/usr/lib/postgresql";

/// The directory with `initdb`, `postgres` and `psql`.
#[derive(Debug, Clone)]
pub(crate) struct Programs {
    directory: PathBuf,
}

impl Programs {
    /// Those of this machine, installed now when there are none.
    ///
    /// # Errors
    /// When there are none and we can't install them; the message names the command.
    pub(crate) fn ensure() -> Result<Self> {
        if let Some(found) = Self::find() {
            return Ok(found);
        }
        without_system_cluster()?;
        install(&[Need { what: "PostgreSQL 15 or later", packages: &["postgresql"] }])?;
        Self::find().with_context(|| format!("PostgreSQL was installed, but it is older than {OLDEST}"))
    }

    fn find() -> Option<Self> {
        let on_path = find("initdb").and_then(|program| Some(program.parent()?.to_owned()));
        [on_path, of_pg_config()]
            .into_iter()
            .flatten()
            .chain(debian_newest_first())
            .find(|directory| is_usable(directory))
            .map(|directory| Self { directory })
    }

    /// The path of one of them.
    ///
    /// # Errors
    /// When this installation lacks it.
    pub(crate) fn path(&self, program: &str) -> Result<PathBuf> {
        let beside = self.directory.join(program);
        if beside.is_file() {
            return Ok(beside);
        }
        let Some(elsewhere) = find(program) else { bail!("{} has no {program}", self.directory.display()) };
        Ok(elsewhere)
    }
}

fn of_pg_config() -> Option<PathBuf> {
    let output = Command::new(find("pg_config")?).arg("--bindir").output().ok()?;
    Some(PathBuf::from(String::from_utf8(output.stdout).ok()?.trim()))
}

fn debian_newest_first() -> Vec<PathBuf> {
    let entries = std::fs::read_dir(DEBIAN).into_iter().flatten().filter_map(Result::ok);
    let mut found: Vec<(u32, PathBuf)> = entries
        .filter_map(|entry| Some((entry.file_name().to_str()?.parse().ok()?, entry.path().join("bin"))))
        .collect();
    found.sort_by(|one, other| other.cmp(one));
    found.into_iter().map(|(_, directory)| directory).collect()
}

fn is_usable(directory: &Path) -> bool {
    let all = ["initdb", "postgres"].iter().all(|program| directory.join(program).is_file());
    let version = || {
        let output = Command::new(directory.join("postgres")).arg("--version").output().ok()?;
        major(std::str::from_utf8(&output.stdout).ok()?)
    };
    all && version().is_some_and(|major| major >= OLDEST)
}

/// `postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)` gives 15.
fn major(version: &str) -> Option<u32> {
    let number = version.split_once(") ")?.1;
    let digits: String = number.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().ok()
}

#[cfg(test)]
mod tests {
    /// Releases, betas and distributions' own additions are all understood.
    #[test]
    fn versions_are_read() {
        assert_eq!(super::major("postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)\n"), Some(15));
        assert_eq!(super::major("postgres (PostgreSQL) 18beta1\n"), Some(18));
        assert_eq!(super::major("something else"), None);
    }
}
