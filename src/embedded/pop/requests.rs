//! The requests about pop: Java's checks in Java's order.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::hold::{Held, Wish};
use super::{Acked, Delivery, due_after, write_taken};
use crate::code::ResponseCode;
use crate::embedded::broker::{Broker, BrokerSet};
use crate::embedded::call::{Call, Handled};
use crate::embedded::filter::Filter;
use crate::embedded::name_server::FAQ;
use crate::embedded::records::now_millis;
use crate::embedded::topics::Topic;
use crate::protocol::json;
use crate::protocol::pop::{Handle, Retry};
use crate::protocol::rpc::batch_ack::{AckSet, BatchAckBody, read_bits};
use crate::protocol::rpc::pop::{
    AckMessage, ChangeInvisible, ChangeInvisibleReply, MAX_POP, Notification, NotificationReply, ORDERLY_REVIVE_QUEUE,
    PollingCount, PollingCountReply, PopMessage,
};
use crate::protocol::rpc::topic::perm;

/// A longer hold than this is cut: it only keeps memory.
const MAX_HOLD: Duration = Duration::from_secs(3600);
/// How far the clocks of client and broker may be apart.
const MAX_SKEW: i64 = 500;

/// A refusal: code and remark.
struct Refusal(ResponseCode, String);

impl Broker {
    pub(in crate::embedded) fn pop(&self, call: &mut Call<'_>) -> Handled {
        let pop: PopMessage = match call.frame.header() {
            Ok(pop) => pop,
            Err(error) => return call.unreadable(&error),
        };
        let poll = i64::try_from(pop.poll_time.as_millis()).unwrap_or(i64::MAX);
        if pop.born_time > 0 && now_millis() - pop.born_time.saturating_add(poll) > MAX_SKEW {
            let remark = format!("the broker[{}] pop message is timeout too much", self.member().addr.ip());
            return call.error(ResponseCode::POLLING_TIMEOUT, &remark);
        }
        if usize::try_from(pop.max_messages).is_ok_and(|max| max > MAX_POP) {
            let remark = format!("the broker[{}] pop message's num is greater than 32", self.member().addr.ip());
            return call.error(ResponseCode::INVALID_PARAMETER, &remark);
        }
        if let Err(Refusal(code, remark)) = self.admit_pop(call, &pop.consumer_group, &pop.topic, pop.queue_id) {
            return call.error(code, &remark);
        }
        let expression = pop.expression.as_deref().filter(|text| !text.is_empty()).unwrap_or("*");
        let Ok(filter) = Filter::new(expression, pop.expression_type.as_deref()) else {
            return call.error(ResponseCode::SUBSCRIPTION_PARSE_FAILED, "parse the consumer's subscription failed");
        };
        let taken = self.set.take(&pop, &filter);
        let holds = !pop.poll_time.is_zero() && call.may_hold && !call.frame.is_oneway();
        if taken.records.is_empty() && holds {
            return self.hold_wish(call, pop.poll_time, Wish::Pop(pop, filter));
        }
        self.set.handed_out(&pop.consumer_group, &pop.topic, &taken.records);
        write_taken(call.out, call.frame.opaque, taken, ResponseCode::POLLING_TIMEOUT);
        Handled::Answered
    }

    pub(in crate::embedded) fn notification(&self, call: &mut Call<'_>) -> Handled {
        let word: Notification = match call.frame.header() {
            Ok(word) => word,
            Err(error) => return call.unreadable(&error),
        };
        if let Err(Refusal(code, remark)) = self.admit_pop(call, &word.consumer_group, &word.topic, word.queue_id) {
            return call.error(code, &remark);
        }
        let (poll, wish) = (word.poll_time, Wish::Word(word));
        let has_message = self.set.has_news(&wish);
        if !has_message && !poll.is_zero() && call.may_hold && !call.frame.is_oneway() {
            return self.hold_wish(call, poll, wish);
        }
        call.fields(&NotificationReply { has_message, full: Some(false) })
    }

    pub(in crate::embedded) fn polling_count(&self, call: &mut Call<'_>) -> Handled {
        match call.frame.header::<PollingCount>() {
            // What waits is not kept by queue here.
            Ok(_) => call.fields(&PollingCountReply { waiting: 0 }),
            Err(error) => call.unreadable(&error),
        }
    }

