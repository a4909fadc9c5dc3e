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
    /// Topics for messages with priorities and for lite consumers, and none of mixed kinds.
    TopicKinds,
    /// The messages of a batch that is sent as one keep their ids in a topic that stores them one by one.
    IdsInBatch,
    /// Brokers hand messages out and count who has which.
    Pop,
    /// The queue of a message is chosen by its priority.
    PriorityQueues,
    /// Brokers keep where a group was reset to, whoever is connected.
    ServerSideReset,
    /// Users and rules are kept by requests, and not in a file with accounts.
    Users,
    /// Apache's tool looks an id up within a topic.
    ToolWantsTopic,
    /// Brokers tell which groups consume a topic.
    TopicGroups,
    /// The Java client of the same version gets replies to its requests.
    JavaAsks,
    /// Slaves learn from their masters where groups are.
    SlaveOffsets,
}

impl Feature {
    /// The first version that has it, and what older ones do.
    fn since(self) -> ([u32; 3], &'static str) {
        match self {
            Feature::TimerMessages => ([5, 0, 0], "timer messages came with 5.0: an older server delivers at once"),
            Feature::NoOffsetIsTold => {
                ([5, 0, 0], "setZeroIfNotFound came with 5.0: an older server says 0 for a young topic")
            }
            Feature::SearchFindsTheEnd => ([5, 0, 0], "an older server finds the last message for a time behind it"),
            Feature::Recall => ([5, 3, 2], "recalling messages came with 5.3.2"),
            Feature::TransactionId => ([5, 0, 0], "the transaction id of every send came with 5.0"),
            Feature::TopicAttributes => ([5, 0, 0], "attributes of topics came with 5.0: an older server ignores them"),
            Feature::TopicKinds => (
                [5, 4, 0],
                "topics for priorities and lite consumers came with 5.4: older servers refuse them, and take mixed ones",
            ),
            Feature::IdsInBatch => ([5, 4, 0], "an older server gives each message of a batch the id of the batch"),
            Feature::Pop => ([5, 0, 0], "pop came with 5.0"),
            Feature::PriorityQueues => ([5, 4, 0], "priorities came with 5.4: an older server carries them along"),
            Feature::TopicGroups => ([0, 0, 0], "asked for the groups of a topic it names the topic as well"),
            Feature::JavaAsks => {
                ([0, 0, 0], "its Java client takes no reply to its requests for its own, also when Java replies")
            }
            Feature::SlaveOffsets => {
                ([0, 0, 0], "its slaves cannot read their masters' offsets once anything was pulled (pullOffsetTable)")
            }
            Feature::Users => ([5, 3, 0], "users and rules came with 5.3: an older server reads accounts from a file"),
            Feature::ToolWantsTopic => ([5, 3, 0], "its tool finds an id without its topic"),
            Feature::ServerSideReset => ([5, 2, 0], "before 5.2 brokers told the clients of a group that it was reset"),
        }
    }
}

/// Whether the server under test has a feature. What it lacks is said on standard error, past the capture of test output
/// and with the name of the test, and the test checks what happens instead.
pub(crate) fn supports(feature: Feature) -> bool {
    let version = &cluster().version;
    let (since, why) = feature.since();
    let broken = match feature {
        Feature::JavaAsks | Feature::TopicGroups => version == "5.3.3",
        Feature::SlaveOffsets => version == "5.5.0",
        _ => false,
    };
    if numbers(version) >= since && !broken {
        return true;
    }
    let thread = std::thread::current();
    say(&format!("{}: server {version} lacks {feature:?}: {why}", thread.name().unwrap_or("?")));
    false
}

/// A version as numbers; what is no number counts as 0.
fn numbers(version: &str) -> [u32; 3] {
    let mut parts = version.split('.').map(|part| part.parse().unwrap_or(0));
    [0; 3].map(|_| parts.next().unwrap_or(0))
}

/// Says on standard error, past the capture of test output, what cannot be tested here.
pub(crate) fn say(what: &str) {
    let _ = writeln!(std::io::stderr(), "{what}");
}
