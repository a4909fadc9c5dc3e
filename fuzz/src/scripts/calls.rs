use std::collections::HashSet;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, SystemTime};

use rocketmq_blocking::{
    Client, Error, Message, MessageQueue, MessageView, Outcome, PendingSend, Producer, PullConsumer, SendResult,
};

use super::process::Watch;
use super::script::{Call, Way};
use super::{QUEUES, SLACK, TOPIC, millis};

/// How long questions may take: the client's request timeout, once for the route and once for the broker.
pub(super) const QUESTION: Duration = Duration::from_millis(600);

/// Makes the calls and judges how they end.
pub(super) struct Calls {
    client: Client,
    producer: Producer,
    consumer: PullConsumer,
    brokers: Vec<String>,
    messages: usize,
    under_way: Vec<UnderWay>,
    account: Account,
}

/// A call that ends by itself.
struct UnderWay {
    what: &'static str,
    began: Watch,
    limit: Duration,
    end: End,
}

enum End {
    Sent(String, Receiver<Result<SendResult, Error>>),
    Pending(String, PendingSend),
    Pulled(Receiver<()>),
}

/// What became of the messages, by their keys.
#[derive(Default, Clone)]
pub(super) struct Account {
    acknowledged: HashSet<String>,
    not_sent: HashSet<String>,
}

impl Account {
    fn take(&mut self, key: String, result: &Result<SendResult, Error>) {
        let kept = match result {
            Ok(_) => &mut self.acknowledged,
            Err(error) if error.outcome() == Outcome::NotSent => &mut self.not_sent,
            Err(_) => return,
        };
        kept.insert(key);
    }

    pub(super) fn check(&self, stored: &[MessageView]) {
        let stored: HashSet<&str> = stored.iter().flat_map(MessageView::keys).collect();
        for key in &self.acknowledged {
            assert!(stored.contains(&**key), "{key} was acknowledged and is not stored");
        }
        for key in &self.not_sent {
            assert!(!stored.contains(&**key), "{key} was not sent and is stored");
        }
    }
}

fn late(what: &str) -> ! {
    panic!("a {what} did not end by its deadline")
}

/// A call that blocks ends by its deadline.
pub(super) fn timed<T>(what: &str, limit: Duration, call: impl FnOnce() -> T) -> T {
    let watch = Watch::start();
    let result = call();
    let took = watch.passed();
    assert!(took <= limit + SLACK, "{what} with a limit of {limit:?} took {took:?}");
    result
}

impl Calls {
    pub(super) fn new(client: Client, brokers: Vec<String>) -> Calls {
        let producer = client.producer("p").start().expect("a producer");
        let consumer = client.pull_consumer("c").start().expect("a consumer");
        Calls { client, producer, consumer, brokers, messages: 0, under_way: Vec::new(), account: Account::default() }
    }

    pub(super) fn queue(&self, number: u8) -> MessageQueue {
        let broker = &self.brokers[usize::from(number / 2) % self.brokers.len()];
        MessageQueue::new(TOPIC, broker.as_str(), i32::from(u16::from(number) % QUEUES))
    }

    fn message(&mut self, size: usize) -> (String, Message) {
        self.messages += 1;
        let key = format!("k{}", self.messages);
        (key.clone(), Message::builder(TOPIC, vec![b'x'; 1 + size]).key(key).build())
    }

    pub(super) fn play(&mut self, call: &Call) {
        match call {
            Call::Send { way, limit, queue, size } => self.send(*way, limit.time(), *queue, usize::from(*size)),
            Call::Batch { limit, count } => self.batch(limit.time(), usize::from(*count % 4) + 1),
            Call::Pull { in_background, limit, queue, offset, hold } => {
                self.pull(*in_background, limit.time(), &self.queue(*queue), i64::from(*offset), *hold);
            }
            Call::Commit { queue, offset, oneway } => {
                let (queue, offset) = (self.queue(*queue), i64::from(*offset));
                let _ = timed("commit", QUESTION, || match oneway {
                    true => self.consumer.commit_offset_oneway(&queue, offset),
                    false => self.consumer.commit_offset(&queue, offset),
                });
            }
            Call::Committed { queue } => {
                let queue = self.queue(*queue);
                let _ = timed("committed offset", QUESTION, || self.consumer.committed_offset(&queue));
            }
            Call::Offsets { queue, of_time } => {
                let queue = self.queue(*queue);
                let _ = timed("offsets", QUESTION, || match of_time {
                    true => self.consumer.search_offset(&queue, SystemTime::now()),
                    false => self.consumer.max_offset(&queue),
                });
            }
            Call::Queues => drop(timed("queues", QUESTION, || self.producer.fetch_queues(TOPIC))),
            Call::Close => super::close(&self.client),
        }
    }

