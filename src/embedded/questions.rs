//! Operators' questions that a broker passes on to the members of a group, and their answers on the way back.
//!
//! As with replies nobody waits here: the operator is answered when the member has answered, or has had its time.

use std::collections::HashMap;
use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::broker::Broker;
use super::call::{self, Call, Handled};
use super::link::Link;
use crate::code::{RequestCode, ResponseCode};
use crate::message::OffsetMessageId;
use crate::protocol::fields::{Header, NoFields};
use crate::protocol::frame::{self, Frame, Head, HeaderKind, Language};
use crate::protocol::rpc::diagnosis::{
    AskConsumerStatus, ConsumeDirectly, ConsumerStatus, RunningInfo, encode_statuses,
};

/// How long Java's broker waits for a member.
const PATIENCE: Duration = Duration::from_secs(10);
/// The numbers of these requests begin where those of others over the same connections do not come to.
const FIRST: i32 = 1 << 30;

/// A question that a member has not answered yet.
#[derive(Debug)]
struct Asked {
    client_id: Arc<str>,
    due: Instant,
    asker: Arc<Asker>,
}

/// Who asked, and what was answered so far.
#[derive(Debug)]
struct Asker {
    /// `None` when no answer is wanted.
    link: Option<Arc<Link>>,
    opaque: i32,
    /// The bodies of all members are put together into one; else there is one member, whose answer is passed on.
    together: Option<Mutex<Together>>,
}

#[derive(Debug, Default)]
struct Together {
    answers: Vec<(Arc<str>, Vec<u8>)>,
    missing: usize,
}

impl Asker {
    fn new(call: &Call<'_>, together: Option<Mutex<Together>>) -> Arc<Asker> {
        let link = (!call.frame.is_oneway()).then(|| call.link.clone());
        Arc::new(Asker { link, opaque: call.frame.opaque, together })
    }

    /// A member has answered; `None` when it did not in its time.
    fn answered(&self, client_id: &Arc<str>, frame: Option<&Frame>) {
        let mut out = Vec::new();
        match (&self.together, frame) {
            (None, Some(frame)) => {
                let (code, remark) = (frame.response_code(), frame.remark());
                let remark = (!remark.is_empty()).then_some(&*remark);
                call::reply(&mut out, self.opaque, code, remark, &NoFields, &[frame.body()]);
            }
            (None, None) => {
                let remark = format!("consumer <{client_id}> Timeout: {}ms", PATIENCE.as_millis());
                call::reply(&mut out, self.opaque, ResponseCode::CONSUME_MSG_TIMEOUT, Some(&remark), &NoFields, &[[]]);
            }
            (Some(together), frame) => {
                let mut together = together.lock().unwrap_or_else(PoisonError::into_inner);
                if let Some(frame) = frame.filter(|frame| frame.response_code() == ResponseCode::SUCCESS) {
                    together.answers.push((client_id.clone(), frame.body().to_vec()));
                }
                together.missing = together.missing.saturating_sub(1);
                if together.missing > 0 {
                    return;
                }
                let body = encode_statuses(together.answers.iter().map(|(id, body)| (&**id, &**body)));
                call::reply(&mut out, self.opaque, ResponseCode::SUCCESS, None, &NoFields, &[body]);
            }
        }
        if let Some(link) = &self.link {
            link.push(&out);
        }
    }
}

/// The questions that members have not answered yet, by the member's connection and the number of the request to it.
#[derive(Debug, Default)]
pub(super) struct Questions {
    under_way: Mutex<HashMap<(u64, i32), Asked>>,
    next: AtomicI32,
}

impl Questions {
    /// A member answered.
    pub(super) fn answered(&self, link: u64, frame: &Frame) {
        let asked = self.lock().remove(&(link, frame.opaque));
        if let Some(Asked { client_id, asker, .. }) = asked {
            asker.answered(&client_id, Some(frame));
        }
    }

    /// A connection has ended: who was asked over it does not answer any more.
    pub(super) fn forget(&self, link: u64) {
        self.fail(|at, _| at == link);
    }

    /// Fails what has taken too long, and says when the next one will have.
    pub(super) fn fail_due(&self, now: Instant) -> Option<Instant> {
        self.fail(|_, asked| asked.due <= now);
        self.lock().values().map(|asked| asked.due).min()
    }

