//! Receiving: all places are looked at in turn, and when nothing is there their brokers are asked to tell when something is.

use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use super::news::Place;
use super::shared::Shared;
use crate::client::{Pop, PopStatus};
use crate::code::ResponseCode;
use crate::consumer::Filter;
use crate::error::{Error, Result};
use crate::message::{MessageQueue, MessageView};
use crate::protocol::rpc::pop::{ANY_QUEUE, MAX_POP, Notification};
use crate::remoting::{Deadline, Hold};

const SHORTEST: Duration = Duration::from_secs(1);
pub(super) const LONGEST: Duration = Duration::from_secs(12 * 3600);
/// How long a broker may hold the question whether there is something. Word may go to a consumer that is not there any more;
/// then the others look by themselves after this time.
const HOLD: Duration = Duration::from_secs(10);
/// How much later than its hold an answer may come.
const HOLD_MARGIN: Duration = Duration::from_secs(5);
/// Between two looks at all places: word can come of messages that the filter does not let through.
const BETWEEN_ROUNDS: Duration = Duration::from_millis(50);
/// Before a broker is looked at again that failed.
const AFTER_FAILURE: Duration = Duration::from_secs(1);

/// Where to look.
#[derive(Debug)]
struct Target {
    topic: Arc<str>,
    filter: Filter,
    broker_name: Arc<str>,
}

impl Target {
    fn place(&self) -> Place {
        (self.topic.clone(), self.broker_name.clone())
    }

    /// All queues of the topic at the broker.
    fn queue(&self) -> MessageQueue {
        MessageQueue::new(self.topic.clone(), self.broker_name.clone(), ANY_QUEUE)
    }
}

/// What looking at all places came to.
#[derive(Debug, Default)]
struct Round {
    /// The last error, when there was one.
    error: Option<Error>,
    /// Whether a place answered.
    answered: bool,
}

impl Shared {
    pub(super) fn receive(self: &Arc<Self>, max: usize, invisible: Duration) -> Result<Vec<MessageView>> {
        if !(1..=MAX_POP).contains(&max) {
            return Err(Error::invalid(format!("{max} messages at once: 1 to {MAX_POP} are possible")));
        }
        if !(SHORTEST..=LONGEST).contains(&invisible) {
            return Err(Error::invalid(format!(
                "messages invisible for {invisible:?}: {SHORTEST:?} to {LONGEST:?} are possible"
            )));
        }
        let until = Instant::now() + self.options.await_duration;
        loop {
            self.check_open()?;
            let (began, seen) = (Instant::now(), self.news.count());
            let targets = self.targets()?;
            let mut round = Round::default();
            for target in &targets {
                match self.look(target, max, invisible) {
                    Ok(messages) if messages.is_empty() => round.answered = true,
                    Ok(messages) => return Ok(messages),
                    Err(error @ Error::Closed { .. }) => return Err(error),
                    Err(error) => round.error = Some(error),
                }
            }
            if let Some(error) = round.error.filter(|_| !round.answered) {
                return Err(error);
            }
            if Instant::now() >= until {
                return Ok(Vec::new());
            }
            self.ask_for_news(&targets, until);
            self.news.wait(seen, until);
            self.news.pause((began + BETWEEN_ROUNDS).min(until));
        }
    }

    /// The brokers that have the topics, another one first each time.
    fn targets(&self) -> Result<Vec<Target>> {
        let subscriptions = self.subscriptions();
        if subscriptions.is_empty() {
            return Err(Error::invalid(format!("consumer {} has no subscription: nothing to receive", self.group())));
        }
        let (core, deadline) = (self.core(), self.core().request_deadline());
        let (mut targets, mut failure) = (Vec::new(), None);
        for (topic, filter) in subscriptions {
            let route = match core.routes().get(core, &topic, deadline) {
                Ok(route) => route,
                Err(error) => {
                    failure = Some(error);
                    continue;
                }
            };
            // Sorted, so the queues of a broker are neighbours.
            let mut brokers: Vec<_> = route.subscribe_queues().iter().map(MessageQueue::shared_broker_name).collect();
            brokers.dedup();
            let target =
                |name: &Arc<str>| Target { topic: topic.clone(), filter: filter.clone(), broker_name: name.clone() };
            targets.extend(brokers.into_iter().map(target));
        }
        if targets.is_empty() {
            let none =
                || Error::NoBroker { what: self.group().clone(), reason: "no queue of its topics can be read".into() };
            return Err(failure.unwrap_or_else(none));
        }
        let first = self.next_turn() % targets.len();
        targets.rotate_left(first);
        // A broker that does not answer holds up the others' messages as little as possible.
        targets.sort_by_key(|target| self.is_failing(&target.place()));
        Ok(targets)
    }