    fn send(&mut self, way: Way, limit: Duration, queue: Option<u8>, size: usize) {
        let (key, message) = self.message(size);
        let queue = queue.map(|number| self.queue(number));
        let began = Watch::start();
        let mut prepared = self.producer.prepare(message).timeout(limit);
        if let Some(queue) = &queue {
            prepared = prepared.queue(queue);
        }
        let (what, end) = match way {
            Way::Waiting => {
                let result = timed("send", limit, || prepared.send().map_err(Error::from));
                return self.account.take(key, &result);
            }
            Way::Oneway => {
                let result = timed("oneway send", limit, || prepared.send_oneway().map_err(Error::from));
                // Whether it arrived nobody knows; that it was not sent is known.
                return if let Err(error) = result {
                    self.account.take(key, &Err(error))
                };
            }
            Way::Callback => {
                let (sender, receiver) = channel();
                let callback = move |result: Result<SendResult, _>| drop(sender.send(result.map_err(Error::from)));
                match timed("start of a send", limit, || prepared.send_async(callback)) {
                    Ok(()) => ("send with a callback", End::Sent(key, receiver)),
                    Err(error) => return self.account.take(key, &Err(error.into())),
                }
            }
            Way::Pending => match timed("start of a send", limit, || prepared.submit()) {
                Ok(pending) => ("pending send", End::Pending(key, pending)),
                Err(error) => return self.account.take(key, &Err(error.into())),
            },
        };
        self.under_way.push(UnderWay { what, began, limit, end });
    }

    fn batch(&mut self, limit: Duration, count: usize) {
        let (keys, messages): (Vec<String>, Vec<Message>) = (0..count).map(|size| self.message(size)).unzip();
        let prepared = self.producer.prepare_batch(messages).timeout(limit);
        let result = timed("batch", limit, || prepared.send().map_err(Error::from));
        keys.into_iter().for_each(|key| self.account.take(key, &result));
    }

    fn pull(&mut self, in_background: bool, limit: Duration, queue: &MessageQueue, offset: i64, hold: bool) {
        let mut prepared = self.consumer.prepare_pull(queue, offset);
        if hold {
            prepared = prepared.wait(limit / 2);
        }
        let prepared = prepared.timeout(limit);
        if !in_background {
            return drop(timed("pull", limit, || prepared.fetch()));
        }
        let (sender, receiver) = channel();
        let began = Watch::start();
        if prepared.fetch_async(move |_| _ = sender.send(())).is_ok() {
            self.under_way.push(UnderWay { what: "pull with a callback", began, limit, end: End::Pulled(receiver) });
        }
    }

    /// Waits for the calls that end by themselves and returns what became of all messages.
    pub(super) fn end(&mut self) -> Account {
        for UnderWay { what, began, limit, end } in self.under_way.drain(..) {
            match end {
                End::Sent(key, receiver) => {
                    let result = began.wait(limit, |time| receiver.recv_timeout(time).ok());
                    self.account.take(key, &result.unwrap_or_else(|| late(what)));
                }
                End::Pending(key, pending) => {
                    let mut pending = Some(pending);
                    let result = began.wait(limit, |time| {
                        pending.take()?.wait_timeout(time).map_err(|still| pending = Some(still)).ok()
                    });
                    self.account.take(key, &result.unwrap_or_else(|| late(what)).map_err(Error::from));
                }
                End::Pulled(receiver) => {
                    began.wait(limit, |time| receiver.recv_timeout(time).ok()).unwrap_or_else(|| late(what));
                }
            }
        }
        self.account.clone()
    }
}

impl Watch {
    /// Waits for something a little at a time until it is certain that it is late.
    fn wait<T>(&self, limit: Duration, mut next: impl FnMut(Duration) -> Option<T>) -> Option<T> {
        loop {
            match next(millis(20)) {
                None if self.passed() <= limit + SLACK => {}
                ended => return ended,
            }
        }
    }
}
