use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rocketmq_blocking::{Client, Error, Message, MessageView, Outcome, TransactionProducer, TransactionResolution};

use super::TOPIC;
use super::calls::timed;
use super::script::Ending;

/// How long one send of all may take.
const SEND: Duration = Duration::from_millis(250);

/// How each transaction ended as far as its producer knows, by the key of its message: brokers are told this when they ask.
#[derive(Default, Clone)]
pub(super) struct Decided(Arc<Mutex<HashMap<String, TransactionResolution>>>);

impl Decided {
    fn of(&self, message: &MessageView) -> TransactionResolution {
        let known = self.0.lock().expect("no panic");
        let resolution = message.keys().next().and_then(|key| known.get(key));
        resolution.copied().unwrap_or(TransactionResolution::Unknown)
    }

    /// What was never committed is not there to be consumed.
    pub(super) fn check(&self, stored: &[MessageView]) {
        for message in stored.iter().filter(|message| message.keys().any(|key| key.starts_with("tx"))) {
            assert_eq!(self.of(message), TransactionResolution::Commit, "{message:?} is stored");
        }
    }
}

/// A transaction producer, made with the first transaction.
pub(super) struct Transactions {
    client: Client,
    producer: Option<TransactionProducer>,
    decided: Decided,
    count: usize,
}

impl Transactions {
    pub(super) fn new(client: Client) -> Transactions {
        Transactions { client, producer: None, decided: Decided::default(), count: 0 }
    }

    pub(super) fn play(&mut self, ending: &Ending) {
        if self.producer.is_none() {
            let decided = self.decided.clone();
            let builder = self.client.transaction_producer("tx").producer(|producer| producer.timeout(SEND));
            let builder = builder.check(move |message| decided.of(message));
            self.producer = timed("start of a transaction producer", Duration::ZERO, || builder.start().ok());
        }
        let Some(producer) = &self.producer else { return };
        self.count += 1;
        let key = format!("tx{}", self.count);
        let message = Message::builder(TOPIC, "half").key(key.as_str()).build();
        let resolution = match ending {
            Ending::Commit | Ending::CommitInClosure | Ending::Asked { commit: true } => TransactionResolution::Commit,
            Ending::Open => TransactionResolution::Unknown,
            _ => TransactionResolution::Rollback,
        };
        self.decided.0.lock().expect("no panic").insert(key.clone(), resolution);
        let ended: Result<(), Error> = match ending {
            Ending::CommitInClosure | Ending::RollbackInClosure => {
                timed("transaction", SEND * 2, || producer.send(message, |_| resolution)).map(drop).map_err(Error::from)
            }
            _ => match timed("begin of a transaction", SEND, || producer.begin(message)) {
                Ok(begun) => {
                    // That a broker could not be told is no end: it asks.
                    let _ = timed("end of a transaction", SEND, || match ending {
                        Ending::Commit => begun.commit().map(drop),
                        Ending::Rollback => begun.rollback().map(drop),
                        _ => Ok(()),
                    });
                    Ok(())
                }
                Err(error) => Err(error.into()),
            },
        };
        if ended.is_err_and(|error| error.outcome() == Outcome::NotSent) {
            // So it must not be stored, whoever asks.
            self.decided.0.lock().expect("no panic").insert(key, TransactionResolution::Rollback);
        }
    }

    /// What was decided, when all is over.
    pub(super) fn end(self) -> Decided {
        self.decided
    }
}
