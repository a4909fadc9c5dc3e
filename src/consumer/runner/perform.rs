//! Carrying out what an engine wants: every action is a request whose answer comes back as an event. Nothing here waits.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::hand_back::MAX_RECONSUME_TIMES;
use super::shared::Shared;
use super::{Sink, commits, hand_back, leftovers, pop, start};
use crate::client::Core;
use crate::code::ResponseCode;
use crate::consumer::engine::{Action, Bounds, Event, Illegal, Order, Pulled, Spell, Why};
use crate::consumer::pull::{Pull, PullResult, PullStatus};
use crate::error::{Error, Result};
use crate::message::MessageQueue;
use crate::protocol::json;
use crate::protocol::rpc::heartbeat::{ConsumerList, ConsumerListBody};
use crate::protocol::rpc::lock::{LockBatch, LockBody, LockedBody, QueueBody, UnlockBatch};
use crate::remoting::Deadline;
use crate::sorted::SortedMap;

/// Java's time for this.
const LOCK_TIMEOUT: Duration = Duration::from_secs(1);

/// Carries out actions that belong together: locks of one broker are asked for in one request.
pub(in crate::consumer) fn all(
    shared: &Arc<Shared>,
    sink: &dyn Sink,
    order: Order,
    actions: impl Iterator<Item = Action>,
) {
    let mut locks: SortedMap<Arc<str>, Vec<Spell>> = SortedMap::new();
    let mut heartbeat = false;
    for action in actions {
        match action {
            Action::Lock { spell } => {
                locks.get_or_insert_with(spell.queue.shared_broker_name().clone(), Vec::new).push(spell)
            }
            Action::Heartbeat => heartbeat = true,
            Action::Consume(batch) => sink.consume(batch),
            Action::Recall { spell } => sink.recall(&spell),
            Action::Answer { ask, answer } => sink.answer(ask, answer),
            Action::Refused { queue, error } => sink.refused(&queue, error),
            Action::Moved { queue, from, to, why } => {
                shared.counters.moves.one();
                let level = if why == Why::Sought { log::Level::Debug } else { log::Level::Warn };
                log::log!(level, "consumer {}: {queue} goes on at {to} instead of {from} ({why:?})", shared.group);
                sink.moved(&queue, from, to, why);
            }
            Action::Changed { topic, all, mine } => {
                log::info!("consumer {}: has {} of {} queues of {topic}", shared.group, mine.len(), all.len());
                sink.changed(&topic, all.to_vec(), mine);
            }
            other => one(shared, order, other),
        }
    }
    // Before the pulls of new queues, which come only after their start has been found.
    if heartbeat && shared.with_subscriptions(|known| known.shares()) {
        if let Some(membership) = shared.membership() {
            membership.update(shared.body());
        }
    }
    for spells in locks.into_values() {
        lock(shared, spells);
    }
}

fn one(shared: &Arc<Shared>, order: Order, action: Action) {
    match action {
        Action::FetchMembers { topic } => fetch_members(shared, topic),
        Action::FindStart { spell } => {
            let (events, queue) = (shared.events.clone(), spell.queue.clone());
            start::find(shared, &queue, move |start| {
                let _ = events.send(Event::Started { spell, start });
            });
        }
        Action::Unlock { queue } => unlock(shared, &queue),
        Action::Pull { spell, offset, ticket } => pull(shared, spell, offset, ticket),
        Action::FindBounds { spell } => {
            let (events, queue) = (shared.events.clone(), spell.queue.clone());
            start::bounds(&shared.core, &queue, move |bounds| {
                let bounds = bounds.map(|(min, max)| Bounds { min, max });
                let _ = events.send(Event::Bounds { spell, bounds });
            });
        }
        Action::HandBack { spell, message, delay_level, repeats, dead } => {
            let (then, offset) = (shared.clone(), message.queue_offset());
            let dies =
                dead || message.reconsume_times() >= shared.settings.max_reconsume.unwrap_or(MAX_RECONSUME_TIMES);
            let how = hand_back::How { delay_level, repeats, dead, as_message: order == Order::Orderly };
            hand_back::submit(shared, *message, how, move |done| {
                let counters = &then.counters;
                match (done, dies) {
                    (true, true) => counters.dead_letters.one(),
                    (true, false) => counters.handed_back.one(),
                    (false, _) => counters.hand_back_failures.one(),
                }
                let _ = then.events.send(Event::HandedBack { spell, offset, done });
            });
        }
        Action::FetchAssignment { .. } | Action::Leftovers { .. } | Action::Pop(_) => {
            pop::perform(shared, order, action)
        }
        Action::Commit { spell, offset } => commits::submit(shared, spell, offset),
        Action::Left { queue } => {
            if let Some(keeper) = &shared.keeper {
                keeper.remove(queue);
            }
        }
        Action::Closed
        | Action::Lock { .. }
        | Action::Heartbeat
        | Action::Consume(_)
        | Action::Moved { .. }
        | Action::Recall { .. }
        | Action::Answer { .. }
        | Action::Refused { .. }
        | Action::Changed { .. } => {}
    }
}

fn fetch_members(shared: &Arc<Shared>, topic: Arc<str>) {
    let (core, events) = (&shared.core, shared.events.clone());
    let request = ConsumerList { consumer_group: shared.group.clone() };
    let deadline = Deadline::after(core.options().request_timeout);
    let Some(addr) = any_broker(core, &topic) else {
        let reason = "no broker of the topic is known".into();
        let members = Err(Error::NoBroker { what: topic.clone(), reason });
        let _ = events.send(Event::Members { topic, members });
        return;
    };
    let (asked, from) = (core.clone(), addr.clone());
    core.remoting().submit(&addr, &request, &[], deadline, move |answer| {
        let members = answer.and_then(|answer| {
            let body: ConsumerListBody = json::decode("list of consumers", answer.frame.body())?;
            asked.options().limits.check_members(&body.consumer_id_list).map_err(|error| {
                asked.note_limit(&error);
                error.with_addr(&from)
            })?;
            Ok(body.consumer_id_list.into_iter().map(Arc::from).collect())
        });
        let _ = events.send(Event::Members { topic, members });
    });
}

