//! The statistics as text for people, a few lines; what is zero is left out where it usually is.

use std::fmt;

use super::{BrokerState, BrokerStats, ProducerStats, Stored};

impl fmt::Display for ProducerStats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { stored, rejected, not_sent, unknown, oneway, body_bytes, .. } = self;
        write!(f, "messages: {stored}, {rejected} rejected, {not_sent} not sent, {unknown} unknown, {oneway} oneway")?;
        write!(f, ", {body_bytes} bytes")?;
        write!(f, "\nlatency: {}", self.latency)?;
        write!(f, "\nin flight: {} asynchronous sends, {} bytes", self.in_flight, self.in_flight_bytes)?;
        let attempts = [
            (self.retries, "retries"),
            (self.overdue_attempts, "overdue"),
            (self.late_successes, "late successes"),
            (self.may_be_duplicated, "may be duplicated"),
            (self.broker_failures, "broker failures"),
        ];
        line(f, "attempts", &attempts)?;
        let batching = &self.batching;
        line(f, "automatic batching", &[(batching.batches, "batches"), (batching.messages, "messages")])?;
        let transactions = &self.transactions;
        let counts = [
            (transactions.begun, "begun"),
            (transactions.committed, "committed"),
            (transactions.rolled_back, "rolled back"),
            (transactions.unknown, "left open"),
            (transactions.ends_failed, "ends failed"),
            (transactions.checks_answered, "checks answered"),
            (transactions.checks_dropped, "checks dropped"),
        ];
        line(f, "transactions", &counts)?;
        line(f, "requests", &[(self.requests.replied, "replied"), (self.requests.timed_out, "timed out")])?;
        let trace = &self.trace;
        let counts =
            [(trace.recorded, "recorded"), (trace.sent, "sent"), (trace.dropped, "dropped"), (trace.failed, "failed")];
        line(f, "trace", &counts)?;
        self.brokers.iter().try_for_each(|broker| write!(f, "\n{broker}"))
    }
}

/// Adds a line, unless all counts are zero.
fn line(f: &mut fmt::Formatter<'_>, name: &str, counts: &[(u64, &str)]) -> fmt::Result {
    if counts.iter().all(|(count, _)| *count == 0) {
        return Ok(());
    }
    let counts: Vec<String> = counts.iter().map(|(count, what)| format!("{count} {what}")).collect();
    write!(f, "\n{name}: {}", counts.join(", "))
}

impl fmt::Display for Stored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} stored", self.total())?;
        let weaker = [
            (self.flush_disk_timeout, "FLUSH_DISK_TIMEOUT"),
            (self.flush_slave_timeout, "FLUSH_SLAVE_TIMEOUT"),
            (self.slave_not_available, "SLAVE_NOT_AVAILABLE"),
        ];
        let weaker: Vec<String> = weaker
            .iter()
            .filter(|(count, _)| *count > 0)
            .map(|(count, status)| format!("{count} of them {status}"))
            .collect();
        if weaker.is_empty() { Ok(()) } else { write!(f, " ({})", weaker.join(", ")) }
    }
}

impl fmt::Display for BrokerStats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.name, self.state)?;
        match self.failures {
            0 => Ok(()),
            1 => f.write_str(" after a failure"),
            many => write!(f, " after {many} failures"),
        }
    }
}

impl fmt::Display for BrokerState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BrokerState::Available => f.write_str("available"),
            BrokerState::Avoided(left) => write!(f, "avoided for {left:.1?}"),
            BrokerState::ProbeDue => f.write_str("avoided until it is probed"),
            BrokerState::Probing => f.write_str("being probed"),
        }
    }
}
