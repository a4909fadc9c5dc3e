//! Telling the brokers which groups live here, and that they left.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use super::core::Core;
use super::groups::Named;
use crate::error;
use crate::protocol::json;
use crate::protocol::request::Answer;
use crate::protocol::rpc::heartbeat::{Heartbeat, UnregisterClient};
use crate::remoting::Deadline;

/// What the answers said.
#[derive(Default)]
pub(super) struct Heartbeats {
    /// One is about to be sent to all; more wishes until then are the same one.
    due: AtomicBool,
    brokers: Mutex<Brokers>,
}

/// What is to follow.
type Then = Box<dyn FnOnce() + Send>;

#[derive(Default)]
struct Brokers {
    versions: HashMap<Arc<str>, i32>,
    /// So that trouble is logged when it starts and when it ends.
    failing: HashSet<Arc<str>>,
    /// These have taken note of all groups since the last connection to them was made.
    greeted: HashSet<Arc<str>>,
    /// Who waits until these have.
    greeting: HashMap<Arc<str>, Vec<Then>>,
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
        brokers.greeted.retain(|addr| known.contains(addr));
    }

    fn is_greeted(&self, addr: &str) -> bool {
        self.lock().greeted.contains(addr)
    }

    /// The connection is lost, or a new one was made: brokers forget clients with their connections.
    pub(super) fn forget(&self, addr: &str) {
        self.lock().greeted.remove(addr);
    }

    /// A group has joined that no broker knows.
    pub(super) fn forget_all(&self) {
        self.lock().greeted.clear();
    }

    /// Takes `then` if the broker is to be greeted first; true in `Err` when nobody greets it yet.
    fn await_greeting(&self, addr: &Arc<str>, then: Then) -> Result<Then, bool> {
        let mut brokers = self.lock();
        if brokers.greeted.contains(addr) {
            return Ok(then);
        }
        let waiting = brokers.greeting.entry(addr.clone()).or_default();
        waiting.push(then);
        Err(waiting.len() == 1)
    }

    fn greeted(&self, addr: &Arc<str>, well: bool) {
        let mut brokers = self.lock();
        if well {
            brokers.greeted.insert(addr.clone());
        }
        let waiting = brokers.greeting.remove(addr);
        drop(brokers);
        waiting.into_iter().flatten().for_each(|then| then());
    }

    pub(super) fn answered(&self, addr: &Arc<str>, answer: error::Result<Answer<Heartbeat>>) {
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

/// The connection to a broker was lost.
pub(crate) fn lost(core: &Core, addr: &str) {
    core.heartbeats().forget(addr);
}

/// Calls `then` once the broker at `addr` knows the groups that live here: at once, unless there is a new connection to it. When it
/// does not answer, `then` is called all the same, and finds out. It must only forward.
pub(crate) fn before(core: &Arc<Core>, addr: &Arc<str>, deadline: Deadline, then: impl FnOnce() + Send + 'static) {
    if core.heartbeats().is_greeted(addr) {
        return then();
    }
    match core.heartbeats().await_greeting(addr, Box::new(then)) {
        Ok(then) => then(),
        Err(false) => {}
        Err(true) => {
            let Some(roll) = Roll::call(core) else { return core.heartbeats().greeted(addr, false) };
            let deadline = deadline.sooner(Deadline::after(core.options().request_timeout).at());
            let (to, broker) = (core.clone(), addr.clone());
            roll.send(core, addr, deadline, move |well| to.heartbeats().greeted(&broker, well));
        }
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
pub(super) fn now(core: &Arc<Core>, addr: &Arc<str>, deadline: Deadline) -> error::Result<()> {
    let Some(roll) = Roll::call(core) else { return Ok(()) };
    let answer = core.remoting().call(addr, &Heartbeat, &roll.body, deadline);
    roll.correct(core, addr);
    answer.map(drop)
}

/// The groups that live here, as a heartbeat says it.
pub(super) struct Roll {
    members: Vec<Named>,
    body: Vec<u8>,
    has_consumers: bool,
}

impl Roll {
    /// `None` when no group lives here.
    pub(super) fn call(core: &Core) -> Option<Roll> {
        let (body, members) = core.heartbeat_body()?;
        Some(Roll { members, has_consumers: !body.consumer_data_set.is_empty(), body: json::encode(&body) })
    }

    /// Sends it to the broker at `addr`, without waiting; `done` learns whether that went well. It must only forward.
    pub(super) fn send(
        &self,
        core: &Arc<Core>,
        addr: &Arc<str>,
        deadline: Deadline,
        done: impl FnOnce(bool) + Send + 'static,
    ) {
        let (to, broker) = (core.clone(), addr.clone());
        core.remoting().submit(addr, &Heartbeat, &self.body, deadline, move |answer| {
            let well = answer.is_ok();
            to.heartbeats().answered(&broker, answer);
            done(well);
        });
        self.correct(core, addr);
    }

    /// Tells a broker that was sent it once more of groups that have left since. They may have said so before it, over the same
    /// connection, and the broker would count them as members again, with a share of the queues, until they had been silent for two
    /// minutes. (Java holds a lock while it waits for the answers to either, `lockHeartbeat`, and says no farewell when it does not
    /// get it within three seconds.)
    fn correct(&self, core: &Arc<Core>, addr: &Arc<str>) {
        let gone = core.groups().gone(&self.members, core.client_id());
        for group in &gone {
            let to = core.clone();
            let deadline = Deadline::after(core.options().request_timeout);
            core.remoting().submit(addr, group, &[], deadline, move |_| to.groups().heard());
        }
        if !gone.is_empty() {
            // One of that name may have joined in this moment.
            soon(core);
        }
    }
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
    let Some(roll) = Roll::call(core) else { return };
    for (_, id, addr) in core.routes().addresses() {
        if (id == 0 || roll.has_consumers) && only.is_none_or(|only| *only == addr) {
            roll.send(core, &addr, Deadline::after(core.options().request_timeout), |_| {});
        }
    }
}

/// Tells all brokers in parallel that groups left, and waits for the answers until `deadline`.
///
/// Brokers without a connection need not be told: they forget the groups of a connection with it. Those to which one is being
/// made are told, because a heartbeat may wait for it, but not waited for.
pub(super) fn unregister(core: &Arc<Core>, groups: &[UnregisterClient], deadline: Deadline) {
    let connecting: HashSet<Arc<str>> = core.remoting().connecting().into_iter().collect();
    // Looked at last: one that opens in between is in both.
    let connected: HashSet<Arc<str>> = core.remoting().connected().into_iter().collect();
    // Nothing is ever sent: the channel disconnects when the last answer has come.
    let (waiting, all_answered) = crossbeam_channel::bounded::<()>(0);
    for (_, _, addr) in core.routes().addresses() {
        let is_connected = connected.contains(&addr);
        if is_connected || connecting.contains(&addr) {
            // A heartbeat that waits does so no longer than this.
            let deadline = if is_connected { deadline } else { Deadline::after(core.options().request_timeout) };
            for group in groups {
                let (waiting, broker) = (is_connected.then(|| waiting.clone()), addr.clone());
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
