//! The least a server has to be: it reads what is there, answers every request in it with one write, and reads again.
//!
//! It runs in a process of its own, so that it shares neither threads nor memory with what is measured. Name server and
//! broker at once: every topic lies on itself.

use std::collections::HashMap;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, OnceLock, RwLock};

use rocketmq_blocking::bench::{Codec, Form};

/// Pulls of this topic are never answered.
pub(crate) const HELD_TOPIC: &str = "Held";
/// Each pull of this topic is answered with the messages that follow.
pub(crate) const ENDLESS_TOPIC: &str = "Endless";
/// Where the endless queues begin: all offsets have ten digits.
const FIRST: i64 = 1_000_000_000;
/// Queues of every topic.
pub(crate) const QUEUES: usize = 4;
/// Messages per pull, and bytes in the body of each.
pub(crate) const PULLED: u32 = 32;
pub(crate) const SIZE: usize = 100;

const SEND: &str = "310";
const BATCH: &str = "320";
const PULL: &str = "11";
const ROUTE: &str = "105";
const COMMITTED: &str = "14";
const HEARTBEAT: &str = "34";
const MEMBERS: &str = "38";

/// The child process; it ends with this value.
pub(crate) struct Server {
    child: Child,
    pub(crate) addr: SocketAddr,
}

impl Server {
    pub(crate) fn start() -> Server {
        let mut child = Command::new(std::env::current_exe().expect("a path to this program"))
            .arg("--serve")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("a child process");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("a pipe")).read_line(&mut line).expect("the server's address");
        Server { child, addr: line.trim().parse().expect("an address") }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What the child process does: serves until its standard input ends.
pub(crate) fn serve() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let addr = listener.local_addr().expect("an address");
    println!("{addr}");
    let answers = Arc::new(Answers::new(addr));
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let answers = answers.clone();
            std::thread::spawn(move || {
                // An error is the client leaving.
                let _ = answer_all(stream, &answers);
            });
        }
    });
    let _ = io::copy(&mut io::stdin(), &mut io::sink());
}

fn answer_all(mut stream: TcpStream, answers: &Answers) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut input = vec![0; 1 << 20];
    let mut filled = 0;
    let mut output = Vec::with_capacity(1 << 20);
    loop {
        let count = stream.read(&mut input[filled..])?;
        if count == 0 {
            return Ok(());
        }
        filled += count;
        let mut at = 0;
        while let Some(prefix) = input[at..filled].first_chunk::<8>() {
            let length = u32::from_be_bytes([prefix[0], prefix[1], prefix[2], prefix[3]]) as usize + 4;
            let header_len = u32::from_be_bytes([0, prefix[5], prefix[6], prefix[7]]) as usize;
            let Some(frame) = input[at..filled].get(..length) else { break };
            answers.answer(&frame[8..8 + header_len], &frame[8 + header_len..], &mut output);
            at += length;
        }
        input.copy_within(at..filled, 0);
        filled -= at;
        if !output.is_empty() {
            stream.write_all(&output)?;
            output.clear();
        }
    }
}

/// An answer cut in two where its opaque stands.
struct Template {
    before: Vec<u8>,
    after: Vec<u8>,
}

impl Template {
    fn new(encode: impl FnOnce(&Codec, &mut Vec<u8>)) -> Template {
        let mut frame = Vec::new();
        encode(&Codec::new(Form::Json, "Bench"), &mut frame);
        let name = b"\"opaque\":";
        let at = frame.windows(name.len()).position(|window| window == name).expect("an opaque") + name.len();
        assert_eq!(frame[at], b'0', "the opaque is 0 in a template");
        Template { before: frame[..at].to_vec(), after: frame[at + 1..].to_vec() }
    }

    /// Appends the answer with another opaque, whose digits make header and frame longer.
    fn write(&self, out: &mut Vec<u8>, opaque: &[u8]) {
        let start = out.len();
        out.extend_from_slice(&self.before);
        out.extend_from_slice(opaque);
        out.extend_from_slice(&self.after);
        for at in [start, start + 4] {
            let word: &mut [u8; 4] = out[at..].first_chunk_mut().expect("a frame has eight bytes");
            // The type of the header is 0, so the second word is its length.
            *word = (u32::from_be_bytes(*word) + opaque.len() as u32 - 1).to_be_bytes();
        }
    }
}

/// The answer to a pull of an endless queue, and where in it the offsets stand.
struct Endless {
    template: Template,
    /// The digits of the next offset, which stand before the opaque.
    next_at: usize,
    /// The offsets of the messages, behind the opaque.
    offsets_at: Vec<usize>,
}

impl Endless {
    fn new() -> Endless {
        let offsets = FIRST..FIRST + i64::from(PULLED);
        let template =
            Template::new(|codec, out| codec.encode_pull_reply_from(out, 0, offsets.clone(), SIZE).expect("it fits"));
        let at = |text: &[u8], what: &[u8]| find(text, what).expect("it stands there");
        let next_at = at(&template.before, b"\"nextBeginOffset\":\"") + b"\"nextBeginOffset\":\"".len();
        let offsets_at = offsets.map(|offset| at(&template.after, &offset.to_be_bytes())).collect();
        Endless { template, next_at, offsets_at }
    }

