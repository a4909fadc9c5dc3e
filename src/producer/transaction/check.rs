//! One check: a broker asks how a transaction ended, and the user's code answers.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use super::super::shared::Shared;
use super::resolution::TransactionResolution;
use super::traced;
use crate::client::{Asked, Core};
use crate::error::{Error, Result};
use crate::message::{MessageView, key};
use crate::protocol::frame::Frame;
use crate::protocol::rpc::transaction::{CheckTransaction, EndTransaction};
use crate::remoting::Deadline;

/// The user's code that knows how a transaction ended.
pub(super) type Check = Arc<dyn Fn(&MessageView) -> TransactionResolution + Send + Sync>;

/// Answers checks with the user's code.
pub(super) struct Checker {
    pub(super) shared: Arc<Shared>,
    pub(super) check: Check,
}

impl Checker {
    /// Runs the check for a question, and answers the `newest` one about the same half message to the broker it came from.
    pub(super) fn answer(&self, asked: &Asked, newest: impl FnOnce() -> Option<Asked>) {
        let decided = read(&self.shared.core, &asked.frame).map(|half| (self.ask(&half), half));
        let answered = newest().and_then(|newest| match &decided {
            Ok((resolution, half)) => self.tell(&newest, half, *resolution).err(),
            Err(error) => Some(error.clone()),
        });
        if let Some(error) = answered {
            let (group, addr) = (self.shared.group(), &asked.addr);
            log::warn!("producer {group}: a check of {addr} is not answered, so it asks again: {error}");
        }
    }

    fn tell(&self, asked: &Asked, half: &MessageView, resolution: TransactionResolution) -> Result<()> {
        let answer = answer(&self.shared.settings.send.group, asked.frame.header()?, half, resolution);
        let deadline = Deadline::after(self.shared.settings.timeout);
        self.shared.core.remoting().oneway(&asked.addr, &answer, &[], deadline, false)?;
        self.shared.stats.transactions.checks_answered.one();
        traced::by_check(&self.shared, half, answer.transaction_id.as_deref(), &asked.addr, resolution);
        Ok(())
    }

    fn ask(&self, half: &MessageView) -> TransactionResolution {
        catch_unwind(AssertUnwindSafe(|| (self.check)(half))).unwrap_or_else(|_| {
            let (group, id) = (self.shared.group(), half.message_id());
            log::error!("producer {group}: the check of transaction {id} panicked, which leaves its end unknown");
            TransactionResolution::Unknown
        })
    }
}

fn read(core: &Core, frame: &Frame) -> Result<MessageView> {
    let header: CheckTransaction = frame.header()?;
    let broker_name = header.broker_name.unwrap_or_else(|| "".into());
    let (views, error) = core.messages(frame.body_bytes(), &broker_name);
    match (views.into_iter().next(), error) {
        (Some(half), _) => Ok(half),
        (None, Some(error)) => Err(error),
        (None, None) => Err(Error::malformed("a check without the message it is about")),
    }
}

/// The offsets are those of the check: the broker stored the half message anew before it asked.
fn answer(
    group: &Arc<str>,
    asked: CheckTransaction,
    half: &MessageView,
    resolution: TransactionResolution,
) -> EndTransaction {
    EndTransaction {
        broker_name: asked.broker_name,
        commit_log_offset: asked.commit_log_offset,
        end: resolution.code(),
        from_check: Some(true),
        // Brokers write the offset message id into the field of this name.
        message_id: half.property(key::UNIQUE_ID).map(Arc::from).or(asked.message_id),
        producer_group: group.clone(),
        topic: asked.topic,
        half_offset: asked.half_offset,
        transaction_id: asked.transaction_id,
    }
}
