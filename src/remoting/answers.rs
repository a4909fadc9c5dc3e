//! Which frames are answers, and which stand for errors.

use std::sync::Arc;

use crate::code::ResponseCode;
use crate::error::{Error, Result};
use crate::protocol::frame::Frame;
use crate::protocol::request::{Answer, Request};

/// Makes an answer of a frame, or the error that its code stands for.
pub(crate) fn answer_of<R: Request>(addr: &Arc<str>, frame: Frame) -> Result<Answer<R>> {
    checked(addr, frame, R::ANSWERS).map(Answer::new)
}

/// Has `done` get a frame only with one of the codes that are answers, else the error that its code stands for.
pub(crate) fn answered(
    addr: &Arc<str>,
    answers: &'static [ResponseCode],
    done: impl FnOnce(Result<Frame>) + Send + 'static,
) -> Box<dyn FnOnce(Result<Frame>) + Send> {
    let from = addr.clone();
    Box::new(move |result| done(result.and_then(|frame| checked(&from, frame, answers))))
}

/// Returns a frame with one of the codes that are answers, else the error that its code stands for: the one place where
/// codes become errors.
pub(super) fn checked(addr: &Arc<str>, frame: Frame, answers: &[ResponseCode]) -> Result<Frame> {
    let code = frame.response_code();
    if answers.contains(&code) {
        return Ok(frame);
    }
    let remark: Arc<str> = frame.remark().trim().into();
    if code == ResponseCode::REQUEST_CODE_NOT_SUPPORTED {
        return Err(Error::Unsupported { what: remark, addr: Some(addr.clone()) });
    }
    Err(Error::Rejected { addr: addr.clone(), code, remark })
}
