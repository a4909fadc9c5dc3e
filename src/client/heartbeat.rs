//! Telling the brokers which groups live here, and that they left.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use super::core::Core;
use crate::error::Result;
use crate::protocol::json;
use crate::protocol::request::Answer;
use crate::protocol::rpc::heartbeat::{Heartbeat, UnregisterClient};
use crate::remoting::Deadline;

/// What the answers said.
#[derive(Debug, Default)]
pub(super) struct Heartbeats {
    /// One is about to be sent to all; more wishes until then are the same one.
    due: AtomicBool,
    brokers: Mutex<Brokers>,
}

#[derive(Debug, Default)]
struct Brokers {
    versions: HashMap<Arc<str>, i32>,
    /// So that trouble is logged when it starts and when it ends.
    failing: HashSet<Arc<str>>,
}

impl Heartbeats {
    pub(super) fn is_failing(&self, addr: &str) -> bool {
        self.lock().failing.contains(addr)
    }

    #[allow(dead_code, reason = "see `Core::broker_version`")]
    pub(super) fn version(&self, addr: &str) -> Option<i32> {
        self.lock().versions.get(addr).copied()
    }

    /// Forgets brokers that are in no route any more.
    fn retain(&self, known: &HashSet<Arc<str>>) {
        let mut brokers = self.lock();
        brokers.versions.retain(|addr, _| known.contains(addr));
        brokers.failing.retain(|addr| known.contains(addr));
    }

    pub(super) fn answered(&self, addr: &Arc<str>, answer: Result<Answer<Heartbeat>>) {
        let mut brokers = self.lock();
        let changed = match &answer {
            Ok(answer) => {
                brokers.versions.insert(addr.clone(), answer.frame.version);
                brokers.failing.remove(addr)
            }
            Err(_) => brokers.failing.insert(addr.clone()),
        };
        drop(brokers);
        match answer {
            Ok(_) if changed => log::info!("broker {addr} answers heartbeats again"),
            Err(error) if changed => log::warn!("heartbeat to broker {addr}: {error}"),
            _ => {}
        }
    }

    fn lock(&self) -> MutexGuard<'_, Brokers> {
        self.brokers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Sends a heartbeat to all brokers as soon as the scheduler gets to it.
pub(super) fn soon(core: &Arc<Core>) {
    if !core.heartbeats().due.swap(true, Ordering::AcqRel) {
        let to = core.clone();
        core.timers().at(Instant::now(), move || {
            to.heartbeats().due.store(false, Ordering::Release);
            send(&to, None);
        });
    }
}

/// Sends one to the broker at `addr`, when it is a broker: a new connection means the broker forgot the groups.
pub(super) fn soon_to(core: &Arc<Core>, addr: &Arc<str>) {
    if !core.name_servers().contains(addr) {
        let (to, addr) = (core.clone(), addr.clone());
        core.timers().at(Instant::now(), move || send(&to, Some(&addr)));
    }
}

/// Sends one to the broker at `addr` and waits until it has taken note of the groups.
pub(super) fn now(core: &Arc<Core>, addr: &Arc<str>, deadline: Deadline) -> Result<()> {
    let Some(body) = core.heartbeat_body() else { return Ok(()) };
    core.remoting().call(addr, &Heartbeat, &json::encode(&body), deadline).map(drop)
}

/// Drops connections to brokers that are in no route any more, then sends a heartbeat to the rest.
pub(super) fn round(core: &Arc<Core>) {
    let mut known: HashSet<Arc<str>> = core.routes().addresses().into_iter().map(|(_, _, addr)| addr).collect();
    known.extend(core.routes().vip_addresses());
    core.remoting().retain(|addr| known.contains(addr) || core.name_servers().contains(addr));
    core.heartbeats().retain(&known);
    core.introductions().retain(&known);
    send(core, None);
}

/// Sends to all masters, and to slaves too when a consumer lives here; in parallel and without waiting.
///
/// Always at the advertised port, as Java does: what brokers send by themselves comes over that connection.
fn send(core: &Arc<Core>, only: Option<&Arc<str>>) {
    if core.check_open().is_err() {
        return;
    }
    let Some(body) = core.heartbeat_body() else { return };
    let slaves = !body.consumer_data_set.is_empty();
    let body = json::encode(&body);
    for (_, id, addr) in core.routes().addresses() {
        if (id == 0 || slaves) && only.is_none_or(|only| *only == addr) {
            let deadline = Deadline::after(core.options().request_timeout);
            let (to, broker) = (core.clone(), addr.clone());
            core.remoting().submit(&addr, &Heartbeat, &body, deadline, move |answer| {
                to.heartbeats().answered(&broker, answer);
            });
        }
    }
}

/// Tells all brokers in parallel that groups left, and waits for the answers until `deadline`.
///
/// Brokers without a connection need not be told: they forget the groups of a connection with it.
pub(super) fn unregister(core: &Arc<Core>, groups: &[UnregisterClient], deadline: Deadline) {
    let connected: HashSet<Arc<str>> = core.remoting().connected().into_iter().collect();
    // Nothing is ever sent: the channel disconnects when the last answer has come.
    let (waiting, all_answered) = crossbeam_channel::bounded::<()>(0);
    for (_, _, addr) in core.routes().addresses() {
        if connected.contains(&addr) {
            for group in groups {
                let (waiting, broker) = (waiting.clone(), addr.clone());
                core.remoting().submit(&addr, group, &[], deadline, move |answer| {
                    if let Err(error) = answer {
                        log::debug!("unregistering at {broker}: {error}");
                    }
                    drop(waiting);
                });
            }
        }
    }
    drop(waiting);
    if let Err(crossbeam_channel::RecvTimeoutError::Timeout) = all_answered.recv_deadline(deadline.at()) {
        log::debug!("not every broker answered that the groups left; they will find out");
    }
}
