//! A cluster behind proxies, and clients that know it only through them.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use rocketmq_blocking::embedded::{Cluster, ClusterBuilder};
use rocketmq_blocking::{
    Client, ClientBuilder, Error, Message, MessageQueue, Outcome, Producer, PullConsumer, Result, SendResult,
};

use crate::judge::{Timer, timed};
use crate::proxy::{Proxy, eventually};

pub(crate) const TOPIC: &str = "FaultTopic";

pub(crate) fn millis(count: u64) -> Duration {
    Duration::from_millis(count)
}

/// A cluster with a proxy before each server.
pub(crate) struct Rig {
    pub(crate) cluster: Cluster,
    pub(crate) name_server: Proxy,
    /// The proxies of `broker-a`, `broker-b`, …
    pub(crate) brokers: Vec<Proxy>,
    clients: Vec<Client>,
}

impl Rig {
    pub(crate) fn new(brokers: usize) -> Rig {
        Rig::of(Cluster::builder().brokers(brokers))
    }

    /// A rig around a cluster with settings of the test's own.
    pub(crate) fn of(builder: ClusterBuilder) -> Rig {
        let cluster = builder.topic(TOPIC, 4).recorded_requests(100_000).start().expect("a cluster");
        let name_server = Proxy::to(cluster.name_server().parse().expect("one address"));
        let proxies = cluster.broker_names().iter().map(|name| Proxy::to(cluster.broker(name).addr())).collect();
        Rig { cluster, name_server, brokers: proxies, clients: Vec::new() }
    }

    /// A client with settings of its own, which the test has to look after itself.
    pub(crate) fn builder(&self) -> ClientBuilder {
        self.builder_with(&HashMap::new())
    }

    /// As [`builder`](Rig::builder), with other addresses for some brokers, by their number.
    pub(crate) fn builder_with(&self, other: &HashMap<usize, SocketAddr>) -> ClientBuilder {
        let names = self.cluster.broker_names();
        let map: HashMap<String, String> = (names.iter().zip(&self.brokers).enumerate())
            .map(|(number, (name, proxy))| {
                let addr = other.get(&number).copied().unwrap_or_else(|| proxy.addr());
                (self.cluster.broker(name).addr().to_string(), addr.to_string())
            })
            .collect();
        Client::builder()
            .name_servers(self.name_server.addr().to_string())
            .address_map(move |addr| map.get(addr).cloned().unwrap_or_else(|| addr.to_owned()))
            .request_timeout(millis(1000))
            .connect_timeout(millis(1000))
            .probe_timeout(millis(300))
    }

    /// A client that is looked after at the end of the test: nothing may be left waiting in it.
    pub(crate) fn client(&mut self) -> Client {
        let builder = self.builder();
        self.look_after(builder)
    }

    pub(crate) fn look_after(&mut self, builder: ClientBuilder) -> Client {
        let client = builder.build().expect("a client");
        self.clients.push(client.clone());
        client
    }

    /// Keys of the messages that are stored, one for each time.
    pub(crate) fn stored(&self) -> Vec<String> {
        let keys = |message: &rocketmq_blocking::MessageView| message.keys().map(str::to_owned).collect::<Vec<_>>();
        self.cluster.stored(TOPIC).iter().flat_map(keys).collect()
    }

    /// How often each key is stored.
    pub(crate) fn stored_times(&self) -> HashMap<String, usize> {
        let mut times = HashMap::new();
        self.stored().into_iter().for_each(|key| *times.entry(key).or_default() += 1);
        times
    }

    pub(crate) fn times_stored(&self, key: &str) -> usize {
        self.stored().iter().filter(|stored| *stored == key).count()
    }

    /// The queue of a broker, by its number.
    pub(crate) fn queue(&self, broker: usize) -> MessageQueue {
        MessageQueue::new(TOPIC, self.cluster.broker_names()[broker].as_str(), 0)
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        let quiet = !std::thread::panicking();
        for client in self.clients.drain(..) {
            if quiet {
                nothing_waits(&client);
                timed("close", millis(6000), || client.close()).expect("closing");
                assert_eq!(client.calls_waiting(), 0, "calls wait in a closed client");
            }
        }
    }
}

/// Probes and the client's own questions may be under way; a call of the test may not, and never ends if it is.
pub(crate) fn nothing_waits(client: &Client) {
    eventually("an empty correlation map", || client.calls_waiting() == 0);
}

pub(crate) fn producer(client: &Client) -> Producer {
    client.producer("faults").start().expect("a producer")
}

pub(crate) fn consumer(client: &Client) -> PullConsumer {
    client.pull_consumer("faults").start().expect("a consumer")
}

