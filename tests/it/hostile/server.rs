use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Value, json};

/// A frame as it came; deliberately not read with the crate's own codec.
#[derive(Debug, Clone)]
pub(super) struct Frame {
    pub(super) header: Value,
    pub(super) body: Vec<u8>,
}

impl Frame {
    fn number(&self, name: &str) -> i64 {
        self.header[name].as_i64().unwrap_or(0)
    }

    pub(super) fn code(&self) -> i64 {
        self.number("code")
    }

    pub(super) fn field(&self, name: &str) -> &str {
        self.header["extFields"][name].as_str().unwrap_or_default()
    }

    fn is_answer(&self) -> bool {
        self.number("flag") & 1 == 1
    }
}

/// What a script answers: code, fields and body.
pub(super) type Answer = (i64, Value, Vec<u8>);

/// The answer with nothing but a body.
pub(super) fn body(body: impl Into<Vec<u8>>) -> Answer {
    (0, json!({}), body.into())
}

/// Name server and broker at one address. It does what the script says, however wrong that is.
pub(super) struct Server {
    pub(super) addr: String,
    seen: Arc<Mutex<Vec<Frame>>>,
    streams: Arc<Mutex<Vec<TcpStream>>>,
    /// Held while a frame is written: an answer must not stand within what is pushed.
    writing: Mutex<()>,
}

impl Server {
    /// Heartbeats and leaving are answered with success; what the script has nothing for is not answered.
    pub(super) fn start(script: impl Fn(&Server, &Frame) -> Option<Answer> + Send + Sync + 'static) -> Arc<Server> {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let addr = listener.local_addr().expect("it is bound").to_string();
        let server =
            Arc::new(Server { addr, seen: Arc::default(), streams: Arc::default(), writing: Mutex::default() });
        let (shared, script) = (server.clone(), Arc::new(script));
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (shared, script) = (shared.clone(), script.clone());
                shared.lock_streams().push(stream.try_clone().expect("a second handle"));
                std::thread::spawn(move || serve(stream, &shared, &*script));
            }
        });
        server
    }

    fn lock_streams(&self) -> std::sync::MutexGuard<'_, Vec<TcpStream>> {
        self.streams.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Every frame that came, answers to what was pushed among them.
    pub(super) fn seen(&self) -> Vec<Frame> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The answers to what was pushed under this number.
    pub(super) fn answers(&self, opaque: i64) -> Vec<Frame> {
        self.seen().into_iter().filter(|frame| frame.is_answer() && frame.number("opaque") == opaque).collect()
    }

    fn write(&self, stream: &mut TcpStream, bytes: &[u8]) -> std::io::Result<()> {
        let _one_at_a_time = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        stream.write_all(bytes)
    }

    /// Sends bytes over every connection there is.
    pub(super) fn push(&self, bytes: &[u8]) {
        let streams: Vec<TcpStream> = self.lock_streams().iter().filter_map(|one| one.try_clone().ok()).collect();
        // One that is gone does not matter.
        streams.into_iter().for_each(|mut stream| self.write(&mut stream, bytes).unwrap_or_default());
    }

    /// The route of a topic with so many queues here.
    pub(super) fn route(&self, queues: i64) -> Value {
        json!({
            "brokerDatas": [{"brokerAddrs": {"0": self.addr}, "brokerName": "b", "cluster": "c"}],
            "queueDatas": [{"brokerName": "b", "perm": 6, "readQueueNums": queues, "writeQueueNums": queues}],
        })
    }
}

/// A request of the server's own.
pub(super) fn request(code: i64, opaque: i64, oneway: bool, fields: &Value, body: &[u8]) -> Vec<u8> {
    let flag = if oneway { 2 } else { 0 };
    encode(&json!({"code": code, "flag": flag, "opaque": opaque, "version": 500, "extFields": fields}), body)
}

fn encode(header: &Value, body: &[u8]) -> Vec<u8> {
    let header = header.to_string();
    let mut bytes = Vec::new();
    bytes.extend_from_slice(&(4 + header.len() as u32 + body.len() as u32).to_be_bytes());
    bytes.extend_from_slice(&(header.len() as u32).to_be_bytes());
    bytes.extend_from_slice(header.as_bytes());
    bytes.extend_from_slice(body);
    bytes
}

fn serve(mut stream: TcpStream, server: &Server, script: &dyn Fn(&Server, &Frame) -> Option<Answer>) {
    loop {
        let mut word = [0; 8];
        if stream.read_exact(&mut word).is_err() {
            return;
        }
        let total = u32::from_be_bytes([word[0], word[1], word[2], word[3]]) as usize;
        let header_len = u32::from_be_bytes([0, word[5], word[6], word[7]]) as usize;
        let mut rest = vec![0; total - 4];
        if stream.read_exact(&mut rest).is_err() {
            return;
        }
        let header = serde_json::from_slice(&rest[..header_len]).expect("a JSON header");
        let frame = Frame { header, body: rest[header_len..].to_vec() };
        server.seen.lock().unwrap_or_else(PoisonError::into_inner).push(frame.clone());
        if frame.is_answer() || frame.number("flag") & 2 == 2 {
            continue;
        }
        let answer = if matches!(frame.code(), 34 | 35) { Some(body("")) } else { script(server, &frame) };
        if let Some((code, fields, body)) = answer {
            let opaque = frame.number("opaque");
            let header = json!({"code": code, "flag": 1, "opaque": opaque, "version": 500, "extFields": fields});
            if server.write(&mut stream, &encode(&header, &body)).is_err() {
                return;
            }
        }
    }
}
