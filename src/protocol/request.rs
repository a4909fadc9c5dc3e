//! Requests as tables: a header, its code, the header of its answer, and the codes that count as an answer.

use super::fields::Header;
use super::frame::{Frame, VERSION};
use crate::code::{RequestCode, ResponseCode};
use crate::error::Result;

/// A request: what it asks, and how its answer is read.
pub(crate) trait Request: Header + Clone + Send + 'static {
    /// The header of the answer.
    type Reply: Header;

    /// The codes that are answers; every other one becomes `Error::Rejected` in one place.
    const ANSWERS: &'static [ResponseCode] = &[ResponseCode::SUCCESS];

    /// The version the request reports.
    const VERSION: i32 = VERSION;

    /// Whether its writing is worth code of its own.
    const IS_FREQUENT: bool = false;

    fn code(&self) -> RequestCode;
}

/// An answer: its code, which is one of the request's [`ANSWERS`](Request::ANSWERS), and its frame.
#[derive(Debug)]
pub(crate) struct Answer<R: Request> {
    pub(crate) frame: Frame,
    request: std::marker::PhantomData<R>,
}

impl<R: Request> Answer<R> {
    pub(crate) fn new(frame: Frame) -> Answer<R> {
        Answer { frame, request: std::marker::PhantomData }
    }

    pub(crate) fn code(&self) -> ResponseCode {
        self.frame.response_code()
    }

    pub(crate) fn header(&self) -> Result<R::Reply> {
        self.frame.header()
    }
}

/// Declares headers: the wire's name left, ours right, one line a field.
///
/// `Option<T>` is a field that may be absent, `Duration` is milliseconds. Fields are written in the order of the table;
/// Java writes them in alphabetical order, and so do the tables whose bytes are compared with Java's.
macro_rules! headers {
    ($($(#[$meta:meta])* pub(crate) struct $name:ident { $($(#[$doc:meta])* $wire:literal => $field:ident: $type:ty,)* })*) => {
        $(
            $(#[$meta])*
            #[derive(Debug, Clone, PartialEq)]
            pub(crate) struct $name { $($(#[$doc])* pub(crate) $field: $type,)* }

            impl $crate::protocol::fields::Header for $name {
                fn put<S: $crate::protocol::fields::FieldSink>(&self, sink: &mut S) {
                    $($crate::protocol::fields::Field::put(&self.$field, $wire, sink);)*
                }

                fn take(mut fields: $crate::protocol::fields::FieldSource<'_>) -> $crate::error::Result<$name> {
                    $(let mut $field = None;)*
                    while let Some((name, value)) = fields.next_raw()? {
                        $(if name.is($wire) {
                            $field = Some(value);
                            continue;
                        })*
                    }
                    $(let $field = $crate::protocol::fields::Field::take($wire, $field.map(|raw| raw.text()))?;)*
                    Ok($name { $($field,)* })
                }
            }
        )*
    };
}

/// Declares which code a header is sent with, and which header answers it.
///
/// Codes other than success that are answers stand in brackets.
macro_rules! requests {
    ($($name:ident = $code:ident -> $reply:ty $([$($answer:ident)*])?;)*) => {
        $(impl $crate::protocol::request::Request for $name {
            type Reply = $reply;

            $(const ANSWERS: &'static [$crate::code::ResponseCode] =
                &[$crate::code::ResponseCode::SUCCESS $(, $crate::code::ResponseCode::$answer)*];)?

            fn code(&self) -> $crate::code::RequestCode {
                $crate::code::RequestCode::$code
            }
        })*
    };
}

/// Declares headers without fields, for requests that only differ by their code.
macro_rules! without_fields {
    ($($(#[$meta:meta])* pub(crate) struct $name:ident;)*) => {
        $(
            $(#[$meta])*
            #[derive(Debug, Clone, PartialEq)]
            pub(crate) struct $name;

            impl $crate::protocol::fields::Header for $name {
                fn put<S: $crate::protocol::fields::FieldSink>(&self, _sink: &mut S) {}

                fn take(_fields: $crate::protocol::fields::FieldSource<'_>) -> $crate::error::Result<$name> {
                    Ok($name)
                }
            }
        )*
    };
}

pub(crate) use {headers, requests, without_fields};
