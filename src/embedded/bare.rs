//! A broker and a name server without sockets of their own and without threads: what they make of any requests.

use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use super::broker::{Broker, BrokerSet, MASTER};
use super::builder::ClusterBuilder;
use super::call::{Call, Handled};
use super::clock::Clock;
use super::link::Link;
use super::name_server::NameServer;
use super::server::Service;
use crate::protocol::frame::Frame;

/// Both servers, and two connections of clients to them. Time stands still but for [`pass`](Bare::pass).
pub(crate) struct Bare {
    broker: Broker,
    name_server: NameServer,
    links: [Arc<Link>; 2],
    now: Instant,
}

/// What became of a frame from a client.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Answer(Vec<u8>),
    /// The answer is going to be among what is [taken](Bare::taken).
    Later,
    Unanswered,
}

impl Bare {
    pub(crate) fn new(pop: bool) -> Bare {
        let settings = ClusterBuilder::default().pop(pop).transaction_timeout(Duration::ZERO).settings();
        let clock = Arc::new(Clock::new().0);
        let addr = SocketAddr::from((Ipv4Addr::LOCALHOST, 10911));
        let set = BrokerSet::new("broker-a".into(), Arc::new(settings), vec![(MASTER, addr)], clock);
        let sets: Arc<[Arc<BrokerSet>]> = [set.clone()].into();
        // Only here.
        let _ = set.neighbours.set(Arc::downgrade(&sets));
        let broker = Broker::new(set, 0);
        broker.up(true);
        let links = [0, 1].map(|id| Arc::new(Link::kept(id, socket(), addr)));
        Bare { broker, name_server: NameServer::new(sets), links, now: Instant::now() }
    }

    /// Hands a frame that has come from a client to one of the servers.
    pub(crate) fn serve(&self, to_broker: bool, client: usize, frame: &Frame) -> Outcome {
        let link = &self.links[client];
        let service: &dyn Service = if to_broker { &self.broker } else { &self.name_server };
        let mut out = Vec::new();
        if frame.is_response() {
            service.answered(link, frame);
            return Outcome::Unanswered;
        }
        let handled = service.serve(&mut Call { frame, link, out: &mut out, may_hold: true });
        match handled {
            _ if frame.is_oneway() => Outcome::Unanswered,
            Handled::Answered => Outcome::Answer(out),
            Handled::Held => Outcome::Later,
            Handled::Unanswered => Outcome::Unanswered,
        }
    }

    /// What was sent to a client unasked, or later.
    pub(crate) fn taken(&self, client: usize) -> Vec<u8> {
        self.links[client].taken()
    }

    /// Lets time pass and does what is due.
    pub(crate) fn pass(&mut self, time: Duration) {
        self.now += time;
        self.broker.tick(self.now);
        self.name_server.tick(self.now);
    }

    /// The clients are gone.
    pub(crate) fn leave(&self) {
        for link in &self.links {
            self.broker.left(link);
            self.name_server.left(link);
        }
    }

    /// Whether a client's connection has not been closed by a server.
    pub(crate) fn is_open(&self, client: usize) -> bool {
        self.links[client].is_open()
    }

    /// Whether the servers still have something to do with a client's connection.
    pub(crate) fn knows(&self, client: usize) -> bool {
        Arc::strong_count(&self.links[client]) > 1
    }
}

