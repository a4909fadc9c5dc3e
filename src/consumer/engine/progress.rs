//! How far a queue is finished in the eyes of the offset store. Pure.

/// What the store is known to have, and what is on its way there.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    stored: Option<i64>,
    sent: Option<i64>,
}

impl Progress {
    /// `stored` is what the store had when the queue was taken over; `None` when the group is new there.
    pub(crate) fn new(stored: Option<i64>) -> Progress {
        Progress { stored, sent: None }
    }

    /// What is to be sent for a queue finished up to `offset`: nothing that the store has, and nothing while something is
    /// on its way, so that two commits never overtake each other.
    pub(crate) fn send(&mut self, offset: i64) -> Option<i64> {
        if self.sent.is_some() || self.stored == Some(offset) {
            return None;
        }
        self.sent = Some(offset);
        self.sent
    }

    /// The store has answered.
    pub(crate) fn answered(&mut self, stored: bool) {
        if let (Some(sent), true) = (self.sent.take(), stored) {
            self.stored = Some(sent);
        }
    }

    pub(crate) fn is_waiting(&self) -> bool {
        self.sent.is_some()
    }

    pub(crate) fn stored(&self) -> Option<i64> {
        self.stored
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_store_has_is_not_sent_again() {
        let mut progress = Progress::new(Some(10));
        assert_eq!(progress.send(10), None);
        assert_eq!(progress.send(12), Some(12));
        assert_eq!(progress.send(13), None, "one commit at a time");
        progress.answered(true);
        assert_eq!((progress.send(12), progress.stored()), (None, Some(12)));
        assert_eq!(progress.send(13), Some(13));
    }

    #[test]
    fn what_failed_is_sent_again() {
        let mut progress = Progress::new(None);
        assert_eq!(progress.send(0), Some(0), "a new group's first offset is stored even when it is 0");
        progress.answered(false);
        assert_eq!(progress.send(0), Some(0));
    }
}
