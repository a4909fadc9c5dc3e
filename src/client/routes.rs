//! The routes of all topics in use: cached, asked for once at a time, refreshed.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard, Weak};
use std::time::{Duration, Instant};

use super::core::Core;
use super::route::Route;
use super::route_entry::{Done, Entry, Found, Miss, Waiter};
use super::{heartbeat, namespace};
use crate::channel;
use crate::error::{Error, Result};
use crate::protocol::json;
use crate::protocol::request::Answer;
use crate::protocol::rpc::route::GetRoute;
use crate::remoting::Deadline;

/// A waiter with less time than this left does not make a request worth repeating.
const WORTH_ASKING: Duration = Duration::from_millis(5);

/// What is to be done with a route once it is there.
type Then = Box<dyn FnOnce(Result<Arc<Route>>) + Send>;

/// The cache.
#[derive(Default)]
pub(crate) struct Routes {
    table: RwLock<HashMap<Arc<str>, Entry>>,
    watchers: Mutex<Vec<Weak<dyn RouteWatcher>>>,
}

/// Wants to know when a route has become known or is another one now. It must only forward.
pub(crate) trait RouteWatcher: Send + Sync {
    fn routes_changed(&self);
}

impl Routes {
    /// Returns the cached route, else asks for it: one request is under way per topic, and all share its answer.
    /// [`Error::NoRoute`] when the name servers do not know the topic.
    pub(crate) fn get(&self, core: &Arc<Core>, topic: &Arc<str>, deadline: Deadline) -> Result<Arc<Route>> {
        match self.cached(topic) {
            Some(route) => Ok(route),
            None => self.wait(core, topic, deadline, false).map_err(|miss| miss.into_error(topic)),
        }
    }

    /// Asks, whatever is cached and whatever question is under way: the answer is never older than this call.
    pub(crate) fn refresh(&self, core: &Arc<Core>, topic: &Arc<str>, deadline: Deadline) -> Result<Arc<Route>> {
        self.wait(core, topic, deadline, true).map_err(|miss| miss.into_error(topic))
    }

    /// As [`refresh`](Routes::refresh), without waiting. `done` must only forward: it may run on a reader's thread.
    pub(crate) fn refresh_async(&self, core: &Arc<Core>, topic: &Arc<str>, deadline: Deadline, done: Then) {
        let named = topic.clone();
        self.ask(core, topic, deadline, Box::new(move |found| done(found.map_err(|miss| miss.into_error(&named)))));
    }

    /// Returns the route name servers answered last, without asking.
    pub(crate) fn cached(&self, topic: &str) -> Option<Arc<Route>> {
        self.used(topic, |entry| entry.route.clone())
    }

    /// Returns the route there is, for looking at it only: that does not count as using it.
    pub(crate) fn peek(&self, topic: &str) -> Option<Arc<Route>> {
        let table = self.table.read().unwrap_or_else(PoisonError::into_inner);
        table.get(topic).and_then(|entry| entry.route.clone().or_else(|| entry.made.clone()))
    }

    /// How many topics have a route.
    pub(super) fn count(&self) -> usize {
        let table = self.table.read().unwrap_or_else(PoisonError::into_inner);
        table.values().filter(|entry| entry.route.is_some() || entry.made.is_some()).count()
    }

    /// As [`get`](Routes::get), without waiting. `done` must only forward: it may run on a reader's thread.
    pub(crate) fn get_async(
        &self,
        core: &Arc<Core>,
        topic: &Arc<str>,
        deadline: Deadline,
        done: impl FnOnce(Result<Arc<Route>>) + Send + 'static,
    ) {
        match self.cached(topic) {
            Some(route) => done(Ok(route)),
            None => self.refresh_async(core, topic, deadline, Box::new(done)),
        }
    }

    /// Returns the route to publish by: the topic's own, or when name servers do not know it one made from the route of
    /// the `template` topic, with at most `default_queues` queues on each broker.
    pub(crate) fn publish(
        &self,
        core: &Arc<Core>,
        topic: &Arc<str>,
        template: &Arc<str>,
        default_queues: i32,
        deadline: Deadline,
    ) -> Result<Arc<Route>> {
        if let Some(route) = self.to_publish(topic) {
            return Ok(route);
        }
        match self.wait(core, topic, deadline, false) {
            Ok(route) => Ok(route),
            Err(Miss::Unknown(reason)) => {
                let base = self.get(core, template, deadline);
                self.make(core, topic, base, default_queues, reason)
            }
            Err(Miss::Failed(error)) => Err(error),
        }
    }

    /// As [`publish`](Routes::publish), without waiting. `done` must only forward.
    pub(crate) fn publish_async(
        &self,
        core: &Arc<Core>,
        topic: &Arc<str>,
        template: &Arc<str>,
        default_queues: i32,
        deadline: Deadline,
        done: impl FnOnce(Result<Arc<Route>>) + Send + 'static,
    ) {
        match self.to_publish(topic) {
            Some(route) => done(Ok(route)),
            None => self.ask_to_publish(core, topic, template, default_queues, deadline, Box::new(done)),
        }
    }

