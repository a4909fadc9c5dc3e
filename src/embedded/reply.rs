//! Replies: each is pushed to the client that asked, and whoever replied is answered once that client has taken it.
//!
//! Java's broker waits for the client on the replier's own request. Here nobody waits: the answer is written when the client's comes,
//! so that a client can also reply to itself.

use std::collections::HashMap;
use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::broker::Broker;
use super::call::{self, Call, Handled};
use super::link::Link;
use super::records::{NewRecord, now_millis};
use super::send::{self, Fields, Refusal, Refused, pick_queue};
use crate::code::{RequestCode, ResponseCode};
use crate::message::{find_in_wire, key, write_property};
use crate::protocol::frame::{self, Frame, Head, HeaderKind, Language};
use crate::protocol::rpc::reply::PushReply;
use crate::protocol::rpc::send::{DEFAULT_REGION, SendReply};

/// How long Java's broker waits for a client to take a reply.
const PATIENCE: Duration = Duration::from_secs(10);

/// A reply on its way to the client that asked.
#[derive(Debug)]
struct Push {
    replier: Arc<Link>,
    /// The number of the replier's request.
    opaque: i32,
    client_id: String,
    due: Instant,
    /// What the replier is told when all goes well.
    place: SendReply,
}

impl Push {
    fn end(&self, well: bool) {
        let mut out = Vec::new();
        let opaque = self.opaque;
        if well {
            call::reply(&mut out, opaque, ResponseCode::SUCCESS, None, &self.place, &[[]]);
        } else {
            let remark = format!("push reply message to {}fail.", self.client_id);
            call::reply(&mut out, opaque, ResponseCode::SYSTEM_ERROR, Some(&remark), &refused(), &[[]]);
        }
        self.replier.push(&out);
    }
}

fn refused() -> Refused {
    Refused { region: DEFAULT_REGION.to_owned(), trace_on: true }
}

/// The replies that clients have not taken yet, by the client's connection and the number of the request to it.
#[derive(Debug, Default)]
pub(super) struct Pushes {
    under_way: Mutex<HashMap<(u64, i32), Push>>,
    next: AtomicI32,
}

impl Pushes {
    /// A client answered.
    pub(super) fn answered(&self, link: u64, frame: &Frame) {
        let push = self.lock().remove(&(link, frame.opaque));
        if let Some(push) = push {
            push.end(frame.response_code() == ResponseCode::SUCCESS);
        }
    }

    /// A connection has ended: what was on its way over it is lost.
    pub(super) fn forget(&self, link: u64) {
        self.fail(|at, _| at == link);
    }

    /// Fails what has taken too long, and says when the next one will have.
    pub(super) fn fail_due(&self, now: Instant) -> Option<Instant> {
        self.fail(|_, push| push.due <= now);
        self.lock().values().map(|push| push.due).min()
    }

