//! The handle by which a timer message is recalled: base64 of a few words.

use std::str::SplitWhitespace;

use super::base64::{self, URL_SAFE};

/// What a recall handle says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RecallHandle {
    pub(crate) topic: String,
    /// The broker that keeps the message.
    pub(crate) broker_name: String,
    /// When it is delivered, in milliseconds since 1970.
    pub(crate) deliver_millis: i64,
    /// The message's unique id.
    pub(crate) message_id: String,
}

const VERSION: &str = "v1";

impl RecallHandle {
    /// Writes the text form: the URL-safe alphabet of base64, padded.
    pub(crate) fn encode(&self) -> String {
        let RecallHandle { topic, broker_name, deliver_millis, message_id } = self;
        base64::encode(URL_SAFE, format!("{VERSION} {topic} {broker_name} {deliver_millis} {message_id}").as_bytes())
    }

    /// Reads the text form; `None` for everything else.
    pub(crate) fn decode(text: &str) -> Option<RecallHandle> {
        let plain = String::from_utf8(base64::decode(URL_SAFE, text)?).ok()?;
        let mut words: SplitWhitespace<'_> = plain.split_whitespace();
        if words.next()? != VERSION {
            return None;
        }
        let (topic, broker_name) = (words.next()?.to_owned(), words.next()?.to_owned());
        let deliver_millis = words.next()?.parse().ok()?;
        let message_id = words.next()?.to_owned();
        words.next().is_none().then_some(RecallHandle { topic, broker_name, deliver_millis, message_id })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_but_a_handle_is_refused() {
        let handle = RecallHandle {
            topic: "T".into(),
            broker_name: "broker-a".into(),
            deliver_millis: 1_700_000_001_000,
            message_id: "AC11".into(),
        };
        assert_eq!(RecallHandle::decode(&handle.encode()).as_ref(), Some(&handle));
        let of = |plain: &str| RecallHandle::decode(&base64::encode(URL_SAFE, plain.as_bytes()));
        assert!(of("v1 T b 1 id").is_some());
        for plain in ["", "v2 T b 1 id", "v1 T b 1", "v1 T b soon id", "v1 T b 1 id more"] {
            assert_eq!(of(plain), None, "{plain}");
        }
        assert_eq!(RecallHandle::decode(&base64::encode(URL_SAFE, b"v1 T \xFF 1 id")), None, "not UTF-8");
        for text in ["", "a", "djE", "djE=djE=", "djE==", "dj+/", "中文", "v1 T b 1 id"] {
            assert_eq!(RecallHandle::decode(text), None, "{text}");
        }
    }

    /// A handle comes from outside; reading it must not panic.
    #[test]
    fn damaged_handles_are_refused_or_read_as_another() {
        let good = base64::encode(URL_SAFE, b"v1 TopicTest broker-a 1700000001000 AC1100017D2C18B4AAC2018C0A5E0000");
        let mut random = fastrand::Rng::with_seed(5);
        for _ in 0..crate::rounds(5000) {
            let mut bytes = good.clone().into_bytes();
            for _ in 0..random.usize(1..4) {
                let at = random.usize(..bytes.len());
                bytes[at] = random.u8(..128);
            }
            bytes.truncate(random.usize(..=bytes.len()));
            let _ = RecallHandle::decode(&String::from_utf8(bytes).unwrap());
        }
    }
}
