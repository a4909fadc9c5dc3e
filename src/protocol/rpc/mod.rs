//! The requests, one table file a subject. Field names are Java's; bodies that are JSON stand beside their request.

pub(crate) mod any;
pub(crate) mod assignment;
pub(crate) mod batch_ack;
pub(crate) mod brokers;
pub(crate) mod by_queue;
pub(crate) mod check;
pub(crate) mod diagnosis;
pub(crate) mod heartbeat;
pub(crate) mod inspect;
pub(crate) mod lock;
pub(crate) mod name_server;
pub(crate) mod offset;
pub(crate) mod pop;
pub(crate) mod pull;
pub(crate) mod query;
pub(crate) mod recall;
pub(crate) mod reply;
pub(crate) mod reset;
pub(crate) mod route;
pub(crate) mod send;
pub(crate) mod send_back;
pub(crate) mod topic;
pub(crate) mod transaction;
