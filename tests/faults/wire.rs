//! Just enough of the protocol to tell frames apart and to spoil them; deliberately not the crate's own codec.

use serde_json::Value;

pub(crate) const SEND: i64 = 310;
pub(crate) const END_TRANSACTION: i64 = 37;
pub(crate) const PULL: i64 = 11;
pub(crate) const QUERY_OFFSET: i64 = 14;
pub(crate) const UPDATE_OFFSET: i64 = 15;
pub(crate) const MIN_OFFSET: i64 = 31;
pub(crate) const HEARTBEAT: i64 = 34;
pub(crate) const SEND_BACK: i64 = 36;
pub(crate) const CONSUMER_LIST: i64 = 38;
pub(crate) const NOTIFY_MEMBERS: i64 = 40;
pub(crate) const LOCK: i64 = 41;

/// A frame as it passes by.
#[derive(Debug, Clone)]
pub(crate) struct Frame {
    /// All of it, its length included.
    pub(crate) bytes: Vec<u8>,
    pub(crate) header: Value,
}

impl Frame {
    fn number(&self, name: &str) -> i64 {
        self.header[name].as_i64().unwrap_or(0)
    }

    pub(crate) fn code(&self) -> i64 {
        self.number("code")
    }

    pub(crate) fn opaque(&self) -> i64 {
        self.number("opaque")
    }

    pub(crate) fn is_response(&self) -> bool {
        self.number("flag") & 1 == 1
    }

    pub(crate) fn is_oneway(&self) -> bool {
        self.number("flag") & 2 == 2
    }

    /// The message's keys, of a send.
    pub(crate) fn keys(&self) -> Option<String> {
        let properties = self.header["extFields"]["i"].as_str()?;
        let key = properties.split('\u{2}').find_map(|pair| pair.strip_prefix("KEYS\u{1}"))?;
        Some(key.to_owned())
    }

    /// The same frame with another header.
    pub(crate) fn with(&self, change: impl FnOnce(&mut Value)) -> Vec<u8> {
        let mut header = self.header.clone();
        change(&mut header);
        let old = u32::from_be_bytes([0, self.bytes[5], self.bytes[6], self.bytes[7]]) as usize;
        encode(&header, &self.bytes[8 + old..])
    }

    /// The same frame without the last bytes of its body.
    pub(crate) fn without(&self, last: usize) -> Vec<u8> {
        let header_len = u32::from_be_bytes([0, self.bytes[5], self.bytes[6], self.bytes[7]]) as usize;
        let body = &self.bytes[8 + header_len..];
        encode(&self.header, &body[..body.len().saturating_sub(last)])
    }

    /// An answer to this frame that says no.
    pub(crate) fn refusal(&self, code: i64, remark: &str) -> Vec<u8> {
        let header = serde_json::json!({
            "code": code, "flag": 1, "language": "JAVA", "opaque": self.opaque(), "version": 477, "remark": remark,
        });
        encode(&header, &[])
    }
}

/// A request of the tests' own.
pub(crate) fn request(code: i64, fields: &Value, body: &[u8]) -> Vec<u8> {
    let header = serde_json::json!({
        "code": code, "flag": 0, "language": "JAVA", "opaque": 1, "version": 477, "extFields": fields,
    });
    encode(&header, body)
}

fn encode(header: &Value, body: &[u8]) -> Vec<u8> {
    let header = header.to_string();
    let mut bytes = Vec::new();
    bytes.extend_from_slice(&(4 + header.len() as u32 + body.len() as u32).to_be_bytes());
    bytes.extend_from_slice(&(header.len() as u32).to_be_bytes());
    bytes.extend_from_slice(header.as_bytes());
    bytes.extend_from_slice(body);
    bytes
}

/// Cuts a stream into frames.
#[derive(Debug, Default)]
pub(crate) struct Frames {
    left: Vec<u8>,
}

impl Frames {
    pub(crate) fn feed(&mut self, bytes: &[u8]) -> Vec<Frame> {
        self.left.extend_from_slice(bytes);
        let mut frames = Vec::new();
        while self.left.len() >= 8 {
            let len = u32::from_be_bytes([self.left[0], self.left[1], self.left[2], self.left[3]]) as usize + 4;
            if self.left.len() < len {
                break;
            }
            let rest = self.left.split_off(len);
            let bytes = std::mem::replace(&mut self.left, rest);
            let header_len = u32::from_be_bytes([0, bytes[5], bytes[6], bytes[7]]) as usize;
            // Servers answer in the form they are asked in, which is JSON throughout these tests.
            let header = serde_json::from_slice(&bytes[8..8 + header_len]).expect("a JSON header");
            frames.push(Frame { bytes, header });
        }
        frames
    }
}
