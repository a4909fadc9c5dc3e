//! What the scheduler, engines and handles of one client share.

use std::fmt;
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};
use std::time::Instant;

use super::callbacks::Callbacks;
use super::close::Lifecycle;
use super::groups::Groups;
use super::heartbeat::Heartbeats;
use super::identity;
use super::introduce::Introductions;
use super::name_server::NameServers;
use super::options::ClientOptions;
#[cfg(feature = "acl")]
use super::renewal::Renewal;
use super::replies::Replies;
use super::resolver::Resolver;
use super::routes::Routes;
use super::scheduler;
use super::timers::Timers;
use crate::error::{Error, Outcome, Result};
use crate::message::UniqueIds;
#[cfg(feature = "acl")]
use crate::remoting::Signing;
use crate::remoting::{Deadline, Owner, Remoting, Resolve};

/// The shared half of a client. Threads hold it; the handle, which closes, holds it too, never the other way round.
pub(crate) struct Core {
    me: Weak<Core>,
    client_id: Arc<str>,
    options: ClientOptions,
    unique_ids: UniqueIds,
    remoting: Remoting,
    name_servers: NameServers,
    resolver: Arc<Resolver>,
    #[cfg(feature = "acl")]
    renewal: Option<Renewal>,
    routes: Routes,
    timers: Timers,
    groups: Groups,
    heartbeats: Heartbeats,
    introductions: Introductions,
    replies: Replies,
    callbacks: OnceLock<Callbacks>,
    /// Locked while the callback threads start or stop; `true` once they may not start any more.
    callbacks_over: Mutex<bool>,
    lifecycle: Lifecycle,
}

impl Core {
    /// Starts the scheduler and nothing else: connections are made when they are first used.
    pub(super) fn start(client_id: Arc<str>, options: ClientOptions) -> Result<Arc<Core>> {
        #[cfg(feature = "tls")]
        if options.remoting.tls.as_ref().is_some_and(crate::remoting::TlsOptions::trusts_anybody) {
            log::warn!(
                "client {client_id} accepts any server's certificate: encrypted, but not safe from whoever redirects it"
            );
        }
        let resolver = Arc::new(Resolver::new());
        let core = Arc::new_cyclic(|me: &Weak<Core>| {
            let owner: Weak<dyn Owner> = me.clone();
            let resolve: Arc<dyn Resolve> = resolver.clone();
            Core {
                me: me.clone(),
                unique_ids: UniqueIds::new(options.client_ip),
                remoting: Remoting::new(options.remoting.clone(), resolve, owner),
                name_servers: NameServers::new(options.name_servers.clone(), fastrand::usize(..)),
                resolver,
                #[cfg(feature = "acl")]
                renewal: renewal(&options),
                routes: Routes::default(),
                timers: Timers::new(Instant::now() + options.scan_interval),
                groups: Groups::default(),
                heartbeats: Heartbeats::default(),
                introductions: Introductions::default(),
                replies: Replies::default(),
                callbacks: OnceLock::new(),
                callbacks_over: Mutex::new(false),
                lifecycle: Lifecycle::default(),
                client_id,
                options,
            }
        });
        core.lifecycle.runs_on(scheduler::start(&core)?);
        Ok(core)
    }

    pub(crate) fn remoting(&self) -> &Remoting {
        &self.remoting
    }

    pub(crate) fn client_id(&self) -> &Arc<str> {
        &self.client_id
    }

    /// What the client is called in what outlives it: without a name of its own it counts as `DEFAULT`, as in Java.
    pub(crate) fn lasting_id(&self) -> Arc<str> {
        let ClientOptions { client_ip, unit_name, has_own_name, .. } = &self.options;
        match has_own_name {
            true => self.client_id.clone(),
            false => identity::client_id(*client_ip, "DEFAULT", unit_name.as_deref()),
        }
    }

    pub(crate) fn options(&self) -> &ClientOptions {
        &self.options
    }

    pub(crate) fn unique_ids(&self) -> &UniqueIds {
        &self.unique_ids
    }

    /// Fails once closing began: no new work is taken. What is under way may still use the connections.
    pub(crate) fn check_open(&self) -> Result<()> {
        if self.lifecycle.is_closing() { Err(Error::Closed { outcome: Outcome::NotSent }) } else { Ok(()) }
    }

    /// When the closing that is under way wants its members to be closed; `None` while the client is open.
    pub(crate) fn close_deadline(&self) -> Option<Deadline> {
        self.lifecycle.deadline()
    }

