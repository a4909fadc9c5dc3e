//! Faults: what a server does wrong on purpose, which request it picks, and how often it has.

use std::borrow::Cow;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::code::{RequestCode, ResponseCode};

/// Something a server does wrong, to how many requests, and to which.
///
/// Without more it applies to every request from the moment it is given to a server:
///
/// ```
/// use rocketmq_blocking::embedded::{Cluster, Fault};
/// use rocketmq_blocking::{RequestCode, ResponseCode};
///
/// let cluster = Cluster::start()?;
/// let busy = Fault::error(ResponseCode::SYSTEM_BUSY, "[REJECTREQUEST]system busy, start flow control for a while");
/// let fault = cluster.broker("broker-a").fault(busy.on(RequestCode::SEND_MESSAGE_V2).after(3).times(2));
/// assert_eq!(fault.fired(), 0);
/// # Ok::<(), rocketmq_blocking::Error>(())
/// ```
///
/// The first fault that applies to a request wins, in the order they were given. A pull that a fault has picked is
/// answered at once instead of being held.
#[derive(Debug, Clone)]
#[must_use = "a fault does nothing until a server is given it"]
pub struct Fault {
    kind: Kind,
    codes: Vec<RequestCode>,
    field: Option<(String, String)>,
    after: usize,
    times: Option<usize>,
}

/// What Apache's servers say with it.
pub(super) const GO_AWAY_REMARK: &str = "please go away";