    fn write(&self, out: &mut Vec<u8>, opaque: &[u8], asked: i64) {
        let start = out.len();
        self.template.write(out, opaque);
        let next = (asked + i64::from(PULLED)).to_string();
        out[start + self.next_at..][..next.len()].copy_from_slice(next.as_bytes());
        let behind = start + self.template.before.len() + opaque.len();
        for (at, offset) in self.offsets_at.iter().zip(asked..) {
            out[behind + at..][..8].copy_from_slice(&offset.to_be_bytes());
        }
    }
}

struct Answers {
    sent: Template,
    /// By the number of messages in the batch.
    batched: RwLock<HashMap<usize, Template>>,
    pulled: Template,
    endless: Endless,
    route: Template,
    committed: Template,
    /// The list of the only member of every group, once it has told its name.
    members: OnceLock<Template>,
    done: Template,
}

impl Answers {
    fn new(addr: SocketAddr) -> Answers {
        let route = format!(
            r#"{{"brokerDatas":[{{"brokerAddrs":{{"0":"{addr}"}},"brokerName":"broker","cluster":"c"}}],
            "queueDatas":[{{"brokerName":"broker","perm":6,"readQueueNums":{QUEUES},"writeQueueNums":{QUEUES}}}]}}"#
        );
        Answers {
            sent: Template::new(|codec, out| codec.encode_send_reply(out, 0).expect("it fits")),
            batched: RwLock::default(),
            pulled: Template::new(|codec, out| codec.encode_pull_reply(out, 0, PULLED, SIZE).expect("it fits")),
            endless: Endless::new(),
            committed: Template::new(|_, out| {
                let header =
                    format!(r#"{{"code":0,"extFields":{{"offset":"{FIRST}"}},"flag":1,"language":"JAVA","opaque":0}}"#);
                out.extend_from_slice(&(header.len() as u32 + 4).to_be_bytes());
                out.extend_from_slice(&(header.len() as u32).to_be_bytes());
                out.extend_from_slice(header.as_bytes());
            }),
            members: OnceLock::new(),
            route: Template::new(|codec, out| codec.encode_answer(out, 0, 0, route.as_bytes()).expect("it fits")),
            done: Template::new(|codec, out| codec.encode_answer(out, 0, 0, b"").expect("it fits")),
        }
    }

    /// Looks only for what it needs, where this crate's clients write it.
    fn answer(&self, header: &[u8], body: &[u8], out: &mut Vec<u8>) {
        let tail = &header[header.len().saturating_sub(120)..];
        let (Some(code), Some(flag), Some(opaque)) =
            (number(header, b"\"code\":"), number(tail, b"\"flag\":"), number(tail, b"\"opaque\":"))
        else {
            return;
        };
        if flag == b"2" {
            return;
        }
        match std::str::from_utf8(code).unwrap_or_default() {
            SEND => self.sent.write(out, opaque),
            BATCH => self.answer_batch(body, opaque, out),
            PULL if find(header, b"\"Held\"").is_some() || find(header, b"%RETRY%").is_some() => {}
            PULL if find(header, b"\"Endless\"").is_some() => {
                let asked = number(header, b"\"queueOffset\":\"").and_then(|digits| std::str::from_utf8(digits).ok());
                if let Some(asked) = asked.and_then(|digits| digits.parse().ok()) {
                    self.endless.write(out, opaque, asked);
                }
            }
            PULL => self.pulled.write(out, opaque),
            COMMITTED => self.committed.write(out, opaque),
            HEARTBEAT => {
                self.meet(body);
                self.done.write(out, opaque);
            }
            MEMBERS => self.members.get().unwrap_or(&self.done).write(out, opaque),
            ROUTE => self.route.write(out, opaque),
            _ => self.done.write(out, opaque),
        }
    }

    /// Learns the name of the client whose groups are asked for. Only the client that consumes sends `CONSUME_PASSIVELY`.
    fn meet(&self, body: &[u8]) {
        if find(body, b"CONSUME_PASSIVELY").is_none() {
            return;
        }
        let name = b"\"clientID\":\"";
        let Some(at) = find(body, name) else { return };
        let rest = &body[at + name.len()..];
        let id = String::from_utf8_lossy(rest.split(|byte| *byte == b'"').next().unwrap_or_default()).into_owned();
        let list = format!(r#"{{"consumerIdList":["{id}"]}}"#);
        self.members.get_or_init(|| {
            Template::new(|codec, out| codec.encode_answer(out, 0, 0, list.as_bytes()).expect("it fits"))
        });
    }

    fn answer_batch(&self, body: &[u8], opaque: &[u8], out: &mut Vec<u8>) {
        let count = messages_in(body);
        if let Some(answer) = self.batched.read().unwrap().get(&count) {
            return answer.write(out, opaque);
        }
        let answer = Template::new(|codec, out| codec.encode_batch_reply(out, 0, count).expect("it fits"));
        answer.write(out, opaque);
        self.batched.write().unwrap().insert(count, answer);
    }
}

/// Counts the messages of a batch, each of which begins with its length.
fn messages_in(mut batch: &[u8]) -> usize {
    let mut count = 0;
    while let Some(length) = batch.first_chunk::<4>() {
        batch = batch.get(u32::from_be_bytes(*length) as usize..).unwrap_or_default();
        count += 1;
    }
    count
}

fn find(text: &[u8], name: &[u8]) -> Option<usize> {
    text.windows(name.len()).position(|window| window == name)
}

/// The digits behind a name.
fn number<'a>(text: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let rest = &text[find(text, name)? + name.len()..];
    let end = rest.iter().position(|byte| !byte.is_ascii_digit() && *byte != b'-')?;
    Some(&rest[..end])
}
