//! Programs of others: finding them, running them to their end.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context, Result, bail};
use rustix::process::geteuid;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

/// Where to look besides PATH: `sbin` is missing from many people's.
const USUAL: &[&str] = &["/usr/local/bin", "/usr/bin", "/bin", "/usr/sbin", "/sbin"];

/// Whether we may install packages and run servers as another user.
pub(crate) fn is_root() -> bool {
    geteuid().is_root()
}

/// The program's path.
pub(crate) fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(USUAL.iter().map(PathBuf::from))
        .map(|directory| directory.join(program))
        .find(|candidate| candidate.is_file())
}

/// The little of our environment that a child is given.
pub(crate) fn clean_environment(command: &mut Command) {
    command.env_clear().env("LC_ALL", "C.UTF-8").env("TZ", "UTC");
    for name in ["PATH", "TMPDIR", "RUST_BACKTRACE", "KURA_LOG", "LLVM_PROFILE_FILE", "SOFTHSM2_CONF"] {
        if let Some(value) = std::env::var_os(name) {
            command.env(name, value);
        }
    }
}

/// Runs a program to its end in its own process group, so that a Ctrl-C is ours to handle; gives its standard output.
///
/// # Errors
/// When it can't be run or fails; `what` says what for, and the message ends in what it wrote to standard error.
pub(crate) async fn output(what: &str, command: &mut Command, input: Option<&str>) -> Result<String> {
    command.kill_on_drop(true).process_group(0).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.stdin(if input.is_some() { Stdio::piped() } else { Stdio::null() });
    let program = command.as_std().get_program().to_string_lossy().into_owned();
    let mut child = command.spawn().with_context(|| format!("{what}: can't run {program}"))?;
    if let (Some(input), Some(mut stdin)) = (input, child.stdin.take()) {
        // A program that fails early closes its input; its own message is the better one.
        let _ = stdin.write_all(input.as_bytes()).await;
    }
    let output = child.wait_with_output().await.with_context(|| format!("{what}: {program}"))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        bail!("{what} failed: {} ended with {}\n{}", name_of(&program), output.status, indented(said.trim()));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

fn name_of(program: &str) -> &str {
    Path::new(program).file_name().and_then(|name| name.to_str()).unwrap_or(program)
}

/// Another program's words, told apart from ours.
pub(crate) fn indented(text: &str) -> String {
    text.lines().map(|line| format!("    {line}")).collect::<Vec<_>>().join("\n")
}
