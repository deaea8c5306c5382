//! What the stages need besides Rust: installed where we may, named where we may not. Nothing outside of the clone changes,
//! but for Debian packages.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use super::stage::Stage;
use crate::install::{Need, install};
use crate::postgres::Programs;
use crate::terminal::Progress;
use crate::tools::find;
use crate::workspace;

const CARGO_DENY: &str = "0.20.2";
const OLDEST_NODE: u32 = 18;
const BROWSERS: &[&str] = &["chromium", "chromium-browser", "google-chrome"];
const CJK_FONTS: &str = "/usr/share/fonts/opentype/noto/NotoSansCJK-Regular.ttc";

/// What runs in browsers: TypeScript, built, with the built files committed.
pub(super) const BROWSER_SIDES: [&str; 2] = ["gateway/checkout", "admin/custody"];

/// Where everything is.
#[derive(Debug)]
pub(crate) struct Tools {
    directory: PathBuf,
    browser_sides: [PathBuf; 2],
}

impl Tools {
    /// Looks for all that these stages need, and gets what is missing.
    ///
    /// # Errors
    /// When something is missing that we can't get; the message says how to.
    pub(crate) fn ensure(root: &Path, stages: &[Stage], progress: &Progress) -> Result<Self> {
        let tools =
            Self { directory: root.join(".kura/tools"), browser_sides: BROWSER_SIDES.map(|path| root.join(path)) };
        let any = |wanted: &[Stage]| stages.iter().any(|stage| wanted.contains(stage));
        if any(&[Stage::Sql, Stage::Test]) {
            Programs::ensure()?;
        }
        if any(&[Stage::Checkout, Stage::Test]) {
            install(&missing_packages())?;
            tools.ensure_node_modules(root, progress)?;
        }
        if any(&[Stage::Test]) {
            tools.ensure_python(root, progress)?;
        }
        if any(&[Stage::Deny]) && find("cargo-deny").is_none() && !tools.own_cargo_deny().is_file() {
            let step = progress.begin("cargo-deny");
            let mut cargo = workspace::cargo(root);
            cargo.args(["install", "--locked", "--debug", "--quiet", "cargo-deny", "--version", CARGO_DENY, "--root"]);
            finish("installing cargo-deny", cargo.arg(&tools.directory))?;
            step.done(CARGO_DENY);
        }
        Ok(tools)
    }

    /// The environment that tests expect.
    pub(crate) fn add_to(&self, command: &mut Command) {
        command.env("KURA_PYTHON", self.directory.join("venv/bin/python"));
        if let Some(browser) = BROWSERS.iter().find_map(|name| find(name)) {
            command.env("KURA_CHROMIUM", browser);
        }
    }

    /// Its path.
    pub(crate) fn cargo_deny(&self) -> PathBuf {
        find("cargo-deny").unwrap_or_else(|| self.own_cargo_deny())
    }

    fn own_cargo_deny(&self) -> PathBuf {
        self.directory.join("bin/cargo-deny")
    }

    fn ensure_node_modules(&self, root: &Path, progress: &Progress) -> Result<()> {
        for directory in self
            .browser_sides
            .iter()
            .chain(&["tests/browser", "tests/interop", "tests/sdk"].map(|path| root.join(path)))
        {
            let installed = modified(&directory.join("node_modules/.package-lock.json"));
            let wanted = modified(&directory.join("package-lock.json"));
            if !directory.join("package.json").is_file() || (installed.is_some() && installed >= wanted) {
                continue;
            }
            let step = progress.begin("npm ci");
            let mut npm = Command::new("npm");
            npm.args(["ci", "--no-audit", "--no-fund", "--silent"]).current_dir(directory);
            // Debian's chromium is used; a download of another one would be wasted.
            npm.env("PLAYWRIGHT_SKIP_BROWSER_DOWNLOAD", "1");
            let name = directory.strip_prefix(root).unwrap_or(directory).display().to_string();
            finish(&format!("npm ci in {name}"), &mut npm)?;
            step.done(&name);
        }
        Ok(())
    }

    fn ensure_python(&self, root: &Path, progress: &Progress) -> Result<()> {
        let requirements = root.join("tests/requirements.txt");
        let venv = self.directory.join("venv");
        let installed = venv.join("requirements.installed");
        let wanted = std::fs::read(&requirements).with_context(|| format!("can't read {}", requirements.display()))?;
        if std::fs::read(&installed).is_ok_and(|installed| installed == wanted) {
            return Ok(());
        }
        let step = progress.begin("python packages");
        finish("making a Python environment", Command::new("python3").args(["-m", "venv", "--clear"]).arg(&venv))?;
        let mut pip = Command::new(venv.join("bin/python"));
        pip.args([
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
            "--require-hashes",
            "--requirement",
        ])
        .arg(&requirements);
        finish("installing tests/requirements.txt", &mut pip)?;
        std::fs::write(&installed, wanted)?;
        step.done(".kura/tools/venv");
        Ok(())
    }
}

fn modified(path: &Path) -> Option<std::time::SystemTime> {
    std::fs::metadata(path).and_then(|found| found.modified()).ok()
}

fn missing_packages() -> Vec<Need> {
    let checks: [(bool, Need); 5] = [
        (node_is_usable(), Need { what: "Node.js 18 or later", packages: &["nodejs", "npm"] }),
        (python_is_usable(), Need { what: "Python 3.11 or later with venv", packages: &["python3", "python3-venv"] }),
        (
            BROWSERS.iter().any(|name| find(name).is_some()),
            Need { what: "Chromium, for the tests in a browser", packages: &["chromium"] },
        ),
        (find("softhsm2-util").is_some(), Need { what: "SoftHSM, for the tests of HSMs", packages: &["softhsm2"] }),
        (
            Path::new(CJK_FONTS).exists() || find("apt-get").is_none(),
            Need { what: "Japanese fonts, for the tests in a browser", packages: &["fonts-noto-cjk"] },
        ),
    ];
    checks.into_iter().filter(|(present, _)| !present).map(|(_, need)| need).collect()
}

fn node_is_usable() -> bool {
    let version = || {
        let output = Command::new("node").arg("--version").output().ok()?;
        let text = String::from_utf8(output.stdout).ok()?;
        text.trim().strip_prefix('v')?.split('.').next()?.parse::<u32>().ok()
    };
    find("npm").is_some() && version().is_some_and(|major| major >= OLDEST_NODE)
}

fn python_is_usable() -> bool {
    let mut python = Command::new("python3");
    python
        .args(["-c", "import ensurepip, venv, sys; sys.exit(sys.version_info < (3, 11))"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    python.status().is_ok_and(|status| status.success())
}

fn finish(what: &str, command: &mut Command) -> Result<()> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command.stdin(Stdio::null()).output().with_context(|| format!("{what}: can't run {program}"))?;
    if !output.status.success() {
        let said = [output.stdout, output.stderr].concat();
        bail!("{what} failed:\n{}", crate::tools::indented(String::from_utf8_lossy(&said).trim()));
    }
    Ok(())
}