    /// Takes what a place has, without waiting for more.
    fn look(self: &Arc<Self>, target: &Target, max: usize, invisible: Duration) -> Result<Vec<MessageView>> {
        let core = self.core();
        let pop = Pop {
            group: self.group().clone(),
            queue: target.queue(),
            max,
            invisible,
            hold: Duration::ZERO,
            init_mode: self.options.init_mode(),
            filter: (target.filter.expression_type().into(), target.filter.to_string().into()),
            order: self.options.order,
            attempt_id: self.options.order.then(|| core.unique_ids().next()),
        };
        let (deadline, started) = (core.request_deadline(), Instant::now());
        let answer = self.wait(deadline, |done| core.pop_async(&pop, deadline, done));
        let popped = answer.and_then(|answer| core.popped(&pop, &answer, Instant::now()));
        let popped = popped.map_err(too_old);
        self.note(target, popped.as_ref().err());
        let popped = popped?;
        if let Some(error) = popped.broken {
            log::warn!("{}: {error}; what could not be read comes again", pop.queue);
        }
        if popped.status == PopStatus::Full {
            log::debug!("{}: the broker holds as many requests as it can", pop.queue);
        }
        let mut messages = self.sort_out(target, popped.messages);
        let bytes = messages.iter().map(|message| message.body().len()).sum();
        self.counters.brought(&target.topic, messages.len(), bytes, started.elapsed());
        let dropped = self.around.filter(&self.counters, &mut messages, |message| message);
        dropped.iter().for_each(|message| self.ack_aside(message));
        self.around.received(&messages);
        Ok(messages)
    }

    /// Logs trouble with a place when it starts and when it ends.
    fn note(&self, target: &Target, error: Option<&Error>) {
        let mut failing = self.failing.lock().unwrap_or_else(PoisonError::into_inner);
        let changed = match error {
            Some(Error::Closed { .. }) => false,
            Some(_) => failing.insert(target.place()),
            None => failing.remove(&target.place()),
        };
        drop(failing);
        match error.filter(|_| changed) {
            Some(error) => log::warn!("receiving from {}: {error}", target.queue()),
            None if changed => log::info!("receiving from {} works again", target.queue()),
            None => {}
        }
    }

    /// Keeps what the caller is to see. The rest is acknowledged: other tags of the same hash, and what came too often, once
    /// it is a dead letter.
    fn sort_out(self: &Arc<Self>, target: &Target, messages: Vec<MessageView>) -> Vec<MessageView> {
        let mut wanted = Vec::with_capacity(messages.len());
        for message in messages {
            if !target.filter.accepts(&message) {
                self.ack_aside(&message);
            } else if !self.options.order && message.reconsume_times() > self.options.max_reconsume {
                self.bury(&message);
            } else {
                wanted.push(message);
            }
        }
        wanted
    }

    /// Asks all brokers that have not been asked to tell when there is something.
    fn ask_for_news(self: &Arc<Self>, targets: &[Target], until: Instant) {
        let hold = until.saturating_duration_since(Instant::now()).min(HOLD);
        for target in targets {
            let place = target.place();
            if !self.news.asks(&place) {
                continue;
            }
            let news = self.news.clone();
            if self.is_failing(&place) {
                self.core().timers().at(Instant::now() + AFTER_FAILURE, move || news.answered(&place));
                continue;
            }
            let request = Notification {
                consumer_group: self.group().clone(),
                topic: target.topic.clone(),
                queue_id: ANY_QUEUE,
                poll_time: hold,
                born_time: 0,
                order: Some(self.options.order),
                attempt_id: self.options.order.then(|| self.core().unique_ids().next()),
                expression_type: Some(target.filter.expression_type().into()),
                expression: Some(target.filter.to_string().into()),
                broker_name: Some(target.broker_name.clone()),
            };
            let (deadline, core) = (Deadline::after(hold + HOLD_MARGIN), self.core());
            // Whatever it is, it is time to look again.
            let told = move |_| news.answered(&place);
            let hold = Some(Hold::of(self.asker, hold));
            core.ask_master_held_async(&target.queue(), request, Vec::new(), hold, deadline, told);
            if self.news.is_closed() {
                core.remoting().withdraw(self.asker);
            }
        }
    }

    fn is_failing(&self, place: &Place) -> bool {
        self.failing.lock().unwrap_or_else(PoisonError::into_inner).contains(place)
    }
}

/// Says what is missing where a broker does not know the request.
pub(super) fn too_old(error: Error) -> Error {
    match error {
        Error::Unsupported { addr: Some(addr), .. }
        | Error::Rejected { addr, code: ResponseCode::REQUEST_CODE_NOT_SUPPORTED, .. } => {
            let what = "handing out messages (pop), which brokers can since 5.0".into();
            Error::Unsupported { what, addr: Some(addr) }
        }
        other => other,
    }
}
