//! Scripted servers for tests: real sockets, answers made by a closure.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::client::Client;
use crate::code::{RequestCode, ResponseCode};
use crate::protocol::fields::{Header, NoFields};
use crate::protocol::frame::{self, Frame, FrameReader, Head, HeaderKind};
use crate::protocol::json;
use crate::protocol::rpc::route::{BrokerBody, QueueBody, RouteBody};

/// What a server does with a request.
pub(crate) enum Reply {
    Send(Vec<u8>),
    Silence,
    Cut,
}

/// An answer to `request`.
pub(crate) fn reply<H: Header>(request: &Frame, code: ResponseCode, header: &H, body: &[u8]) -> Reply {
    let mut out = Vec::new();
    frame::encode_response(&mut out, &Head::response(HeaderKind::Json, code, request.opaque, None), header, body)
        .unwrap();
    Reply::Send(out)
}

/// An answer to `request` without fields.
pub(crate) fn refuse(request: &Frame, code: ResponseCode, remark: &str) -> Reply {
    let mut out = Vec::new();
    frame::encode_error(&mut out, HeaderKind::Json, code, request.opaque, remark).unwrap();
    Reply::Send(out)
}

/// A server. It lives until the test's process ends.
pub(crate) struct Peer {
    pub(crate) addr: String,
    seen: Arc<Mutex<Vec<Frame>>>,
}

impl Peer {
    /// Heartbeats and the like are answered with success; the rest goes to `script`.
    pub(crate) fn start(script: impl Fn(&Frame) -> Reply + Send + Sync + 'static) -> Peer {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (addr, seen) = (listener.local_addr().unwrap().to_string(), Arc::<Mutex<Vec<Frame>>>::default());
        let (log, script) = (seen.clone(), Arc::new(script));
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (log, script) = (log.clone(), script.clone());
                std::thread::spawn(move || serve(stream, &log, &*script));
            }
        });
        Peer { addr, seen }
    }

    /// A name server that knows one topic, with two queues on each broker: by name, addresses by id.
    pub(crate) fn name_server(
        brokers: impl Fn() -> Vec<(&'static str, Vec<(i64, String)>)> + Send + Sync + 'static,
    ) -> Peer {
        Peer::start(move |request| {
            let mut body = RouteBody::default();
            for (name, addrs) in brokers() {
                let broker = BrokerBody {
                    broker_addrs: addrs.into_iter().collect(),
                    broker_name: name.into(),
                    ..Default::default()
                };
                body.broker_datas.push(broker);
                let queue = QueueBody {
                    broker_name: name.into(),
                    perm: 6,
                    read_queue_nums: 2,
                    write_queue_nums: 2,
                    topic_sys_flag: 0,
                };
                body.queue_datas.push(queue);
            }
            reply(request, ResponseCode::SUCCESS, &NoFields, &json::encode(&body))
        })
    }

    pub(crate) fn client(&self) -> Client {
        Client::builder().name_servers(&self.addr).request_timeout(Duration::from_secs(2)).build().unwrap()
    }

    /// What it was asked last with this code.
    pub(crate) fn last(&self, code: RequestCode) -> Frame {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.iter().rev().find(|frame| frame.request_code() == code).cloned().expect("it was asked")
    }

    /// How often it was asked this.
    pub(crate) fn count(&self, code: RequestCode) -> usize {
        self.seen
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .iter()
            .filter(|frame| frame.request_code() == code)
            .count()
    }
}

fn serve(mut stream: TcpStream, log: &Mutex<Vec<Frame>>, script: &dyn Fn(&Frame) -> Reply) {
    let mut frames = FrameReader::new(frame::MAX_FRAME);
    while let Some(count) = stream.read(frames.space()).ok().filter(|count| *count > 0) {
        frames.filled(count);
        while let Some(request) = frames.next().unwrap() {
            log.lock().unwrap_or_else(PoisonError::into_inner).push(request.clone());
            // Answers to what it pushed are not to be answered.
            if request.is_response() {
                continue;
            }
            let greeting = matches!(request.request_code(), RequestCode::HEART_BEAT | RequestCode::UNREGISTER_CLIENT);
            match if greeting { refuse(&request, ResponseCode::SUCCESS, "") } else { script(&request) } {
                Reply::Send(bytes) => stream.write_all(&bytes).unwrap_or_default(),
                Reply::Silence => {}
                Reply::Cut => return,
            }
        }
    }
}

/// An address at which nobody listens.
pub(crate) fn nobody() -> String {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string()
}

/// Waits for a condition.
pub(crate) fn eventually(what: &str, condition: impl Fn() -> bool) {
    let until = Instant::now() + Duration::from_secs(10);
    while !condition() {
        assert!(Instant::now() < until, "{what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}
