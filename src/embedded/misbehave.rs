//! Serving the requests that a fault has picked.

use std::sync::Arc;
use std::time::Instant;

use byteorder::{BigEndian, ByteOrder};

use super::call::{self, Call};
use super::faults::Kind;
use super::link::Link;
use super::server::Server;
use crate::protocol::fields::NoFields;
use crate::protocol::frame::Frame;

/// What the fault of a wrong number adds to it: far from any number in use.
const STRAY: i32 = 1_000_000;

impl Server {
    /// Serves a request that a fault has picked.
    pub(super) fn fail(&self, kind: Kind, link: &Arc<Link>, frame: &Frame, out: &mut Vec<u8>) {
        match &kind {
            Kind::Ignore => return,
            Kind::Disconnect => {
                // What was answered before leaves first.
                link.answer(out);
                return link.close_when_written();
            }
            Kind::Error(code, remark) => {
                if !frame.is_oneway() {
                    call::reply(out, frame.opaque, *code, Some(remark), &NoFields, &[[]]);
                }
                return;
            }
            _ => {}
        }
        let strayed;
        let served = if kind == Kind::WrongOpaque {
            strayed = {
                let mut copy = frame.clone();
                copy.opaque = copy.opaque.wrapping_add(STRAY);
                copy
            };
            &strayed
        } else {
            frame
        };
        let mut reply = Vec::new();
        self.service.serve(&mut Call { frame: served, link, out: &mut reply, may_hold: false });
        if frame.is_oneway() {
            reply.clear();
        }
        match kind {
            Kind::ErrorAfter(code, remark) if !frame.is_oneway() => {
                call::reply_otherwise(out, &reply, frame.opaque, code, &remark);
            }
            Kind::Delay(by) => {
                let due = Instant::now() + by;
                self.late.add(due, link, reply);
                self.clock.look_at(due);
            }
            Kind::Duplicate => {
                out.extend_from_slice(&reply);
                out.extend_from_slice(&reply);
            }
            Kind::Cut(bytes) => {
                out.extend_from_slice(&reply[..bytes.min(reply.len())]);
                link.answer(out);
                link.close_when_written();
            }
            Kind::HalfReply => out.extend_from_slice(&reply[..reply.len() / 2]),
            Kind::ByteByByte => {
                link.answer(out);
                link.slow_down();
                link.answer(&mut reply);
            }
            Kind::Garbage(bytes) => out.extend_from_slice(&bytes),
            Kind::Oversized => {
                if reply.len() >= 4 {
                    BigEndian::write_i32(&mut reply, i32::MAX);
                }
                out.extend_from_slice(&reply);
            }
            Kind::WrongOpaque => out.extend_from_slice(&reply),
            Kind::OtherConnection => {
                if let Some(other) = self.other_link(link) {
                    other.push(&reply);
                }
            }
            _ => {}
        }
    }
}
