use crate::message::Message;

/// What can be sent as one unit: a message, or several as a batch.
pub trait Sendable: sealed::Sealed + Send + 'static {}

mod sealed {
    use crate::message::Message;

    pub trait Sealed {
        /// The messages, at least one unless a batch is empty.
        fn messages(&self) -> &[Message];
        fn is_batch(&self) -> bool;
    }

    impl Sealed for Message {
        fn messages(&self) -> &[Message] {
            std::slice::from_ref(self)
        }

        fn is_batch(&self) -> bool {
            false
        }
    }

    impl Sealed for Vec<Message> {
        fn messages(&self) -> &[Message] {
            self
        }

        fn is_batch(&self) -> bool {
            true
        }
    }
}

impl Sendable for Message {}
impl Sendable for Vec<Message> {}
