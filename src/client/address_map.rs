use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

/// The user's translation of the addresses brokers advertise into those that are reachable from here.
#[derive(Clone)]
pub(crate) struct AddressMap(Arc<dyn Fn(&str) -> String + Send + Sync>);

impl AddressMap {
    pub(crate) fn new(map: impl Fn(&str) -> String + Send + Sync + 'static) -> AddressMap {
        AddressMap(Arc::new(map))
    }

    /// Translates one address. It runs on a connection's own thread, so a panic of the user's code must not pass.
    pub(crate) fn apply(&self, addr: &str) -> Arc<str> {
        match catch_unwind(AssertUnwindSafe(|| (self.0)(addr))) {
            Ok(mapped) if !mapped.trim().is_empty() => mapped.trim().into(),
            Ok(_) => addr.into(),
            Err(_) => {
                log::error!("the address map panicked on {addr}; the address is used as it is");
                addr.into()
            }
        }
    }

    /// Two maps are known to do the same only when they are the same closure.
    pub(crate) fn is(&self, other: &AddressMap) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl fmt::Debug for AddressMap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AddressMap(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_map_that_panics_or_answers_nothing_leaves_the_address() {
        let map = |f: fn(&str) -> String| AddressMap::new(f).apply("10.0.0.1:10911").to_string();
        assert_eq!(map(|_| " localhost:1 ".into()), "localhost:1");
        assert_eq!(map(|_| String::new()), "10.0.0.1:10911");
        assert_eq!(map(|_| panic!("expected by this test")), "10.0.0.1:10911");
    }
}
