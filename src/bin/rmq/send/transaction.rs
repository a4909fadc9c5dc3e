use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use clap::ValueEnum;
use crossbeam_channel::{Receiver, Sender, select, unbounded};
use rocketmq_blocking::{
    Error, Message, MessageView, SendResult, TransactionProducer, TransactionProducerBuilder, TransactionResolution,
};

use super::report::Report;
use super::work::Event;
use crate::failure::{Failure, explain};
use crate::interrupt::Interrupt;
use crate::text;

/// How transactions end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum End {
    /// The messages become visible at once.
    Commit,
    /// Nobody ever sees the messages.
    Rollback,
    /// The broker is told nothing, asks, and is told to commit then.
    CheckCommit,
    /// The broker is told nothing, asks, and is told to roll back then.
    CheckRollback,
}

impl End {
    pub(super) fn name(self) -> &'static str {
        match self {
            End::Commit => "commit",
            End::Rollback => "rollback",
            End::CheckCommit => "check-commit",
            End::CheckRollback => "check-rollback",
        }
    }

    pub(super) fn people(self) -> &'static str {
        match self {
            End::Commit => "committed",
            End::Rollback => "rolled back",
            End::CheckCommit => "committed when asked",
            End::CheckRollback => "rolled back when asked",
        }
    }

    fn resolution(self) -> TransactionResolution {
        match self {
            End::Commit | End::CheckCommit => TransactionResolution::Commit,
            End::Rollback | End::CheckRollback => TransactionResolution::Rollback,
        }
    }

    fn is_left_to_checks(self) -> bool {
        matches!(self, End::CheckCommit | End::CheckRollback)
    }
}

/// Sends each message in a transaction of its own.
#[derive(Debug)]
pub(super) struct Transactions {
    producer: TransactionProducer,
    end: End,
    open: Arc<Open>,
    asked: Receiver<Event>,
}

/// The transactions that were begun here, by id, for the broker's questions.
#[derive(Debug)]
struct Open {
    end: End,
    begun: Mutex<HashMap<String, Begun>>,
    asked: Sender<Event>,
}

#[derive(Debug)]
struct Begun {
    /// Of the message, from 1.
    number: u64,
    /// Taken when the broker asks for the first time; it may ask again.
    sent: Option<SendResult>,
}

impl Transactions {
    pub(super) fn start(builder: TransactionProducerBuilder, end: End) -> Result<Transactions, Error> {
        let (sender, asked) = unbounded();
        let open = Arc::new(Open { end, begun: Mutex::default(), asked: sender });
        let answering = open.clone();
        let producer = builder.check(move |half| answering.answer(half)).start()?;
        Ok(Transactions { producer, end, open, asked })
    }

    /// Sends a message of this number and ends its transaction, and says what became of it; nothing as long as the broker
    /// has to ask.
    pub(super) fn send(&self, number: u64, message: Message) -> Result<Option<Event>, Error> {
        let told = if self.end.is_left_to_checks() { TransactionResolution::Unknown } else { self.end.resolution() };
        let result = self.producer.send(message, |sent| {
            self.open.begin(number, sent);
            told
        })?;
        if result.resolution() != told {
            let why = format!("stored with {} only, so it was rolled back", result.sent().status());
            return Ok(Some(Event::failed(number, 1, why)));
        }
        Ok(match result.end_error() {
            _ if self.end.is_left_to_checks() => None,
            Some(error) => {
                let why = format!("stored, but perhaps not {}: {}", self.end.people(), explain(error));
                Some(Event::failed(number, 1, why))
            }
            None => Some(Event::stored(number, 1, result.sent().clone())),
        })
    }

    /// Waits until the broker has asked about all transactions left to that, at most `patience` after its last question.
    pub(super) fn settle(
        &self,
        patience: Duration,
        report: &mut Report<'_>,
        interrupt: &Interrupt,
    ) -> Result<(), Failure> {
        if !self.end.is_left_to_checks() {
            return Ok(());
        }
        let mut left = self.open.lock().len();
        let mut said = false;
        while left > 0 {
            if self.asked.is_empty() {
                report.take(None)?;
                if !said {
                    said = true;
                    let what = text::counted(left as u64, "message");
                    report.aside(&format!(
                        "{what} stored; waiting until the broker asks, {} at most",
                        text::duration(patience)
                    ));
                }
            }
            select! {
                recv(self.asked) -> event => report.take(event.ok())?,
                recv(interrupt.signal()) -> _ => break,
                default(patience) => break,
            }
            left -= 1;
        }
        let why = match interrupt.happened() {
            true => "interrupted before the broker asked for its end".to_owned(),
            false => format!("the broker did not ask for its end within {}", text::duration(patience)),
        };
        for number in self.open.unanswered() {
            report.take(Some(Event::failed(number, 1, format!("stored, invisible: {why}"))))?;
        }
        Ok(())
    }

    pub(super) fn close(&self) -> Result<(), Error> {
        self.producer.close()
    }
}

impl Open {
    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, Begun>> {
        self.begun.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn begin(&self, number: u64, sent: &SendResult) {
        let begun = Begun { number, sent: Some(sent.clone()) };
        self.lock().insert(sent.message_id().to_owned(), begun);
    }

    /// Answers the broker. It may ask about transactions of others of the group, which are theirs to end.
    fn answer(&self, half: &MessageView) -> TransactionResolution {
        let asked = match self.lock().get_mut(&*half.message_id()) {
            None => return TransactionResolution::Unknown,
            Some(begun) => begun.sent.take().map(|sent| (begun.number, sent)),
        };
        if let Some((number, sent)) = asked {
            // Nobody listens any more after an interrupt.
            let _ = self.asked.send(Event::stored(number, 1, sent));
        }
        self.end.resolution()
    }

    fn unanswered(&self) -> Vec<u64> {
        let mut numbers: Vec<u64> =
            self.lock().values().filter(|begun| begun.sent.is_some()).map(|begun| begun.number).collect();
        numbers.sort_unstable();
        numbers
    }
}
