//! What a consumer has subscribed to. Pure.

use std::sync::Arc;

use crate::consumer::Filter;
use crate::protocol::filter::{java_hash, tags_of};
use crate::protocol::rpc::heartbeat::SubscriptionBody;
use crate::sorted::SortedMap;

/// The topics of a consumer, each with its filter.
#[derive(Debug, Clone, Default)]
pub(in crate::consumer) struct Subscriptions {
    filters: SortedMap<Arc<str>, Filter>,
    /// Its queues are given to it: it is no member of the group in the eyes of brokers.
    assigned: bool,
}

impl Subscriptions {
    /// Returns whether that changed anything.
    pub(in crate::consumer) fn add(&mut self, topic: Arc<str>, filter: Filter) -> bool {
        self.filters.insert(topic, filter.clone()) != Some(filter)
    }

    pub(in crate::consumer) fn remove(&mut self, topic: &str) -> bool {
        self.filters.remove(topic).is_some()
    }

    pub(in crate::consumer) fn filter(&self, topic: &str) -> Option<&Filter> {
        self.filters.get(topic)
    }

    pub(in crate::consumer) fn topics(&self) -> impl Iterator<Item = &Arc<str>> {
        self.filters.keys()
    }

    pub(in crate::consumer) fn is_empty(&self) -> bool {
        self.filters.is_empty()
    }

    /// The queues of the consumer are given to it from now on.
    pub(in crate::consumer) fn assign(&mut self) {
        self.assigned = true;
    }

    pub(in crate::consumer) fn is_assigned(&self) -> bool {
        self.assigned
    }

    /// Whether it shares queues with the other members of its group, so that brokers are to know it.
    pub(in crate::consumer) fn shares(&self) -> bool {
        !self.assigned
    }

    /// What heartbeats say. Of several versions brokers keep the highest, so it must grow with every change.
    pub(in crate::consumer) fn bodies(&self, version: i64) -> Vec<SubscriptionBody> {
        let body = |(topic, filter): (&Arc<str>, &Filter)| {
            let tags = if filter.is_sql() { Vec::new() } else { tags_of(&filter.to_string()) };
            SubscriptionBody {
                class_filter_mode: false,
                code_set: tags.iter().map(|tag| java_hash(tag)).collect(),
                expression_type: Some(filter.expression_type().to_owned()),
                sub_string: filter.to_string(),
                sub_version: version,
                tags_set: tags,
                topic: topic.clone(),
            }
        };
        self.filters.iter().map(body).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heartbeats_name_tags_and_their_hashes() {
        let mut subscriptions = Subscriptions::default();
        assert!(subscriptions.add("T".into(), "Aa || b".into()));
        assert!(!subscriptions.add("T".into(), "Aa||b".into()), "the same filter in other words");
        subscriptions.add("S".into(), Filter::sql("a > 1"));
        let bodies = subscriptions.bodies(7);
        assert_eq!((bodies[0].sub_string.as_str(), bodies[0].tags_set.len()), ("a > 1", 0));
        assert_eq!((&*bodies[1].topic, bodies[1].sub_string.as_str(), bodies[1].sub_version), ("T", "Aa || b", 7));
        assert_eq!(bodies[1].code_set, [java_hash("Aa"), java_hash("b")]);
        assert!(subscriptions.remove("T") && !subscriptions.remove("T"));
    }
}
