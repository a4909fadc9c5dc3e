//! The connections of a client by address: made at first use, replaced when broken, joined when closed.

use std::collections::HashMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError, Weak};
use std::time::Instant;

use super::connection::Connection;
use super::ending::Loss;
use super::liveness::back_off;
use super::stats::Counters;
use super::sync::{Mutex, MutexGuard, Spawned};
use super::{Deadline, Owner, RemotingOptions, Resolve};
use crate::error::{Error, Outcome, Result};

/// A connection and the threads to join when it ends. The threads hold the connection, never this.
#[derive(Debug)]
struct Entry {
    connection: Arc<Connection>,
    threads: Vec<Spawned>,
    /// How often in a row nothing was received from this address.
    failures: u32,
    /// From 0 to 1: where in its range the pause before the next connection lies. Drawn once, so that many callers do not
    /// get the shortest of their draws.
    jitter: f64,
}

#[derive(Debug, Default)]
struct Entries {
    current: HashMap<Arc<str>, Entry>,
    /// Connections that were replaced: some are gone, some still finish what is in flight.
    former: Vec<Entry>,
    /// Nothing new is made any more.
    closed: bool,
}

pub(super) struct Pool {
    options: Arc<RemotingOptions>,
    resolver: Arc<dyn Resolve>,
    owner: Weak<dyn Owner>,
    pub(super) counters: Arc<Counters>,
    entries: Mutex<Entries>,
}

impl Pool {
    pub(super) fn new(options: RemotingOptions, resolver: Arc<dyn Resolve>, owner: Weak<dyn Owner>) -> Pool {
        let (counters, entries) = (Arc::default(), Mutex::default());
        Pool { options: Arc::new(options), resolver, owner, counters, entries }
    }

    pub(super) fn options(&self) -> &RemotingOptions {
        &self.options
    }

    pub(super) fn owner(&self) -> Option<Arc<dyn Owner>> {
        self.owner.upgrade()
    }

    fn entries(&self) -> MutexGuard<'_, Entries> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the connection to `addr`, which may still be connecting.
    ///
    /// A broken one is replaced. When the pause before that reaches beyond the deadline, the error is the last one's.
    pub(super) fn connection(&self, addr: &Arc<str>, deadline: Deadline) -> Result<Arc<Connection>> {
        let mut entries = self.entries();
        if entries.closed {
            return Err(Error::Closed { outcome: Outcome::NotSent });
        }
        let (mut failures, mut not_before, mut learned) = (0, Instant::now(), None);
        if let Some(entry) = entries.current.get(addr) {
            let refusal = entry.connection.refusal();
            learned = entry.connection.learned();
            let leaving = entry.connection.leaving.load(Ordering::Relaxed);
            match refusal {
                None if !leaving => return Ok(entry.connection.clone()),
                Some(refusal) if !entry.connection.has_received() => {
                    failures = entry.failures.saturating_add(1);
                    // From the loss on, not from now: a caller with less time than the pause must not begin it anew.
                    not_before = not_before.max(entry.connection.lost_at() + back_off(failures, entry.jitter));
                    if not_before >= deadline.at() {
                        return Err(refusal);
                    }
                }
                _ => {}
            }
        }
        let most = self.options.connection_limit;
        if entries.current.len() >= most && !entries.current.contains_key(addr) {
            self.counters.received.connections_refused.one();
            return Err(Error::Busy { what: format!("{most} connections, and another one to {addr}").into() });
        }
        let connection = Arc::new(Connection::new(
            addr.clone(),
            self.options.clone(),
            self.owner.clone(),
            self.resolver.clone(),
            self.counters.clone(),
        ));
        connection.door.learn(learned);
        let mut entry =
            Entry { connection: connection.clone(), threads: Vec::new(), failures, jitter: fastrand::f64() };
        if let Err(error) = launch(&mut entry, not_before) {
            entry.connection.lose(Loss::NotConnected(error.clone()));
            // Joined when it has ended: a reader may be connecting, for which nobody is to wait here.
            entries.former.push(entry);
            drop(entries);
            self.tidy();
            return Err(error);
        }
        if let Some(former) = entries.current.insert(addr.clone(), entry) {
            entries.former.push(former);
            self.counters.received.replaced.one();
        }
        Ok(connection)
    }

    #[cfg(test)]
    pub(super) fn failures(&self, addr: &str) -> u32 {
        self.entries().current.get(addr).map_or(0, |entry| entry.failures)
    }

    /// Returns all connections, former ones included.
    pub(super) fn all(&self) -> Vec<Arc<Connection>> {
        let entries = self.entries();
        entries.current.values().chain(&entries.former).map(|entry| entry.connection.clone()).collect()
    }

    /// Drops former connections that have nothing in flight, and joins the threads of those that are gone.
    pub(super) fn tidy(&self) {
        let mut entries = self.entries();
        let (gone, former): (Vec<_>, Vec<_>) =
            entries.former.drain(..).partition(|entry| entry.threads.iter().all(Spawned::has_ended));
        let left: Vec<_> = former.iter().map(|entry| entry.connection.clone()).collect();
        entries.former = former;
        drop(entries);
        // Not one that is still connecting: draining it would end a call that has just begun there.
        let is_unused = |connection: &&Arc<Connection>| connection.is_open() && connection.pending.len() == 0;
        left.iter().filter(is_unused).for_each(|connection| connection.drain());
        gone.into_iter().flat_map(|entry| entry.threads).for_each(Spawned::join);
    }

    /// Retires connections to addresses that are not wanted any more.
    pub(super) fn retain(&self, keep: impl Fn(&str) -> bool) {
        let mut entries = self.entries();
        let unwanted: Vec<Arc<str>> = entries.current.keys().filter(|addr| !keep(addr)).cloned().collect();
        for addr in unwanted {
            log::info!("{addr} is in no route any more");
            let former = entries.current.remove(&addr);
            entries.former.extend(former);
        }
    }

    /// Drains, ends and joins everything.
    pub(super) fn close(&self, deadline: Instant) {
        let mut entries = self.entries();
        entries.closed = true;
        let mut all: Vec<Entry> = entries.former.drain(..).collect();
        all.extend(entries.current.drain().map(|(_, entry)| entry));
        drop(entries);
        for entry in &all {
            entry.connection.drain();
            // Whoever wanted to wait for these has: what is left is not worth the grace period of blocked callers.
            entry.connection.end_callbacks();
        }
        for entry in &all {
            // The writer ends the connection when everything is written and answered; after the deadline it is ended as it
            // stands.
            entry.threads.iter().for_each(|thread| {
                thread.wait_until(deadline);
            });
            entry.connection.lose(Loss::Closed);
        }
        all.into_iter().flat_map(|entry| entry.threads).for_each(Spawned::join);
    }
}

/// Starts the threads of a connection; on an error some of them run.
fn launch(entry: &mut Entry, not_before: Instant) -> Result<()> {
    let (reading, writing) = (entry.connection.clone(), entry.connection.clone());
    let addr = &entry.connection.addr;
    entry.threads.push(Spawned::spawn(format!("mq-read {addr}"), move || reading.run_reader(not_before))?);
    entry.threads.push(Spawned::spawn(format!("mq-write {addr}"), move || writing.run_writer())?);
    Ok(())
}
