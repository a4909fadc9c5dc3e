use std::fmt;
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use crate::error::Error;

type Allows = dyn Fn(&str, SocketAddr) -> bool + Send + Sync;

/// Where connections may go, as the user has it.
#[derive(Clone, Default)]
pub(crate) struct Allowed(Option<Arc<Allows>>);

impl Allowed {
    pub(crate) fn new(allows: impl Fn(&str, SocketAddr) -> bool + Send + Sync + 'static) -> Allowed {
        Allowed(Some(Arc::new(allows)))
    }

    /// Returns the addresses behind a name that may be connected to; an error when there are some and none may.
    pub(crate) fn filter(&self, name: &Arc<str>, mut resolved: Vec<SocketAddr>) -> Result<Vec<SocketAddr>, Error> {
        let Some(allows) = &self.0 else { return Ok(resolved) };
        let all = resolved.clone();
        resolved.retain(|addr| {
            catch_unwind(AssertUnwindSafe(|| allows(name, *addr))).unwrap_or_else(|_| {
                log::error!("allowed_addresses panicked on {name} ({addr}); the address is refused");
                false
            })
        });
        if resolved.is_empty() && !all.is_empty() {
            let all: Vec<String> = all.iter().map(SocketAddr::to_string).collect();
            return Err(Error::AddressRefused { addr: name.clone(), resolved: all.join(", ").into() });
        }
        Ok(resolved)
    }

    /// Two closures are known to do the same only when they are the same one.
    pub(crate) fn is(&self, other: &Allowed) -> bool {
        match (&self.0, &other.0) {
            (Some(allows), Some(other)) => Arc::ptr_eq(allows, other),
            (None, None) => true,
            _ => false,
        }
    }
}

impl fmt::Debug for Allowed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "Allowed(..)" } else { "Allowed(all)" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filter(allows: fn(&str, SocketAddr) -> bool) -> Result<usize, Error> {
        let resolved = ["10.0.0.1:1", "[::1]:1"].map(|addr| addr.parse().unwrap()).to_vec();
        Allowed::new(allows).filter(&"broker:1".into(), resolved).map(|left| left.len())
    }

    #[test]
    fn only_the_allowed_addresses_of_a_name_are_left_and_none_is_an_error_that_names_them() {
        assert_eq!(filter(|name, addr| name == "broker:1" && addr.is_ipv4()).unwrap(), 1);
        let error = filter(|_, _| false).unwrap_err();
        assert!(matches!(&error, Error::AddressRefused { .. }), "{error}");
        assert!(error.to_string().contains("broker:1") && error.to_string().contains("[::1]:1"), "{error}");
        assert!(filter(|_, _| std::panic::resume_unwind(Box::new(()))).is_err());
        let resolved = vec!["10.0.0.1:1".parse().unwrap()];
        assert_eq!(Allowed::default().filter(&"x:1".into(), resolved.clone()).unwrap(), resolved);
    }
}
