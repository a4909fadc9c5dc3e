use std::sync::Arc;
use std::time::SystemTime;

use super::{Admin, cluster};
use crate::client::{Server, names, namespace, to_millis};
use crate::error::{Attempt, Error, Exhaustion, Result};
use crate::protocol::json;
use crate::protocol::rpc::topic::{CreateStaticTopic, MappedBody, MappingBody, perm};

/// More queues than routes may have are refused when they are read, so they are not created either.
const MAX_QUEUES: i32 = 65_536;

/// The scope of topics that are not spread over several clusters.
const GLOBAL: &str = "__global__";

impl Admin {
    /// Creates a static topic: one with `queues` queues in all, numbered through over the masters of all brokers, which keep their
    /// numbers when they move to other brokers (`mqadmin updateStaticTopic`; brokers 5.0 and later).
    /// [`topic_config`](Admin::topic_config) shows which queues lie where.
    ///
    /// **This crate's producers and consumers do not use such topics rightly:** they number the queues broker by broker, which
    /// brokers take for numbers over all of them, and refuse with `NOT_LEADER_FOR_QUEUE` (501) what lies elsewhere (seen with
    /// 5.5.0). Only with a single broker are both the same. Java's clients can use them. Moving queues to other brokers is left to
    /// Apache's tools.
    ///
    /// Blocks until all masters have answered, at most for the request timeout (3 s by default).
    ///
    /// # Errors
    /// [`Error::Invalid`] for a topic that exists, a name that is not allowed or a number of queues out of range;
    /// [`Error::NoBroker`] without a master; [`Error::Unsupported`] from brokers 4.x. With several brokers
    /// [`Error::Exhausted`] lists those that failed; delete the topic then.
    pub fn create_static_topic(&self, topic: &str, queues: i32) -> Result<()> {
        names::check_new_topic(topic)?;
        if !(1..=MAX_QUEUES).contains(&queues) {
            return Err(Error::invalid(format!("a static topic has 1 to {MAX_QUEUES} queues, not {queues}")));
        }
        let (core, topic): (_, Arc<str>) = (self.core(), topic.into());
        core.check_open()?;
        namespace::check_topic(core.namespace(), &topic)?;
        let deadline = core.request_deadline();
        match core.routes().refresh(core, &topic, deadline) {
            Ok(_) => return Err(Error::invalid(format!("topic {topic} exists"))),
            Err(Error::NoRoute { .. }) => {}
            Err(error) => return Err(error),
        }
        let masters = cluster::masters(core, deadline)?;
        let epoch = to_millis(SystemTime::now());
        let mut failures = Vec::new();
        for (at, Server { broker_name, addr }) in masters.iter().enumerate() {
            let mapping = mapping(&core.wire_name(&topic), broker_name, (at, masters.len()), queues, epoch);
            let own = i32::try_from(mapping.hosted_queues.len()).unwrap_or(MAX_QUEUES);
            if own == 0 {
                continue;
            }
            let request = CreateStaticTopic {
                topic: topic.clone(),
                default_topic: "TBW102".into(),
                read_queues: own,
                write_queues: own,
                perm: perm::READ | perm::WRITE,
                filter_type: Some("SINGLE_TAG".into()),
                sys_flag: Some(0),
                order: false,
                force: Some(false),
            };
            if let Err(error) = core.ask_server(addr, &request, &json::encode(&mapping), deadline) {
                let (broker_name, addr, elapsed) = (broker_name.clone(), addr.clone(), deadline.started().elapsed());
                failures.push(Attempt { broker_name, addr, elapsed, error });
            }
        }
        // That it is there is what this finds; should it fail, the next look finds out.
        let _ = core.routes().refresh(core, &topic, deadline);
        match failures.pop() {
            None => Ok(()),
            Some(only) if failures.is_empty() && masters.len() == 1 => Err(only.error),
            Some(last) => {
                failures.push(last);
                Err(Error::Exhausted { attempts: failures.into(), because: Exhaustion::Brokers })
            }
        }
    }
}

/// Which queues lie on the broker that is one of several: they are dealt out like cards.
fn mapping(topic: &str, broker_name: &str, (at, brokers): (usize, usize), queues: i32, epoch: i64) -> MappingBody {
    let hosted = (0..queues).skip(at).step_by(brokers).zip(0..);
    let part = |queue_id| MappedBody {
        bname: broker_name.to_owned(),
        end_offset: -1,
        generation: 0,
        logic_offset: 0,
        queue_id,
        start_offset: 0,
        time_of_end: -1,
        time_of_start: -1,
    };
    MappingBody {
        bname: broker_name.to_owned(),
        epoch,
        hosted_queues: hosted.map(|(queue, queue_id)| (queue, vec![part(queue_id)])).collect(),
        scope: GLOBAL.to_owned(),
        topic: topic.to_owned(),
        total_queues: queues,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queues_are_dealt_out_over_the_brokers() {
        let of = |at| mapping("T", "b", (at, 3), 7, 17).hosted_queues;
        let numbers = |at| of(at).into_iter().map(|(queue, parts)| (queue, parts[0].queue_id)).collect::<Vec<_>>();
        assert_eq!(numbers(0), [(0, 0), (3, 1), (6, 2)]);
        assert_eq!(numbers(1), [(1, 0), (4, 1)]);
        assert_eq!(numbers(2), [(2, 0), (5, 1)]);
    }
}
