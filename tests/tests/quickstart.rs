//! The quickstart's snippets, run as they stand.
#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::{Command, Stdio};

use kura_tests::search::tool;
use kura_tests::{Stack, program, workspace};

/// The fenced blocks, with the words behind the fence.
fn blocks(text: &str) -> Vec<(&str, String)> {
    let mut blocks = Vec::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        if let Some(words) = line.strip_prefix("```") {
            let body: Vec<&str> = lines.by_ref().take_while(|line| *line != "```").collect();
            blocks.push((words, body.join("\n") + "\n"));
        }
    }
    blocks
}

/// A directory with the page's files in it, a `cargo` that runs the runner that is built, and the SDKs.
fn prepare(directory: &Path, blocks: &[(&str, String)]) {
    std::fs::create_dir_all(directory.join("bin")).expect("a directory");
    for (words, body) in blocks {
        if let Some((_, name)) = words.split_once(' ') {
            std::fs::write(directory.join(name), body).expect("a file");
        }
    }
    let cargo = directory.join("bin/cargo");
    let script = format!("#!/bin/sh\n[ \"$1\" = kura ] && shift && exec '{}' \"$@\"\n", program("kura").display());
    std::fs::write(&cargo, script).expect("a script");
    std::fs::set_permissions(&cargo, std::fs::Permissions::from_mode(0o755)).expect("its mode");
    symlink(workspace().join("tests/sdk/node_modules"), directory.join("node_modules")).expect("the Node SDK");
}

/// From a running Kura to a captured payment, a webhook and a refund: every command succeeds, in curl, Python and Node.
#[test]
fn the_quickstart_works_as_it_stands() {
    let stack = Stack::shared();
    let text = std::fs::read_to_string(workspace().join("docs/quickstart.md")).expect("the quickstart");
    let blocks = blocks(&text);
    let directory = stack.state().join("quickstart");
    prepare(&directory, &blocks);
    let commands: String = blocks.iter().filter(|(words, _)| *words == "sh").map(|(_, body)| body.as_str()).collect();
    let python = workspace().join(tool("KURA_PYTHON", ".kura/tools/venv/bin/python"));
    let path = std::env::var("PATH").unwrap_or_default();
    let path =
        format!("{}:{}:{path}", directory.join("bin").display(), python.parent().expect("a directory").display());
    let output = Command::new("timeout")
        // Whatever is left running ends with the shell.
        .args([
            "120",
            "bash",
            "-euo",
            "pipefail",
            "-c",
            &format!("trap 'kill $(jobs -p) 2> /dev/null || true' EXIT\n{commands}"),
        ])
        .current_dir(&directory)
        .env("PATH", path)
        .env("KURA_API_BASE", &stack.run().gateway)
        .env("KURA_API_KEY", &stack.run().keys.sk_test)
        .stdin(Stdio::null())
        .output()
        .expect("bash");
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{said}");
    assert_eq!(said.matches(" succeeded\n").count(), 4, "{said}");
    // The same page is served.
    let page = stack.get(&format!("{}/docs/quickstart", stack.run().gateway));
    assert!(page.status == 200 && page.text.contains("cargo kura listen --forward-to localhost:4242/hook"));
}