    fn admit_pop(&self, call: &Call<'_>, group: &Arc<str>, name: &str, queue_id: i32) -> Result<(), Refusal> {
        let ip = self.member().addr.ip();
        if self.set.perm.load(Ordering::SeqCst) & perm::READ == 0 {
            return Err(Refusal(ResponseCode::NO_PERMISSION, format!("the broker[{ip}] pop message is forbidden")));
        }
        let topic = self.known_topic(name)?;
        if !topic.is_readable() {
            let remark = format!("the topic[{name}] peeking message is forbidden");
            return Err(Refusal(ResponseCode::NO_PERMISSION, remark));
        }
        if queue_id >= topic.read_queues {
            return Err(Refusal(ResponseCode::INVALID_PARAMETER, illegal_queue(call, &topic, queue_id)));
        }
        if !self.set.offsets.ensure_group(group) {
            let remark = format!("subscription group [{group}] does not exist, {FAQ}");
            return Err(Refusal(ResponseCode::SUBSCRIPTION_GROUP_NOT_EXIST, remark));
        }
        if self.set.offsets.is_disabled(group) {
            return Err(Refusal(ResponseCode::NO_PERMISSION, format!("subscription group no permission, {group}")));
        }
        Ok(())
    }

    fn known_topic(&self, name: &str) -> Result<Arc<Topic>, Refusal> {
        self.set.topics.get(name).ok_or_else(|| {
            Refusal(ResponseCode::TOPIC_NOT_EXIST, format!("topic[{name}] not exist, apply first please! {FAQ}"))
        })
    }

    fn hold_wish(&self, call: &mut Call<'_>, poll: Duration, wish: Wish) -> Handled {
        let until = Instant::now() + poll.min(MAX_HOLD);
        let is_pop = matches!(wish, Wish::Pop(..));
        let held = Held { wish, opaque: call.frame.opaque, link: call.link.clone(), until };
        let again = held.wish.clone();
        match self.set.pops.holds.add(held) {
            Ok(id) => {
                self.set.clock.look_at(until);
                // A message that came between looking and holding has woken nobody.
                if let Some(held) = self.set.has_news(&again).then(|| self.set.pops.holds.take(id)).flatten() {
                    self.set.try_held(held);
                }
                Handled::Held
            }
            Err(_) if is_pop => call.error(ResponseCode::POLLING_FULL, "NO_MESSAGE_IN_QUEUE"),
            Err(_) => call.fields(&NotificationReply { has_message: false, full: Some(true) }),
        }
    }

    pub(in crate::embedded) fn ack(&self, call: &mut Call<'_>) -> Handled {
        let asked: AckMessage = match call.frame.header() {
            Ok(asked) => asked,
            Err(error) => return call.unreadable(&error),
        };
        let place = (&asked.consumer_group, &asked.topic, asked.queue_id, asked.offset);
        match self.settled(call, place, &asked.extra_info, 1) {
            Ok((delivery, handle)) => {
                self.set.ack_delivery(&delivery, handle.revive_queue_id);
                call.done()
            }
            Err(Refusal(code, remark)) => call.error(code, &remark),
        }
    }

    /// The delivery that a request is about. `beyond` is how far behind the queue's last message its offset may be.
    fn settled(
        &self,
        call: &Call<'_>,
        (group, name, queue_id, offset): (&Arc<str>, &Arc<str>, i32, i64),
        handle: &str,
        beyond: i64,
    ) -> Result<(Delivery, Handle), Refusal> {
        let topic = self.known_topic(name)?;
        if !(0..topic.read_queues).contains(&queue_id) {
            return Err(Refusal(ResponseCode::MESSAGE_ILLEGAL, illegal_queue(call, &topic, queue_id)));
        }
        let store = self.set.store();
        let (min, max) = (store.min_offset(name, queue_id), store.max_offset(name, queue_id));
        drop(store);
        if offset < min || offset >= max.saturating_add(beyond) {
            let remark = format!("offset is illegal, key:{name}@{queue_id}, commit:{offset}, store:{min}~{max}");
            return Err(Refusal(ResponseCode::NO_MESSAGE, remark));
        }
        let Some(handle) = Handle::decode(handle) else {
            let remark = "java.lang.IllegalArgumentException: getPopTime fail, extraInfoStrs length".to_owned();
            return Err(Refusal(ResponseCode::SYSTEM_ERROR, remark));
        };
        let (group, topic, pop_time) = (group.clone(), name.clone(), handle.pop_time);
        Ok((Delivery { group, topic, queue_id, offset, pop_time }, handle))
    }

