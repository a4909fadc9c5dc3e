//! A proxy between client and server that does wrong what networks and servers do wrong.

use std::collections::HashMap;
use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::wire::{Frame, Frames};

/// What is done to a request or to its answer.
#[derive(Debug, Clone)]
pub(crate) enum Fault {
    /// The request is read and goes nowhere.
    Swallow,
    /// The request goes nowhere and is answered with this code and remark.
    Refuse(i64, &'static str),
    /// The request is carried out and the connection is reset before the answer.
    Reset,
    /// The answer is lost.
    Lose,
    /// So many bytes of the answer come, then the connection ends.
    Cut(usize),
    /// Half of the answer comes, and nothing more; the connection stays.
    Half,
    /// The answer comes one byte at a time.
    Dribble,
    Twice,
    /// The answer comes when the test calls [`Proxy::release`].
    Hold,
    /// The answer lacks the last bytes of its body.
    Shorten(usize),
    /// The answer has a number that belongs to no request.
    Foreign,
    /// These bytes come in place of the answer.
    Garbage(Vec<u8>),
}

#[derive(Debug)]
struct Armed {
    fault: Fault,
    code: Option<i64>,
    left: usize,
    fired: Arc<AtomicUsize>,
}

/// One connection of a client and the one made for it.
#[derive(Debug)]
struct Link {
    client: TcpStream,
    server: TcpStream,
    /// What is to be done to answers, by the number of their request.
    marked: Mutex<HashMap<i64, Fault>>,
    /// No more answers pass.
    mute: AtomicBool,
}

impl Link {
    fn cut(&self) {
        let _ = self.client.shutdown(Shutdown::Both);
        let _ = self.server.shutdown(Shutdown::Both);
    }
}

#[derive(Debug)]
struct Shared {
    upstream: SocketAddr,
    /// Nothing is read from clients meanwhile.
    paused: Mutex<bool>,
    resumed: Condvar,
    faults: Mutex<Vec<Armed>>,
    links: Mutex<Vec<Arc<Link>>>,
    held: Mutex<Vec<(Arc<Link>, Vec<u8>)>>,
    /// Keys of the messages whose requests were read.
    arrived: Mutex<Vec<String>>,
    /// Connections made so far.
    accepted: AtomicUsize,
    stopped: AtomicBool,
}

/// The proxy; dropping it ends its connections and threads.
#[derive(Debug)]
pub(crate) struct Proxy {
    shared: Arc<Shared>,
    addr: SocketAddr,
    accepting: Mutex<Option<JoinHandle<()>>>,
}

impl Proxy {
    pub(crate) fn to(upstream: SocketAddr) -> Proxy {
        let shared = Arc::new(Shared {
            upstream,
            paused: Mutex::default(),
            resumed: Condvar::new(),
            faults: Mutex::default(),
            links: Mutex::default(),
            held: Mutex::default(),
            arrived: Mutex::default(),
            accepted: AtomicUsize::new(0),
            stopped: AtomicBool::new(false),
        });
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let addr = listener.local_addr().expect("its address");
        let accepting = Mutex::new(Some(accept(listener, shared.clone())));
        Proxy { shared, addr, accepting }
    }

    pub(crate) fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Does this to the next `times` requests of a code, or of any.
    pub(crate) fn fault(&self, fault: Fault, code: Option<i64>, times: usize) -> Arc<AtomicUsize> {
        let fired = Arc::new(AtomicUsize::new(0));
        self.shared.faults.lock().unwrap().push(Armed { fault, code, left: times, fired: fired.clone() });
        fired
    }

    pub(crate) fn clear(&self) {
        self.shared.faults.lock().unwrap().clear();
    }

    /// Stops reading from clients: what they write stays in the kernel.
    pub(crate) fn pause(&self) {
        *self.shared.paused.lock().unwrap() = true;
    }

    pub(crate) fn resume(&self) {
        *self.shared.paused.lock().unwrap() = false;
        self.shared.resumed.notify_all();
    }

    /// Lets the answers go that were held, oldest first; says how many.
    pub(crate) fn release(&self) -> usize {
        let held = std::mem::take(&mut *self.shared.held.lock().unwrap());
        held.iter().for_each(|(link, bytes)| drop((&link.client).write_all(bytes)));
        held.len()
    }

