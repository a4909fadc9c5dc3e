//! The plain way to write such a client, to be compared with: a mutex around the socket, one `write_all` for each
//! request, a map of waiting calls, a condition variable for each, and one thread that reads.
//!
//! It uses the same codec. It is tuned neither to be fast nor to be slow.

use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use rocketmq_blocking::bench::{Codec, Form, Received, Stream};

use crate::server::HELD_TOPIC;

const TIMEOUT: Duration = Duration::from_secs(3);

pub(crate) struct Baseline {
    shared: Arc<Shared>,
    reader: Option<JoinHandle<()>>,
}

struct Shared {
    codec: Codec,
    held: Codec,
    stream: TcpStream,
    writer: Mutex<TcpStream>,
    opaque: AtomicI32,
    waiting: Mutex<HashMap<i32, Waiting>>,
}

enum Waiting {
    Call(Arc<Call>),
    Callback(Box<dyn FnOnce(i64) + Send>),
}

#[derive(Default)]
struct Call {
    answer: Mutex<Option<Received>>,
    ended: Condvar,
}

impl Baseline {
    pub(crate) fn new(addr: SocketAddr) -> Baseline {
        let stream = TcpStream::connect(addr).expect("the server is there");
        stream.set_nodelay(true).expect("a socket takes that");
        let clone = || stream.try_clone().expect("a second handle");
        let shared = Arc::new(Shared {
            codec: Codec::new(Form::Json, "Bench"),
            held: Codec::new(Form::Json, HELD_TOPIC),
            writer: Mutex::new(clone()),
            stream: clone(),
            opaque: AtomicI32::new(0),
            waiting: Mutex::default(),
        });
        let reading = shared.clone();
        let reader = std::thread::spawn(move || reading.read(stream));
        Baseline { shared, reader: Some(reader) }
    }

    pub(crate) fn send(&self, body: &[u8]) -> i64 {
        let answer = self.shared.call(|codec, out, opaque| codec.encode_send(out, opaque, false, body));
        self.shared.codec.decode_send_reply(&answer).expect("well formed")
    }

    pub(crate) fn send_async(&self, body: &[u8], done: impl FnOnce(i64) + Send + 'static) {
        let opaque = self.shared.next();
        self.shared.waiting.lock().unwrap().insert(opaque, Waiting::Callback(Box::new(done)));
        self.shared.write(|out| self.shared.codec.encode_send(out, opaque, false, body));
    }

    pub(crate) fn send_oneway(&self, body: &[u8]) {
        let opaque = self.shared.next();
        self.shared.write(|out| self.shared.codec.encode_send(out, opaque, true, body));
    }

    pub(crate) fn pull(&self) -> usize {
        let answer = self.shared.call(|codec, out, opaque| codec.encode_pull(out, opaque, false));
        self.shared.codec.decode_pull_reply(&answer).expect("well formed")
    }

    /// Leaves a pull waiting at the server.
    pub(crate) fn hold(&self) {
        let opaque = self.shared.next();
        self.shared.waiting.lock().unwrap().insert(opaque, Waiting::Callback(Box::new(|_| {})));
        self.shared.write(|out| self.shared.held.encode_pull(out, opaque, true));
    }
}

impl Drop for Baseline {
    fn drop(&mut self) {
        let _ = self.shared.stream.shutdown(Shutdown::Both);
        let _ = self.reader.take().map(JoinHandle::join);
    }
}

impl Shared {
    fn next(&self) -> i32 {
        self.opaque.fetch_add(1, Ordering::Relaxed)
    }

    fn write(&self, encode: impl FnOnce(&mut Vec<u8>) -> rocketmq_blocking::Result<()>) {
        let mut frame = Vec::new();
        encode(&mut frame).expect("it fits");
        self.writer.lock().unwrap().write_all(&frame).expect("the server reads");
    }

    fn call(&self, encode: impl FnOnce(&Codec, &mut Vec<u8>, i32) -> rocketmq_blocking::Result<()>) -> Received {
        let opaque = self.next();
        let call = Arc::new(Call::default());
        self.waiting.lock().unwrap().insert(opaque, Waiting::Call(call.clone()));
        self.write(|out| encode(&self.codec, out, opaque));
        let answer = call.answer.lock().unwrap();
        let (mut answer, _) = call.ended.wait_timeout_while(answer, TIMEOUT, |answer| answer.is_none()).unwrap();
        answer.take().expect("the server answers in time")
    }

    fn read(&self, mut stream: TcpStream) {
        let mut frames = Stream::default();
        loop {
            let count = match stream.read(frames.space()) {
                Ok(0) | Err(_) => return,
                Ok(count) => count,
            };
            frames.filled(count);
            while let Some(frame) = frames.next_frame().expect("well formed") {
                let waiting = self.waiting.lock().unwrap().remove(&frame.opaque());
                match waiting {
                    Some(Waiting::Call(call)) => {
                        *call.answer.lock().unwrap() = Some(frame);
                        call.ended.notify_one();
                    }
                    Some(Waiting::Callback(done)) => done(self.codec.decode_send_reply(&frame).expect("well formed")),
                    None => {}
                }
            }
        }
    }
}
