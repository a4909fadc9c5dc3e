use std::io::Write;

use super::cluster;

/// What not every server has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Feature {
    /// Messages delivered after a time or at a time, to the second.
    TimerMessages,
    /// "No offset committed" is told from offset 0 as long as the topic is young.
    NoOffsetIsTold,
    /// Looking for a time behind the last message finds the end of the queue.
    SearchFindsTheEnd,
    /// Timer messages can be recalled.
    Recall,
    /// The unique id comes back as transaction id of a send.
    TransactionId,
    /// Topics have attributes, such as a type.
    TopicAttributes,
    /// Brokers hand messages out and count who has which.
    Pop,
    /// The queue of a message is chosen by its priority.
    PriorityQueues,
    /// Brokers keep where a group was reset to, whoever is connected.
    ServerSideReset,
}

/// Whether the server under test has a feature. What it lacks is said on standard error, past the capture of test output,
/// and the test checks what happens instead.
pub(crate) fn supports(feature: Feature) -> bool {
    let version = &cluster().version;
    let old = version.starts_with("4.");
    let why = match feature {
        Feature::TimerMessages if old => "timer messages came with 5.0: an older server delivers at once",
        Feature::NoOffsetIsTold if old => "setZeroIfNotFound came with 5.0: an older server says 0 for a young topic",
        Feature::SearchFindsTheEnd if old => "an older server finds the last message for a time behind it",
        Feature::Recall if old => "recalling messages came with 5.3.2",
        Feature::TransactionId if old => "the transaction id of every send came with 5.0",
        Feature::TopicAttributes if old => "attributes of topics came with 5.0: an older server ignores them",
        Feature::Pop if old => "pop came with 5.0",
        Feature::PriorityQueues if old => "priorities came with 5.4: an older server carries them along",
        Feature::ServerSideReset if old => "before 5.2 brokers told the clients of a group that it was reset",
        _ => return true,
    };
    say(&format!("server {version} lacks {feature:?}: {why}"));
    false
}

/// Says on standard error, past the capture of test output, what cannot be tested here.
pub(crate) fn say(what: &str) {
    let _ = writeln!(std::io::stderr(), "{what}");
}
