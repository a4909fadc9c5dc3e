//! What failed while a topic was popped: brokers keep it in a retry topic of group and topic, which pops read by themselves.
//! Once the topic is pulled again, that one is pulled too.

use std::sync::Arc;

use super::shared::Shared;
use crate::client::Route;
use crate::consumer::Filter;
use crate::error::Result;
use crate::remoting::Deadline;

/// The names of the retry topic, the older one first. The topic in it has its wire name, whatever it is called here.
fn names(shared: &Shared, topic: &Arc<str>) -> [Arc<str>; 2] {
    let topic = shared.core.wire_name(topic);
    ["_", "+"].map(|between| format!("{}{between}{topic}", shared.retry_topic).into())
}

/// The topic that messages of such a retry topic were sent to, under its wire name.
pub(super) fn origin<'a>(retry_topic: &str, topic: &'a str) -> Option<&'a str> {
    let rest = topic.strip_prefix(retry_topic)?;
    rest.strip_prefix('_').or_else(|| rest.strip_prefix('+')).filter(|origin| !origin.is_empty())
}

/// Subscribes to the retry topic if there is one, or gives it up. It does not wait.
pub(super) fn subscribe(shared: &Arc<Shared>, topic: &Arc<str>, wanted: bool) {
    for name in names(shared, topic) {
        let known = shared.with_subscriptions(|known| known.filter(&name).is_some());
        match (wanted, known) {
            (true, false) => subscribe_if_there(shared, &name),
            (false, true) => give_up(shared, &name),
            _ => {}
        }
    }
}

/// Gives up what belongs to a topic that is not subscribed to any more.
pub(in crate::consumer) fn unsubscribe(shared: &Arc<Shared>, topic: &str) {
    subscribe(shared, &topic.into(), false);
}

fn subscribe_if_there(shared: &Arc<Shared>, name: &Arc<str>) {
    let (core, then, named) = (&shared.core, shared.clone(), name.clone());
    let deadline = Deadline::after(core.options().request_timeout);
    let look = move |route: Result<Arc<Route>>| {
        let is_there = route.is_ok_and(|route| !route.subscribe_queues().is_empty());
        if is_there && then.with_subscriptions(|known| known.add(named, Filter::all())) {
            then.changed();
        }
    };
    core.routes().refresh_async(core, name, deadline, Box::new(look));
}

fn give_up(shared: &Arc<Shared>, name: &str) {
    if shared.with_subscriptions(|known| known.remove(name)) {
        shared.changed();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_topics_of_pops_name_the_topic_behind_the_group() {
        for (topic, expected) in [
            ("%RETRY%g_T", Some("T")),
            ("%RETRY%g+T", Some("T")),
            ("%RETRY%g_a_b", Some("a_b")),
            ("%RETRY%g", None),
            ("%RETRY%g_", None),
            ("%RETRY%gg_T", None),
            ("T", None),
        ] {
            assert_eq!(origin("%RETRY%g", topic), expected, "{topic}");
        }
    }
}
