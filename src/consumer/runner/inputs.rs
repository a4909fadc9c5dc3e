//! Everything that an engine's thread waits for, in one place.

use std::time::Instant;

use crossbeam_channel::never;

use super::events::Bell;
use super::queues::ProcessQueue;
use crate::channel::{self, Receiver, Sender};
use crate::remoting::ServerRequest;

/// Where users want to be told what the queues look like.
pub(in crate::consumer) type Question = Sender<Vec<ProcessQueue>>;

pub(in crate::consumer) struct Inputs {
    pub(in crate::consumer) bell: Bell,
    pub(in crate::consumer) requests: Receiver<ServerRequest>,
    pub(in crate::consumer) questions: Receiver<Question>,
}

/// What came first.
pub(in crate::consumer) enum Input {
    /// There are events.
    Bell,
    Request(ServerRequest),
    Question(Question),
    Time,
}

impl Inputs {
    /// Waits for what happens next, until `until` if there is such a time.
    ///
    /// A channel whose other side is gone would be ready at once, again and again: the group may have left, and the handle
    /// may be dropped, while a listener holds up the end. It is not listened to any more.
    pub(in crate::consumer) fn next(&mut self, until: Option<Instant>) -> Input {
        let time = until.map_or_else(never, crossbeam_channel::at);
        loop {
            crossbeam_channel::select_biased! {
                recv(self.bell) -> ring => match ring {
                    Ok(()) => return Input::Bell,
                    Err(_) => self.bell = never(),
                },
                recv(self.requests.news()) -> news => match news.ok().and_then(|()| self.requests.take()) {
                    Some(request) => return Input::Request(request),
                    None => self.requests = channel::never(),
                },
                recv(self.questions.news()) -> news => match news.ok().and_then(|()| self.questions.take()) {
                    Some(question) => return Input::Question(question),
                    None => self.questions = channel::never(),
                },
                recv(time) -> _ => return Input::Time,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn what_nobody_can_send_any_more_does_not_wake() {
        let (ring, bell) = crossbeam_channel::bounded(1);
        let (_, requests) = channel::bounded(1);
        let (_, questions) = channel::bounded(1);
        let mut inputs = Inputs { bell, requests, questions };
        for _ in 0..3 {
            let until = Instant::now() + Duration::from_millis(10);
            assert!(matches!(inputs.next(Some(until)), Input::Time));
            assert!(Instant::now() >= until);
        }
        ring.send(()).unwrap();
        assert!(matches!(inputs.next(None), Input::Bell));
    }
}
