//! Frames that one thread submits one after the other leave in one write, and without waking the writer thread.

use std::cell::RefCell;
use std::sync::Arc;

use super::connection::Connection;
use super::sync::thread_local;

struct Held {
    depth: usize,
    /// Connections with frames that nobody was told of.
    connections: Vec<Arc<Connection>>,
}

thread_local! {
    static HELD: RefCell<Held> = const { RefCell::new(Held { depth: 0, connections: Vec::new() }) };
}

/// Does `work`, and writes what it submitted when it is done. It must not wait for answers: the questions have not left yet.
pub(crate) fn together<T>(work: impl FnOnce() -> T) -> T {
    let _release = Release::begin();
    work()
}

/// Leaves a connection's frames until the end of [`together`]; says whether that is going on.
pub(super) fn hold(connection: &Arc<Connection>) -> bool {
    HELD.with(|held| {
        let mut held = held.borrow_mut();
        if held.depth > 0 && !held.connections.iter().any(|other| Arc::ptr_eq(other, connection)) {
            held.connections.push(connection.clone());
        }
        held.depth > 0
    })
}

/// The end, also when the work panics.
struct Release;

impl Release {
    fn begin() -> Release {
        HELD.with(|held| held.borrow_mut().depth += 1);
        Release
    }
}

impl Drop for Release {
    fn drop(&mut self) {
        let mut connections = HELD.with(|held| {
            let mut held = held.borrow_mut();
            held.depth -= 1;
            if held.depth == 0 { std::mem::take(&mut held.connections) } else { Vec::new() }
        });
        if connections.is_empty() {
            return;
        }
        for connection in connections.drain(..) {
            connection.flush();
        }
        // A write that failed may have had others submitted meanwhile, which were not held.
        HELD.with(|held| held.borrow_mut().connections = connections);
    }
}
