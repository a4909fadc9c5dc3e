//! The pool: one connection to an address, none used after it ended, none left over.

use super::super::pool::Pool;
use super::super::sync::thread::yield_now;
use super::*;

/// Connections to a host that nobody knows, so that each is lost by its own reader at some moment.
#[derive(Clone)]
struct Net {
    pool: Arc<Pool>,
    addr: Arc<str>,
    /// The pool itself holds it only weakly.
    _owner: Arc<dyn Owner>,
}

impl Net {
    fn new() -> Net {
        let nobody = Arc::new(Nobody::default());
        let owner: Arc<dyn Owner> = nobody.clone();
        let pool = Arc::new(Pool::new(RemotingOptions::default(), nobody, Arc::downgrade(&owner)));
        Net { pool, addr: "model:1".into(), _owner: owner }
    }

    /// Without time to wait before an address is tried again.
    fn connection(&self) -> Result<Arc<Connection>> {
        self.pool.connection(&self.addr, over())
    }

    fn beside<T: 'static>(&self, run: impl FnOnce(&Net) -> T + 'static) -> JoinHandle<T> {
        let net = self.clone();
        loom::thread::spawn(move || run(&net))
    }

    /// Starts a call on a connection that was taken before, with what is to be done when it ends.
    fn submit(connection: &Arc<Connection>, done: impl FnOnce() + Send + 'static) -> Ends {
        let ends = Ends::default();
        let told = ends.clone();
        let waiter = Waiter::Callback(Box::new(move |result| {
            told.note(result);
            done();
        }));
        let outgoing = Outgoing { opaque: 1, head: &[1; LEN], body: &[] };
        let waiting = Connection::waiting(waiter, far(), None);
        if let Err((waiter, error)) = connection.start(&outgoing, waiting, true) {
            waiter.complete(Err(error));
        }
        ends
    }

    /// Closes the pool, which leaves nothing.
    fn close(&self, taken: &[&Arc<Connection>]) {
        self.pool.close(over().at());
        self.assert_closed(taken);
    }

    fn assert_closed(&self, taken: &[&Arc<Connection>]) {
        assert!(self.pool.all().is_empty(), "what was made is closed");
        assert!(taken.iter().all(|connection| connection.is_gone() && connection.pending.len() == 0));
        assert!(matches!(self.connection(), Err(Error::Closed { .. })));
    }
}

#[test]
fn two_callers_who_ask_for_one_address_get_the_same_connection() {
    check("one address", || {
        let net = Net::new();
        let other = net.beside(Net::connection);
        let both = [net.connection(), other.join().unwrap()];
        let taken: Vec<_> = both.iter().flatten().collect();
        assert!(!taken.is_empty(), "nothing was lost before the first");
        assert!(taken.iter().all(|connection| Arc::ptr_eq(connection, taken[0])));
        assert_eq!(net.pool.all().len(), 1);
        net.close(&taken);
    });
}

#[test]
fn a_connection_that_is_gone_is_not_handed_out_and_a_call_on_it_ends_once() {
    check("dying", || {
        let net = Net::new();
        let first = net.connection().unwrap();
        // An address that has answered is tried again at once.
        first.note_received();
        // Its reader has a turn, or several.
        yield_now();
        let was_gone = first.is_gone();
        let second = net.connection().unwrap();
        assert!(!was_gone || !Arc::ptr_eq(&first, &second));
        let ends = Net::submit(&first, || ());
        net.close(&[&first, &second]);
        assert!(ends.only().is_err());
    });
}

#[test]
fn a_connection_taken_while_the_pool_closes_is_closed_too() {
    check("taken while closing", || {
        let net = Net::new();
        let other = net.beside(|net| net.connection().map(|taken| (Net::submit(&taken, || ()), taken)));
        net.pool.close(over().at());
        let taken = other.join().unwrap();
        net.assert_closed(&taken.iter().map(|(_, connection)| connection).collect::<Vec<_>>());
        match taken {
            Ok((ends, _)) => assert!(ends.only().is_err()),
            Err(error) => assert!(matches!(error, Error::Closed { .. })),
        }
    });
}

#[test]
fn a_call_on_a_connection_that_is_tidied_away_ends_once_and_may_ask_the_pool_again() {
    check("tidying", || {
        let net = Net::new();
        let taken = net.connection().unwrap();
        net.pool.retain(|_| false);
        let other = net.beside({
            let taken = taken.clone();
            move |net| {
                let pool = net.pool.clone();
                // As a retry does, which asks for a connection again.
                Net::submit(&taken, move || drop(pool.all()))
            }
        });
        net.pool.tidy();
        let ends = other.join().unwrap();
        while !taken.is_gone() {
            yield_now();
            net.pool.tidy();
        }
        net.close(&[&taken]);
        assert!(ends.only().is_err());
    });
}
