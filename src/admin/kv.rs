use std::collections::BTreeMap;
use std::sync::Arc;

use super::Admin;
use crate::client::names;
use crate::code::ResponseCode;
use crate::error::{Error, Result};
use crate::protocol::json;
use crate::protocol::rpc::brokers::TableBody;
use crate::protocol::rpc::name_server::{DeleteKv, GetKv, GetKvs, ORDER_TOPICS, PutKv};

fn check(what: &str, text: &str) -> Result<()> {
    if text.trim().is_empty() { Err(Error::invalid(format!("the {what} is blank"))) } else { Ok(()) }
}

/// Values that name servers keep for everybody, by namespace and key. The namespaces here have nothing to do with those of
/// topics and groups. Blocks as all calls, at most for the request timeout (3 s by default).
impl Admin {
    /// Stores a value at all name servers (`mqadmin updateKvConfig`; Java: `createAndUpdateKvConfig`).
    ///
    /// # Errors
    /// [`Error::Invalid`] for a blank namespace or key. When one of several name servers fails the others have done it;
    /// calling again is harmless.
    pub fn put_kv(&self, namespace: &str, key: &str, value: &str) -> Result<()> {
        check("namespace", namespace)?;
        check("key", key)?;
        let core = self.core();
        let request = PutKv { namespace: namespace.into(), key: key.into(), value: value.into() };
        core.ask_name_servers(&request, &[], core.request_deadline())?.all().map(drop)
    }

    /// Returns a value, as one of the name servers has it; `None` when there is none (Java: `getKVConfig`).
    ///
    /// # Errors
    /// [`Error::Invalid`] for a blank namespace or key.
    pub fn kv(&self, namespace: &str, key: &str) -> Result<Option<String>> {
        check("namespace", namespace)?;
        check("key", key)?;
        let core = self.core();
        core.check_open()?;
        let request = GetKv { namespace: namespace.into(), key: key.into() };
        let answer = core.ask_name_server(&request, core.request_deadline())?;
        if answer.code() == ResponseCode::QUERY_NOT_FOUND { Ok(None) } else { Ok(answer.header()?.value) }
    }

    /// Deletes a value at all name servers (`mqadmin deleteKvConfig`; Java: `deleteKvConfig`). That there is none is no error.
    ///
    /// # Errors
    /// As [`put_kv`](Admin::put_kv).
    pub fn delete_kv(&self, namespace: &str, key: &str) -> Result<()> {
        check("namespace", namespace)?;
        check("key", key)?;
        let core = self.core();
        let request = DeleteKv { namespace: namespace.into(), key: key.into() };
        core.ask_name_servers(&request, &[], core.request_deadline())?.all().map(drop)
    }

    /// Returns all values of a namespace, as one of the name servers has them (Java: `getKVListByNamespace`). A namespace that
    /// nobody has used is empty.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a blank namespace.
    pub fn kvs(&self, namespace: &str) -> Result<BTreeMap<String, String>> {
        check("namespace", namespace)?;
        let core = self.core();
        core.check_open()?;
        let answer = core.ask_name_server(&GetKvs { namespace: namespace.into() }, core.request_deadline())?;
        if answer.code() == ResponseCode::QUERY_NOT_FOUND {
            return Ok(BTreeMap::new());
        }
        json::decode("values", answer.frame.body()).map(|body: TableBody| body.table)
    }

    /// Returns how many queues an ordered topic has on each broker, by the word of the name servers (the namespace
    /// `ORDER_TOPIC_CONFIG`); `None` when nothing was said. See [`change_topic_order`](Admin::change_topic_order).
    ///
    /// # Errors
    /// [`Error::Malformed`] when somebody wrote another thing there.
    pub fn topic_order(&self, topic: &str) -> Result<Option<Vec<(String, i32)>>> {
        names::check_topic(topic)?;
        let key = self.core().wire_name(&topic.into());
        self.kv(ORDER_TOPICS, &key)?.map(|text| read_order(&text)).transpose()
    }

    /// Fixes how many queues an ordered topic has on each broker (`mqadmin updateOrderConf -m put`): while a broker is down its
    /// messages are not spread over the others, so that each stays in its order. It acts on producers when name servers hand it
    /// out, which they do with `orderMessageEnable=true`.
    ///
    /// # Errors
    /// As [`put_kv`](Admin::put_kv); [`Error::Invalid`] without a broker, for a blank name, or one with `:` or `;`, or a number of
    /// queues below 1.
    pub fn change_topic_order(&self, topic: &str, queues: &[(&str, i32)]) -> Result<()> {
        names::check_topic(topic)?;
        let wrong = |name: &str| name.trim().is_empty() || name.contains([':', ';']);
        if queues.is_empty() || queues.iter().any(|(name, count)| wrong(name) || *count < 1) {
            return Err(Error::invalid("an ordered topic has at least one queue on at least one broker"));
        }
        let text: Vec<String> = queues.iter().map(|(name, count)| format!("{name}:{count}")).collect();
        self.put_kv(ORDER_TOPICS, &self.core().wire_name(&topic.into()), &text.join(";"))
    }

    /// Takes back what [`change_topic_order`](Admin::change_topic_order) fixed (`mqadmin updateOrderConf -m delete`).
    ///
    /// # Errors
    /// As [`put_kv`](Admin::put_kv).
    pub fn delete_topic_order(&self, topic: &str) -> Result<()> {
        names::check_topic(topic)?;
        let key: Arc<str> = self.core().wire_name(&topic.into());
        self.delete_kv(ORDER_TOPICS, &key)
    }
}

fn read_order(text: &str) -> Result<Vec<(String, i32)>> {
    let parts = text.split(';').map(str::trim).filter(|part| !part.is_empty());
    let read = |part: &str| {
        let (name, count) = part.rsplit_once(':')?;
        Some((name.to_owned(), count.trim().parse().ok()?))
    };
    parts.map(|part| read(part).ok_or_else(|| Error::malformed(format!("order of a topic: {text:?}")))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_of_a_topic_is_read() {
        let pair = |name: &str, count| (name.to_owned(), count);
        assert_eq!(read_order("broker-a:4;broker-b:8").unwrap(), [pair("broker-a", 4), pair("broker-b", 8)]);
        assert_eq!(read_order(" broker-a:4; ").unwrap(), [pair("broker-a", 4)]);
        assert!(read_order("broker-a").is_err() && read_order("broker-a:x").is_err());
    }
}
