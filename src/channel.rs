//! Channels whose machinery is compiled once, whatever goes through them.
//!
//! Crossbeam compiles all kinds of channels for every type that is sent, a dozen kilobytes each in every program. Here the
//! values wait in a queue of their own, and what crossbeam carries is the news that there is one. For what is sent often,
//! as events and jobs are, crossbeam itself is faster.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

pub(crate) use crossbeam_channel::{RecvError, RecvTimeoutError, TryRecvError, TrySendError};

type Values<T> = Arc<Mutex<VecDeque<T>>>;

/// The sending end; clones are of the same channel.
#[derive(Debug)]
pub(crate) struct Sender<T> {
    values: Values<T>,
    news: crossbeam_channel::Sender<()>,
}

/// The only receiving end. What it has not received is dropped with it.
#[derive(Debug)]
pub(crate) struct Receiver<T> {
    values: Values<T>,
    news: crossbeam_channel::Receiver<()>,
}

/// A channel with room for `room` values, at least one.
pub(crate) fn bounded<T>(room: usize) -> (Sender<T>, Receiver<T>) {
    over(crossbeam_channel::bounded(room))
}

/// A channel with room for every value.
pub(crate) fn unbounded<T>() -> (Sender<T>, Receiver<T>) {
    over(crossbeam_channel::unbounded())
}

/// A receiver that never has anything.
pub(crate) fn never<T>() -> Receiver<T> {
    Receiver { values: Values::default(), news: crossbeam_channel::never() }
}

fn over<T>((tell, news): (crossbeam_channel::Sender<()>, crossbeam_channel::Receiver<()>)) -> (Sender<T>, Receiver<T>) {
    let values = Values::default();
    (Sender { values: values.clone(), news: tell }, Receiver { values, news })
}

fn lock<T>(values: &Values<T>) -> MutexGuard<'_, VecDeque<T>> {
    values.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Self {
        Sender { values: self.values.clone(), news: self.news.clone() }
    }
}

impl<T> Sender<T> {
    /// Sends if there is room. It never waits.
    pub(crate) fn try_send(&self, value: T) -> Result<(), TrySendError<T>> {
        // Told under the lock: whoever hears of the value finds it there.
        let mut values = lock(&self.values);
        match self.news.try_send(()) {
            Ok(()) => {
                values.push_back(value);
                Ok(())
            }
            Err(TrySendError::Full(())) => Err(TrySendError::Full(value)),
            Err(TrySendError::Disconnected(())) => Err(TrySendError::Disconnected(value)),
        }
    }
}

impl<T> Receiver<T> {
    /// Waits for the next value.
    pub(crate) fn recv(&self) -> Result<T, RecvError> {
        self.news.recv()?;
        self.take().ok_or(RecvError)
    }

    /// Waits for the next value until `deadline`.
    pub(crate) fn recv_deadline(&self, deadline: Instant) -> Result<T, RecvTimeoutError> {
        self.news.recv_deadline(deadline)?;
        self.take().ok_or(RecvTimeoutError::Disconnected)
    }

    pub(crate) fn try_recv(&self) -> Result<T, TryRecvError> {
        self.news.try_recv()?;
        self.take().ok_or(TryRecvError::Disconnected)
    }

    /// Takes what is there.
    pub(crate) fn try_iter(&self) -> impl Iterator<Item = T> {
        std::iter::from_fn(|| self.try_recv().ok())
    }

    /// For waiting for several things at once: each piece of news received here has to be followed by a [`take`](Self::take).
    pub(crate) fn news(&self) -> &crossbeam_channel::Receiver<()> {
        &self.news
    }

    /// Takes the value that was told of.
    pub(crate) fn take(&self) -> Option<T> {
        lock(&self.values).pop_front()
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        // First, so that nothing comes in after the rest is gone.
        self.news = crossbeam_channel::never();
        let left = std::mem::take(&mut *lock(&self.values));
        // Outside the lock: values may own anything.
        drop(left);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn values_come_in_their_order_from_all_threads_and_then_the_end() {
        let (sender, receiver) = unbounded();
        std::thread::scope(|scope| {
            for thread in 0..4 {
                let sender = sender.clone();
                scope.spawn(move || (0..500).for_each(|number| sender.try_send((thread, number)).unwrap()));
            }
            drop(sender);
            let mut next = [0; 4];
            while let Ok((thread, number)) = receiver.recv() {
                assert_eq!(next[thread], number);
                next[thread] += 1;
            }
            assert_eq!(next, [500; 4]);
        });
        assert_eq!(receiver.try_recv(), Err(TryRecvError::Disconnected));
    }

    #[test]
    fn a_full_channel_gives_the_value_back_and_so_does_one_nobody_listens_to() {
        let (sender, receiver) = bounded(1);
        sender.try_send("first").unwrap();
        assert_eq!(sender.try_send("second"), Err(TrySendError::Full("second")));
        assert_eq!(receiver.try_iter().collect::<Vec<_>>(), ["first"]);
        assert_eq!(receiver.recv_deadline(Instant::now() + Duration::from_millis(1)), Err(RecvTimeoutError::Timeout));
        drop(receiver);
        assert_eq!(sender.try_send("third"), Err(TrySendError::Disconnected("third")));
    }

    #[test]
    fn what_was_not_received_is_dropped_with_the_receiver() {
        let (sender, receiver) = unbounded();
        let (owned, gone) = bounded::<()>(1);
        sender.try_send(owned).unwrap();
        drop(receiver);
        assert_eq!(
            gone.try_recv(),
            Err(TryRecvError::Disconnected),
            "whoever waits for an answer to it must hear of it"
        );
    }

    #[test]
    fn a_receiver_that_never_has_anything_is_not_at_its_end() {
        assert_eq!(never::<i32>().try_recv(), Err(TryRecvError::Empty));
    }
}