    fn fail(&self, which: impl Fn(u64, &Asked) -> bool) {
        let mut under_way = self.lock();
        let lost: Vec<(u64, i32)> =
            under_way.iter().filter(|(at, asked)| which(at.0, asked)).map(|(at, _)| *at).collect();
        let lost: Vec<Asked> = lost.iter().filter_map(|at| under_way.remove(at)).collect();
        drop(under_way);
        for Asked { client_id, asker, .. } in lost {
            asker.answered(&client_id, None);
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<(u64, i32), Asked>> {
        self.under_way.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Broker {
    pub(super) fn running_info(&self, call: &mut Call<'_>) -> Handled {
        match call.frame.header::<RunningInfo>() {
            Ok(asked) => {
                let code = RequestCode::GET_CONSUMER_RUNNING_INFO;
                self.ask_one(call, code, &asked.consumer_group, &asked.client_id, &asked, &[])
            }
            Err(error) => call.unreadable(&error),
        }
    }

    pub(super) fn consume_directly(&self, call: &mut Call<'_>) -> Handled {
        let asked: ConsumeDirectly = match call.frame.header() {
            Ok(asked) => asked,
            Err(error) => return call.unreadable(&error),
        };
        let id = asked.message_id.as_deref().and_then(|id| id.parse::<OffsetMessageId>().ok());
        let record = id.and_then(|id| self.set.store().at(id.commit_log_offset).map(|entry| entry.record.clone()));
        let Some(record) = record else {
            let id = asked.message_id.unwrap_or_default();
            return call.error(ResponseCode::SYSTEM_ERROR, &format!("there is no message {id}"));
        };
        let client_id = asked.client_id.clone().unwrap_or_default();
        let passed_on = ConsumeDirectly { broker_name: Some(self.set.name.clone()), ..asked };
        let (code, group) = (RequestCode::CONSUME_MESSAGE_DIRECTLY, passed_on.consumer_group.clone());
        self.ask_one(call, code, &group, &client_id, &passed_on, &record)
    }

    /// Asks all members of a group, or the one that is named, and answers when all have.
    pub(super) fn consumer_status(&self, call: &mut Call<'_>) -> Handled {
        let asked: AskConsumerStatus = match call.frame.header() {
            Ok(asked) => asked,
            Err(error) => return call.unreadable(&error),
        };
        let named = |id: &str| asked.client_id.as_deref().is_none_or(|only| only.is_empty() || only == id);
        let mut members = self.groups.consumers(&asked.group);
        members.retain(|(id, _)| named(id));
        if members.is_empty() {
            let remark = format!("No Any Consumer online in the consumer group: [{}]", asked.group);
            return call.error(ResponseCode::SYSTEM_ERROR, &remark);
        }
        let together = Together { missing: members.len(), ..Together::default() };
        let asker = Asker::new(call, Some(Mutex::new(together)));
        let header = ConsumerStatus { group: asked.group, topic: asked.topic };
        for (client_id, link) in members {
            self.ask_member(&asker, RequestCode::GET_CONSUMER_STATUS_FROM_CLIENT, &client_id, &link, &header, &[]);
        }
        Handled::Held
    }

    fn ask_one<H: Header>(
        &self,
        call: &mut Call<'_>,
        code: RequestCode,
        group: &str,
        client_id: &str,
        header: &H,
        body: &[u8],
    ) -> Handled {
        let member = self.groups.consumers(group).into_iter().find(|(id, _)| &**id == client_id);
        let Some((client_id, link)) = member else {
            let remark = format!("The Consumer <{group}> <{client_id}> not online");
            return call.error(ResponseCode::SYSTEM_ERROR, &remark);
        };
        self.ask_member(&Asker::new(call, None), code, &client_id, &link, header, body);
        Handled::Held
    }

    fn ask_member<H: Header>(
        &self,
        asker: &Arc<Asker>,
        code: RequestCode,
        client_id: &Arc<str>,
        link: &Arc<Link>,
        header: &H,
        body: &[u8],
    ) {
        let opaque = FIRST + (self.questions.next.fetch_add(1, Ordering::Relaxed) & (FIRST - 1));
        let head = Head { language: Language::JAVA, ..Head::request(HeaderKind::Json, code, opaque) };
        let mut request = Vec::new();
        if let Err(error) = frame::encode_request(&mut request, &head, header, body) {
            log::warn!("{}: a question does not fit a frame: {error}", self.set.name);
            return asker.answered(client_id, None);
        }
        let due = Instant::now() + PATIENCE;
        let asked = Asked { client_id: client_id.clone(), due, asker: asker.clone() };
        self.questions.lock().insert((link.id, opaque), asked);
        self.set.clock.look_at(due);
        link.push(&request);
        if !link.is_open() {
            self.questions.forget(link.id);
        }
    }
}
