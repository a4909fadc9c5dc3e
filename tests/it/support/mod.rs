//! What all modules stand on: the cluster under test, names of their own, reading back, and waiting for conditions.

mod cable;
mod cluster;
mod inbox;
mod java;
mod mqadmin;
mod operator;
mod pair;
mod scene;
mod silent;
pub(crate) mod trace_log;
mod version;
mod wait;

pub(crate) use cable::Cable;
pub(crate) use cluster::{Cluster, cluster, embedded_cluster, hasty_cluster, live_variable};
pub(crate) use inbox::{Inbox, LONG, collect, numbered};
pub(crate) use java::Java;
pub(crate) use mqadmin::mqadmin;
#[cfg(feature = "acl")]
pub(crate) use mqadmin::mqadmin_as;
pub(crate) use operator::{Answer, Operator};
pub(crate) use pair::{pair, pair_alone};
pub(crate) use scene::{Scene, scene, unique};
pub(crate) use silent::SilentServer;
pub(crate) use trace_log::client_builder;
pub(crate) use version::{Feature, say, supports};
pub(crate) use wait::{PATIENCE, eventually};

use rocketmq_blocking::{Client, MessageView};

/// An address at which nothing listens: port 1 is reserved and refuses at once.
pub(crate) const NOWHERE: &str = "127.0.0.1:1";

/// A client without any server: what it does not refuse by itself fails with another error than a refusal.
pub(crate) fn client_to_nowhere() -> Client {
    client_builder().name_servers(NOWHERE).build().expect("building a client connects to nothing")
}

/// Bytes that no compression makes smaller, the same for the same seed.
pub(crate) fn noise(len: usize, seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    };
    std::iter::repeat_with(&mut next).flatten().take(len).collect()
}

/// The bodies, sorted, for comparing what arrived with what was sent.
pub(crate) fn sorted_bodies(messages: &[MessageView]) -> Vec<String> {
    let mut bodies: Vec<String> = messages.iter().map(body).collect();
    bodies.sort();
    bodies
}

pub(crate) fn body(message: &MessageView) -> String {
    message.body_text().expect("the test sends text").to_owned()
}
