//! The settings of consumers whose queues brokers assign.

use std::ops::RangeInclusive;
use std::time::Duration;

use super::PushConsumerBuilder;
use crate::consumer::allocation::Allocation;
use crate::consumer::engine::PopOptions;
use crate::protocol::rpc::pop::MAX_POP;

/// As in Java.
const INVISIBLE: RangeInclusive<Duration> = Duration::from_secs(5)..=Duration::from_secs(300);

/// What was set.
#[derive(Debug, Clone, Copy)]
pub(super) struct ByBroker {
    wanted: bool,
    options: PopOptions,
}

impl Default for ByBroker {
    fn default() -> ByBroker {
        let options = PopOptions { invisible: Duration::from_secs(60), batch: MAX_POP };
        ByBroker { wanted: false, options }
    }
}

impl ByBroker {
    pub(super) fn options(&self) -> Option<PopOptions> {
        self.wanted.then_some(self.options)
    }

    /// What is wrong, if anything is.
    pub(super) fn defect(&self, allocation: &dyn Allocation) -> Option<String> {
        let ByBroker { wanted, options: PopOptions { invisible, batch } } = *self;
        let name = allocation.name();
        if !(1..=MAX_POP).contains(&batch) {
            return Some(format!("pop_batch is {batch}, 1 to {MAX_POP} are allowed"));
        }
        if !INVISIBLE.contains(&invisible) {
            return Some(format!("pop_invisible is {invisible:?}, 5 s to 5 minutes are allowed"));
        }
        let known = matches!(name, "AVG" | "AVG_BY_CIRCLE");
        (wanted && !known).then(|| format!("brokers cannot allocate by {name}, only by AVG and AVG_BY_CIRCLE"))
    }
}

impl PushConsumerBuilder {
    /// Has brokers say which queues this member reads, and how (Java: `setClientRebalance(false)`).
    ///
    /// By default they are pulled, as they are when members divide them. [`Client::set_message_request_mode`] makes a group
    /// pop a topic instead: its queues are shared by several members, or by all; brokers hand the messages out one by one,
    /// and the consumer acknowledges each that its listener has consumed. What is not acknowledged within
    /// [`pop_invisible`](PushConsumerBuilder::pop_invisible) comes again, to any member. A changed mode is noticed at the
    /// next rebalance; messages may come twice while members change over one after the other.
    ///
    /// Popped messages that fail come again after 10 s, 30 s, 1 minute and so on up to two hours; a level given by
    /// [`ConsumeResult::RetryAtLevel`](crate::ConsumeResult::RetryAtLevel) is a place in that row, the 10 s being 0, and a
    /// time given by [`ConsumeResult::SuspendFor`](crate::ConsumeResult::SuspendFor) is taken as it is. Those that failed
    /// too often become dead letters. Java drops them instead; and it does not pop in order, which an orderly consumer does
    /// here: what fails holds up its queue at the broker.
    ///
    /// Brokers know [`Averagely`](crate::allocation::Averagely) and [`AveragelyByCircle`](crate::allocation::AveragelyByCircle) only. Those before
    /// 5.0 do not assign queues: the members divide them, which is logged once. So do the members of a group that
    /// broadcasts, without asking.
    ///
    /// [`Client::set_message_request_mode`]: crate::Client::set_message_request_mode
    pub fn allocation_by_broker(mut self) -> Self {
        self.by_broker.wanted = true;
        self
    }

    /// Sets how long a popped message is kept from others, 5 s to 5 minutes; 60 s by default (Java: `popInvisibleTime`).
    ///
    /// It includes the time a message waits for a free listener. A listener that takes longer has no say any more: the
    /// message comes again.
    pub fn pop_invisible(mut self, time: Duration) -> Self {
        self.by_broker.options.invisible = time;
        self
    }

    /// Sets how many messages a pop asks for, 1 to 32; 32 by default (Java: `popBatchNums`). No more are popped of a queue
    /// while more than 96 of it are not acknowledged.
    pub fn pop_batch(mut self, messages: usize) -> Self {
        self.by_broker.options.batch = messages;
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::consumer::allocation::{Averagely, AveragelyByCircle, ConsistentHash};

    fn by_broker(invisible: u64, batch: usize) -> ByBroker {
        ByBroker { wanted: true, options: PopOptions { invisible: Duration::from_secs(invisible), batch } }
    }

    #[test]
    fn only_what_brokers_take_is_let_through() {
        for (invisible, batch, allowed) in
            [(5, 1, true), (300, 32, true), (4, 1, false), (301, 1, false), (60, 0, false), (60, 33, false)]
        {
            assert_eq!(by_broker(invisible, batch).defect(&Averagely).is_none(), allowed, "{invisible} s, {batch}");
        }
        assert_eq!(by_broker(60, 32).defect(&AveragelyByCircle), None);
        assert!(by_broker(60, 32).defect(&ConsistentHash::default()).is_some());
        assert_eq!(ByBroker::default().defect(&ConsistentHash::default()), None, "nobody asked for it");
    }
}