    fn ask_to_publish(
        &self,
        core: &Arc<Core>,
        topic: &Arc<str>,
        template: &Arc<str>,
        default_queues: i32,
        deadline: Deadline,
        done: Then,
    ) {
        let (core, topic, template) = (core.clone(), topic.clone(), template.clone());
        let (then, named) = (core.clone(), topic.clone());
        let publish = move |found| match found {
            Ok(route) => done(Ok(route)),
            Err(Miss::Unknown(reason)) => {
                let core = then.clone();
                core.routes().get_async(&core, &template, deadline, move |base| {
                    done(then.routes().make(&then, &named, base, default_queues, reason));
                });
            }
            Err(Miss::Failed(error)) => done(Err(error)),
        };
        core.routes().ask(&core, &topic, deadline, Box::new(publish));
    }

    /// Keeps a topic in the periodic refresh, even while name servers do not know it.
    pub(crate) fn watch(&self, topic: &Arc<str>) {
        self.write().entry(topic.clone()).or_default().watched = true;
    }

    /// Tells a watcher of every change, for as long as it lives.
    pub(crate) fn tell(&self, watcher: Weak<dyn RouteWatcher>) {
        self.watchers.lock().unwrap_or_else(PoisonError::into_inner).push(watcher);
    }

    pub(super) fn changed(&self) {
        let mut watchers = self.watchers.lock().unwrap_or_else(PoisonError::into_inner);
        watchers.retain(|watcher| watcher.strong_count() > 0);
        let told: Vec<_> = watchers.iter().filter_map(Weak::upgrade).collect();
        drop(watchers);
        told.iter().for_each(|watcher| watcher.routes_changed());
    }

    /// Name, id and address of every broker in any cached route.
    pub(crate) fn addresses(&self) -> Vec<(Arc<str>, i64, Arc<str>)> {
        let mut all = BTreeMap::new();
        for entry in self.read().values() {
            for (name, addrs) in entry.route.iter().flat_map(|route| route.brokers()) {
                all.extend(addrs.iter().map(|(id, addr)| ((name.clone(), *id, addr.clone()), ())));
            }
        }
        all.into_keys().collect()
    }

    /// Whether a broker in any known route has this address, its second one included.
    pub(crate) fn has_broker(&self, addr: &str) -> bool {
        let table = self.read();
        let mut known = table.values().flat_map(|entry| entry.route.iter().chain(&entry.made));
        known.any(|route| {
            let first = route.brokers().flat_map(|(_, addrs)| addrs.values());
            first.chain(route.vip_addresses()).any(|known| **known == *addr)
        })
    }

    /// Every further address at which brokers in cached routes are asked; see [`Route::vip_addresses`].
    pub(crate) fn vip_addresses(&self) -> Vec<Arc<str>> {
        let table = self.read();
        let known = table.values().flat_map(|entry| entry.route.iter().chain(&entry.made));
        known.flat_map(|route| route.vip_addresses().cloned()).collect()
    }

    /// Asks for all topics anew, and forgets those that are gone and not used any more. It does not wait.
    pub(super) fn refresh_all(&self, core: &Arc<Core>) {
        let mut topics = Vec::new();
        self.write().retain(|topic, entry| {
            entry.next_round();
            if !entry.is_empty() {
                topics.push(topic.clone());
            }
            !entry.is_empty()
        });
        for topic in topics {
            let deadline = Deadline::after(core.options().request_timeout);
            self.fly(core, &topic, Waiter::new(deadline, Box::new(|_| ())));
        }
    }

    /// Asks whether the brokers that a route has lost are back.
    fn look_for_lost(&self, core: &Arc<Core>, topic: &Arc<str>) {
        let is_kept = self.write().get_mut(topic).map(|entry| entry.lost.look()).is_some();
        if is_kept && core.check_open().is_ok() {
            let deadline = Deadline::after(core.options().request_timeout);
            self.fly(core, topic, Waiter::new(deadline, Box::new(|_| ())));
        }
    }

    fn to_publish(&self, topic: &str) -> Option<Arc<Route>> {
        self.used(topic, |entry| entry.route.clone().or_else(|| entry.made.clone()))
    }

    fn used(&self, topic: &str, pick: impl FnOnce(&Entry) -> Option<Arc<Route>>) -> Option<Arc<Route>> {
        let table = self.read();
        let entry = table.get(topic)?;
        // Looked at first: all senders of a topic read this, and a write would take the line from the others.
        if !entry.used.load(Ordering::Relaxed) {
            entry.used.store(true, Ordering::Relaxed);
        }
        pick(entry)
    }

    /// Asks and waits on the calling thread.
    fn wait(&self, core: &Arc<Core>, topic: &Arc<str>, deadline: Deadline, wants_newer: bool) -> Found {
        let (done, found) = channel::bounded(1);
        let mut waiter = Waiter::new(deadline, Box::new(move |found| drop(done.try_send(found))));
        waiter.wants_newer = wants_newer;
        self.fly(core, topic, waiter.clone());
        match found.recv_deadline(deadline.at()) {
            Ok(found) => found,
            Err(_) => waiter.missed(),
        }
    }