    /// Takes the answers that were held, to send them elsewhere.
    pub(crate) fn take_held(&self) -> Vec<Vec<u8>> {
        std::mem::take(&mut *self.shared.held.lock().unwrap()).into_iter().map(|(_, bytes)| bytes).collect()
    }

    /// Sends this to every client, unasked.
    pub(crate) fn inject(&self, bytes: &[u8]) {
        let links = self.shared.links.lock().unwrap().clone();
        links.iter().for_each(|link| (&link.client).write_all(bytes).expect("a client that reads"));
    }

    pub(crate) fn held(&self) -> usize {
        self.shared.held.lock().unwrap().len()
    }

    /// Ends all connections.
    pub(crate) fn cut(&self) {
        self.shared.links.lock().unwrap().drain(..).for_each(|link| link.cut());
    }

    /// Refuses connections and ends those there are.
    pub(crate) fn refuse(&self) {
        let Some(accepting) = self.accepting.lock().unwrap().take() else { return };
        self.shared.stopped.store(true, Ordering::SeqCst);
        // Wakes the thread that accepts.
        drop(TcpStream::connect(self.addr));
        accepting.join().unwrap();
        self.cut();
    }

    /// Accepts again, at the same address.
    pub(crate) fn accept(&self) {
        self.shared.stopped.store(false, Ordering::SeqCst);
        let listener = TcpListener::bind(self.addr).expect("its own port");
        *self.accepting.lock().unwrap() = Some(accept(listener, self.shared.clone()));
    }

    /// Keys of the messages whose requests arrived here whole.
    pub(crate) fn arrived(&self) -> Vec<String> {
        self.shared.arrived.lock().unwrap().clone()
    }

    pub(crate) fn accepted(&self) -> usize {
        self.shared.accepted.load(Ordering::SeqCst)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.resume();
        self.refuse();
    }
}

fn accept(listener: TcpListener, shared: Arc<Shared>) -> JoinHandle<()> {
    std::thread::spawn(move || {
        while let Ok((client, _)) = listener.accept() {
            if shared.stopped.load(Ordering::SeqCst) {
                return;
            }
            shared.accepted.fetch_add(1, Ordering::SeqCst);
            // A server that is down resets whoever comes.
            let Ok(server) = TcpStream::connect(shared.upstream) else { continue };
            let _ = (client.set_nodelay(true), server.set_nodelay(true));
            let link = Arc::new(Link { client, server, marked: Mutex::default(), mute: AtomicBool::new(false) });
            shared.links.lock().unwrap().push(link.clone());
            let shared = shared.clone();
            std::thread::spawn(move || shared.serve(link));
        }
    })
}

impl Shared {
    /// One connection: requests on this thread, answers on another.
    fn serve(self: &Arc<Self>, link: Arc<Link>) {
        let (shared, answering) = (self.clone(), link.clone());
        let answers = std::thread::spawn(move || shared.answers(&answering));
        let reset = self.requests(&link).unwrap_or(false);
        if reset {
            let _ = link.server.shutdown(Shutdown::Both);
            answers.join().unwrap();
            // Closing a socket with unread bytes resets it, provided that nobody else holds it.
            self.links.lock().unwrap().retain(|other| !Arc::ptr_eq(other, &link));
        } else {
            link.cut();
            answers.join().unwrap();
            self.links.lock().unwrap().retain(|other| !Arc::ptr_eq(other, &link));
        }
    }

