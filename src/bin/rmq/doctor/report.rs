//! What is said while checks run, and at the end.

use serde::Serialize;

use super::check::{Check, Verdict};
use crate::failure::Failure;
use crate::output::Output;
use crate::text;

/// Says every check as it ends, and counts them.
#[derive(Debug)]
pub(super) struct Report<'a> {
    output: &'a mut Output,
    counts: Counts,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
struct Counts {
    ok: u64,
    warnings: u64,
    failed: u64,
    skipped: u64,
}

/// The last line for programs.
#[derive(Debug, Serialize)]
struct Summary {
    check: &'static str,
    #[serde(flatten)]
    counts: Counts,
}

impl<'a> Report<'a> {
    pub(super) fn new(output: &'a mut Output) -> Report<'a> {
        Report { output, counts: Counts::default() }
    }

    pub(super) fn say(&mut self, check: &Check) -> Result<(), Failure> {
        self.counts.add(check.verdict);
        self.output.line(check, || people(check))?;
        self.output.flush()
    }

    pub(super) fn say_all(&mut self, checks: impl IntoIterator<Item = Check>) -> Result<(), Failure> {
        checks.into_iter().try_for_each(|check| self.say(&check))
    }

    /// Sums up; the exit status is 1 if anything failed.
    pub(super) fn end(self) -> Result<(), Failure> {
        self.output.line(&Summary { check: "summary", counts: self.counts }, || self.counts.people())?;
        self.output.flush()?;
        if self.counts.failed > 0 { Err(Failure::Reported) } else { Ok(()) }
    }
}

impl Counts {
    fn add(&mut self, verdict: Verdict) {
        *match verdict {
            Verdict::Ok => &mut self.ok,
            Verdict::Warning => &mut self.warnings,
            Verdict::Failed => &mut self.failed,
            Verdict::Skipped => &mut self.skipped,
        } += 1;
    }

    fn people(&self) -> String {
        let Counts { ok, warnings, failed, skipped } = *self;
        let checks = text::counted(ok + warnings + failed + skipped, "check");
        let parts = [(failed, "failed"), (warnings, "to look at"), (ok, "ok"), (skipped, "skipped")];
        let parts: Vec<String> =
            parts.iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!("{count} {what}")).collect();
        format!("\n{checks}: {}", if parts.is_empty() { "nothing to look at".to_owned() } else { parts.join(", ") })
    }
}

/// A line, and one for each thing to do. What servers said cannot drive the terminal.
fn people(check: &Check) -> String {
    let word = match check.verdict {
        Verdict::Ok => "ok",
        Verdict::Warning => "warning",
        Verdict::Failed => "FAILED",
        Verdict::Skipped => "skipped",
    };
    let mut lines = text::line(format!("{word:8} {}: {}", check.subject, check.found).chars());
    for advice in &check.advice {
        lines += "\n         → ";
        lines += &text::line(advice.chars());
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_check_is_a_line_and_its_advice_follows() {
        let check =
            Check::failed("name-server", "name server h:1", "nobody listens\n").advise("start it").advise("or not");
        let expected = "FAILED   name server h:1: nobody listens\\n\n         → start it\n         → or not";
        assert_eq!(people(&check), expected);
    }

    #[test]
    fn the_sum_names_what_there_is() {
        let mut counts = Counts::default();
        for verdict in [Verdict::Ok, Verdict::Failed, Verdict::Ok] {
            counts.add(verdict);
        }
        assert_eq!(counts.people(), "\n3 checks: 1 failed, 2 ok");
    }
}