/// What happens to a picked request.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Kind {
    Error(ResponseCode, Cow<'static, str>),
    ErrorAfter(ResponseCode, Cow<'static, str>),
    Delay(Duration),
    DropReply,
    Ignore,
    Duplicate,
    Disconnect,
    Cut(usize),
    HalfReply,
    ByteByByte,
    Garbage(Vec<u8>),
    Oversized,
    WrongOpaque,
    OtherConnection,
}

impl Fault {
    fn new(kind: Kind) -> Fault {
        Fault { kind, codes: Vec::new(), field: None, after: 0, times: None }
    }

    /// Answers with this code and remark; the request is not carried out.
    pub fn error(code: ResponseCode, remark: impl Into<Cow<'static, str>>) -> Fault {
        Fault::new(Kind::Error(code, remark.into()))
    }

    /// Carries the request out, then answers with this code and remark, and the fields of the answer as it would have been: a
    /// message is stored and reported as refused, or as stored with a status other than `SEND_OK`.
    pub fn error_after(code: ResponseCode, remark: impl Into<Cow<'static, str>>) -> Fault {
        Fault::new(Kind::ErrorAfter(code, remark.into()))
    }

    /// Answers `GO_AWAY`, as a server does that is being shut down; the request is not carried out.
    pub fn go_away() -> Fault {
        Fault::error(ResponseCode::GO_AWAY, GO_AWAY_REMARK)
    }

    /// Carries the request out at once and answers so much later. Other requests on the connection are not delayed.
    pub fn delay(by: Duration) -> Fault {
        Fault::new(Kind::Delay(by))
    }

    /// Carries the request out and never answers.
    pub fn drop_reply() -> Fault {
        Fault::new(Kind::DropReply)
    }

    /// Neither carries the request out nor answers.
    pub fn never_answer() -> Fault {
        Fault::new(Kind::Ignore)
    }

    /// Answers twice.
    pub fn duplicate_reply() -> Fault {
        Fault::new(Kind::Duplicate)
    }

    /// Closes the connection instead of carrying the request out.
    pub fn disconnect() -> Fault {
        Fault::new(Kind::Disconnect)
    }

    /// Carries the request out, sends the first `bytes` of the answer and closes the connection; 0 sends nothing of it.
    pub fn cut(bytes: usize) -> Fault {
        Fault::new(Kind::Cut(bytes))
    }

    /// Carries the request out and sends half of the answer. The connection stays open, and later answers follow behind.
    pub fn half_reply() -> Fault {
        Fault::new(Kind::HalfReply)
    }

    /// Sends the answer in pieces of one byte.
    pub fn byte_by_byte() -> Fault {
        Fault::new(Kind::ByteByByte)
    }

    /// Carries the request out and sends these bytes in place of the answer.
    pub fn garbage(bytes: impl Into<Vec<u8>>) -> Fault {
        Fault::new(Kind::Garbage(bytes.into()))
    }

    /// Carries the request out and sends the answer with a length of two gigabytes.
    pub fn oversized() -> Fault {
        Fault::new(Kind::Oversized)
    }

    /// Answers with a number (`opaque`) that belongs to no request.
    pub fn wrong_opaque() -> Fault {
        Fault::new(Kind::WrongOpaque)
    }

    /// Sends the answer over another connection to the same server, or nowhere when there is none.
    pub fn other_connection() -> Fault {
        Fault::new(Kind::OtherConnection)
    }

    /// Applies only to requests of this code; given several times, to each of them.
    pub fn on(mut self, code: RequestCode) -> Fault {
        self.codes.push(code);
        self
    }

    /// Applies only to requests with this header field, by its name on the wire: `on_field("topic", "OrderTopic")`.
    pub fn on_field(mut self, name: impl Into<String>, value: impl Into<String>) -> Fault {
        self.field = Some((name.into(), value.into()));
        self
    }

    /// Lets so many requests that would apply pass first.
    pub fn after(mut self, requests: usize) -> Fault {
        self.after = requests;
        self
    }

    /// Ends after so many requests. Without it the fault lasts until it is [removed](Injected::remove).
    pub fn times(mut self, times: usize) -> Fault {
        self.times = Some(times);
        self
    }
}

/// A fault in a server's hands. Dropping this leaves the fault in place.
#[derive(Debug, Clone)]
pub struct Injected {
    fault: Arc<Armed>,
}

impl Injected {
    /// Returns to how many requests the fault has been done.
    pub fn fired(&self) -> usize {
        self.fault.fired.load(Ordering::SeqCst)
    }

    /// Ends the fault.
    pub fn remove(&self) {
        self.fault.removed.store(true, Ordering::SeqCst);
    }
}

#[derive(Debug)]
struct Armed {
    fault: Fault,
    seen: AtomicUsize,
    fired: AtomicUsize,
    removed: AtomicBool,
}

impl Armed {
    fn applies(&self, code: RequestCode, field: impl Fn(&str, &str) -> bool) -> bool {
        let fault = &self.fault;
        (fault.codes.is_empty() || fault.codes.contains(&code))
            && fault.field.as_ref().is_none_or(|(name, value)| field(name, value))
    }

    fn is_spent(&self) -> bool {
        self.removed.load(Ordering::SeqCst)
            || self.fault.times.is_some_and(|times| self.fired.load(Ordering::SeqCst) >= times)
    }
}

/// The faults of one server.
#[derive(Debug, Default)]
pub(super) struct Faults {
    count: AtomicUsize,
    armed: Mutex<Vec<Arc<Armed>>>,
}

impl Faults {
    pub(super) fn add(&self, fault: Fault) -> Injected {
        let fault = Arc::new(Armed {
            fault,
            seen: AtomicUsize::new(0),
            fired: AtomicUsize::new(0),
            removed: AtomicBool::new(false),
        });
        let mut armed = self.armed.lock().unwrap_or_else(PoisonError::into_inner);
        armed.push(fault.clone());
        self.count.store(armed.len(), Ordering::SeqCst);
        Injected { fault }
    }

    pub(super) fn clear(&self) {
        self.armed.lock().unwrap_or_else(PoisonError::into_inner).clear();
        self.count.store(0, Ordering::SeqCst);
    }

    /// Returns what to do wrong with a request; `field` compares one of its fields. Costs one load when there is none.
    pub(super) fn pick(&self, code: RequestCode, field: impl Fn(&str, &str) -> bool) -> Option<Kind> {
        if self.count.load(Ordering::Relaxed) == 0 {
            return None;
        }
        let mut armed = self.armed.lock().unwrap_or_else(PoisonError::into_inner);
        armed.retain(|fault| !fault.is_spent());
        self.count.store(armed.len(), Ordering::SeqCst);
        for fault in armed.iter().filter(|fault| fault.applies(code, &field)) {
            if fault.seen.fetch_add(1, Ordering::SeqCst) >= fault.fault.after {
                fault.fired.fetch_add(1, Ordering::SeqCst);
                return Some(fault.fault.kind.clone());
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pick(faults: &Faults, code: RequestCode) -> Option<Kind> {
        faults.pick(code, |name, value| (name, value) == ("topic", "T"))
    }

    #[test]
    fn a_fault_passes_over_the_first_requests_and_ends_after_its_times() {
        let faults = Faults::default();
        let fault = faults.add(Fault::drop_reply().on(RequestCode::SEND_MESSAGE_V2).after(2).times(2));
        assert_eq!(pick(&faults, RequestCode::PULL_MESSAGE), None, "another code neither fires nor counts");
        let picked: Vec<bool> = (0..6).map(|_| pick(&faults, RequestCode::SEND_MESSAGE_V2).is_some()).collect();
        assert_eq!(picked, [false, false, true, true, false, false]);
        assert_eq!(fault.fired(), 2);
    }

    #[test]
    fn a_removed_fault_no_longer_fires_and_the_next_one_takes_over() {
        let faults = Faults::default();
        let first = faults.add(Fault::drop_reply());
        let second = faults.add(Fault::never_answer().on_field("topic", "T"));
        let other = faults.add(Fault::never_answer().on_field("topic", "U"));
        assert_eq!(pick(&faults, RequestCode::PULL_MESSAGE), Some(Kind::DropReply));
        first.remove();
        assert_eq!(pick(&faults, RequestCode::PULL_MESSAGE), Some(Kind::Ignore));
        assert_eq!((first.fired(), second.fired(), other.fired()), (1, 1, 0));
    }
}
