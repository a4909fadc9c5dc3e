//! Sending what waits: the client's scheduler looks at the queue, brokers' answers count, and nothing of it blocks.

use std::fmt;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::parcel::{Parcel, pack};
use super::queue::{Look, Pushed, Queue};
use super::record::Record;
use super::settings::Trace;
use crate::client::send::{Prepared, SendSettings};
use crate::client::{Core, Route, TraceCounters};
use crate::error::Error;
use crate::message::{MessageQueue, key, write_property};
use crate::remoting::Deadline;

/// A trace message that is not stored by then is lost.
const DEADLINE: Duration = Duration::from_secs(5);
/// A broker that failed is avoided for so long while another has the trace topic.
const AVOID: Duration = Duration::from_secs(30);
/// The trace topic of the cloud, to which the broker's region is added.
const CLOUD_TOPIC: &str = "rmq_sys_TRACE_DATA_";

/// Which half of a client traces; part of the name by which trace messages are sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    Produce,
    Consume,
}

/// Gathers records and sends them.
pub(super) struct Dispatcher {
    core: Arc<Core>,
    topic: Arc<str>,
    cloud: bool,
    send: SendSettings,
    queue: Mutex<Queue>,
    /// Who closes waits on it.
    idle: Condvar,
    counters: Arc<TraceCounters>,
    round: AtomicUsize,
    /// The broker that failed last, and until when it is avoided.
    avoided: Mutex<Option<(Arc<str>, Instant)>>,
}

/// One trace message on its way.
struct Delivery {
    prepared: Prepared,
    records: usize,
    deadline: Deadline,
    /// It failed at this broker already; there is one more attempt at most.
    failed_at: Option<Arc<str>>,
}

impl Dispatcher {
    pub(super) fn new(core: Arc<Core>, settings: &Trace, group: &str, side: Side) -> Arc<Dispatcher> {
        static STARTED: AtomicU64 = AtomicU64::new(0);
        let number = STARTED.fetch_add(1, Ordering::Relaxed) + 1;
        let side = match side {
            Side::Produce => "PRODUCE",
            Side::Consume => "CONSUME",
        };
        let send = SendSettings {
            group: format!("_INNER_TRACE_PRODUCER-{group}-{side}-{number}").into(),
            template_topic: "TBW102".into(),
            default_queues: 4,
            unit_mode: core.options().unit_mode,
        };
        Arc::new(Dispatcher {
            topic: settings.topic.clone(),
            cloud: core.options().credentials.as_ref().is_some_and(|credentials| credentials.is_cloud()),
            send,
            queue: Mutex::new(Queue::new(settings.batch, settings.interval, settings.queue)),
            idle: Condvar::new(),
            counters: Arc::default(),
            round: AtomicUsize::new(fastrand::usize(..)),
            avoided: Mutex::default(),
            core,
        })
    }

    pub(super) fn counters(&self) -> &Arc<TraceCounters> {
        &self.counters
    }

    /// A name that nothing else has.
    pub(super) fn unique_id(&self) -> Arc<str> {
        self.core.unique_ids().next()
    }

    /// Whether messages of this topic are not traced, because they are traces.
    pub(super) fn is_trace_topic(&self, topic: &str) -> bool {
        if self.cloud { topic.starts_with(CLOUD_TOPIC) } else { topic == &*self.topic }
    }

    /// Takes a record. Never blocks and never fails: what has no room is dropped and counted.
    pub(super) fn add(self: &Arc<Self>, record: Record) {
        let pushed = self.lock().push(record, Instant::now());
        match pushed {
            Pushed::Waits(look) => {
                self.counters.recorded.one();
                self.arrange(look);
            }
            Pushed::Dropped { tell } => {
                self.counters.dropped.one();
                if tell {
                    let (dropped, failed) = (self.counters.dropped.get(), self.counters.failed.get());
                    log::warn!(
                        "{}: too many trace records wait to be sent to {}; so far {dropped} were dropped and {failed} lost",
                        self.send.group,
                        self.topic
                    );
                }
            }
            Pushed::Closed => self.counters.dropped.one(),
        }
    }

