use std::collections::HashSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rocketmq_blocking::{
    Client, ConsumeFromWhere, ConsumeResult, LitePullConsumer, MessageQueue, MessageView, PushConsumer,
};

use super::calls::{QUESTION, timed};
use super::script::{Lite, Push};
use super::{GRACE, TOPIC, millis};

/// What needs no server's answer.
const AT_ONCE: Duration = Duration::ZERO;
/// How long a commit may take whose broker is silent.
const COMMIT: Duration = Duration::from_secs(5);

/// A consumer of either kind, made when the script first asks for one.
pub(super) struct Consumers {
    client: Client,
    push: Option<PushConsumer>,
    lite: Option<LitePullConsumer>,
}

impl Consumers {
    pub(super) fn new(client: Client) -> Consumers {
        Consumers { client, push: None, lite: None }
    }

    /// Whether the script has asked for none so far.
    pub(super) fn are_none(&self) -> bool {
        self.push.is_none() && self.lite.is_none()
    }

    pub(super) fn push(&mut self, deed: &Push) {
        if let Push::Start { orderly, failures } = deed {
            // The one before has to go first: a group has one consumer of an identity.
            if let Some(before) = self.push.take() {
                timed("close of a push consumer", GRACE + millis(1000), || drop(before.close_within(GRACE)));
            }
            self.push = timed("start of a push consumer", AT_ONCE, || start(&self.client, *orderly, *failures));
            return;
        }
        let Some(consumer) = &self.push else { return };
        match deed {
            Push::Start { .. } => {}
            Push::Suspend => drop(timed("suspend", AT_ONCE, || consumer.suspend())),
            Push::Resume => drop(timed("resume", AT_ONCE, || consumer.resume())),
            Push::Unsubscribe => drop(timed("unsubscribe", QUESTION, || consumer.unsubscribe(TOPIC))),
            Push::Queues => drop(timed("queues of a push consumer", AT_ONCE, || consumer.queues())),
            Push::Close => {
                let closed = || consumer.close_within(GRACE);
                drop(timed("close of a push consumer", GRACE + millis(1000), closed));
            }
        }
    }

    pub(super) fn lite(&mut self, deed: &Lite, queue: MessageQueue) {
        if let Lite::Start { assigned, auto_commit, .. } = deed {
            if let Some(before) = self.lite.take() {
                timed("close of a lite pull consumer", GRACE + millis(1000), || drop(before.close_within(GRACE)));
            }
            let builder = self.client.lite_pull_consumer("lite").auto_commit(*auto_commit);
            let builder = builder.auto_commit_interval(millis(50)).consume_from_where(ConsumeFromWhere::FirstOffset);
            let builder = if *assigned { builder.assign([queue]) } else { builder.subscribe(TOPIC, "*") };
            self.lite = timed("start of a lite pull consumer", AT_ONCE, || builder.start().ok());
            return;
        }
        let Some(consumer) = &self.lite else { return };
        match deed {
            Lite::Start { .. } => {}
            Lite::Poll(limit) => drop(timed("poll", limit.time(), || consumer.poll(limit.time()))),
            Lite::SeekToBegin { .. } => drop(timed("seek to the begin", QUESTION, || consumer.seek_to_begin(&queue))),
            Lite::Seek { offset, .. } => {
                drop(timed("seek", QUESTION * 2, || consumer.seek(&queue, i64::from(*offset))));
            }
            Lite::Commit => drop(timed("commit of a lite pull consumer", COMMIT, || consumer.commit())),
            Lite::Close => {
                let closed = || consumer.close_within(GRACE);
                drop(timed("close of a lite pull consumer", GRACE + millis(1000), closed));
            }
        }
    }
}

fn start(client: &Client, orderly: bool, failures: u8) -> Option<PushConsumer> {
    let builder = client.push_consumer("push").subscribe(TOPIC, "*").threads(2).batch(2);
    let builder = builder.consume_from_where(ConsumeFromWhere::FirstOffset).suspend_time(millis(10));
    let builder = builder.persist_interval(millis(50)).rebalance_interval(millis(100));
    let (left, busy) = (AtomicUsize::new(usize::from(failures % 8)), Arc::new(Mutex::new(HashSet::new())));
    let listener = move |messages: &[MessageView]| {
        let queue = messages[0].queue().clone();
        if orderly {
            assert!(messages.iter().all(|message| *message.queue() == queue), "messages of two queues at once");
            assert!(messages.is_sorted_by_key(MessageView::queue_offset), "messages out of order");
            assert!(busy.lock().expect("no panic").insert(queue.clone()), "two threads at once have {queue}");
        }
        let fails = left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok();
        std::thread::yield_now();
        if orderly {
            busy.lock().expect("no panic").remove(&queue);
        }
        if fails { ConsumeResult::Retry } else { ConsumeResult::Success }
    };
    if orderly { builder.start_orderly(listener).ok() } else { builder.start(listener).ok() }
}
