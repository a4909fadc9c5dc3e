//! One request on its way through the server, and how it is answered.

use std::sync::Arc;

use super::link::Link;
use crate::code::ResponseCode;
use crate::error::Error;
use crate::protocol::fields::{Header, NoFields};
use crate::protocol::frame::{self, Frame, Head, HeaderKind, Language};

/// The version Apache's broker 5.5.0 reports.
const VERSION: i32 = 513;

/// A request, and the buffer its answer goes to.
pub(super) struct Call<'a> {
    pub(super) frame: &'a Frame,
    pub(super) link: &'a Arc<Link>,
    pub(super) out: &'a mut Vec<u8>,
    /// Whether the answer may come later; not so for requests that a fault has picked.
    pub(super) may_hold: bool,
}

/// What became of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Handled {
    /// The answer is in the buffer.
    Answered,
    /// The answer comes later.
    Held,
    /// There is no answer.
    Unanswered,
}

impl Call<'_> {
    /// Answers success without fields.
    pub(super) fn done(&mut self) -> Handled {
        self.reply(ResponseCode::SUCCESS, None, &NoFields, &[])
    }

    /// Answers success with a body.
    pub(super) fn body(&mut self, body: &[u8]) -> Handled {
        self.reply(ResponseCode::SUCCESS, None, &NoFields, body)
    }

    /// Answers success with fields.
    pub(super) fn fields<H: Header>(&mut self, header: &H) -> Handled {
        self.reply(ResponseCode::SUCCESS, None, header, &[])
    }

    pub(super) fn error(&mut self, code: ResponseCode, remark: &str) -> Handled {
        self.reply(code, Some(remark), &NoFields, &[])
    }

    /// Answers a request whose fields or body cannot be read, as Java answers what makes a processor throw.
    pub(super) fn unreadable(&mut self, error: &Error) -> Handled {
        self.error(
            ResponseCode::SYSTEM_ERROR,
            &format!("org.apache.rocketmq.remoting.exception.RemotingCommandException: {error}"),
        )
    }

    pub(super) fn unsupported(&mut self) -> Handled {
        let remark = format!(" request type {} not supported", self.frame.code);
        self.error(ResponseCode::REQUEST_CODE_NOT_SUPPORTED, &remark)
    }

    pub(super) fn reply<H: Header>(
        &mut self,
        code: ResponseCode,
        remark: Option<&str>,
        header: &H,
        body: &[u8],
    ) -> Handled {
        reply(self.out, self.frame.opaque, code, remark, header, &[body]);
        Handled::Answered
    }
}

/// Appends an answer that has the fields of `meant` and another code: where a message was stored, and that something about
/// it went wrong.
pub(super) fn reply_otherwise(out: &mut Vec<u8>, meant: &[u8], opaque: i32, code: ResponseCode, remark: &str) {
    let meant = frame::decode_whole(meant).ok();
    let fields: Vec<_> = meant.iter().flat_map(Frame::fields).filter_map(Result::ok).collect();
    let fields: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (&**name, &**value)).collect();
    let head = Head::response(HeaderKind::Json, code, opaque, Some(remark));
    let head = Head { language: Language::JAVA, version: VERSION, ..head };
    if let Err(error) = frame::encode(out, &head, &NoFields, &fields, 0) {
        log::warn!("an answer does not fit a frame: {error}");
    }
}

/// Appends an answer. Its header is JSON whatever the request's was, as brokers 5.x do by default.
pub(super) fn reply<H: Header, B: AsRef<[u8]>>(
    out: &mut Vec<u8>,
    opaque: i32,
    code: ResponseCode,
    remark: Option<&str>,
    header: &H,
    body: &[B],
) {
    let head =
        Head { language: Language::JAVA, version: VERSION, ..Head::response(HeaderKind::Json, code, opaque, remark) };
    let len = body.iter().map(|part| part.as_ref().len()).sum();
    if let Err(error) = frame::encode(out, &head, header, &[], len) {
        log::warn!("an answer does not fit a frame: {error}");
        return;
    }
    for part in body {
        out.extend_from_slice(part.as_ref());
    }
}
