use std::fmt::Write;
use std::io::{self, IsTerminal as _};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};

use crate::text;

/// Work of fewer steps is done before a bar would be read.
const LONG: u64 = 1000;

/// A bar on standard error while long work goes on; nothing when that is no terminal.
#[derive(Debug)]
pub(crate) struct Progress(Option<ProgressBar>);

impl Progress {
    /// Work of `steps` steps; `None` when nobody knows how many it will be.
    pub(crate) fn new(steps: Option<u64>, unit: &str) -> Progress {
        if steps.is_some_and(|steps| steps < LONG) || !io::stderr().is_terminal() {
            return Progress(None);
        }
        let (bar, template) = match steps {
            Some(steps) => (ProgressBar::new(steps), "{bar:30} {done} of {all} UNIT, {rate} a second, {eta} left"),
            None => (ProgressBar::new_spinner(), "{spinner} {done} UNIT, {rate} a second"),
        };
        bar.set_draw_target(ProgressDrawTarget::stderr_with_hz(5));
        if let Ok(style) = ProgressStyle::with_template(&template.replace("UNIT", unit)) {
            // Their own forms of numbers have commas and four decimals.
            let style = style
                .with_key("done", |state: &ProgressState, out: &mut dyn Write| put(out, state.pos()))
                .with_key("all", |state: &ProgressState, out: &mut dyn Write| put(out, state.len().unwrap_or(0)))
                .with_key("rate", |state: &ProgressState, out: &mut dyn Write| put(out, state.per_sec() as u64));
            bar.set_style(style.progress_chars("━━─"));
        }
        Progress(Some(bar))
    }

    pub(crate) fn none() -> Progress {
        Progress(None)
    }

    pub(crate) fn advance(&self, steps: u64) {
        if let Some(bar) = &self.0 {
            bar.inc(steps);
        }
    }

    /// Shows that `done` steps are done.
    pub(crate) fn reach(&self, done: u64) {
        if let Some(bar) = &self.0 {
            bar.set_position(done);
        }
    }

    /// Runs `print` with the bar out of the way.
    pub(crate) fn aside(&self, print: impl FnOnce()) {
        match &self.0 {
            Some(bar) => bar.suspend(print),
            None => print(),
        }
    }
}

fn put(out: &mut dyn Write, number: u64) {
    // The bar is redrawn soon; one that lacks a number is no reason to fail.
    let _ = out.write_str(&text::count(number));
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = &self.0 {
            bar.finish_and_clear();
        }
    }
}
