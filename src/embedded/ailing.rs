//! What is wrong with a broker as a whole, rather than with some of its answers.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::broker::{Broker as Service, BrokerSet, Member};
use super::handles::Broker;
use super::records::now_millis;

/// From here on Apache's brokers refuse messages (`diskSpaceWarningLevelRatio`).
const DISK_FULL: f64 = 0.9;
/// Apache's brokers delete old messages before their disk is fuller (`diskMaxUsedSpaceRatio`), as ours drop the oldest.
const DISK_USED_AT_MOST: f64 = 0.75;

/// Of a broker.
#[derive(Debug, Default)]
pub(super) struct Ailing {
    /// By how much its clock is ahead of this process's, in milliseconds.
    clock_ahead: AtomicI64,
    disk_usage: Mutex<Option<f64>>,
}

/// Of one of its servers.
#[derive(Debug, Default)]
pub(super) struct AilingMember {
    advertised: Mutex<Option<String>>,
    lacking_bytes: AtomicI64,
}

impl BrokerSet {
    /// The broker's own time.
    pub(super) fn now_millis(&self) -> i64 {
        now_millis().saturating_add(self.ailing.clock_ahead.load(Ordering::SeqCst))
    }

    /// How full the disk would be that this broker does not have, 0 to 1.
    pub(super) fn disk_usage(&self) -> f64 {
        let told = *self.ailing.disk_usage.lock().unwrap_or_else(PoisonError::into_inner);
        told.unwrap_or_else(|| self.store().fullness() * DISK_USED_AT_MOST)
    }
}

impl Member {
    /// Where name servers say this server is.
    pub(super) fn advertised(&self) -> String {
        let told = self.ailing.advertised.lock().unwrap_or_else(PoisonError::into_inner).clone();
        told.unwrap_or_else(|| self.addr.to_string())
    }

    pub(super) fn lacking_bytes(&self) -> i64 {
        self.ailing.lacking_bytes.load(Ordering::SeqCst)
    }
}

impl Service {
    /// The words of a broker that cannot store; `None` while it can.
    pub(super) fn unavailable(&self) -> Option<String> {
        let usage = self.set.disk_usage();
        (self.is_slave() || usage >= DISK_FULL).then(|| {
            let usage = format!("{usage:5.2}");
            format!(
                "service not available now. It may be caused by one of the following reasons: the broker's disk is full \
                 [CL: {usage} CQ: {usage} INDEX: {usage}], messages are put to the slave, message store has been shut \
                 down, etc."
            )
        })
    }
}

impl Broker {
    /// Makes name servers tell clients another address for this server than the one it listens on, as a broker does whose
    /// `brokerIP1` belongs to another network. The next routes have it.
    pub fn advertise(&self, addr: impl Into<String>) {
        let told = &self.broker.member().ailing.advertised;
        *told.lock().unwrap_or_else(PoisonError::into_inner) = Some(addr.into());
    }

    /// Puts the broker's clock forward: the times of messages that it stores from now on, and what it says of itself. Delays and
    /// the expiry of members keep their length.
    pub fn clock_ahead(&self, by: Duration) {
        self.set_clock(i64::try_from(by.as_millis()).unwrap_or(i64::MAX));
    }

    /// Puts the broker's clock back, as [`clock_ahead`](Broker::clock_ahead) puts it forward.
    pub fn clock_behind(&self, by: Duration) {
        self.set_clock(i64::try_from(by.as_millis()).map_or(i64::MIN, |by| -by));
    }

    fn set_clock(&self, ahead: i64) {
        self.broker.set.ailing.clock_ahead.store(ahead, Ordering::SeqCst);
    }

    /// Says how full the broker's disk is, 0 to 1. From 0.9 on it refuses messages with code 14, as Apache's do.
    ///
    /// By default it follows the memory in use, up to 0.75: then the oldest messages are dropped.
    pub fn disk_usage(&self, usage: f64) {
        *self.broker.set.ailing.disk_usage.lock().unwrap_or_else(PoisonError::into_inner) = Some(usage);
    }

    /// Makes a slave say that so many bytes of its master are not copied yet. It hands out all messages nevertheless.
    pub fn lacks(&self, bytes: u64) {
        let bytes = i64::try_from(bytes).unwrap_or(i64::MAX);
        self.broker.member().ailing.lacking_bytes.store(bytes, Ordering::SeqCst);
    }
}
