use std::collections::HashSet;
use std::time::Duration;

use crate::RequestCode;
use crate::embedded::bare::{Bare, Outcome};
use crate::protocol::fields::NoFields;
use crate::protocol::frame::{self, Frame, FrameReader, Head, HeaderKind, MAX_FRAME, decode_whole};
use crate::protocol::rpc::transaction::{EndTransaction, end};

/// Between two requests, and between fields and body.
const NEXT: u8 = 0x1E;
const BODY: u8 = 0x1F;

/// What a request's first byte chooses from; the first is an answer to what the server has asked.
const CODES: &[RequestCode] = &[
    RequestCode(0),
    RequestCode::SEND_MESSAGE,
    RequestCode::SEND_MESSAGE_V2,
    RequestCode::SEND_BATCH_MESSAGE,
    RequestCode::SEND_REPLY_MESSAGE_V2,
    RequestCode::RECALL_MESSAGE,
    RequestCode::PULL_MESSAGE,
    RequestCode::QUERY_MESSAGE,
    RequestCode::VIEW_MESSAGE_BY_ID,
    RequestCode::QUERY_CONSUMER_OFFSET,
    RequestCode::UPDATE_CONSUMER_OFFSET,
    RequestCode::SEARCH_OFFSET_BY_TIMESTAMP,
    RequestCode::GET_MAX_OFFSET,
    RequestCode::GET_MIN_OFFSET,
    RequestCode::GET_EARLIEST_MSG_STORETIME,
    RequestCode::HEART_BEAT,
    RequestCode::UNREGISTER_CLIENT,
    RequestCode::GET_CONSUMER_LIST_BY_GROUP,
    RequestCode::CHECK_CLIENT_CONFIG,
    RequestCode::UPDATE_AND_CREATE_TOPIC,
    RequestCode::GET_TOPIC_CONFIG,
    RequestCode::DELETE_TOPIC_IN_BROKER,
    RequestCode::CONSUMER_SEND_MSG_BACK,
    RequestCode::LOCK_BATCH_MQ,
    RequestCode::UNLOCK_BATCH_MQ,
    RequestCode::GET_CONSUMER_CONNECTION_LIST,
    RequestCode::GET_CONSUME_STATS,
    RequestCode::INVOKE_BROKER_TO_RESET_OFFSET,
    RequestCode::END_TRANSACTION,
    RequestCode::GET_CONSUMER_RUNNING_INFO,
    RequestCode::CONSUME_MESSAGE_DIRECTLY,
    RequestCode::INVOKE_BROKER_TO_GET_CONSUMER_STATUS,
    RequestCode::POP_MESSAGE,
    RequestCode::ACK_MESSAGE,
    RequestCode::BATCH_ACK_MESSAGE,
    RequestCode::CHANGE_MESSAGE_INVISIBLETIME,
    RequestCode::NOTIFICATION,
    RequestCode::POLLING_INFO,
    RequestCode::SET_MESSAGE_REQUEST_MODE,
    RequestCode::QUERY_ASSIGNMENT,
    RequestCode::UPDATE_AND_CREATE_STATIC_TOPIC,
    RequestCode::UPDATE_AND_CREATE_SUBSCRIPTIONGROUP,
    RequestCode::DELETE_SUBSCRIPTIONGROUP,
    RequestCode::CLONE_GROUP_OFFSET,
    RequestCode::GET_ALL_TOPIC_CONFIG,
    RequestCode::GET_TOPIC_STATS_INFO,
    RequestCode::GET_BROKER_RUNTIME_INFO,
    RequestCode::UPDATE_BROKER_CONFIG,
    RequestCode::GET_BROKER_CONFIG,
    RequestCode::QUERY_CONSUME_TIME_SPAN,
    RequestCode::VIEW_BROKER_STATS_DATA,
    RequestCode::GET_ALL_SUBSCRIPTIONGROUP_CONFIG,
    RequestCode::AUTH_CREATE_USER,
    RequestCode::AUTH_UPDATE_USER,
    RequestCode::AUTH_CREATE_ACL,
    RequestCode::AUTH_LIST_ACL,
    RequestCode::GET_ROUTEINFO_BY_TOPIC,
    RequestCode::PUT_KV_CONFIG,
    RequestCode::GET_KVLIST_BY_NAMESPACE,
    RequestCode::UPDATE_NAMESRV_CONFIG,
    RequestCode::WIPE_WRITE_PERM_OF_BROKER,
    RequestCode::GET_TOPICS_BY_CLUSTER,
    RequestCode::GET_SYSTEM_TOPIC_LIST_FROM_NS,
    RequestCode::DELETE_TOPIC_IN_NAMESRV,
];

/// Behind these it is a name server's.
const FIRST_OF_NAME_SERVER: RequestCode = RequestCode::GET_ROUTEINFO_BY_TOPIC;

