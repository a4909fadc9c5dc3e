//! The network between clients and servers: a process of its own, so that its threads and sockets are not counted as theirs.
//!
//! It is this same program, started with the servers' addresses. It prints where each is to be reached instead, and then
//! takes one command a line: what to do, and the number of the server.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write, stdin};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;

/// The first argument of the process that is the network.
pub(crate) const ARGUMENT: &str = "--cables";

/// What a cable does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum State {
    #[default]
    Whole,
    /// Nothing passes, and nothing is lost: as if packets had to be sent again.
    Silent,
    /// There are no connections, and none can be made.
    Cut,
}

#[derive(Debug, Default)]
struct Cable {
    state: Mutex<State>,
    changed: Condvar,
    ends: Mutex<Vec<TcpStream>>,
}

impl Cable {
    fn set(&self, state: State) {
        *self.state.lock().unwrap_or_else(PoisonError::into_inner) = state;
        self.changed.notify_all();
        if state == State::Cut {
            let mut ends = self.ends.lock().unwrap_or_else(PoisonError::into_inner);
            ends.drain(..).for_each(|end| drop(end.shutdown(Shutdown::Both)));
        }
    }

    /// Waits while it is silent; whether anything may pass then.
    fn passes(&self) -> bool {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let state = self.changed.wait_while(state, |state| *state == State::Silent);
        *state.unwrap_or_else(PoisonError::into_inner) == State::Whole
    }

    fn keep(&self, end: &TcpStream) -> std::io::Result<()> {
        let end = end.try_clone()?;
        let mut ends = self.ends.lock().unwrap_or_else(PoisonError::into_inner);
        // Those that are gone: otherwise they would be kept for ever.
        ends.retain(|end| end.peer_addr().is_ok());
        ends.push(end);
        Ok(())
    }

    fn forward(&self, mut from: TcpStream, mut to: TcpStream) {
        let mut buffer = [0; 64 * 1024];
        while let Ok(count @ 1..) = from.read(&mut buffer) {
            if !self.passes() || to.write_all(&buffer[..count]).is_err() {
                break;
            }
        }
        let _ = (from.shutdown(Shutdown::Both), to.shutdown(Shutdown::Both));
    }

    fn accept(self: &Arc<Self>, listener: &TcpListener, addr: &str) {
        while let Ok((client, _)) = listener.accept() {
            if !self.passes() {
                continue;
            }
            // A server that is down resets whoever comes.
            let Ok(server) = TcpStream::connect(addr) else { continue };
            let pairs = || -> std::io::Result<_> {
                client.set_nodelay(true)?;
                server.set_nodelay(true)?;
                self.keep(&client)?;
                self.keep(&server)?;
                Ok([(client.try_clone()?, server.try_clone()?), (server.try_clone()?, client.try_clone()?)])
            };
            for (from, to) in pairs().into_iter().flatten() {
                let cable = self.clone();
                thread::spawn(move || cable.forward(from, to));
            }
        }
    }
}

/// Is the network, until nobody wants it any more.
pub(crate) fn run(addrs: impl Iterator<Item = String>) {
    let mut cables = Vec::new();
    for addr in addrs {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        println!("{}", listener.local_addr().expect("it is bound"));
        let cable = Arc::new(Cable::default());
        cables.push(cable.clone());
        thread::spawn(move || cable.accept(&listener, &addr));
    }
    for line in stdin().lines().map_while(Result::ok) {
        let Some((what, number)) = line.split_once(' ') else { continue };
        let state = match what {
            "silence" => State::Silent,
            "cut" => State::Cut,
            _ => State::Whole,
        };
        cables[number.parse::<usize>().expect("a number")].set(state);
    }
}

/// The network, as its user has it; it ends with this.
pub(crate) struct Network {
    child: Child,
    commands: ChildStdin,
    addrs: Vec<String>,
    ways: HashMap<String, String>,
}

impl Network {
    pub(crate) fn to(addrs: Vec<String>) -> Network {
        let program = std::env::current_exe().expect("this program");
        let mut child = Command::new(program)
            .arg(ARGUMENT)
            .args(&addrs)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("this program runs");
        let commands = child.stdin.take().expect("it is piped");
        let answers = BufReader::new(child.stdout.take().expect("it is piped")).lines();
        let own = answers.take(addrs.len()).map(|line| line.expect("an address"));
        let ways = addrs.iter().cloned().zip(own).collect();
        Network { child, commands, addrs, ways }
    }

    /// Where each server is reached, by its own address.
    pub(crate) fn ways(&self) -> &HashMap<String, String> {
        &self.ways
    }

    /// Silences, cuts or mends (`whole`) the way to these servers.
    pub(crate) fn make(&mut self, what: &str, addrs: &[String]) {
        for addr in addrs {
            let number = self.addrs.iter().position(|other| other == addr).expect("a server of the run");
            writeln!(self.commands, "{what} {number}").expect("the network is there");
        }
        self.commands.flush().expect("the network is there");
    }

    pub(crate) fn all(&self) -> Vec<String> {
        self.addrs.clone()
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        let _ = (self.child.kill(), self.child.wait());
    }
}