    fn arrange(self: &Arc<Self>, look: Option<Look>) {
        let Some(look) = look else { return };
        let (Look::Soon(at) | Look::Later(at)) = look;
        // Its owner closes it; a timer must not keep it alive.
        let dispatcher = Arc::downgrade(self);
        self.core.timers().at(at, move || {
            if let Some(dispatcher) = dispatcher.upgrade() {
                let (batches, next) = dispatcher.lock().look(look, Instant::now());
                dispatcher.arrange(next);
                dispatcher.send_all(batches);
            }
        });
    }

    /// Sends what waits and takes no more. Waits until it is stored or lost, at most until the deadline if there is one;
    /// returns whether nothing is left.
    pub(super) fn close(self: &Arc<Self>, deadline: Option<Deadline>) -> bool {
        let batches = self.lock().close(Instant::now());
        self.send_all(batches);
        let Some(deadline) = deadline else { return self.lock().is_idle() };
        let mut queue = self.lock();
        while !queue.is_idle() {
            let left = deadline.left(Instant::now());
            if left.is_zero() {
                break;
            }
            queue = self.idle.wait_timeout(queue, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        let idle = queue.is_idle();
        let given_up = queue.give_up();
        drop(queue);
        self.counters.failed.add(given_up as u64);
        idle
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn send_all(self: &Arc<Self>, batches: Vec<Vec<Record>>) {
        for mut batch in batches {
            if self.core.namespace().is_some() {
                batch.iter_mut().for_each(|record| self.unwrap_names(record));
            }
            let parcels = pack(&batch, self.cloud, |record| self.trace_topic(record));
            self.lock().became(parcels.len());
            for parcel in parcels {
                let records = parcel.records;
                self.send(Delivery {
                    prepared: self.prepare(parcel),
                    records,
                    deadline: Deadline::after(DEADLINE),
                    failed_at: None,
                });
            }
        }
    }

    /// Traces are written without namespace, whatever names the user sent by.
    fn unwrap_names(&self, record: &mut Record) {
        for name in [&mut record.topic, &mut record.group] {
            let own: Arc<str> = self.core.own_name(name).into();
            *name = own;
        }
    }

    fn trace_topic(&self, record: &Record) -> Arc<str> {
        if self.cloud { format!("{CLOUD_TOPIC}{}", record.region).into() } else { self.topic.clone() }
    }

    fn prepare(&self, parcel: Parcel) -> Prepared {
        let id = self.core.unique_ids().next();
        let mut properties = String::with_capacity(parcel.keys.len() + id.len() + 18);
        write_property(&mut properties, key::KEYS, &parcel.keys);
        write_property(&mut properties, key::UNIQUE_ID, &id);
        Prepared {
            topic: parcel.trace_topic,
            body: parcel.body.into(),
            sys_flag: 0,
            flag: 0,
            properties,
            message_id: id,
            batch: false,
        }
    }

    /// Only to brokers that have the topic: its own route is asked for, and no template's.
    fn send(self: &Arc<Self>, delivery: Delivery) {
        let (dispatcher, topic, deadline) = (self.clone(), delivery.prepared.topic.clone(), delivery.deadline);
        self.core.routes().get_async(&self.core, &topic, deadline, move |route| match route {
            Ok(route) => dispatcher.submit(delivery, &route),
            Err(error) => dispatcher.lost(&delivery, &error),
        });
    }

    fn submit(self: &Arc<Self>, delivery: Delivery, route: &Route) {
        let chosen = self.choose(route, delivery.failed_at.as_ref());
        // The advertised address: traces never go to second ports.
        let master = |queue: &MessageQueue| route.broker(queue.broker_name(), 0).filter(|(_, id)| *id == 0);
        let Some((queue, addr)) = chosen.and_then(|queue| Some((queue, master(queue)?.0.clone()))) else {
            let reason = "no queue on it can be written to".into();
            return self.lost(&delivery, &Error::NoBroker { what: delivery.prepared.topic.clone(), reason });
        };
        let request = delivery.prepared.request(&self.send, queue);
        let (dispatcher, queue) = (self.clone(), queue.clone());
        let body = delivery.prepared.body.clone();
        self.core.remoting().submit(&addr, &request, &body, delivery.deadline, move |answer| match answer {
            Ok(_) => dispatcher.stored(&delivery),
            Err(error) => dispatcher.failed(delivery, &queue, &error),
        });
    }

    /// The next queue in turn, of a broker that has not failed if there is one.
    fn choose<'r>(&self, route: &'r Route, failed_at: Option<&Arc<str>>) -> Option<&'r MessageQueue> {
        let avoided = self.avoided.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let avoided = avoided.filter(|(_, until)| Instant::now() < *until).map(|(broker_name, _)| broker_name);
        let queues = route.publish_queues();
        let start = self.round.fetch_add(1, Ordering::Relaxed);
        let turn = || (0..queues.len()).map(|step| &queues[start.wrapping_add(step) % queues.len()]);
        let is =
            |queue: &MessageQueue, name: Option<&Arc<str>>| name.is_some_and(|name| queue.broker_name() == &**name);
        turn().find(|queue| !is(queue, failed_at) && !is(queue, avoided.as_ref())).or_else(|| match failed_at {
            Some(_) => turn().find(|queue| !is(queue, failed_at)),
            None => turn().next(),
        })
    }

    fn stored(self: &Arc<Self>, delivery: &Delivery) {
        self.counters.sent.add(delivery.records as u64);
        self.ended(true);
    }

    fn failed(self: &Arc<Self>, mut delivery: Delivery, queue: &MessageQueue, error: &Error) {
        let broker_name = queue.shared_broker_name().clone();
        let until = Instant::now() + AVOID;
        *self.avoided.lock().unwrap_or_else(PoisonError::into_inner) = Some((broker_name.clone(), until));
        let over = delivery.deadline.is_over(Instant::now());
        if delivery.failed_at.is_some() || over || !self.has_another(&delivery.prepared.topic, &broker_name) {
            return self.lost(&delivery, error);
        }
        delivery.failed_at = Some(broker_name);
        let again = self.clone();
        // On a reader's thread nothing is begun.
        self.core.timers().at(Instant::now(), move || again.send(delivery));
    }

    fn has_another(&self, topic: &str, failed: &str) -> bool {
        let route = self.core.routes().cached(topic);
        route.is_some_and(|route| route.publish_queues().iter().any(|queue| queue.broker_name() != failed))
    }

    fn lost(self: &Arc<Self>, delivery: &Delivery, error: &Error) {
        self.counters.failed.add(delivery.records as u64);
        if self.lock().tells_failure(Instant::now()) {
            let (group, failed, topic) = (&self.send.group, self.counters.failed.get(), &delivery.prepared.topic);
            // A topic nobody made stays missing, while other trouble passes.
            let level = if matches!(error, Error::NoRoute { .. }) { log::Level::Warn } else { log::Level::Debug };
            log::log!(level, "{group}: {failed} trace records so far could not be sent to {topic}: {error}");
        }
        self.ended(false);
    }

    fn ended(self: &Arc<Self>, succeeded: bool) {
        let mut queue = self.lock();
        let (look, given_up) = queue.ended(succeeded, Instant::now());
        let idle = queue.is_idle();
        drop(queue);
        self.counters.failed.add(given_up as u64);
        if idle {
            self.idle.notify_all();
        }
        self.arrange(look);
    }
}

impl fmt::Debug for Dispatcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dispatcher")
            .field("topic", &self.topic)
            .field("group", &self.send.group)
            .field("counters", &self.counters)
            .finish_non_exhaustive()
    }
}

/// The time of an instant, in milliseconds since 1970.
pub(super) fn wall_millis(at: Instant) -> i64 {
    let now = SystemTime::now();
    let time = now.checked_sub(at.elapsed()).unwrap_or(now);
    time.duration_since(UNIX_EPOCH).map_or(0, |since| i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}
