//! The requests of a client that wait for a reply, and what becomes of replies.
//!
//! A broker pushes a reply over the connection of the client that asked and waits until it has been taken, so it is answered
//! at once, on the reader's thread. Whoever waits unpacks it.

use std::collections::HashMap;
use std::fmt;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;

use crate::code::ResponseCode;
use crate::error::{Error, Result};
use crate::message::{MessageView, Stored, find_in_wire, key, sys_flag, write_property};
use crate::protocol::compress;
use crate::protocol::fields::NoFields;
use crate::protocol::frame::Frame;
use crate::protocol::rpc::reply::PushReply;
use crate::remoting::ServerRequest;

/// How many requests of one client may wait at the same time, over all its producers: a thousand times what a busy service has,
/// and still only some megabytes.
const MAX_WAITING: usize = 65_536;

/// Takes the reply, or why there is none. It runs on a reader's thread: it forwards.
type Done = Box<dyn FnOnce(Result<Pushed>) + Send>;

/// The requests that wait, by their correlation ids.
#[derive(Default)]
pub(crate) struct Replies {
    waiting: Mutex<HashMap<Arc<str>, Waiting>>,
    late: AtomicU64,
}

struct Waiting {
    group: Arc<str>,
    done: Done,
}

impl Replies {
    /// Adds a request of a producer group. `done` is called at most once, and never after [`forget`](Replies::forget).
    pub(crate) fn wait(
        &self,
        id: Arc<str>,
        group: Arc<str>,
        done: impl FnOnce(Result<Pushed>) + Send + 'static,
    ) -> Result<()> {
        let mut waiting = self.lock();
        if waiting.len() >= MAX_WAITING {
            return Err(Error::Busy { what: format!("{MAX_WAITING} requests wait for a reply").into() });
        }
        waiting.insert(id, Waiting { group, done: Box::new(done) });
        Ok(())
    }

    /// Takes a request out: it has ended otherwise.
    pub(crate) fn forget(&self, id: &str) {
        // Dropped outside the lock: it owns the request's closure.
        let forgotten = self.lock().remove(id);
        drop(forgotten);
    }

    /// Ends all requests of a producer group.
    pub(crate) fn end_all_of(&self, group: &str, error: &Error) {
        let mut waiting = self.lock();
        let ids: Vec<Arc<str>> =
            waiting.iter().filter(|(_, waiting)| &*waiting.group == group).map(|(id, _)| id.clone()).collect();
        let ended: Vec<Waiting> = ids.iter().filter_map(|id| waiting.remove(id)).collect();
        drop(waiting);
        for waiting in ended {
            (waiting.done)(Err(error.clone()));
        }
    }

    /// Returns how many replies came for which nobody waited: too late, for a second time, by mistake, or unreadable.
    pub(crate) fn late(&self) -> u64 {
        self.late.load(Ordering::Relaxed)
    }

    /// Returns how many requests wait.
    pub(crate) fn waiting(&self) -> usize {
        self.lock().len()
    }

    /// Takes a broker's push and answers it, whatever becomes of the reply: the broker can do nothing about it.
    pub(super) fn arrived(&self, request: ServerRequest) {
        let pushed = match Pushed::read(&request.frame) {
            Ok(pushed) => pushed,
            Err(error) => {
                let unread = self.late.fetch_add(1, Ordering::Relaxed) + 1;
                if unread.is_power_of_two() {
                    log::warn!("{}: a reply cannot be read: {error}", request.addr);
                }
                let remark = format!("process reply message fail: {error}");
                return request.answer(ResponseCode::SYSTEM_ERROR, Some(&remark), &NoFields, &[]);
            }
        };
        let taken = self.lock().remove(pushed.correlation_id());
        if taken.is_none() {
            self.late.fetch_add(1, Ordering::Relaxed);
            log::debug!("{}: nobody waits for the reply {}", request.addr, pushed.correlation_id());
        }
        request.answer(ResponseCode::SUCCESS, None, &NoFields, &[]);
        if let Some(waiting) = taken {
            (waiting.done)(Ok(pushed));
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Arc<str>, Waiting>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Replies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Replies").field("waiting", &self.waiting()).field("late", &self.late()).finish()
    }
}

/// A reply as a broker pushed it, its body as it was sent.
#[derive(Debug)]
pub(crate) struct Pushed {
    header: PushReply,
    body: Bytes,
    arrived: SystemTime,
}

impl Pushed {
    fn read(frame: &Frame) -> Result<Pushed> {
        let pushed = Pushed { header: frame.header()?, body: frame.body_bytes(), arrived: SystemTime::now() };
        if pushed.correlation_id().is_empty() {
            return Err(Error::malformed("it has no property CORRELATION_ID"));
        }
        Ok(pushed)
    }

    fn correlation_id(&self) -> &str {
        find_in_wire(self.header.properties.as_deref().unwrap_or_default(), key::CORRELATION_ID).unwrap_or_default()
    }

    /// Makes a message of it; a compressed body inflates to at most `body_limit` bytes.
    pub(crate) fn into_view(self, body_limit: usize) -> MessageView {
        let Pushed { header, body, arrived } = self;
        let mut properties = header.properties.unwrap_or_default();
        if !properties.is_empty() && !properties.ends_with('\u{2}') {
            properties.push('\u{2}');
        }
        let since = arrived.duration_since(UNIX_EPOCH).unwrap_or_default();
        write_property(&mut properties, key::ARRIVE_TIME, &since.as_millis().to_string());
        let stored = Stored {
            queue_id: header.queue_id,
            flag: header.flag,
            queue_offset: 0,
            commit_log_offset: 0,
            sys_flag: header.sys_flag,
            body_crc: 0,
            born_timestamp: header.born_timestamp,
            born_host: host(header.born_host.as_deref()),
            store_timestamp: header.store_timestamp,
            store_host: host(header.store_host.as_deref()),
            reconsume_times: header.reconsume_times.unwrap_or(0),
            prepared_transaction_offset: 0,
            body: body.clone(),
            topic: header.topic,
            properties: properties.into(),
        };
        let body = match header.sys_flag & sys_flag::COMPRESSED {
            0 => Ok(body),
            _ => compress::inflate(header.sys_flag, &body, body_limit),
        };
        MessageView::new(stored, "".into(), body)
    }
}

/// Reads an address as Java prints it: `name/ip:port`, where the name may be empty. It is told for information only.
fn host(text: Option<&str>) -> SocketAddr {
    let addr = text.and_then(|text| text.rsplit('/').next()).and_then(|addr| addr.parse().ok());
    addr.unwrap_or_else(|| SocketAddr::from(([0, 0, 0, 0], 0)))
}

#[cfg(test)]
mod tests;
