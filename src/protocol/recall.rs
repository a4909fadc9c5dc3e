//! The handle by which a timer message is recalled: base64 of a few words.

use std::str::SplitWhitespace;

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
        encode(format!("{VERSION} {topic} {broker_name} {deliver_millis} {message_id}").as_bytes())
    }

    /// Reads the text form; `None` for everything else.
    pub(crate) fn decode(text: &str) -> Option<RecallHandle> {
        let plain = String::from_utf8(decode(text)?).ok()?;
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

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

fn encode(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let bits = group.iter().fold(0u32, |bits, byte| bits << 8 | u32::from(*byte)) << (8 * (3 - group.len()));
        for place in 0..4 {
            let digit = ALPHABET[(bits >> (18 - 6 * place)) as usize & 63];
            text.push(if place <= group.len() { char::from(digit) } else { '=' });
        }
    }
    text
}

/// As Java's decoder: the padding may be missing, but not be wrong.
fn decode(text: &str) -> Option<Vec<u8>> {
    let digits = text.trim_end_matches('=');
    let padding = text.len() - digits.len();
    let valid = match digits.len() % 4 {
        0 => padding == 0,
        1 => false,
        rest => padding == 0 || padding == 4 - rest,
    };
    if !valid {
        return None;
    }
    let mut bytes = Vec::with_capacity(digits.len() * 3 / 4);
    for group in digits.as_bytes().chunks(4) {
        let mut bits = 0u32;
        for digit in group {
            bits = bits << 6 | u32::try_from(ALPHABET.iter().position(|known| known == digit)?).ok()?;
        }
        let whole = (bits << (6 * (4 - group.len()))).to_be_bytes();
        bytes.extend_from_slice(&whole[1..group.len()]);
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_of_every_length_survive() {
        for len in 0..50usize {
            let bytes: Vec<u8> = (0..len).map(|at| (at * 37 + 200) as u8).collect();
            let text = encode(&bytes);
            assert_eq!(text.len() % 4, 0);
            assert_eq!(decode(&text).unwrap(), bytes);
            assert_eq!(decode(text.trim_end_matches('=')).unwrap(), bytes, "without padding");
        }
        assert_eq!(encode(&[0xFB, 0xFF]), "-_8=");
    }

    #[test]
    fn everything_but_a_handle_is_refused() {
        let handle = RecallHandle {
            topic: "T".into(),
            broker_name: "broker-a".into(),
            deliver_millis: 1_700_000_001_000,
            message_id: "AC11".into(),
        };
        assert_eq!(RecallHandle::decode(&handle.encode()).as_ref(), Some(&handle));
        let of = |plain: &str| RecallHandle::decode(&encode(plain.as_bytes()));
        assert!(of("v1 T b 1 id").is_some());
        for plain in ["", "v2 T b 1 id", "v1 T b 1", "v1 T b soon id", "v1 T b 1 id more"] {
            assert_eq!(of(plain), None, "{plain}");
        }
        assert_eq!(RecallHandle::decode(&encode(b"v1 T \xFF 1 id")), None, "not UTF-8");
        for text in ["", "a", "djE", "djE=djE=", "djE==", "dj+/", "中文", "v1 T b 1 id"] {
            assert_eq!(RecallHandle::decode(text), None, "{text}");
        }
    }

    /// A handle comes from outside; reading it must not panic.
    #[test]
    fn damaged_handles_are_refused_or_read_as_another() {
        let good = encode(b"v1 TopicTest broker-a 1700000001000 AC1100017D2C18B4AAC2018C0A5E0000");
        let mut random = fastrand::Rng::with_seed(5);
        for _ in 0..5000 {
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
