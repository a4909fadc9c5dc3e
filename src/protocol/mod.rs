//! Bytes to values and back: frames, header tables, bodies and stored records.
//!
//! Pure: no sockets, threads, locks, clocks or logging. Both directions of everything are here, because the client uses
//! one side, the embedded cluster the other, and tests both.

pub(crate) mod base64;
pub(crate) mod batch;
pub(crate) mod binary_header;
pub(crate) mod bounds;
pub(crate) mod compress;
pub(crate) mod fields;
pub(crate) mod filter;
pub(crate) mod frame;
pub(crate) mod json;
pub(crate) mod json_header;
mod members;
pub(crate) mod namespace;
#[cfg(feature = "tls")]
pub(crate) mod pem;
pub(crate) mod pop;
pub(crate) mod properties_text;
pub(crate) mod recall;
pub(crate) mod record;
pub(crate) mod request;
pub(crate) mod rpc;
mod scan;
#[cfg(feature = "tls")]
pub(crate) mod tls;

#[cfg(test)]
pub(crate) mod golden;
#[cfg(test)]
mod mutation;
