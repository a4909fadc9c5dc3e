use serde::Serialize;

/// How a check ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Verdict {
    Ok,
    /// It works, and may not for long, or not for everybody.
    Warning,
    /// Something does not work.
    Failed,
    /// It could not be looked at.
    Skipped,
}

/// One thing that was looked at: what came back, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Check {
    /// The same for all checks of a kind, for programs.
    pub(super) check: &'static str,
    /// What was looked at.
    pub(super) subject: String,
    pub(super) verdict: Verdict,
    pub(super) found: String,
    pub(super) advice: Vec<String>,
}

impl Check {
    pub(super) fn new(
        check: &'static str,
        subject: impl Into<String>,
        verdict: Verdict,
        found: impl Into<String>,
    ) -> Check {
        Check { check, subject: subject.into(), verdict, found: found.into(), advice: Vec::new() }
    }

    pub(super) fn ok(check: &'static str, subject: impl Into<String>, found: impl Into<String>) -> Check {
        Check::new(check, subject, Verdict::Ok, found)
    }

    pub(super) fn warning(check: &'static str, subject: impl Into<String>, found: impl Into<String>) -> Check {
        Check::new(check, subject, Verdict::Warning, found)
    }

    pub(super) fn failed(check: &'static str, subject: impl Into<String>, found: impl Into<String>) -> Check {
        Check::new(check, subject, Verdict::Failed, found)
    }

    pub(super) fn skipped(check: &'static str, subject: impl Into<String>, found: impl Into<String>) -> Check {
        Check::new(check, subject, Verdict::Skipped, found)
    }

    /// Adds something to do.
    pub(super) fn advise(mut self, what: impl Into<String>) -> Check {
        self.advice.push(what.into());
        self
    }
}
