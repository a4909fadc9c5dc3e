//! Engines against simulated brokers, in simulated time. A test that fails prints the seed that made it.

mod broker;
mod clock;
mod commits;
mod fleet;

mod members;
mod world;

use std::sync::Arc;
use std::time::Duration;

use self::world::World;
use super::{EngineOptions, Limits, MessageModel, Order};
use crate::consumer::allocation::Averagely;

/// What happens, and how often: in thousandths of all answers, calls of listeners, or steps.
#[derive(Debug, Clone, Copy)]
struct Weather {
    lost_answers: u32,
    late_answers: u32,
    failing_listeners: u32,
    /// Listeners that take longer than they may.
    slow_listeners: u32,
    crashes: u32,
    resets: u32,
}

const CLEAR: Weather =
    Weather { lost_answers: 0, late_answers: 0, failing_listeners: 0, slow_listeners: 0, crashes: 0, resets: 0 };
const FAIR: Weather = Weather { failing_listeners: 30, ..CLEAR };
const OPERATED: Weather = Weather { resets: 3, ..FAIR };
const FOUL: Weather =
    Weather { lost_answers: 50, late_answers: 5, failing_listeners: 60, slow_listeners: 4, crashes: 4, resets: 1 };

fn options(order: Order) -> EngineOptions {
    EngineOptions {
        group: "g".into(),
        client_id: "".into(),
        model: MessageModel::Clustering,
        order,
        allocation: Arc::new(Averagely),
        by_broker: None,
        batch: 1,
        slots: 4,
        limits: Limits { messages: 20, bytes: 1 << 20, span: (order == Order::Concurrent).then_some(100) },
        topic_limits: (None, None),
        pull_interval: Duration::ZERO,
        rebalance_interval: Duration::from_secs(20),
        persist_interval: Duration::from_secs(5),
        // What slow listeners exceed.
        consume_timeout: Duration::from_secs(4),
        suspend: Duration::from_secs(1),
        max_reconsume: None,
        revoke_grace: Duration::from_secs(1),
        // A rebalance may come a second late, and then the listeners have theirs.
        handover: Duration::from_millis(2500),
    }
}

/// Ten thousand steps, and then as long as it takes until everything is consumed.
fn simulate(seed: u64, order: Order, weather: Weather, most_members: usize) -> World {
    let mut world = World::new(seed, order, weather);
    world.join();
    world.join();
    for _ in 0..10_000 {
        world.stir(most_members);
        let pause = world.random.u64(1..60);
        world.run(Duration::from_millis(pause));
    }
    world.weather = CLEAR;
    for _ in 0..400 {
        if world.missing().is_empty() {
            break;
        }
        world.run(Duration::from_secs(5));
    }
    assert_eq!(world.missing(), [], "messages were lost\n{}", world.describe());
    world
}

#[cfg_attr(miri, ignore = "it takes too many steps")]
#[test]
fn without_faults_every_message_is_consumed_exactly_once() {
    for (seed, members) in [(0, 2), (1, 3), (2, 3)] {
        for order in [Order::Concurrent, Order::Orderly] {
            let world = simulate(seed, order, FAIR, members);
            assert_eq!(world.most_often(), 1, "{order:?}, seed {seed}");
        }
    }
}

#[cfg_attr(miri, ignore = "it takes too many steps")]
#[test]
fn resets_lose_nothing_and_make_messages_come_again() {
    for (seed, members) in [(20, 2), (21, 3), (22, 3)] {
        for order in [Order::Concurrent, Order::Orderly] {
            let world = simulate(seed, order, OPERATED, members);
            assert!(world.most_often() > 1, "no reset had an effect: {order:?}, seed {seed}");
        }
    }
}

#[cfg_attr(miri, ignore = "it takes too many steps")]
#[test]
fn with_crashes_and_lost_answers_nothing_is_lost_and_order_holds() {
    for (seed, members) in [(10, 2), (11, 3), (12, 2), (13, 3), (14, 3)] {
        for order in [Order::Concurrent, Order::Orderly] {
            let world = simulate(seed, order, FOUL, members);
            assert!(world.crashes > 2, "the weather was not foul: {} crashes, seed {seed}", world.crashes);
        }
    }
}
