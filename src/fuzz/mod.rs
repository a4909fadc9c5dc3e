//! What the fuzz targets run: each takes any bytes and panics when a promise does not hold. Not part of the public
//! interface, and in no ordinary build: cargo-fuzz sets `cfg(fuzzing)`, and the crate's own tests run the kept corpus.
//!
//! The first bytes of an input choose settings where a target has some; the rest is what a peer sends.

mod admin_bodies;
mod bodies;
mod header;
mod messages;
mod server;
mod sql;
mod stream;
mod texts;

#[cfg(test)]
mod seeds;
#[cfg(test)]
mod tests;

pub use admin_bodies::{admin_bodies, settings};
pub use bodies::bodies;
pub use header::{binary_header, json_header};
pub use messages::{batch, inflate, properties, records};
pub use server::server;
pub use sql::sql;
pub use stream::stream;
pub use texts::{ids, name_servers, namespaces, offset_file, pop, subscription, trace};

/// A target's name and what it runs.
pub type Target = (&'static str, fn(&[u8]));

/// All targets that take bytes.
pub const TARGETS: &[Target] = &[
    ("admin_bodies", admin_bodies),
    ("batch", batch),
    ("binary_header", binary_header),
    ("bodies", bodies),
    ("ids", ids),
    ("inflate", inflate),
    ("json_header", json_header),
    ("name_servers", name_servers),
    ("namespaces", namespaces),
    ("offset_file", offset_file),
    ("pop", pop),
    ("properties", properties),
    ("records", records),
    ("server", server),
    ("settings", settings),
    ("sql", sql),
    ("stream", stream),
    ("subscription", subscription),
    ("trace", trace),
];

/// Cuts an input at its first zero bytes into as many texts as wanted; the last has the rest, later ones are empty.
fn texts<const N: usize>(data: &[u8]) -> [String; N] {
    let mut parts = data.splitn(N, |byte| *byte == 0);
    std::array::from_fn(|_| String::from_utf8_lossy(parts.next().unwrap_or_default()).into_owned())
}
