//! How much of the messages in one answer is taken.

/// Bounds of what is made of one answer, whatever it says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Bounds {
    /// Bytes of one body, once it is inflated. A larger one damages its message only.
    pub(crate) body: usize,
    /// Bytes of all inflated bodies together.
    pub(crate) answer: usize,
    pub(crate) messages: usize,
    /// Properties of one message. More damage their message only.
    pub(crate) properties: usize,
}

impl Default for Bounds {
    fn default() -> Bounds {
        Bounds {
            body: 64 << 20,
            answer: 256 << 20,
            messages: 65_536,
            // Reading them all takes time that grows with the square.
            properties: 4096,
        }
    }
}

impl Bounds {
    /// The usual ones, and another size of bodies.
    #[cfg(any(test, feature = "embedded"))]
    pub(crate) fn of_bodies(body: usize) -> Bounds {
        Bounds { body, ..Bounds::default() }
    }
}