    /// Asks, and gives up at the deadline.
    fn ask(&self, core: &Arc<Core>, topic: &Arc<str>, deadline: Deadline, done: Done) {
        let waiter = Waiter::new(deadline, done);
        let expired = waiter.clone();
        self.fly(core, topic, waiter);
        core.timers().at(deadline.at(), move || expired.finish(expired.missed()));
    }

    /// Joins the request that is under way, or makes one.
    fn fly(&self, core: &Arc<Core>, topic: &Arc<str>, mut waiter: Waiter) {
        let deadline = waiter.deadline;
        let mut table = self.write();
        let entry = table.entry(topic.clone()).or_default();
        match &mut entry.flight {
            Some(waiters) => waiters.push(waiter),
            None => {
                waiter.wants_newer = false;
                entry.flight = Some(vec![waiter]);
                drop(table);
                launch(core, topic, deadline);
            }
        }
    }

    /// Takes what came back, and gives it to all who wait.
    fn land(&self, core: &Arc<Core>, topic: &Arc<str>, found: Found) {
        let now = Instant::now();
        let mut table = self.write();
        let Some(entry) = table.get_mut(topic) else { return };
        let timed_out = matches!(&found, Err(Miss::Failed(error)) if error.is_timeout());
        // When the one whose question it was ran out of time, others may have some left.
        let asks_again =
            |waiter: &Waiter| (timed_out || waiter.wants_newer) && waiter.deadline.left(now) > WORTH_ASKING;
        let waiters = entry.flight.take().unwrap_or_default();
        let (mut again, waiters): (Vec<_>, Vec<_>) = waiters.into_iter().partition(asks_again);
        again.iter_mut().for_each(|waiter| waiter.wants_newer = false);
        let latest = again.iter().map(|waiter| waiter.deadline).max_by_key(|deadline| deadline.at());
        if latest.is_some() {
            entry.flight = Some(again);
        }
        let (found, news) = entry.take_in(found);
        let look_after = entry.lost.look_after(now);
        if entry.is_empty() {
            table.remove(topic);
        }
        drop(table);
        news.report(core, topic);
        if let Some(pause) = look_after {
            let (shared, topic) = (core.clone(), topic.clone());
            core.timers().at(now + pause, move || shared.routes().look_for_lost(&shared, &topic));
        }
        if let Some(deadline) = latest {
            launch(core, topic, deadline);
        }
        for waiter in waiters {
            waiter.finish(found.clone());
        }
    }

    /// Makes the route of a topic that does not exist yet from that of the template, and keeps it.
    fn make(
        &self,
        core: &Arc<Core>,
        topic: &Arc<str>,
        base: Result<Arc<Route>>,
        default_queues: i32,
        reason: Arc<str>,
    ) -> Result<Arc<Route>> {
        let no_route = |more: &str| Error::NoRoute { topic: topic.clone(), reason: format!("{reason}{more}").into() };
        let made = match base {
            Ok(base) => base.as_template(topic, default_queues).map_err(|error| no_route(&format!("; {error}")))?,
            Err(Error::NoRoute { .. }) => return Err(no_route("; brokers do not create topics on first use either")),
            Err(error) => return Err(error),
        };
        let made = Arc::new(made);
        let mut table = self.write();
        let entry = table.entry(topic.clone()).or_default();
        let route = entry.route.clone().unwrap_or_else(|| entry.made.get_or_insert(made).clone());
        drop(table);
        heartbeat::soon(core);
        Ok(route)
    }

    fn read(&self) -> RwLockReadGuard<'_, HashMap<Arc<str>, Entry>> {
        self.table.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, HashMap<Arc<str>, Entry>> {
        self.table.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Routes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.read().keys()).finish()
    }
}

fn launch(core: &Arc<Core>, topic: &Arc<str>, deadline: Deadline) {
    if let Err(error) = namespace::check_topic(core.namespace(), topic) {
        return core.routes().land(core, topic, Err(Miss::Failed(error)));
    }
    let request = GetRoute { standard_json: Some(true), topic: topic.clone() };
    let (lander, topic) = (core.clone(), topic.clone());
    core.ask_name_server_async(request, deadline, move |answer| {
        let found = answer.and_then(|answer| read(&lander, &topic, &answer));
        let found = found.map(Arc::new).map_err(|error| Miss::from_error(&topic, error));
        lander.routes().land(&lander, &topic, found);
    });
}

fn read(core: &Core, topic: &Arc<str>, answer: &Answer<GetRoute>) -> Result<Route> {
    let body = json::decode("route", answer.frame.body())?;
    let options = core.options();
    let read = Route::read(topic, body, options.address_map.as_ref(), options.vip_channel, &options.limits);
    read.inspect_err(|error| core.note_limit(error))
}