/// Requests of two clients to the embedded cluster's servers. Each is answered once, in a frame that can be read, but those that
/// need no answer; held ones too, for so much time passes at the end that every hold is over, the longest taking an hour; but
/// not those of a client whose connection the broker has closed, because it was silent. Nothing stays behind of clients that
/// have gone. The first byte has settings: who goes before that time has passed gets nothing more.
pub fn server(data: &[u8]) {
    let Some((settings, requests)) = data.split_first() else { return };
    let mut stage = Stage { servers: Bare::new(settings & 1 == 0), due: HashSet::new(), asked: [None, None], last: 0 };
    for request in requests.split(|byte| *byte == NEXT).take(64) {
        stage.play(request);
    }
    if settings & 2 != 0 {
        stage.leave();
    }
    for _ in 0..4 {
        stage.servers.pass(Duration::from_secs(3600));
        (0..2).for_each(|client| stage.read(client));
    }
    let Stage { servers, due, .. } = &mut stage;
    due.retain(|(client, _)| servers.is_open(*client));
    assert!(due.is_empty(), "{due:?} got no answer");
    stage.leave();
}

struct Stage {
    servers: Bare,
    /// What is answered later: client and opaque.
    due: HashSet<(usize, i32)>,
    /// What the broker has asked last, of each client.
    asked: [Option<i32>; 2],
    last: i32,
}

impl Stage {
    fn play(&mut self, request: &[u8]) {
        let Some((&[code, flags], rest)) = request.split_first_chunk() else { return };
        let place = usize::from(code) % CODES.len();
        let client = usize::from(flags & 1);
        let Some(frame) = self.frame(place, flags, rest) else { return };
        let first = CODES.iter().position(|code| *code == FIRST_OF_NAME_SERVER);
        match self.servers.serve(first.is_none_or(|first| place < first), client, &frame) {
            Outcome::Answer(answer) => {
                let answer = decode_whole(&answer).expect("a frame");
                assert!(answer.is_response() && answer.opaque == frame.opaque, "{answer:?}");
                assert!(answer.fields().all(|field| field.is_ok()), "{answer:?}");
            }
            Outcome::Later => _ = self.due.insert((client, frame.opaque)),
            Outcome::Unanswered => assert!(needs_no_answer(&frame), "{frame:?} got no answer"),
        }
        if flags & 2 != 0 {
            self.servers.pass(Duration::from_millis(1 << (flags >> 4)));
        }
        (0..2).for_each(|client| self.read(client));
    }

    fn frame(&mut self, place: usize, flags: u8, rest: &[u8]) -> Option<Frame> {
        let (fields, body) = match rest.iter().position(|byte| *byte == BODY) {
            Some(at) => (&rest[..at], &rest[at + 1..]),
            None => (rest, &[][..]),
        };
        let fields = String::from_utf8_lossy(fields);
        let fields: Vec<(&str, &str)> = fields.split('&').filter_map(|field| field.split_once('=')).collect();
        let kind = if flags & 4 == 0 { HeaderKind::Json } else { HeaderKind::Binary };
        self.last += 1;
        let mut head = Head::request(kind, CODES[place], self.last);
        if place == 0 {
            let opaque = self.asked[usize::from(flags & 1)].take()?;
            head = Head::response(kind, crate::ResponseCode(i32::from(flags >> 4)), opaque, None);
        } else if flags & 8 != 0 {
            head = head.oneway();
        }
        let mut bytes = Vec::new();
        frame::encode(&mut bytes, &head, &NoFields, &fields, body.len()).ok()?;
        bytes.extend_from_slice(body);
        decode_whole(&bytes).ok()
    }

    fn leave(&mut self) {
        self.servers.leave();
        (0..2).for_each(|client| assert!(!self.servers.knows(client), "something stays behind of {client}"));
        (0..2).for_each(|client| _ = self.servers.taken(client));
        self.due.clear();
    }

    /// Reads what has come to a client: answers, each to one request, and what the broker asks it.
    fn read(&mut self, client: usize) {
        let bytes = self.servers.taken(client);
        let (mut reader, mut rest) = (FrameReader::new(MAX_FRAME), &bytes[..]);
        while !rest.is_empty() {
            let space = reader.space();
            let count = space.len().min(rest.len());
            space[..count].copy_from_slice(&rest[..count]);
            rest = &rest[count..];
            reader.filled(count);
            while let Some(frame) = reader.next().expect("a server's own frames") {
                if frame.is_response() {
                    assert!(self.due.remove(&(client, frame.opaque)), "{frame:?} was not due");
                } else if !frame.is_oneway() {
                    self.asked[client] = Some(frame.opaque);
                }
            }
        }
    }
}

/// Nor does the end of a transaction that leaves open which end.
fn needs_no_answer(frame: &Frame) -> bool {
    let end = || frame.header::<EndTransaction>().map(|asked| asked.end);
    let is_open = || matches!(end(), Ok(how) if how != end::COMMIT && how != end::ROLLBACK);
    frame.is_response() || frame.is_oneway() || (frame.request_code() == RequestCode::END_TRANSACTION && is_open())
}

/// A request as an input has it.
#[cfg(test)]
pub(super) fn request(code: RequestCode, flags: u8, fields: &str, body: &[u8]) -> Vec<u8> {
    let place = CODES.iter().position(|known| *known == code).expect("one of the codes");
    let mut request = vec![place as u8, flags];
    request.extend_from_slice(fields.as_bytes());
    if !body.is_empty() {
        request.push(BODY);
        request.extend_from_slice(body);
    }
    request.push(NEXT);
    request
}
