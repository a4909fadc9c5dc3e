//! Making brokers know this client before something comes back through them.
//!
//! A reply goes to whichever broker of the cluster the replier's send reaches, and only a broker that has seen this client's
//! heartbeat can pass it on. So all of them are told before the first request, and again after a connection was replaced.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use super::core::Core;
use super::groups::AsOf;
use super::route::Route;
use crate::message::REPLY_TOPIC_SUFFIX;
use crate::protocol::json;
use crate::protocol::rpc::heartbeat::{Heartbeat, UnregisterClient};
use crate::remoting::Deadline;

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
    let clusters: BTreeSet<&Arc<str>> = route.brokers().filter_map(|(name, _)| route.cluster_of(name)).collect();
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

fn masters_of(route: &Route) -> BTreeSet<Arc<str>> {
    route.brokers().filter_map(|(name, _)| route.master(name).cloned()).collect()
}

fn tell(
    core: &Arc<Core>,
    group: &Arc<str>,
    masters: BTreeSet<Arc<str>>,
    until: Deadline,
    done: impl FnOnce() + Send + 'static,
) {
    let Some((body, as_of)) = core.groups().heartbeat(core.client_id()) else { return done() };
    let connected: BTreeSet<Arc<str>> = core.remoting().connected().into_iter().collect();
    let told = |addr: &Arc<str>| core.heartbeats().told(addr).filter(|_| connected.contains(addr));
    let all: Vec<_> = masters.into_iter().map(|addr| (told(&addr), addr)).collect();
    let (know, others): (Vec<_>, Vec<_>) = all.into_iter().partition(|(told, _)| *told == Some(as_of));
    let last = Last::new(done);
    let body: Arc<[u8]> = json::encode(&body).into();
    for (told, addr) in others {
        // Heartbeats go on to brokers that did not answer the last one; as long as others know, nobody waits for them.
        if !know.is_empty() && core.heartbeats().is_failing(&addr) {
            continue;
        }
        if core.introductions().join((addr.clone(), as_of), last.clone()) {
            let greeting = Greeting { core: core.clone(), addr, body: body.clone(), as_of, until };
            match told {
                Some(told) if told.left != as_of.left => greeting.register_anew(group),
                _ => greeting.send(),
            }
        }
    }
}

/// The introductions under way, and who waits for each: requests that begin together share one.
#[derive(Default)]
pub(super) struct Introductions {
    under_way: Mutex<HashMap<(Arc<str>, AsOf), Vec<Arc<Last>>>>,
}

impl Introductions {
    /// Waits for an introduction; true when it is for the caller to make.
    fn join(&self, which: (Arc<str>, AsOf), last: Arc<Last>) -> bool {
        let mut under_way = self.under_way.lock().unwrap_or_else(PoisonError::into_inner);
        let waiting = under_way.entry(which).or_default();
        waiting.push(last);
        waiting.len() == 1
    }

    fn over(&self, which: &(Arc<str>, AsOf)) {
        // Dropped outside the lock: the last ones go on with their requests.
        let waiting = self.under_way.lock().unwrap_or_else(PoisonError::into_inner).remove(which);
        drop(waiting);
    }
}

/// A heartbeat on its way to one broker.
struct Greeting {
    core: Arc<Core>,
    addr: Arc<str>,
    body: Arc<[u8]>,
    as_of: AsOf,
    until: Deadline,
}

impl Greeting {
    fn send(self) {
        let Greeting { core, addr, body, as_of, until } = self;
        let (to, broker) = (core.clone(), addr.clone());
        core.remoting().submit(&addr, &Heartbeat, &body, until, move |answer| {
            to.heartbeats().answered(&broker, as_of, answer);
            to.introductions().over(&(broker, as_of));
        });
    }

    /// A broker (all versions up to 5.5.0) forgets the way to a client when any of its producers leaves, and takes a heartbeat for
    /// nothing new while it knows the group. So the group leaves too, and comes back.
    fn register_anew(self, group: &Arc<str>) {
        let request = UnregisterClient {
            client_id: self.core.client_id().clone(),
            consumer_group: None,
            producer_group: Some(group.clone()),
        };
        let (core, addr, until) = (self.core.clone(), self.addr.clone(), self.until);
        core.remoting().submit(&addr, &request, &[], until, move |_| self.send());
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