    fn fail(&self, which: impl Fn(u64, &Push) -> bool) {
        let mut under_way = self.lock();
        let lost: Vec<(u64, i32)> =
            under_way.iter().filter(|(at, push)| which(at.0, push)).map(|(at, _)| *at).collect();
        let lost: Vec<Push> = lost.iter().filter_map(|at| under_way.remove(at)).collect();
        drop(under_way);
        for push in lost {
            push.end(false);
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<(u64, i32), Push>> {
        self.under_way.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Broker {
    pub(super) fn send_reply(&self, call: &mut Call<'_>) -> Handled {
        let frame = call.frame;
        let fields = match Fields::read(frame) {
            Ok(fields) => fields,
            Err(error) => return call.unreadable(&error),
        };
        let admitted = self.admit_send(&fields, call);
        let queue_id = admitted.and_then(|topic| pick_queue(&fields, &topic));
        let pushed = queue_id.and_then(|queue_id| {
            let client_id = find_in_wire(&fields.properties, key::REPLY_TO_CLIENT).map(str::to_owned);
            let to = client_id.ok_or_else(|| {
                let remark = "reply message properties[REPLY_TO_CLIENT] is null";
                Refusal(ResponseCode::SYSTEM_ERROR, remark.to_owned())
            });
            let link = to.and_then(|client_id| match self.groups.producer_link(&client_id) {
                Some(link) => Ok((client_id, link)),
                None => {
                    let remark = format!("push reply message fail, channel of <{client_id}> not found.");
                    Err(Refusal(ResponseCode::SYSTEM_ERROR, remark))
                }
            });
            // It is stored whether it can be pushed or not.
            let place = self.store_reply(&fields, call, queue_id);
            link.map(|(client_id, link)| (client_id, link, place))
        });
        match pushed {
            Ok((client_id, link, place)) => self.push_reply(call, &fields, client_id, &link, place),
            Err(Refusal(code, remark)) => call.reply(code, Some(&remark), &refused(), &[]),
        }
    }

    fn store_reply(&self, fields: &Fields<'_>, call: &Call<'_>, queue_id: i32) -> SendReply {
        if self.check_writable().is_err() {
            return send::reply("0".to_owned(), queue_id, 0, None);
        }
        let new = NewRecord {
            topic: fields.topic.as_ref().into(),
            queue_id,
            // Java forgets to set it, so that a compressed reply is stored as if it were not.
            sys_flag: 0,
            body: call.frame.body_bytes(),
            properties: Bytes::copy_from_slice(fields.properties.as_bytes()),
            ..self.blank(fields, call)
        };
        let place = self.set.put(&new);
        send::reply(self.set.message_id(place.commit_log_offset), queue_id, place.queue_offset, None)
    }

    fn push_reply(
        &self,
        call: &mut Call<'_>,
        fields: &Fields<'_>,
        client_id: String,
        link: &Arc<Link>,
        place: SendReply,
    ) -> Handled {
        let opaque = self.pushes.next.fetch_add(1, Ordering::Relaxed);
        let request = match self.push_request(call, fields, opaque) {
            Ok(request) => request,
            Err(error) => return call.unreadable(&error),
        };
        // A request that a fault has picked is answered at once, as if the client had taken the reply.
        let handled = if call.may_hold && !call.frame.is_oneway() {
            let due = Instant::now() + PATIENCE;
            let replier = call.link.clone();
            let push = Push { replier, opaque: call.frame.opaque, client_id, due, place };
            self.pushes.lock().insert((link.id, opaque), push);
            self.set.clock.look_at(due);
            Handled::Held
        } else {
            call.fields(&place)
        };
        link.push(&request);
        if !link.is_open() {
            self.pushes.forget(link.id);
        }
        handled
    }

    fn push_request(&self, call: &Call<'_>, fields: &Fields<'_>, opaque: i32) -> crate::error::Result<Vec<u8>> {
        let mut properties = fields.properties.to_string();
        if !properties.is_empty() && !properties.ends_with('\u{2}') {
            properties.push('\u{2}');
        }
        write_property(&mut properties, key::PUSH_REPLY_TIME, &now_millis().to_string());
        let group = call.frame.field("a").or_else(|| call.frame.field("producerGroup"));
        let header = PushReply {
            // As Java prints an address.
            born_host: Some(format!("/{}", call.link.peer)),
            born_timestamp: fields.born_timestamp,
            default_topic: Some(fields.default_topic.as_ref().into()),
            default_topic_queues: Some(fields.default_queues),
            flag: fields.flag,
            producer_group: group.map(|group| group.as_ref().into()),
            properties: Some(properties),
            queue_id: fields.queue_id,
            reconsume_times: Some(fields.reconsume_times),
            store_host: Some(format!("/{}", self.set.store_host())),
            store_timestamp: now_millis(),
            sys_flag: fields.sys_flag,
            topic: fields.topic.as_ref().into(),
            unit_mode: Some(false),
        };
        let head = Head::request(HeaderKind::Json, RequestCode::PUSH_REPLY_MESSAGE_TO_CLIENT, opaque);
        let head = Head { language: Language::JAVA, ..head };
        let mut out = Vec::new();
        frame::encode_request(&mut out, &head, &header, call.frame.body())?;
        Ok(out)
    }
}