    /// Passes requests on; `true` when the connection is to be reset.
    fn requests(&self, link: &Arc<Link>) -> io::Result<bool> {
        let (mut frames, mut buffer) = (Frames::default(), vec![0; 64 * 1024]);
        loop {
            // Only looked at, so that they can be left unread.
            let count = link.client.peek(&mut buffer)?;
            let paused = self.resumed.wait_while(self.paused.lock().unwrap(), |paused| *paused).unwrap();
            drop(paused);
            if count == 0 {
                return Ok(false);
            }
            let mut reset = false;
            for frame in frames.feed(&buffer[..count]) {
                if let Some(key) = frame.keys() {
                    self.arrived.lock().unwrap().push(key);
                }
                match self.pick(&frame) {
                    Some(Fault::Swallow) => {}
                    Some(Fault::Refuse(code, remark)) => (&link.client).write_all(&frame.refusal(code, remark))?,
                    Some(Fault::Reset) => {
                        link.marked.lock().unwrap().insert(frame.opaque(), Fault::Reset);
                        (&link.server).write_all(&frame.bytes)?;
                        reset = true;
                    }
                    Some(fault) => {
                        link.marked.lock().unwrap().insert(frame.opaque(), fault);
                        (&link.server).write_all(&frame.bytes)?;
                    }
                    None => (&link.server).write_all(&frame.bytes)?,
                }
            }
            if reset {
                // The server is to carry it out: the answer, which goes nowhere, says that it has.
                while !link.mute.load(Ordering::SeqCst) {
                    std::thread::yield_now();
                }
                return Ok(true);
            }
            (&link.client).read_exact(&mut buffer[..count])?;
        }
    }

    fn pick(&self, frame: &Frame) -> Option<Fault> {
        if frame.is_response() || frame.is_oneway() {
            return None;
        }
        let mut faults = self.faults.lock().unwrap();
        let armed =
            faults.iter_mut().find(|armed| armed.left > 0 && armed.code.is_none_or(|code| code == frame.code()))?;
        armed.left -= 1;
        armed.fired.fetch_add(1, Ordering::SeqCst);
        Some(armed.fault.clone())
    }

    fn answers(&self, link: &Arc<Link>) {
        let (mut frames, mut buffer) = (Frames::default(), vec![0; 64 * 1024]);
        while let Ok(count @ 1..) = (&link.server).read(&mut buffer) {
            for frame in frames.feed(&buffer[..count]) {
                if link.mute.load(Ordering::SeqCst) {
                    continue;
                }
                if self.answer(link, &frame).is_err() {
                    return link.cut();
                }
            }
        }
        if !link.mute.swap(true, Ordering::SeqCst) {
            link.cut();
        }
    }

    fn answer(&self, link: &Arc<Link>, frame: &Frame) -> io::Result<()> {
        let fault = match frame.is_response() {
            true => link.marked.lock().unwrap().remove(&frame.opaque()),
            false => None,
        };
        let (mut client, bytes) = (&link.client, &frame.bytes);
        match fault {
            None | Some(Fault::Swallow | Fault::Refuse(..)) => client.write_all(bytes),
            Some(Fault::Lose) => Ok(()),
            Some(Fault::Reset) => {
                link.mute.store(true, Ordering::SeqCst);
                Ok(())
            }
            Some(Fault::Cut(count)) => {
                client.write_all(&bytes[..count.min(bytes.len())])?;
                Err(io::ErrorKind::ConnectionAborted.into())
            }
            Some(Fault::Half) => {
                link.mute.store(true, Ordering::SeqCst);
                client.write_all(&bytes[..bytes.len() / 2])
            }
            Some(Fault::Dribble) => bytes.iter().try_for_each(|byte| {
                client.write_all(std::slice::from_ref(byte))?;
                // Lets the other side see each of them.
                std::thread::yield_now();
                Ok(())
            }),
            Some(Fault::Twice) => client.write_all(&[&bytes[..], bytes].concat()),
            Some(Fault::Hold) => {
                self.held.lock().unwrap().push((link.clone(), bytes.clone()));
                Ok(())
            }
            Some(Fault::Foreign) => {
                client.write_all(&frame.with(|header| header["opaque"] = (frame.opaque() + 1_000_000).into()))
            }
            Some(Fault::Shorten(count)) => client.write_all(&frame.without(count)),
            Some(Fault::Garbage(garbage)) => client.write_all(&garbage),
        }
    }
}

/// Waits for a condition that another thread brings about; the tests' only way to wait.
pub(crate) fn eventually(what: &str, condition: impl FnMut() -> bool) {
    eventually_within(Duration::from_secs(10), || what.to_owned(), condition);
}

/// As [`eventually`], with a time of its own and words that are found when it is over.
pub(crate) fn eventually_within(limit: Duration, what: impl Fn() -> String, mut condition: impl FnMut() -> bool) {
    let until = std::time::Instant::now() + limit;
    while !condition() {
        assert!(std::time::Instant::now() < until, "never came about: {}", what());
        std::thread::park_timeout(Duration::from_millis(2));
    }
}
