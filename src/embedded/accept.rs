//! How a server's connections come to be: the thread that accepts, which also joins the threads of those that have ended.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::link::Link;
use super::server::Server;
use crate::error::Result;
use crate::thread::Thread;

/// How long to wait when accepting fails, for lack of files for example.
const FAILED_PAUSE: Duration = Duration::from_millis(10);
/// How long to wait for the acceptor to take the connection that tells it to end.
const WAKE_WITHIN: Duration = Duration::from_secs(1);

impl Server {
    /// Starts to accept on a listener; those of earlier connections that still live go on.
    pub(super) fn accept_on(self: &Arc<Server>, listener: TcpListener) -> Result<()> {
        let stop = Arc::new(AtomicBool::new(false));
        let (server, stopped) = (self.clone(), stop.clone());
        let acceptor = Thread::spawn(format!("mq-accept {}", self.label), move || server.accept(&listener, &stopped))?;
        self.state().acceptor = Some((acceptor, stop));
        self.service.up(true);
        Ok(())
    }

    pub(super) fn stop_accepting(&self) {
        let acceptor = self.state().acceptor.take();
        let Some((thread, stop)) = acceptor else { return };
        stop.store(true, Ordering::SeqCst);
        let mut wake = self.addr;
        if wake.ip().is_unspecified() {
            wake.set_ip(IpAddr::V4(Ipv4Addr::LOCALHOST));
        }
        // Accepting cannot be cancelled, only satisfied.
        if let Err(error) = TcpStream::connect_timeout(&wake, WAKE_WITHIN) {
            log::warn!("{}: cannot wake its acceptor: {error}", self.label);
        }
        if !thread.join_by(Instant::now() + WAKE_WITHIN) {
            log::warn!("{}: its acceptor has not ended", self.label);
        }
    }

    fn accept(self: &Arc<Server>, listener: &TcpListener, stop: &AtomicBool) {
        loop {
            let accepted = listener.accept();
            if stop.load(Ordering::SeqCst) {
                return;
            }
            self.reap();
            match accepted {
                Ok((stream, peer)) => self.admit(stream, peer),
                // A connection that was given up before it was accepted; or too many files, which a moment may end.
                Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
                Err(error) => {
                    log::warn!("{}: accepting failed: {error}", self.label);
                    std::thread::park_timeout(FAILED_PAUSE);
                }
            }
        }
    }

    /// Joins the threads of connections that have ended.
    fn reap(&self) {
        let mut state = self.state();
        let ended = std::mem::take(&mut state.ended);
        let threads: Vec<Thread> =
            ended.iter().filter_map(|id| state.links.remove(id)).filter_map(|(_, thread)| thread).collect();
        drop(state);
        for thread in threads {
            thread.join();
        }
    }

    fn admit(self: &Arc<Server>, stream: TcpStream, peer: SocketAddr) {
        // Without it answers wait for the peer's acknowledgements; a socket that refuses it is already dead.
        let _ = stream.set_nodelay(true);
        let mut state = self.state();
        if state.links.len() >= self.limits.connections {
            log::warn!("{}: more than {} connections; refusing {peer}", self.label, self.limits.connections);
            return;
        }
        let id = state.next_id;
        state.next_id += 1;
        let link = Arc::new(Link::new(id, self.label.clone(), stream, peer));
        state.links.insert(id, (link.clone(), None));
        drop(state);
        let (server, own) = (self.clone(), link.clone());
        let thread = Thread::spawn(format!("mq-serve {} {id}", self.label), move || server.run(&own));
        let mut state = self.state();
        match (thread, state.links.get_mut(&id)) {
            (Ok(thread), Some(entry)) => entry.1 = Some(thread),
            (Ok(thread), None) => {
                // All connections were closed meanwhile, this one too.
                drop(state);
                thread.join();
            }
            (Err(error), _) => {
                log::warn!("{}: {error}", self.label);
                state.links.remove(&id);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use crossbeam_channel::{Receiver, Sender, bounded, unbounded};

    use super::*;
    use crate::embedded::call::{Call, Handled};
    use crate::embedded::clock::Clock;
    use crate::embedded::listen;
    use crate::embedded::recorder::Recorder;
    use crate::embedded::server::{Limits, Service};

    const LONG: Duration = Duration::from_secs(5);

    /// Says which connections end; the first takes until it is told to go on.
    struct Lingering {
        left: Sender<u64>,
        go_on: Receiver<()>,
    }

    impl Service for Lingering {
        fn serve(&self, _call: &mut Call<'_>) -> Handled {
            Handled::Unanswered
        }

        fn left(&self, link: &Arc<Link>) {
            self.left.send(link.id).unwrap();
            if link.id == 0 {
                self.go_on.recv_timeout(LONG).unwrap();
            }
        }

        fn up(&self, _up: bool) {}

        fn tick(&self, _now: Instant) -> Option<Instant> {
            None
        }
    }

    fn becomes(count: usize, server: &Server) {
        let until = Instant::now() + LONG;
        while server.connections() != count {
            assert!(Instant::now() < until, "there are {} connections instead of {count}", server.connections());
            std::thread::yield_now();
        }
    }

    #[test]
    fn a_connection_that_comes_and_goes_while_the_others_are_closed_is_counted_as_gone() {
        let ((left, ends), (release, go_on)) = (unbounded(), bounded(1));
        let listener = listen::first(IpAddr::V4(Ipv4Addr::LOCALHOST), 0).unwrap();
        let addr = listen::address(&listener).unwrap();
        let (recorder, clock) = (Arc::new(Recorder::new(1)), Arc::new(Clock::new().0));
        let limits = Limits { frame: 1 << 10, connections: 8 };
        let service = Arc::new(Lingering { left, go_on });
        let server = Server::new("s".into(), addr, service, recorder, clock, limits);
        server.accept_on(listener).unwrap();
        let first = TcpStream::connect(addr).unwrap();
        becomes(1, &server);
        std::thread::scope(|scope| {
            let closing = scope.spawn(|| server.disconnect());
            assert_eq!(ends.recv_timeout(LONG), Ok(0));
            drop(TcpStream::connect(addr));
            assert_eq!(ends.recv_timeout(LONG), Ok(1));
            becomes(0, &server);
            release.send(()).unwrap();
            closing.join().unwrap();
        });
        becomes(0, &server);
        let other = TcpStream::connect(addr).unwrap();
        becomes(1, &server);
        drop((first, other));
        server.close();
        listen::release(addr.port());
    }
}