pub(crate) fn message(key: &str) -> Message {
    Message::builder(TOPIC, "body").key(key).build()
}

/// Sends once so that route and connections are there.
pub(crate) fn warm(producer: &Producer, rig: &Rig) {
    for broker in 0..rig.brokers.len() {
        producer.prepare(message("warm")).queue(&rig.queue(broker)).send().expect("a cluster that works");
    }
}

/// A send, judged. `key` is the message's.
pub(crate) fn send(producer: &Producer, key: &str, limit: Duration) -> Result<SendResult> {
    timed("send", limit, || Ok(producer.prepare(message(key)).timeout(limit).send()?))
}

/// An asynchronous send whose end is judged and then forwarded.
pub(crate) fn send_async(producer: &Producer, key: &str, limit: Duration) -> mpsc::Receiver<Result<SendResult>> {
    let (sender, receiver) = mpsc::channel();
    let timer = Timer::start("send_async", limit);
    let started = producer.prepare(message(key)).timeout(limit).send_async(move |result| {
        timer.end();
        let _ = sender.send(result.map_err(Error::from));
    });
    started.expect("an asynchronous send is accepted");
    receiver
}

/// What each way of calling came to.
pub(crate) type Ends = Vec<(&'static str, Result<Option<SendResult>>)>;

/// Calls in every way at once, each with the same limit and one attempt, at one broker. Keys are `sync`, `async`, `submit`
/// and `oneway`.
pub(crate) fn every_way(client: &Client, producer: &Producer, queue: &MessageQueue, limit: Duration) -> Ends {
    let prepare = |key: &str| producer.prepare(message(key)).queue(queue).timeout(limit);
    let consumer = consumer(client);
    let (sender, answers) = mpsc::channel();
    std::thread::scope(|scope| {
        let sync = scope.spawn(|| timed("send", limit, || Ok(Some(prepare("sync").send()?))));
        let submit = scope.spawn(|| {
            let pending = || prepare("submit").submit()?.wait().map_err(Error::from);
            timed("submit", limit, pending).map(Some)
        });
        let oneway = scope.spawn(|| timed("oneway", limit, || Ok(prepare("oneway").send_oneway()?)));
        let pull = scope.spawn(|| timed("pull", limit, || consumer.prepare_pull(queue, 0).timeout(limit).fetch()));
        let timer = Timer::start("send_async", limit);
        let started = prepare("async").send_async(move |result| {
            timer.end();
            let _ = sender.send(result);
        });
        started.expect("an asynchronous send is accepted");
        let (pulled, pulls) = mpsc::channel();
        let timer = Timer::start("fetch_async", limit);
        let started = consumer.prepare_pull(queue, 0).timeout(limit).fetch_async(move |result| {
            timer.end();
            let _ = pulled.send(result);
        });
        started.expect("an asynchronous pull is accepted");
        let answer = answers.recv().expect("the callback is called").map(Some).map_err(Error::from);
        vec![
            ("sync", sync.join().unwrap()),
            ("async", answer),
            ("submit", submit.join().unwrap()),
            ("oneway", oneway.join().unwrap().map(|()| None)),
            ("pull", pull.join().unwrap().map(|_| None)),
            ("async pull", pulls.recv().expect("the callback is called").map(|_| None)),
        ]
    })
}

/// Asserts that all sends that have an answer ended as unknown.
pub(crate) fn all_unknown(ends: &Ends) {
    for (way, end) in ends.iter().filter(|(way, _)| ["sync", "async", "submit"].contains(way)) {
        let error = end.as_ref().expect_err(way);
        assert_eq!(error.outcome(), Outcome::Unknown, "{way}: {error}");
    }
}

/// Asserts that everything failed, and nothing was sent.
pub(crate) fn all_not_sent(ends: &Ends) {
    for (way, end) in ends {
        let error = end.as_ref().expect_err(way);
        assert_eq!(error.outcome(), Outcome::NotSent, "{way}: {error}");
    }
}

pub(crate) fn all_well(ends: &Ends) {
    for (way, end) in ends {
        assert!(end.is_ok(), "{way}: {end:?}");
    }
}

/// Asserts that a client recovers by itself within a few seconds.
pub(crate) fn recovers(producer: &Producer) {
    let started = Instant::now();
    let mut number = 0;
    eventually("a send that succeeds again", || {
        number += 1;
        send(producer, &format!("again-{number}"), millis(1000)).is_ok()
    });
    assert!(started.elapsed() < millis(8000), "took {:?} to recover", started.elapsed());
}
