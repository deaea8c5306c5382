//! What shoppers and admins use: real browsers.
#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, clippy::print_stdout)]

use std::path::Path;
use std::process::Command;

use kura_tests::search::tool;
use kura_tests::{Stack, workspace};

/// Runs a scenario against the stack; shows what it said when it fails.
fn run(stack: &Stack, program: &Path, scenario: &str) {
    let output = Command::new(program)
        .arg(workspace().join(scenario))
        .env("KURA_RUN_JSON", stack.state().join("run.json"))
        .env("KURA_PICTURES", workspace().join("target/kura-pictures"))
        .output()
        .unwrap_or_else(|error| panic!("{}: {error}; `cargo kura test` installs it", program.display()));
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{scenario}:\n{said}");
    println!("{said}");
}

/// A shopper pays by card on a shop's page, at phone and desktop width, in Japanese and English; declines are told.
#[test]
fn a_shopper_pays_in_a_browser() {
    run(Stack::shared(), &tool("KURA_NODE", "node"), "tests/browser/checkout.mjs");
}

/// An admin enrols, signs in with password and passkey, and sees the payments; what is wrong is refused.
#[test]
fn an_admin_signs_in_with_a_passkey() {
    run(Stack::shared(), &tool("KURA_NODE", "node"), "tests/browser/admin.mjs");
}
