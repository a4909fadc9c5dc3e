//! What the owner of the connections does for all of them from time to time, and asks about them.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use super::connection::Connection;
use super::hold::Asker;
use super::pending::Waiter;
use super::stats::{ConnectionStats, Counters};
use super::{Call, Deadline, Remoting};
use crate::error::Result;
use crate::protocol::frame::Frame;
use crate::protocol::rpc::route::GetRoute;

impl Remoting {
    /// Ends calls whose deadline passed and watches over silent connections; returns when it wants to be called next.
    pub(crate) fn tick(&self, now: Instant) -> Option<Instant> {
        let options = self.pool.options();
        let mut next = None::<Instant>;
        for connection in self.pool.all() {
            if let Some(at) = connection.expire(now) {
                next = Some(next.map_or(at, |next| next.min(at)));
            }
            if !connection.is_gone() && connection.is_doubtful(options.silence_limit, now) {
                self.probe(&connection);
            }
        }
        self.pool.tidy();
        #[cfg(feature = "acl")]
        if let Some(at) = options.signing.keys().and_then(|keys| keys.expire(now)) {
            next = Some(next.map_or(at, |next| next.min(at)));
        }
        next
    }

    /// Asks something that every server answers somehow; no answer in time ends the connection.
    fn probe(&self, connection: &Arc<Connection>) {
        if connection.probing.swap(true, Ordering::SeqCst) {
            return;
        }
        let deadline = Deadline::after(self.pool.options().probe_timeout);
        let probed = connection.clone();
        let judge = Box::new(move |result: Result<Frame>| {
            probed.probing.store(false, Ordering::SeqCst);
            probed.suspect.store(false, Ordering::Relaxed);
            // Anything received meanwhile shows that it is there: the probe waits behind other requests.
            let silent = probed.last_received() <= deadline.started();
            if silent && result.is_err_and(|error| error.is_timeout()) {
                probed.give_up();
            }
        });
        let request = GetRoute { standard_json: Some(true), topic: "TBW102".into() };
        log::debug!("{} is silent: asking whether it is still there", connection.addr);
        let call = Call { request: &request, body: &[], hold: None, deadline, patient: false };
        match self.hand_over(connection, call, Waiter::Callback(judge)) {
            Ok(_) => self.wake_owner(deadline),
            Err((waiter, error)) => waiter.complete(Err(error)),
        }
    }

    /// Returns the addresses with a connection that is open.
    pub(crate) fn connected(&self) -> Vec<Arc<str>> {
        self.addresses(Connection::is_open)
    }

    /// Returns the addresses to which a connection is being made.
    pub(crate) fn connecting(&self) -> Vec<Arc<str>> {
        self.addresses(Connection::is_opening)
    }

    fn addresses(&self, is_wanted: fn(&Connection) -> bool) -> Vec<Arc<str>> {
        let wanted = self.pool.all().into_iter().filter(|connection| is_wanted(connection));
        wanted.map(|connection| connection.addr.clone()).collect()
    }

    /// Returns how many calls wait for an answer, held ones included.
    #[cfg(any(test, feature = "embedded"))]
    pub(crate) fn waiting(&self) -> usize {
        self.pool.all().iter().map(|connection| connection.pending.len()).sum()
    }

    /// Ends what servers hold for `asker` with [`Error::Closed`]. Their answers count as late when they come.
    pub(crate) fn withdraw(&self, asker: Asker) {
        self.pool.all().iter().for_each(|connection| connection.withdraw_held(asker));
    }

    /// What was counted over all connections.
    pub(crate) fn counters(&self) -> &Counters {
        &self.pool.counters
    }

    /// How each connection is: those in use, and those that still finish something.
    pub(crate) fn stats(&self) -> Vec<ConnectionStats> {
        let mut all: Vec<_> = self.pool.all().iter().map(|connection| connection.stats()).collect();
        all.sort_by(|one, other| one.addr.cmp(&other.addr).then(other.age.cmp(&one.age)));
        all
    }

    /// Closes connections to addresses that are not wanted any more, once nothing is in flight on them.
    pub(crate) fn retain(&self, keep: impl Fn(&str) -> bool) {
        self.pool.retain(keep);
    }

    /// Drains, closes and joins all connections, giving them until `deadline` to write what they have and blocked callers to
    /// get their answers; then fails what still waits with `Closed`. Later calls fail with `Closed`.
    pub(crate) fn close(&self, deadline: Instant) {
        #[cfg(feature = "acl")]
        if let Some(keys) = self.pool.options().signing.keys() {
            keys.close();
        }
        self.pool.close(deadline);
    }
}