/// Any broker of a topic, the master if it has one: all of them know the members.
pub(super) fn any_broker(core: &Arc<Core>, topic: &str) -> Option<Arc<str>> {
    let route = core.routes().cached(topic)?;
    let brokers: Vec<_> = route.brokers().filter_map(|(_, addrs)| addrs.values().next().cloned()).collect();
    if brokers.is_empty() { None } else { brokers.get(fastrand::usize(..brokers.len())).cloned() }
}

fn pull(shared: &Arc<Shared>, spell: Spell, offset: i64, ticket: u64) {
    let filter = shared.with_subscriptions(|known| known.filter(spell.queue.topic()).cloned()).unwrap_or_default();
    let settings = &shared.settings;
    let pull = Pull {
        queue: spell.queue.clone(),
        offset,
        filter,
        max: settings.pull_batch,
        max_bytes: settings.pull_bytes,
        hold: Some(settings.hold),
        // Java's 15 s of holding and as many for the way; never less than a busy broker needs.
        deadline: Deadline::after(settings.hold + settings.hold.max(Duration::from_secs(1))),
    };
    let then = shared.clone();
    let told = spell.clone();
    let started = Instant::now();
    let callback = Box::new(move |result: Result<PullResult>| {
        if let Ok(result) = &result {
            let bytes = result.messages().iter().map(|message| message.body().len()).sum();
            let (count, end) = (result.messages().len(), result.max_offset());
            then.counters.pulled(&told.queue, count, bytes, end, started.elapsed());
        }
        let pulled = pulled(result, offset, &then);
        if then.tell(Event::Pulled { spell: told, ticket, pulled }).is_err() {
            then.counters.dropped_pulls.one();
            then.core.groups().pull_dropped(&then.group);
        }
    });
    if let Err(error) = shared.puller.fetch_async(pull, callback) {
        let _ = shared.events.send(Event::Pulled { spell, ticket, pulled: Pulled::Failed(error) });
    }
}

fn pulled(result: Result<PullResult>, asked: i64, shared: &Shared) -> Pulled {
    match result {
        Ok(result) => {
            let (next, max, from_master) = (result.next_offset(), result.max_offset(), result.is_from_master());
            match result.status() {
                PullStatus::NoNewMessage => Pulled::Nothing { next },
                PullStatus::OffsetIllegal => Pulled::Illegal(Illegal { asked, next, max, from_master }),
                PullStatus::Found | PullStatus::NoMatchedMessage => {
                    let mut messages = result.into_messages();
                    for message in &mut messages {
                        message.restore_topic(&shared.retry_topic, |name| shared.core.own_name(name).into_owned());
                        if let Some(topic) = leftovers::origin(&shared.retry_topic, message.topic()) {
                            message.restore(shared.core.own_name(topic).into_owned().into());
                        }
                    }
                    Pulled::Found { messages, next }
                }
            }
        }
        Err(Error::Rejected { code: ResponseCode::FLOW_CONTROL, .. }) => Pulled::Throttled,
        Err(error) => Pulled::Failed(error),
    }
}

fn lock_body(shared: &Shared, queues: impl Iterator<Item = QueueBody>) -> Vec<u8> {
    json::encode(&LockBody {
        client_id: shared.core.client_id().clone(),
        // In a body; the names in fields get their namespace by themselves.
        consumer_group: shared.core.wire_name(&shared.group),
        mq_set: queues.collect(),
        only_this_broker: false,
    })
}

fn named(shared: &Shared, queue: &MessageQueue) -> QueueBody {
    let (broker_name, topic) = (queue.shared_broker_name().clone(), shared.core.wire_name(queue.shared_topic()));
    QueueBody { broker_name, queue_id: queue.queue_id(), topic }
}

/// Asks one broker for the locks of some of its queues.
fn lock(shared: &Arc<Shared>, spells: Vec<Spell>) {
    let Some(first) = spells.first().map(|spell| spell.queue.clone()) else { return };
    let body = lock_body(shared, spells.iter().map(|spell| named(shared, &spell.queue)));
    let (events, then) = (shared.events.clone(), shared.clone());
    shared.core.ask_master_async(&first, LockBatch, body, Deadline::after(LOCK_TIMEOUT), move |answer| {
        let locked = answer.and_then(|answer| json::decode::<LockedBody>("list of locks", answer.frame.body()));
        for spell in spells {
            let given = locked.as_ref().ok().map(|body| body.locked.contains(&named(&then, &spell.queue)));
            let _ = events.send(Event::Locked { spell, given });
        }
    });
}

fn unlock(shared: &Arc<Shared>, queue: &MessageQueue) {
    let body = lock_body(shared, std::iter::once(named(shared, queue)));
    let (events, told) = (shared.events.clone(), queue.clone());
    shared.core.ask_master_async(queue, UnlockBatch, body, Deadline::after(LOCK_TIMEOUT), move |answer| {
        if let Err(error) = &answer {
            log::debug!("{told} is not unlocked, so its next owner waits: {error}");
        }
        let done = matches!(answer, Ok(_) | Err(Error::Rejected { .. }));
        let _ = events.send(Event::Unlocked { queue: told, done });
    });
}
