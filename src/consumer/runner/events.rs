//! The way events come to an engine.

use crossbeam_channel::{Receiver, SendError, Sender};

use crate::consumer::engine::Event;

/// The end of the channel where events are put; clones are cheap. The channel has no bound, so nobody waits for it.
#[derive(Clone)]
pub(in crate::consumer) struct Events {
    events: Sender<Event>,
    bell: Sender<()>,
}

/// What wakes an engine's thread; as many rings as there were since it looked last are one.
pub(in crate::consumer) type Bell = Receiver<()>;

impl Events {
    pub(in crate::consumer) fn channel() -> (Events, Receiver<Event>, Bell) {
        let (events, out) = crossbeam_channel::unbounded();
        let (bell, rings) = crossbeam_channel::bounded(1);
        (Events { events, bell }, out, rings)
    }

    /// Puts an event in and wakes the engine's thread; gives it back once the engine has ended.
    pub(in crate::consumer) fn send(&self, event: Event) -> Result<(), SendError<Event>> {
        self.put(event)?;
        self.ring();
        Ok(())
    }

    /// Puts an event in for whoever drives the engine next.
    pub(super) fn put(&self, event: Event) -> Result<(), SendError<Event>> {
        self.events.send(event)
    }

    pub(super) fn ring(&self) {
        // It fails when the bell has been rung already, or when the thread has ended.
        let _ = self.bell.try_send(());
    }

    pub(super) fn is_empty(&self) -> bool {
        self.events.is_empty()
    }
}
