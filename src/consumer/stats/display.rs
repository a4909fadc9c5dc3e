//! The statistics as text for people, a few lines; what is zero is left out where it usually is.

use std::fmt;

use super::{ConsumerStats, TopicConsumption};

impl fmt::Display for ConsumerStats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { pulled, pulled_bytes, consumed, failed, .. } = self;
        write!(f, "messages: {pulled} pulled ({pulled_bytes} bytes), {consumed} consumed, {failed} failed")?;
        let known = self.lags.iter().filter(|(_, lag)| lag.is_some()).count();
        write!(f, "\nqueues: {}, behind by {}", self.lags.len(), self.lag())?;
        if known < self.lags.len() {
            write!(f, " ({} not known yet)", self.lags.len() - known)?;
        }
        write!(f, "; in memory: {} messages, {} bytes", self.cached, self.cached_bytes)?;
        write!(
            f,
            "\nlisteners: {} allowed, {} messages under way, {}",
            self.threads.allowed, self.running, self.listeners
        )?;
        write!(f, "\npulls: {}", self.pulls)?;
        let oddities = [
            (self.panics, "panics"),
            (self.filtered, "dropped by filter hooks"),
            (self.handed_back, "handed back"),
            (self.hand_back_failures, "not taken back"),
            (self.dead_letters, "dead letters"),
            (self.dropped_pulls, "dropped pulls"),
            (self.moves, "moves to other offsets"),
            (self.direct, "consumed for an operator"),
        ];
        line(f, "besides", &oddities)?;
        line(f, "threads", &[(self.threads.grown, "times more"), (self.threads.shrunk, "times fewer")])?;
        let trace = &self.trace;
        let counts =
            [(trace.recorded, "recorded"), (trace.sent, "sent"), (trace.dropped, "dropped"), (trace.failed, "failed")];
        line(f, "trace", &counts)?;
        self.topics.iter().try_for_each(|topic| write!(f, "\n{topic}"))
    }
}

/// Adds a line, unless all counts are zero.
fn line(f: &mut fmt::Formatter<'_>, name: &str, counts: &[(u64, &str)]) -> fmt::Result {
    let counts: Vec<String> =
        counts.iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!("{count} {what}")).collect();
    if counts.is_empty() { Ok(()) } else { write!(f, "\n{name}: {}", counts.join(", ")) }
}

impl fmt::Display for TopicConsumption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { topic, pulled_per_second, consumed_per_second, failed_per_second, .. } = self;
        write!(f, "{topic}: {pulled_per_second:.1} pulled/s, {consumed_per_second:.1} consumed/s")?;
        write!(
            f,
            ", {failed_per_second:.1} failed/s, pulls {:.1?}, listeners {:.1?}",
            self.pull_time, self.listener_time
        )
    }
}
