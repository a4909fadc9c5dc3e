//! Tests a service that sends messages, without a server: the embedded cluster runs inside the test.
//!
//! ```text
//! cargo test --example embedded_in_tests
//! ```
//!
//! In your own crate: `rocketmq-blocking = { version = "0.1", features = ["embedded"] }` in `[dev-dependencies]`.

use rocketmq_blocking::{Message, Outcome, Producer};

/// What the service under test answers.
#[derive(Debug, PartialEq)]
pub enum Placed {
    /// Stored by a broker.
    Stored,
    /// Not stored; the customer may try again.
    TryLater,
    /// Perhaps stored; a reconciliation job has to find out.
    InDoubt,
}

/// The service under test.
pub fn place_order(producer: &Producer, id: &str) -> Placed {
    match producer.send(Message::builder("OrderTopic", id.to_owned()).key(id)) {
        Ok(_) => Placed::Stored,
        Err(failed) => match failed.error.outcome() {
            Outcome::NotSent | Outcome::Rejected => Placed::TryLater,
            Outcome::Unknown => Placed::InDoubt,
        },
    }
}

fn main() {
    println!("run it with: cargo test --example embedded_in_tests");
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use rocketmq_blocking::embedded::{Cluster, Fault};
    use rocketmq_blocking::{Client, RequestCode, ResponseCode, Result};

    use super::*;

    /// Each test has a cluster of its own, on free ports, so tests run in parallel.
    fn start() -> Result<(Cluster, Client, Producer)> {
        let cluster = Cluster::builder().topic("OrderTopic", 1).start()?;
        let client = Client::connect(cluster.name_server())?;
        let producer = client.producer("orders").timeout(Duration::from_millis(500)).retries(0).start()?;
        Ok((cluster, client, producer))
    }

    #[test]
    fn a_placed_order_is_stored_under_its_key() -> Result<()> {
        let (cluster, _client, producer) = start()?;
        assert_eq!(place_order(&producer, "order-1"), Placed::Stored);
        let stored = cluster.stored("OrderTopic");
        assert_eq!(stored[0].keys().collect::<Vec<_>>(), ["order-1"]);
        Ok(())
    }

    #[test]
    fn a_busy_broker_is_reported_as_try_later() -> Result<()> {
        let (cluster, _client, producer) = start()?;
        let busy = Fault::error(ResponseCode::SYSTEM_BUSY, "too busy").on(RequestCode::SEND_MESSAGE_V2).times(1);
        let fault = cluster.broker("broker-a").fault(busy);
        assert_eq!(place_order(&producer, "order-1"), Placed::TryLater);
        assert_eq!(fault.fired(), 1);
        assert_eq!(place_order(&producer, "order-2"), Placed::Stored);
        Ok(())
    }

    #[test]
    fn a_lost_answer_leaves_the_order_in_doubt() -> Result<()> {
        let (cluster, _client, producer) = start()?;
        cluster.broker("broker-a").fault(Fault::drop_reply().on(RequestCode::SEND_MESSAGE_V2));
        assert_eq!(place_order(&producer, "order-1"), Placed::InDoubt);
        assert_eq!(cluster.stored_count("OrderTopic"), 1);
        Ok(())
    }
}
