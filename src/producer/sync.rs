//! The blocking way: everything happens on the caller's thread.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::call::{Course, Target};
use super::retry::{Next, Rules};
use super::shared::Shared;
use crate::client::send::{Prepared, SendResult};
use crate::client::{Route, SendStatus};
use crate::error::{Error, Exhaustion, Result};
use crate::protocol::frame::Frame;
use crate::protocol::rpc::send::SendMessage;
use crate::remoting::{Deadline, Slot, Ticket, answer_of};

/// Sends and waits, at most until `deadline`.
pub(super) fn send(
    shared: &Shared,
    prepared: &Prepared,
    route: &Arc<Route>,
    target: Target,
    rules: Rules,
    deadline: Deadline,
) -> Result<SendResult> {
    let course = Course::new(rules, target, deadline);
    let send = Send { shared, prepared, route, course, slot: Slot::mine(), tickets: Vec::new(), degraded: None };
    let result = send.run();
    if let Some(trace) = &shared.trace {
        trace.sent(prepared, deadline.started(), result.as_ref());
    }
    shared.stats.ended(prepared, deadline.started(), &result);
    result
}

struct Send<'a> {
    shared: &'a Shared,
    prepared: &'a Prepared,
    route: &'a Arc<Route>,
    course: Course,
    slot: Arc<Slot>,
    /// Attempts whose end has not come. One that used up its share of the time goes on: its success counts.
    tickets: Vec<(usize, Ticket)>,
    /// A success with a status that is not OK, kept while better is tried.
    degraded: Option<SendResult>,
}

impl Send<'_> {
    fn run(mut self) -> Result<SendResult> {
        loop {
            let because = match self.attempt() {
                Ok(Some(sent)) => return Ok(sent),
                Ok(None) => match self.course.next(self.route) {
                    Next::Again { pause, .. } => {
                        if let Some(sent) = self.wait_out(pause) {
                            return Ok(sent);
                        }
                        continue;
                    }
                    Next::Stop(because) => Some(because),
                    Next::Fail => None,
                },
                // No attempt could be begun: what was tried before decides, if anything was.
                Err(error) if self.course.made.is_empty() => return Err(error),
                Err(_) => Some(Exhaustion::Brokers),
            };
            return self.conclude(because);
        }
    }

    /// Makes one attempt and waits for its share of the time. `None` means that it failed or goes on.
    fn attempt(&mut self) -> Result<Option<SendResult>> {
        let index = self.course.begin(self.shared, self.route)?;
        let made = &self.course.made[index];
        let request = self.prepared.request(&self.shared.settings.send, &made.queue);
        let number = u32::try_from(index).unwrap_or(u32::MAX);
        let remoting = self.shared.core.remoting();
        let addr = made.addr.clone();
        match remoting.attempt(&addr, &request, &self.prepared.body, self.course.deadline, &self.slot, number) {
            Ok(ticket) => self.tickets.push((index, ticket)),
            Err(error) => {
                self.course.failed(self.shared, index, error);
                return Ok(None);
            }
        }
        let share = self.course.share(self.route);
        while self.tickets.iter().any(|(waiting, _)| *waiting == index) {
            match self.next_end(share) {
                Some(end) => {
                    if let Some(sent) = self.take_end(end) {
                        return Ok(Some(sent));
                    }
                }
                None => break,
            }
        }
        Ok(None)
    }

    /// Waits for the end of any attempt, until `until`.
    fn next_end(&self, until: Instant) -> Option<(usize, Result<Frame>)> {
        match self.tickets.last() {
            Some((_, ticket)) => ticket.wait(&self.slot, until),
            None => self.slot.park(Slot::is_ready, until),
        }
        self.slot.take().map(|(number, result)| (number as usize, result))
    }

    /// Takes note of an attempt's end; returns the result of the send if that is a success.
    fn take_end(&mut self, (index, result): (usize, Result<Frame>)) -> Option<SendResult> {
        self.tickets.retain(|(waiting, _)| *waiting != index);
        match self.read(index, result) {
            Ok(sent) if sent.status() == SendStatus::Ok || !self.shared.settings.retry_when_not_ok => Some(sent),
            Ok(degraded) => {
                let status = degraded.status().to_string().into();
                self.degraded = Some(degraded);
                let addr = self.course.made[index].addr.clone();
                self.course.failed(self.shared, index, Error::NotDurable { addr, status });
                None
            }
            Err(error) => {
                self.course.failed(self.shared, index, error);
                None
            }
        }
    }

    fn read(&mut self, index: usize, result: Result<Frame>) -> Result<SendResult> {
        let made = &self.course.made[index];
        let answer = answer_of::<SendMessage>(&made.addr, result?)?;
        let (queue, addr) = (made.queue.clone(), made.addr.clone());
        let duplicated = self.course.succeeded(self.shared, index);
        let attempts = u32::try_from(self.course.made.len()).unwrap_or(u32::MAX);
        self.prepared.result(&answer, &queue, attempts, duplicated).map_err(|error| error.with_addr(&addr))
    }

    /// Pauses before another attempt; an earlier one may end well meanwhile.
    fn wait_out(&mut self, pause: Duration) -> Option<SendResult> {
        if pause.is_zero() {
            return None;
        }
        let until = Instant::now() + pause;
        while Instant::now() < until {
            if let Some(end) = self.next_end(until) {
                if let Some(sent) = self.take_end(end) {
                    return Some(sent);
                }
            }
        }
        None
    }

    /// Makes no further attempt: waits for those under way, then gives them up.
    fn conclude(mut self, because: Option<Exhaustion>) -> Result<SendResult> {
        while !self.tickets.is_empty() {
            let Some(end) = self.next_end(self.course.deadline.at()) else { break };
            if let Some(sent) = self.take_end(end) {
                return Ok(sent);
            }
        }
        for (index, ticket) in std::mem::take(&mut self.tickets) {
            let addr = self.course.made[index].addr.clone();
            match ticket.abandon() {
                Some((stage, outcome)) => {
                    let missed = self.course.deadline.missed(stage, Some(&addr), outcome);
                    self.course.failed(self.shared, index, missed);
                }
                // It ended in this very moment.
                None => {
                    let soon = Instant::now() + Duration::from_millis(50);
                    if let Some(sent) = self.next_end(soon).and_then(|end| self.take_end(end)) {
                        return Ok(sent);
                    }
                }
            }
        }
        match self.degraded.take() {
            Some(degraded) => Ok(degraded),
            None => Err(self.course.error(because)),
        }
    }
}

impl Drop for Send<'_> {
    /// A success leaves slower attempts behind: their entries go with the call.
    fn drop(&mut self) {
        for (_, ticket) in &self.tickets {
            ticket.abandon();
        }
    }
}
