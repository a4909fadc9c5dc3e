//! Making brokers know this client before something comes back through them.
//!
//! A reply goes to whichever broker of the cluster the replier's send reaches, and only a broker that has seen this client's
//! heartbeat can pass it on. So all of them are told before the first request, and again after a connection was replaced.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use super::core::Core;
use super::heartbeat::Roll;
use super::route::Route;
use crate::message::REPLY_TOPIC_SUFFIX;
use crate::protocol::rpc::heartbeat::UnregisterClient;
use crate::remoting::Deadline;
use crate::sorted::SortedSet;

/// The part of the time left that a request spends on brokers that do not answer: they will hardly carry its reply.
const SHARE: u32 = 3;

/// Tells all masters that may carry a reply to a message of `route` that `group` lives here, unless they know. Then `done` is
/// called, on a thread that must not be blocked, at the latest when a third of the time until `deadline` is over.
pub(crate) fn introduce(
    core: &Arc<Core>,
    group: &Arc<str>,
    route: &Route,
    template: (&Arc<str>, i32),
    deadline: Deadline,
    done: impl FnOnce() + Send + 'static,
) {
    let now = Instant::now();
    let until = deadline.sooner(now + deadline.left(now) / SHARE);
    let clusters: SortedSet<&Arc<str>> = route.brokers().filter_map(|(name, _)| route.cluster_of(name)).collect();
    let masters = Arc::new(Mutex::new(masters_of(route)));
    let (to, group, found) = (core.clone(), group.clone(), masters.clone());
    let last = Last::new(move || {
        let masters = std::mem::take(&mut *found.lock().unwrap_or_else(PoisonError::into_inner));
        tell(&to, &group, masters, until, done);
    });
    for cluster in clusters {
        let topic: Arc<str> = format!("{cluster}{REPLY_TOPIC_SUFFIX}").into();
        let (last, masters) = (last.clone(), masters.clone());
        // The route a replier goes by: that of a topic which is about to be created included.
        core.routes().publish_async(core, &topic, template.0, template.1, until, move |route| {
            match route {
                Ok(route) => masters.lock().unwrap_or_else(PoisonError::into_inner).extend(masters_of(&route)),
                Err(error) => log::debug!("the brokers that carry replies are not known: {error}"),
            }
            drop(last);
        });
    }
}

fn masters_of(route: &Route) -> SortedSet<Arc<str>> {
    // At the advertised address, where heartbeats go: the way to a client leads over one connection.
    route.brokers().filter_map(|(_, addrs)| addrs.get(&0).cloned()).collect()
}

fn tell(
    core: &Arc<Core>,
    group: &Arc<str>,
    masters: SortedSet<Arc<str>>,
    until: Deadline,
    done: impl FnOnce() + Send + 'static,
) {
    let left = core.groups().left();
    let connected: SortedSet<Arc<str>> = core.remoting().connected().into_iter().collect();
    let knows = |addr: &Arc<str>| connected.contains(addr) && core.introductions().is_made(addr, left);
    let (know, others): (Vec<_>, Vec<_>) = masters.into_iter().partition(knows);
    let last = Last::new(done);
    for addr in others {
        // Heartbeats go on to brokers that did not answer the last one; as long as others know, nobody waits for them.
        if !know.is_empty() && core.heartbeats().is_failing(&addr) {
            continue;
        }
        if core.introductions().join(&addr, left, last.clone()) {
            Introduction { core: core.clone(), addr, left, until }.make(group);
        }
    }
}

/// Which brokers have been told, and which are being told.
#[derive(Default)]
pub(super) struct Introductions {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// For each address with the number of groups that had left before.
    made: HashMap<Arc<str>, u64>,
    /// Who waits for those under way: requests that begin together share one.
    under_way: HashMap<(Arc<str>, u64), Vec<Arc<Last>>>,
}

impl Introductions {
    /// There is a new connection to a broker: it forgets a client with its old one.
    pub(super) fn forget(&self, addr: &str) {
        self.lock().made.remove(addr);
    }

    /// Forgets brokers that are in no route any more.
    pub(super) fn retain(&self, known: &HashSet<Arc<str>>) {
        self.lock().made.retain(|addr, _| known.contains(addr));
    }

    fn is_made(&self, addr: &str, left: u64) -> bool {
        self.lock().made.get(addr) == Some(&left)
    }

    /// Waits for an introduction; true when it is for the caller to make.
    fn join(&self, addr: &Arc<str>, left: u64, last: Arc<Last>) -> bool {
        let mut state = self.lock();
        let waiting = state.under_way.entry((addr.clone(), left)).or_default();
        waiting.push(last);
        waiting.len() == 1
    }

    fn over(&self, addr: Arc<str>, left: u64, well: bool) {
        let mut state = self.lock();
        if well {
            state.made.insert(addr.clone(), left);
        }
        let waiting = state.under_way.remove(&(addr, left));
        drop(state);
        // Dropped outside the lock: the last ones go on with their requests.
        drop(waiting);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An introduction to one broker.
///
/// All brokers up to 5.5.0 keep the way to a client in a table of its own, lose it when any of the client's producers leaves or
/// an old connection of it is found dead after a new one was made, and do not mend that by a heartbeat of a group they know. So
/// the group leaves, which does nothing where it is unknown, and comes back.
struct Introduction {
    core: Arc<Core>,
    addr: Arc<str>,
    left: u64,
    until: Deadline,
}

impl Introduction {
    fn make(self, group: &Arc<str>) {
        let client_id = self.core.client_id().clone();
        let request = UnregisterClient { client_id, consumer_group: None, producer_group: Some(group.clone()) };
        let (core, addr, until) = (self.core.clone(), self.addr.clone(), self.until);
        core.remoting().submit(&addr, &request, &[], until, move |_| self.greet());
    }

    fn greet(self) {
        let Introduction { core, addr, left, until } = self;
        let Some(roll) = Roll::call(&core) else {
            return core.introductions().over(addr, left, false);
        };
        let (to, broker) = (core.clone(), addr.clone());
        roll.send(&core, &addr, until, move |well| to.introductions().over(broker, left, well));
    }
}

/// Does something when its last clone is dropped.
struct Last {
    then: Mutex<Option<Box<dyn FnOnce() + Send>>>,
}

impl Last {
    fn new(then: impl FnOnce() + Send + 'static) -> Arc<Last> {
        Arc::new(Last { then: Mutex::new(Some(Box::new(then))) })
    }
}

impl Drop for Last {
    fn drop(&mut self) {
        if let Some(then) = self.then.get_mut().unwrap_or_else(PoisonError::into_inner).take() {
            then();
        }
    }
}
