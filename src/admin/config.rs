use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use super::Admin;
use crate::error::{Attempt, Error, Result};
use crate::protocol::properties_text;
use crate::protocol::rpc::brokers::{GetBrokerConfig, UpdateBrokerConfig};
use crate::protocol::rpc::name_server::{GetNameServerConfig, UpdateNameServerConfig};

/// The settings of a broker or a name server, under the server's own names for them.
///
/// Its `Display` has a line to a setting, `name=value`, sorted by name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ServerConfig {
    values: BTreeMap<String, String>,
}

/// The settings of all name servers.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct NameServerConfigs {
    /// Those of each that answered, with its address.
    pub servers: Vec<(Arc<str>, ServerConfig)>,
    /// The name servers that could not be asked.
    pub failures: Vec<Attempt>,
}

impl ServerConfig {
    fn read(body: &[u8]) -> ServerConfig {
        let values = properties_text::read(&String::from_utf8_lossy(body)).into_iter().collect();
        ServerConfig { values }
    }

    /// Returns a setting; `None` when the server has none of that name.
    pub fn value(&self, name: &str) -> Option<&str> {
        self.values.get(name).map(String::as_str)
    }

    /// Returns all names and values, sorted by name.
    pub fn values(&self) -> impl ExactSizeIterator<Item = (&str, &str)> {
        self.values.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// What was wished for and is not so. Servers answer success all the same when they know no such setting, or cannot read
    /// the value.
    fn refused(&self, pairs: &[(&str, &str)], addr: &Arc<str>) -> Result<()> {
        let refused = pairs.iter().filter_map(|(name, value)| match self.value(name) {
            None => Some(format!("there is no setting {name}")),
            Some(now) if is_same(now, value.trim()) => None,
            Some(now) => Some(format!("{name} is {now}, and not {value}")),
        });
        let refused: Vec<String> = refused.collect();
        if refused.is_empty() {
            return Ok(());
        }
        Err(Error::Unsupported { what: refused.join("; ").into(), addr: Some(addr.clone()) })
    }
}

/// Servers write what they read in a form of their own: `true` for `TRUE`, `5` for `05`.
fn is_same(one: &str, other: &str) -> bool {
    let number = |text: &str| text.parse::<f64>().ok();
    one.eq_ignore_ascii_case(other) || number(one).is_some_and(|one| number(other) == Some(one))
}

impl fmt::Display for ServerConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, (name, value)) in self.values.iter().enumerate() {
            write!(f, "{}{name}={value}", if number == 0 { "" } else { "\n" })?;
        }
        Ok(())
    }
}

fn check(pairs: &[(&str, &str)]) -> Result<()> {
    if pairs.is_empty() {
        return Err(Error::invalid("no setting to change"));
    }
    match pairs.iter().find(|(name, _)| name.trim().is_empty()) {
        Some(_) => Err(Error::invalid("the name of a setting is blank")),
        None => Ok(()),
    }
}

impl Admin {
    /// Returns the settings of the broker at `addr` (`mqadmin getBrokerConfig`; Java: `getBrokerConfig`).
    ///
    /// Blocks at most for the request timeout (3 s by default).
    pub fn broker_config(&self, addr: &str) -> Result<ServerConfig> {
        let core = self.core();
        let answer = core.ask_server(addr, &GetBrokerConfig, &[], core.request_deadline())?;
        Ok(ServerConfig::read(answer.frame.body()))
    }

    /// Changes settings of the broker at `addr` and leaves all others (`mqadmin updateBrokerConfig`; Java:
    /// `updateBrokerConfig`). The broker keeps them over a restart; some act only then. Slaves have settings of their own.
    ///
    /// Blocks until the broker has answered and its settings have been read back, at most for the request timeout (3 s by
    /// default).
    ///
    /// # Errors
    /// [`Error::Unsupported`] when a setting does not have its value afterwards, because the broker has no such setting or
    /// cannot read the value: brokers say nothing about that. The others are changed then. [`Error::Rejected`] for one that may
    /// not be changed (16).
    pub fn update_broker_config(&self, addr: &str, pairs: &[(&str, &str)]) -> Result<()> {
        check(pairs)?;
        let (core, text) = (self.core(), properties_text::write(pairs.iter().copied()));
        let deadline = core.request_deadline();
        core.ask_server(addr, &UpdateBrokerConfig, text.as_bytes(), deadline)?;
        let answer = core.ask_server(addr, &GetBrokerConfig, &[], deadline)?;
        ServerConfig::read(answer.frame.body()).refused(pairs, &addr.into())
    }

    /// Returns the settings of all name servers (`mqadmin getNamesrvConfig`; Java: `getNameServerConfig`).
    ///
    /// Blocks at most for the request timeout (3 s by default).
    ///
    /// # Errors
    /// A name server that fails is named in [`NameServerConfigs::failures`]; only when none answered the call fails.
    pub fn name_server_config(&self) -> Result<NameServerConfigs> {
        let core = self.core();
        let asked = core.ask_name_servers(&GetNameServerConfig, &[], core.request_deadline())?.some()?;
        let read = |from: crate::client::FromMaster<_>| (from.addr, ServerConfig::read(from.answer.frame.body()));
        let mut servers: Vec<_> = asked.answers.into_iter().map(read).collect();
        servers.sort_by(|(one, _), (other, _)| one.cmp(other));
        Ok(NameServerConfigs { servers, failures: asked.failures })
    }

    /// Changes settings of all name servers and leaves all others (`mqadmin updateNamesrvConfig`; Java:
    /// `updateNameServerConfig`).
    ///
    /// Blocks as [`update_broker_config`](Admin::update_broker_config).
    ///
    /// # Errors
    /// As there. When one of several name servers fails the others have done it.
    pub fn update_name_server_config(&self, pairs: &[(&str, &str)]) -> Result<()> {
        check(pairs)?;
        let (core, text) = (self.core(), properties_text::write(pairs.iter().copied()));
        let deadline = core.request_deadline();
        core.ask_name_servers(&UpdateNameServerConfig, text.as_bytes(), deadline)?.all()?;
        for from in core.ask_name_servers(&GetNameServerConfig, &[], deadline)?.all()? {
            ServerConfig::read(from.answer.frame.body()).refused(pairs, &from.addr)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_setting_that_was_not_taken_is_noticed() {
        let config = ServerConfig::read(b"brokerPermission=6\ntraceOn=true\nratio=0.80\nname=a=b\n");
        assert_eq!(config.value("name"), Some("a=b"));
        let addr: Arc<str> = "h:1".into();
        let refused = |name, value| config.refused(&[("traceOn", "TRUE"), (name, value)], &addr);
        assert!(refused("brokerPermission", "06").is_ok() && refused("ratio", "0.8").is_ok());
        assert!(refused("unknown", "1").unwrap_err().to_string().contains("no setting unknown"));
        let error = refused("brokerPermission", "4").unwrap_err().to_string();
        assert!(error.contains("brokerPermission is 6, and not 4") && error.contains("h:1"), "{error}");
        assert_eq!(config.to_string().lines().next(), Some("brokerPermission=6"));
    }

    #[test]
    fn settings_without_a_name_are_refused() {
        assert!(check(&[]).is_err() && check(&[(" ", "x")]).is_err() && check(&[("a", "")]).is_ok());
    }
}