    pub(in crate::embedded) fn batch_ack(&self, call: &mut Call<'_>) -> Handled {
        let body: BatchAckBody = match json::decode("batch ack", call.frame.body()) {
            Ok(body) => body,
            Err(error) => return call.unreadable(&error),
        };
        if body.acks.is_empty() {
            return call.error(ResponseCode::NO_MESSAGE, "");
        }
        for set in &body.acks {
            self.ack_set(set);
        }
        call.done()
    }

    /// As Java's broker, passes over in silence what it does not have.
    fn ack_set(&self, set: &AckSet) {
        let Some(retry) = Retry::from_mark(&set.retry) else { return };
        let topic = retry.topic(&set.consumer_group, &set.topic);
        for bit in read_bits(&set.bits).unwrap_or_default() {
            let offset = set.start_offset.saturating_add(i64::try_from(bit).unwrap_or(i64::MAX));
            let (group, pop_time) = (set.consumer_group.clone(), set.pop_time);
            let delivery = Delivery { group, topic: topic.clone(), queue_id: set.queue_id, offset, pop_time };
            self.set.ack_delivery(&delivery, set.revive_queue_id);
        }
    }

    pub(in crate::embedded) fn change_invisible(&self, call: &mut Call<'_>) -> Handled {
        let asked: ChangeInvisible = match call.frame.header() {
            Ok(asked) => asked,
            Err(error) => return call.unreadable(&error),
        };
        let place = (&asked.consumer_group, &asked.topic, asked.queue_id, asked.offset);
        match self.settled(call, place, &asked.extra_info, 0) {
            Ok((delivery, handle)) => {
                let reply = self.set.change_delivery(delivery, handle.revive_queue_id, asked.invisible_time);
                call.fields(&reply)
            }
            Err(Refusal(code, remark)) => call.error(code, &remark),
        }
    }
}

fn illegal_queue(call: &Call<'_>, topic: &Topic, queue_id: i32) -> String {
    let (name, queues) = (&topic.name, topic.read_queues);
    format!(
        "queueId[{queue_id}] is illegal, topic:[{name}] topicConfig.readQueueNums:[{queues}] consumer:[/{}]",
        call.link.peer
    )
}

impl BrokerSet {
    fn ack_delivery(&self, delivery: &Delivery, revive_queue_id: i32) {
        let Delivery { group, topic, queue_id, offset, pop_time } = delivery;
        let mut state = self.pops.state();
        if revive_queue_id != ORDERLY_REVIVE_QUEUE {
            state.settle(delivery);
            return;
        }
        if self.offsets.committed(group, topic, *queue_id).is_some_and(|committed| *offset < committed) {
            return;
        }
        let order = state.orders.get_mut(&(topic.clone(), group.clone(), *queue_id));
        let next = order.map_or(Acked::Next(offset.saturating_add(1)), |order| order.ack(*offset, *pop_time));
        if let Acked::Next(next) = next {
            self.offsets.commit(group, topic, *queue_id, next);
            drop(state);
            self.wake_orderly(group, topic);
        }
    }

    /// Sets anew when a message is visible. As in Java it becomes visible then also when it was acknowledged before, and
    /// nothing is said about a message of another pop in order.
    fn change_delivery(&self, delivery: Delivery, revive_queue_id: i32, invisible: Duration) -> ChangeInvisibleReply {
        let (now, due) = (now_millis(), due_after(invisible));
        let invisible = i64::try_from(invisible.as_millis()).unwrap_or(i64::MAX);
        let mut state = self.pops.state();
        let reply = if revive_queue_id == ORDERLY_REVIVE_QUEUE {
            let Delivery { group, topic, queue_id, offset, pop_time } = delivery;
            if self.offsets.committed(&group, &topic, queue_id).is_some_and(|committed| offset < committed) {
                return ChangeInvisibleReply { pop_time: 0, invisible_time: 0, revive_queue_id: 0 };
            }
            let visible_at = now.saturating_add(invisible);
            if let Some(order) = state.orders.get_mut(&(topic.clone(), group.clone(), queue_id)) {
                order.change(offset, pop_time, visible_at);
            }
            state.free_at.insert((due, topic, group));
            ChangeInvisibleReply { pop_time, invisible_time: visible_at - pop_time, revive_queue_id }
        } else {
            state.settle(&delivery);
            state.hand_out(Delivery { pop_time: now, ..delivery }, due);
            ChangeInvisibleReply { pop_time: now, invisible_time: invisible, revive_queue_id }
        };
        drop(state);
        self.clock.look_at(due);
        reply
    }
}
