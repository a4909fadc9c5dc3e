//! What producers, consumers and administration share: name servers, routes, heartbeats, the scheduler, and the groups
//! that live under one client identity.

mod address_map;
mod ask;
mod builder;
mod callbacks;
mod close;
mod core;
mod credentials;
mod discovery;
mod groups;
mod handle;
mod heartbeat;
mod identity;
mod name_server;
mod options;
mod owner;
mod resolver;
mod route;
mod routes;
mod scheduler;
mod timers;

pub(crate) use address_map::AddressMap;
pub use builder::ClientBuilder;
pub(crate) use callbacks::Callbacks;
pub use close::CloseReport;
pub(crate) use core::Core;
pub use credentials::Credentials;
pub(crate) use groups::{GroupKind, Groups, Member, Membership};
pub use handle::Client;
pub(crate) use options::ClientOptions;
pub(crate) use route::Route;
pub(crate) use routes::Routes;
pub(crate) use timers::Timers;
