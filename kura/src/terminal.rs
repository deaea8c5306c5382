//! What the person sees: steps that move while they last, plain lines where nobody watches, colours only where wanted.

use std::borrow::Cow;
use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

const NAME_WIDTH: usize = 24;

/// How to write to one of the standard streams.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Style {
    colours: bool,
}

impl Style {
    /// For standard output.
    pub(crate) fn stdout() -> Self {
        Self { colours: wants_colours() && std::io::stdout().is_terminal() }
    }

    /// For standard error.
    pub(crate) fn stderr() -> Self {
        Self { colours: wants_colours() && std::io::stderr().is_terminal() }
    }

    fn paint<'a>(self, code: &str, text: &'a str) -> Cow<'a, str> {
        if self.colours { Cow::Owned(format!("\x1b[{code}m{text}\x1b[0m")) } else { Cow::Borrowed(text) }
    }

    /// Headings.
    pub(crate) fn bold(self, text: &str) -> Cow<'_, str> {
        self.paint("1", text)
    }

    /// Explanations.
    pub(crate) fn dim(self, text: &str) -> Cow<'_, str> {
        self.paint("2", text)
    }

    /// Things to click or copy.
    pub(crate) fn link(self, text: &str) -> Cow<'_, str> {
        self.paint("36", text)
    }

    /// What went well.
    pub(crate) fn good(self, text: &str) -> Cow<'_, str> {
        self.paint("32", text)
    }

    /// What did not.
    pub(crate) fn bad(self, text: &str) -> Cow<'_, str> {
        self.paint("1;31", text)
    }
}

/// <https://no-color.org>
fn wants_colours() -> bool {
    let refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    !refused && std::env::var_os("TERM").is_none_or(|term| term != "dumb")
}

/// A line to standard output. A closed pipe is the reader's own decision.
pub(crate) fn say(line: &str) {
    let _ = writeln!(std::io::stdout(), "{line}");
}

/// A line to standard error, where progress goes.
pub(crate) fn note(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// What went wrong and why, outermost first.
pub(crate) fn failure(error: &anyhow::Error) {
    let style = Style::stderr();
    note(&format!("\n{} {error}", style.bad("error:")));
    for cause in error.chain().skip(1) {
        note(&format!("  {} {cause}", style.dim("because:")));
    }
}

/// Seconds as people say them: `0.4 s`, `52 s`, `3 min 05 s`.
pub(crate) fn spoken(duration: Duration) -> String {
    match duration.as_secs() {
        0..10 => format!("{:.1} s", duration.as_secs_f64()),
        seconds @ 10..120 => format!("{seconds} s"),
        seconds => format!("{} min {:02} s", seconds / 60, seconds % 60),
    }
}

/// Several steps at once.
#[derive(Debug)]
pub(crate) struct Progress {
    bars: MultiProgress,
    moving: bool,
    style: Style,
}

impl Progress {
    /// On standard error: moving on a terminal, one line for each finished step elsewhere.
    pub(crate) fn new() -> Self {
        let moving = std::io::stderr().is_terminal();
        let target = if moving { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        Self { bars: MultiProgress::with_draw_target(target), moving, style: Style::stderr() }
    }

    /// Begins a step.
    pub(crate) fn step(&self, name: &str) -> Step<'_> {
        let bar = self.bars.add(ProgressBar::new_spinner());
        let template = "  {spinner:.cyan} {prefix:24} {wide_msg:.dim}";
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style.tick_chars("⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏ "));
        }
        bar.set_prefix(name.to_owned());
        if self.moving {
            bar.enable_steady_tick(Duration::from_millis(80));
        }
        Step { progress: self, bar, name: name.to_owned(), since: Instant::now() }
    }

    /// [`Self::step`], for a step of minutes: where nothing moves, it says that it has begun.
    pub(crate) fn begin(&self, name: &str) -> Step<'_> {
        if !self.moving {
            note(&format!("  … {name}"));
        }
        self.step(name)
    }

    /// A line that stays above the steps that still move.
    pub(crate) fn line(&self, line: &str) {
        self.bars.suspend(|| note(line));
    }
}

/// One step. Dropped unfinished, it leaves no trace.
#[derive(Debug)]
pub(crate) struct Step<'a> {
    progress: &'a Progress,
    bar: ProgressBar,
    name: String,
    since: Instant,
}

impl Step<'_> {
    /// What it is at.
    pub(crate) fn at(&self, message: impl Into<Cow<'static, str>>) {
        self.bar.set_message(message);
    }

    /// It went well.
    pub(crate) fn done(self, detail: &str) {
        let mark = self.progress.style.good("✓");
        self.finish(&mark, detail);
    }

    /// It did not.
    pub(crate) fn failed(self, detail: &str) {
        let mark = self.progress.style.bad("✗");
        self.finish(&mark, detail);
    }

    fn finish(self, mark: &str, detail: &str) {
        let style = self.progress.style;
        let took = format!("{:>9}", spoken(self.since.elapsed()));
        self.bar.finish_and_clear();
        let line = format!("  {mark} {:NAME_WIDTH$} {}  {}", self.name, style.dim(&took), style.dim(detail));
        self.progress.line(line.trim_end());
    }
}

impl Drop for Step<'_> {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Durations read as a person would say them.
    #[test]
    fn durations_are_spoken() {
        assert_eq!(spoken(Duration::from_millis(420)), "0.4 s");
        assert_eq!(spoken(Duration::from_secs(52)), "52 s");
        assert_eq!(spoken(Duration::from_secs(185)), "3 min 05 s");
    }
}