    /// Takes over threads that are about to end, and that nobody else can join.
    pub(crate) fn inherit(&self, threads: Vec<crate::thread::Thread>) {
        self.lifecycle.inherit(threads);
    }

    pub(crate) fn routes(&self) -> &Routes {
        &self.routes
    }

    pub(crate) fn timers(&self) -> &Timers {
        &self.timers
    }

    pub(crate) fn groups(&self) -> &Groups {
        &self.groups
    }

    /// The requests that wait for a reply.
    pub(crate) fn replies(&self) -> &Replies {
        &self.replies
    }

    /// The callback threads, which are started at first use.
    pub(crate) fn callbacks(&self) -> Result<&Callbacks> {
        if let Some(callbacks) = self.callbacks.get() {
            return Ok(callbacks);
        }
        let over = self.callbacks_over.lock().unwrap_or_else(PoisonError::into_inner);
        if *over {
            return Err(Error::Closed { outcome: Outcome::NotSent });
        }
        if self.callbacks.get().is_none() {
            let started = Callbacks::start(self.options.callback_threads, self.options.callback_queue)?;
            // The lock makes this the only place that sets it.
            let _ = self.callbacks.set(started);
        }
        drop(over);
        self.callbacks.get().ok_or(Error::Closed { outcome: Outcome::NotSent })
    }

    /// The version a broker reported in its answer to a heartbeat.
    #[allow(dead_code, reason = "part of the interface for what only newer brokers can do")]
    pub(crate) fn broker_version(&self, addr: &str) -> Option<i32> {
        self.heartbeats.version(addr)
    }

    pub(super) fn started_callbacks(&self) -> Option<&Callbacks> {
        self.callbacks.get()
    }

    /// Lets no callback thread start any more, and returns those that run.
    pub(super) fn end_callbacks(&self) -> Option<&Callbacks> {
        *self.callbacks_over.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.callbacks.get()
    }

    /// `None` when the last handle is gone already.
    pub(super) fn me(&self) -> Option<Arc<Core>> {
        self.me.upgrade()
    }

    pub(super) fn name_servers(&self) -> &NameServers {
        &self.name_servers
    }

    /// The name servers that are known, the one that is asked next first.
    pub(crate) fn name_server_addresses(&self) -> Vec<Arc<str>> {
        self.name_servers.in_order().into_iter().collect()
    }

    pub(super) fn resolver(&self) -> &Resolver {
        &self.resolver
    }

    /// Asks for credentials soon, when they are renewed at all.
    pub(super) fn renew_keys(&self) {
        #[cfg(feature = "acl")]
        if let (Some(renewal), Some(core)) = (&self.renewal, self.me()) {
            renewal.wanted(&core);
        }
    }

    /// The periodic renewal, of a client that is used.
    pub(super) fn renew_used_keys(&self) {
        #[cfg(feature = "acl")]
        if self.renewal.as_ref().is_some_and(Renewal::is_used) {
            self.renew_keys();
        }
    }

    #[cfg(feature = "acl")]
    pub(super) fn ask_provider(&self) {
        if let (Some(renewal), Some(core)) = (&self.renewal, self.me()) {
            renewal.begin(&core);
        }
    }

    #[cfg(feature = "acl")]
    pub(super) fn take_credentials(&self) {
        self.renewal.iter().for_each(Renewal::ask);
    }

    /// Ends the thread on which credentials are asked for; says whether it ended.
    pub(super) fn end_renewal(&self) -> bool {
        #[cfg(feature = "acl")]
        let ended = self.renewal.as_ref().is_none_or(Renewal::close);
        #[cfg(not(feature = "acl"))]
        let ended = true;
        ended
    }

    pub(super) fn introductions(&self) -> &Introductions {
        &self.introductions
    }

    pub(super) fn heartbeats(&self) -> &Heartbeats {
        &self.heartbeats
    }

    pub(super) fn lifecycle(&self) -> &Lifecycle {
        &self.lifecycle
    }
}

#[cfg(feature = "acl")]
fn renewal(options: &ClientOptions) -> Option<Renewal> {
    let Signing::Renewed(keys) = &options.remoting.signing else { return None };
    options.credentials_provider.clone().map(|provider| Renewal::new(provider, keys.clone()))
}

impl fmt::Debug for Core {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Core").field("client_id", &self.client_id).finish_non_exhaustive()
    }
}
