//! Logs: one JSON object a line on standard error, no payloads, and a last net under them, the PAN redactor.

use std::io::{self, Write};

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

use crate::redact::redact_pans;

/// Starts logging for this process. The level comes from `KURA_LOG`, else `info`.
pub fn init(service: &'static str) {
    let filter =
        EnvFilter::try_from_env("KURA_LOG").unwrap_or_else(|_| EnvFilter::new("info,sqlx=warn,tower_http=info"));
    let started = tracing_subscriber::fmt()
        .json()
        .flatten_event(true)
        .with_env_filter(filter)
        .with_writer(RedactingStderr)
        .try_init();
    if started.is_ok() {
        tracing::info!(service, version = env!("CARGO_PKG_VERSION"), "starting");
    }
}

/// Writes whole lines to standard error, each through the redactor.
struct RedactingStderr;

impl<'a> MakeWriter<'a> for RedactingStderr {
    type Writer = RedactingWriter<io::Stderr>;

    fn make_writer(&'a self) -> Self::Writer {
        RedactingWriter { inner: io::stderr() }
    }
}

/// `tracing_subscriber` formats an event into one buffer and writes it in one call, so a number is never cut in two.
struct RedactingWriter<W> {
    inner: W,
}

impl<W: Write> Write for RedactingWriter<W> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(line);
        // A log that can't be written (its disk is full) must not stop the work: told of it, the subscriber would print to
        // standard error, which is this very log, and panic.
        let _ = self.inner.write_all(redact_pans(&text).as_bytes());
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        let _ = self.inner.flush();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A card number that slipped into an event does not reach the log.
    #[test]
    fn log_lines_hold_no_card_number() {
        let mut writer = RedactingWriter { inner: Vec::new() };
        writer.write_all(b"{\"message\":\"card 4242424242424242\"}\n").unwrap();
        assert_eq!(writer.inner, b"{\"message\":\"card [pan redacted]\"}\n");
    }

    /// A full disk under the log is not an error of whoever logs.
    #[test]
    fn a_log_that_is_full_stops_nobody() {
        let mut full = [0_u8; 4];
        let mut writer = RedactingWriter { inner: full.as_mut_slice() };
        assert_eq!(writer.write(b"a line that does not fit").unwrap(), 24);
        writer.flush().unwrap();
    }
}
