//! The vault's operator at a terminal: `kura vault …` against a stack.

use std::process::{Command, Output, Stdio};

use serde_json::Value;

use crate::stack::program;
use crate::{Stack, workspace};

impl Stack {
    /// `kura vault` with these arguments, ready to be run.
    pub fn operator(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(program("kura"));
        command.args(["vault", "--state"]).arg(self.state()).args(arguments);
        command.current_dir(workspace()).env("NO_COLOR", "1").stdin(Stdio::null());
        command
    }

    /// Runs it to its end.
    ///
    /// # Panics
    /// When it can't be run.
    pub fn operate(&self, arguments: &[&str]) -> Output {
        self.operator(arguments).output().expect("the operator's program")
    }

    /// Runs it with `--json`, and gives what it answered; what it said beside that is in the second.
    ///
    /// # Panics
    /// When it can't be run.
    pub fn ask_operator(&self, arguments: &[&str]) -> (Value, String) {
        let output = self.operator(arguments).arg("--json").output().expect("the operator's program");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        (serde_json::from_slice(&output.stdout).unwrap_or_default(), said)
    }
}
