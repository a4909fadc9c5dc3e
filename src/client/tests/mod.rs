//! The client layer against scripted servers on loopback: one plays name server and broker at once.

mod checks;
mod groups;
mod lifecycle;
mod name_servers;
mod routes;

use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::*;
use crate::code::{RequestCode, ResponseCode};
use crate::error::{Error, Outcome, Stage};
use crate::protocol::fields::NoFields;
use crate::protocol::frame::{self, Frame, FrameReader, Head, HeaderKind};
use crate::protocol::json;
use crate::protocol::rpc::heartbeat::{ConsumerBody, ConsumerList, HeartbeatBody};
use crate::protocol::rpc::route::{BrokerBody, QueueBody, RouteBody};
use crate::remoting::Deadline;

/// Answers 105 from its table, 34 and 35 with success, and remembers what it was asked.
#[derive(Default)]
struct Script {
    routes: Mutex<HashMap<String, RouteBody>>,
    asked: Mutex<Vec<Frame>>,
    streams: Mutex<Vec<TcpStream>>,
    /// How long it thinks before it answers for a route.
    pause: Mutex<Duration>,
}

struct Server {
    script: Arc<Script>,
    addr: String,
}

impl Server {
    fn start() -> Server {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let addr = listener.local_addr().unwrap().to_string();
        let script = Arc::new(Script::default());
        let serving = script.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let script = serving.clone();
                script.streams.lock().unwrap().push(stream.try_clone().unwrap());
                std::thread::spawn(move || script.serve(stream));
            }
        });
        Server { script, addr }
    }

    /// Makes this server the master of `broker`, which has `queues` queues of the topic.
    fn route(&self, topic: &str, broker: &str, queues: i32) -> &Server {
        self.route_at(topic, broker, &[(0, &self.addr)], queues)
    }

    fn route_at(&self, topic: &str, broker: &str, addrs: &[(i64, &str)], queues: i32) -> &Server {
        let broker_addrs = addrs.iter().map(|(id, addr)| (*id, (*addr).to_owned())).collect();
        let body = RouteBody {
            broker_datas: vec![BrokerBody { broker_addrs, broker_name: broker.into(), ..BrokerBody::default() }],
            queue_datas: vec![QueueBody {
                broker_name: broker.into(),
                perm: 7,
                read_queue_nums: queues,
                write_queue_nums: queues,
                topic_sys_flag: 0,
            }],
            ..RouteBody::default()
        };
        self.script.routes.lock().unwrap().insert(topic.into(), body);
        self
    }

    fn asked(&self, code: RequestCode) -> Vec<Frame> {
        let asked = self.script.asked.lock().unwrap();
        asked.iter().filter(|frame| !frame.is_response() && frame.request_code() == code).cloned().collect()
    }

    fn builder(&self) -> ClientBuilder {
        Client::builder().name_servers(&self.addr)
    }

    fn client(&self) -> Client {
        self.builder().build().unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        for stream in self.script.streams.lock().unwrap().drain(..) {
            let _ = stream.shutdown(std::net::Shutdown::Both);
        }
    }
}

impl Script {
    fn serve(&self, mut stream: TcpStream) {
        let mut frames = FrameReader::new(frame::MAX_FRAME);
        while let Ok(count @ 1..) = stream.read(frames.space()) {
            frames.filled(count);
            while let Ok(Some(request)) = frames.next() {
                self.asked.lock().unwrap().push(request.clone());
                if let Some(answer) = self.answer(&request) {
                    let _ = stream.write_all(&answer);
                }
            }
        }
    }

    fn answer(&self, request: &Frame) -> Option<Vec<u8>> {
        let (code, body) = match request.request_code() {
            _ if request.is_response() => return None,
            RequestCode::GET_ROUTEINFO_BY_TOPIC => {
                let pause = *self.pause.lock().unwrap();
                std::thread::sleep(pause);
                let routes = self.routes.lock().unwrap();
                match routes.get(&*request.field("topic").unwrap()) {
                    Some(body) => (ResponseCode::SUCCESS, json::encode(body)),
                    None => (ResponseCode::TOPIC_NOT_EXIST, Vec::new()),
                }
            }
            _ => (ResponseCode::SUCCESS, Vec::new()),
        };
        let mut out = Vec::new();
        let head = Head::response(HeaderKind::Json, code, request.opaque, None);
        frame::encode_response(&mut out, &head, &NoFields, &body).unwrap();
        Some(out)
    }
}

/// A listener that never accepts: connections are made by the kernel, and nothing is ever answered.
fn silent() -> (TcpListener, String) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let addr = listener.local_addr().unwrap().to_string();
    (listener, addr)
}

/// An address nothing listens at.
fn refused() -> String {
    silent().1
}

fn within(millis: u64) -> Deadline {
    Deadline::after(Duration::from_millis(millis))
}

fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    let started = Instant::now();
    while !is_so() {
        assert!(started.elapsed() < Duration::from_secs(10), "not so after 10 s: {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

fn member(kind: GroupKind, group: &str) -> Member {
    let consumer = (kind == GroupKind::Consumer).then(|| ConsumerBody {
        group_name: group.into(),
        consume_type: "CONSUME_ACTIVELY".into(),
        message_model: "CLUSTERING".into(),
        consume_from_where: "CONSUME_FROM_LAST_OFFSET".into(),
        subscription_data_set: Vec::new(),
        unit_mode: false,
    });
    Member { kind, group: group.into(), consumer, mailbox: None, checks: None, close: Box::new(CloseReport::default) }
}

fn join(client: &Client, kind: GroupKind, group: &str) -> crate::error::Result<Membership> {
    client.core().groups().join(client.core(), member(kind, group))
}

fn topic(name: &str) -> Arc<str> {
    name.into()
}
