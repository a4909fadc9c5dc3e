//! Where servers' requests for one group wait until the group gets to them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crossbeam_channel::{Receiver, Sender, TrySendError};

use crate::remoting::ServerRequest;

/// A bounded queue of requests, and the count of those it had no room for. Clones are the same mailbox.
#[derive(Debug, Clone)]
pub(crate) struct Mailbox {
    sender: Sender<ServerRequest>,
    refused: Arc<AtomicU64>,
}

/// Why a request was not taken.
pub(crate) enum Refused {
    Full(ServerRequest),
    /// Nobody reads the mailbox any more.
    Gone(ServerRequest),
}

impl Mailbox {
    pub(crate) fn bounded(room: usize) -> (Mailbox, Receiver<ServerRequest>) {
        let (sender, receiver) = crossbeam_channel::bounded(room);
        (Mailbox { sender, refused: Arc::default() }, receiver)
    }

    /// Adds a request; never waits.
    pub(crate) fn offer(&self, request: ServerRequest) -> Result<(), Refused> {
        self.sender.try_send(request).map_err(|error| match error {
            TrySendError::Full(request) => {
                self.refused.fetch_add(1, Ordering::Relaxed);
                Refused::Full(request)
            }
            TrySendError::Disconnected(request) => Refused::Gone(request),
        })
    }

    /// How many requests found no room.
    pub(crate) fn refused(&self) -> &Arc<AtomicU64> {
        &self.refused
    }
}
