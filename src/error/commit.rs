//! What became of offsets that were to be committed together.

use std::sync::Arc;

use super::Error;

/// What became of the offset of one queue; [`Error::NotCommitted`] has one for each. A
/// [`MessageQueue`](crate::MessageQueue) can be made from it.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct QueueCommit {
    /// The topic.
    pub topic: Arc<str>,
    /// The broker's name.
    pub broker_name: Arc<str>,
    /// The queue's number on its broker.
    pub queue_id: i32,
    /// The offset that the group has there now; `None` when it was not committed, and when nothing of the queue was consumed
    /// yet.
    pub offset: Option<i64>,
    /// Why it was not committed; `None` when it was.
    pub error: Option<Error>,
}

pub(super) fn listed(queues: &[QueueCommit]) -> String {
    let failed: Vec<_> = queues.iter().filter_map(|queue| Some((queue, queue.error.as_ref()?))).collect();
    let mut text = format!("offsets of {} of {} queues were not committed", failed.len(), queues.len());
    for (QueueCommit { topic, broker_name, queue_id, .. }, error) in failed {
        text += &format!("; {topic}/{broker_name}/{queue_id}: {error}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::super::Outcome;
    use super::*;

    fn of(queue_id: i32, error: Option<Error>) -> QueueCommit {
        let offset = error.is_none().then_some(7);
        QueueCommit { topic: "T".into(), broker_name: "b".into(), queue_id, offset, error }
    }

    #[test]
    fn it_names_the_queues_that_failed_and_says_what_may_have_taken_effect() {
        let refused = Error::Connect { addr: "a:1".into(), source: Arc::new(std::io::ErrorKind::TimedOut.into()) };
        let some = Error::NotCommitted { queues: [of(0, None), of(1, Some(refused.clone()))].into() };
        let text = some.to_string();
        assert!(
            text.starts_with("offsets of 1 of 2 queues were not committed; T/b/1: cannot connect to a:1"),
            "{text}"
        );
        assert_eq!((some.outcome(), some.is_retryable()), (Outcome::Unknown, true));
        let none = Error::NotCommitted { queues: [of(0, Some(refused.clone()))].into() };
        assert_eq!(none.outcome(), Outcome::NotSent);
        let wrong = Error::NotCommitted { queues: [of(0, Some(refused)), of(1, Some(Error::invalid("x")))].into() };
        assert!(!wrong.is_retryable(), "it fails again as long as one does");
    }
}