/// A connection to nobody, for links need one.
fn socket() -> TcpStream {
    static SOCKET: OnceLock<TcpStream> = OnceLock::new();
    let stream = SOCKET.get_or_init(|| {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        TcpStream::connect(listener.local_addr().expect("its port")).expect("the kernel accepts it")
    });
    stream.try_clone().expect("a further handle")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::code::{RequestCode, ResponseCode};
    use crate::protocol::fields::NoFields;
    use crate::protocol::frame::{self, Head, HeaderKind, decode_whole};

    fn asked(servers: &Bare, code: RequestCode, fields: &[(&str, &str)], body: &[u8]) -> Outcome {
        told(servers, &Head::request(HeaderKind::Json, code, 1), fields, body)
    }

    fn told(servers: &Bare, head: &Head<'_>, fields: &[(&str, &str)], body: &[u8]) -> Outcome {
        let mut bytes = Vec::new();
        frame::encode(&mut bytes, head, &NoFields, fields, body.len()).unwrap();
        bytes.extend_from_slice(body);
        servers.serve(true, 0, &decode_whole(&bytes).unwrap())
    }

    fn answer(servers: &Bare, code: RequestCode, fields: &[(&str, &str)], body: &[u8]) -> ResponseCode {
        match asked(servers, code, fields, body) {
            Outcome::Answer(answer) => decode_whole(&answer).unwrap().response_code(),
            other => panic!("{other:?}"),
        }
    }

    /// A message with these system flags, time of birth and properties.
    fn sent(servers: &Bare, sys_flag: &str, born: &str, properties: &str) -> ResponseCode {
        let fields = [("a", "PG"), ("b", "T"), ("c", "TBW102"), ("d", "4"), ("e", "0"), ("f", sys_flag), ("g", born)];
        let fields = [&fields[..], &[("h", "0"), ("i", properties)]].concat();
        answer(servers, RequestCode::SEND_MESSAGE_V2, &fields, b"body")
    }

    #[test]
    fn numbers_without_measure_are_answered_like_others() {
        let mut servers = Bare::new(true);
        let (least, most) = ("-9223372036854775808", "9223372036854775807");
        // More messages in one than its body has room for.
        let inner = crate::message::sys_flag::INNER_BATCH.to_string();
        let many = "INNER_NUM\u{1}18446744073709551615\u{2}";
        assert_eq!(sent(&servers, &inner, "0", many), ResponseCode::SUCCESS);
        let past = format!("TIMER_DELIVER_MS\u{1}{least}\u{2}");
        assert_eq!(sent(&servers, "0", "0", &past), ResponseCode::SUCCESS);
        // A half message from before time began, which the clock looks at.
        let half = "TRAN_MSG\u{1}true\u{2}PGROUP\u{1}PG\u{2}";
        assert_eq!(sent(&servers, "4", least, half), ResponseCode::SUCCESS);
        servers.pass(Duration::from_secs(3600));
        let acks = format!(
            r#"{{"bn":"b","acks":[{{"c":"CG","t":"T","r":"0","so":{most},"rq":999,"q":0,"pt":1,"it":1,"b":"AQ=="}}]}}"#
        );
        assert_eq!(answer(&servers, RequestCode::BATCH_ACK_MESSAGE, &[], acks.as_bytes()), ResponseCode::SUCCESS);
        let of_topic = |queues| {
            let fields = [("topic", "N"), ("defaultTopic", "TBW102"), ("readQueueNums", queues)];
            [&fields[..], &[("writeQueueNums", "4"), ("perm", "6"), ("order", "false")]].concat()
        };
        let create = RequestCode::UPDATE_AND_CREATE_TOPIC;
        assert_eq!(answer(&servers, create, &of_topic("65536"), &[]), ResponseCode::INVALID_PARAMETER);
        assert_eq!(answer(&servers, create, &of_topic("65535"), &[]), ResponseCode::SUCCESS);
    }

    #[test]
    fn an_end_of_a_transaction_that_is_neither_commit_nor_rollback_gets_no_answer_and_is_not_held() {
        let servers = Bare::new(true);
        let ended = |how| {
            let fields = [("producerGroup", "PG"), ("tranStateTableOffset", "0"), ("commitLogOffset", "0")];
            let fields = [&fields[..], &[("msgId", "U1"), ("commitOrRollback", how)]].concat();
            asked(&servers, RequestCode::END_TRANSACTION, &fields, &[])
        };
        assert_eq!([ended("0"), ended("4")], [Outcome::Unanswered, Outcome::Unanswered]);
        assert!(matches!(ended("8"), Outcome::Answer(_)), "there is nothing to commit, which is said");
    }

    #[test]
    fn a_request_that_waits_is_answered_when_its_time_is_up_and_forgotten_when_its_client_goes() {
        let mut servers = Bare::new(true);
        assert_eq!(sent(&servers, "0", "0", ""), ResponseCode::SUCCESS);
        let pull = |servers: &Bare| {
            let fields = [("consumerGroup", "CG"), ("topic", "T"), ("queueId", "0"), ("queueOffset", "1")];
            let times = [("suspendTimeoutMillis", "9000000"), ("subVersion", "1"), ("subscription", "*")];
            let fields =
                [&fields[..], &[("maxMsgNums", "1"), ("sysFlag", "6"), ("commitOffset", "0")], &times].concat();
            asked(servers, RequestCode::PULL_MESSAGE, &fields, &[])
        };
        assert_eq!(pull(&servers), Outcome::Later);
        servers.pass(Duration::from_secs(3590));
        assert!(servers.taken(0).is_empty(), "the longest hold takes an hour");
        servers.pass(Duration::from_secs(20));
        assert_eq!(decode_whole(&servers.taken(0)).unwrap().response_code(), ResponseCode::PULL_NOT_FOUND);
        assert_eq!(pull(&servers), Outcome::Later);
        assert!(servers.knows(0));
        servers.leave();
        assert!(!servers.knows(0));
    }

    /// What is held for it would be answered into a connection that is gone.
    #[test]
    fn a_client_without_heartbeats_loses_its_connection_and_gets_no_answer_to_what_was_held() {
        let mut servers = Bare::new(true);
        assert_eq!(sent(&servers, "0", "0", ""), ResponseCode::SUCCESS);
        let heartbeat = br#"{"clientID":"c","consumerDataSet":[],"producerDataSet":[{"groupName":"PG"}]}"#;
        assert_eq!(answer(&servers, RequestCode::HEART_BEAT, &[], heartbeat), ResponseCode::SUCCESS);
        let place = [("consumerGroup", "CG"), ("topic", "T"), ("queueId", "1"), ("maxMsgNums", "1")];
        let times = [("invisibleTime", "1000"), ("pollTime", "500000"), ("bornTime", "0"), ("initMode", "0")];
        assert_eq!(asked(&servers, RequestCode::POP_MESSAGE, &[place, times].concat(), &[]), Outcome::Later);
        assert!(servers.is_open(0));
        servers.pass(Duration::from_secs(3600));
        assert!(!servers.is_open(0) && servers.taken(0).is_empty());
    }

    /// Whether an answer comes once the client has answered what the broker asks it because of a request.
    fn is_answered_later(servers: &Bare, head: Head<'_>, fields: &[(&str, &str)]) -> bool {
        let outcome = told(servers, &head, fields, b"body");
        assert_eq!(outcome, if head.flag & 2 == 0 { Outcome::Later } else { Outcome::Unanswered });
        let question = decode_whole(&servers.taken(0)).unwrap();
        assert!(!question.is_response());
        let taken = Head::response(HeaderKind::Json, ResponseCode::SUCCESS, question.opaque, None);
        told(servers, &taken, &[], b"{}");
        !servers.taken(0).is_empty()
    }

    #[test]
    fn what_a_client_is_asked_because_of_a_one_way_request_leads_to_no_answer() {
        let servers = Bare::new(true);
        let consumer =
            r#""consumeFromWhere":"CONSUME_FROM_FIRST_OFFSET","consumeType":"CONSUME_PASSIVELY","groupName":"CG""#;
        let consumer = format!(r#"{{{consumer},"messageModel":"CLUSTERING","subscriptionDataSet":[]}}"#);
        let producer = r#""producerDataSet":[{"groupName":"PG"}]"#;
        let heartbeat = format!(r#"{{"clientID":"c","consumerDataSet":[{consumer}],{producer}}}"#);
        assert_eq!(answer(&servers, RequestCode::HEART_BEAT, &[], heartbeat.as_bytes()), ResponseCode::SUCCESS);
        servers.taken(0);
        let of_message = [("a", "PG"), ("b", "T"), ("c", "TBW102"), ("d", "4"), ("e", "0"), ("f", "0"), ("g", "0")];
        let reply = [&of_message[..], &[("h", "0"), ("i", "REPLY_TO_CLIENT\u{1}c\u{2}")]].concat();
        let of_member = [("consumerGroup", "CG"), ("clientId", "c"), ("jstackEnable", "false")];
        let of_group = [("group", "CG"), ("topic", "T")];
        let requests: [(RequestCode, &[(&str, &str)]); 3] = [
            (RequestCode::SEND_REPLY_MESSAGE_V2, &reply),
            (RequestCode::GET_CONSUMER_RUNNING_INFO, &of_member),
            (RequestCode::INVOKE_BROKER_TO_GET_CONSUMER_STATUS, &of_group),
        ];
        for (code, fields) in requests {
            let head = || Head::request(HeaderKind::Json, code, 7);
            assert!(is_answered_later(&servers, head(), fields), "{code:?}");
            assert!(!is_answered_later(&servers, head().oneway(), fields), "{code:?}, one-way");
        }
    }
}
