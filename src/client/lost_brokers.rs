//! The masters that a topic's route has lost. Until they are back it is asked for more often than the others: nobody tells a
//! client that a broker has returned, and its queues would wait for the next periodic refresh.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::route::Route;
use crate::sorted::SortedSet;

/// How soon is looked the first time; each pause is twice as long as the one before, up to the longest.
const SOON: Duration = Duration::from_secs(1);
const SELDOM: Duration = Duration::from_secs(3);
/// A broker that was not back within this time is taken to be gone for good.
const GONE: Duration = Duration::from_secs(600);

#[derive(Debug, Default)]
pub(super) struct LostBrokers {
    names: SortedSet<Arc<str>>,
    /// When the last one was lost, and the next pause.
    course: Option<(Instant, Duration)>,
    /// Whether the next look is under way.
    awaited: bool,
}

impl LostBrokers {
    /// Takes note that a route came in the place of another.
    pub(super) fn replaced(&mut self, old: &Route, new: &Route, now: Instant) {
        let masters = old.brokers().map(|(name, _)| name).filter(|name| old.master(name).is_some());
        let lost: Vec<_> = masters.filter(|name| new.master(name).is_none()).cloned().collect();
        if !lost.is_empty() {
            self.course = Some((now, SOON));
        }
        self.names.extend(lost);
        self.names.retain(|name| new.master(name).is_none());
    }

    /// After which pause to look for them; none when nothing is lost, when it took too long, and when the next look is under
    /// way already.
    pub(super) fn look_after(&mut self, now: Instant) -> Option<Duration> {
        let (since, pause) = self.course?;
        if self.names.is_empty() || now.saturating_duration_since(since) >= GONE {
            (self.names, self.course) = (SortedSet::new(), None);
            return None;
        }
        if std::mem::replace(&mut self.awaited, true) {
            return None;
        }
        self.course = Some((since, (pause * 2).min(SELDOM)));
        Some(pause)
    }

    /// The look that [`look_after`](LostBrokers::look_after) wanted takes place.
    pub(super) fn look(&mut self) {
        self.awaited = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::rpc::route::{BrokerBody, RouteBody};

    /// A route of these brokers, of which those in capitals have only a slave.
    fn route(names: &[&str]) -> Route {
        let broker = |name: &&str| BrokerBody {
            broker_addrs: [(i64::from(name.to_lowercase() != *name), "h:1".to_owned())].into(),
            broker_name: name.to_lowercase(),
            cluster: "C".into(),
            enable_acting_master: false,
        };
        let body = RouteBody { broker_datas: names.iter().map(broker).collect(), ..RouteBody::default() };
        Route::from_body(&"T".into(), body, None).unwrap()
    }

    fn lost(old: &[&str], new: &[&str], now: Instant) -> LostBrokers {
        let mut lost = LostBrokers::default();
        lost.replaced(&route(old), &route(new), now);
        lost
    }

    #[test]
    fn only_a_master_that_was_there_is_looked_for() {
        let now = Instant::now();
        for (old, new, is_lost) in [
            (&["a", "b"][..], &["a"][..], true),
            (&["a"], &["A"], true),
            (&["a"], &["a", "b"], false),
            (&["a", "B"], &["a"], false),
            (&["a", "B"], &["a", "b"], false),
        ] {
            assert_eq!(lost(old, new, now).look_after(now).is_some(), is_lost, "{old:?} {new:?}");
        }
    }

    #[test]
    fn looks_become_rarer_and_end_when_it_is_back_or_gone_for_good() {
        let now = Instant::now();
        let mut lost = lost(&["a", "b", "c"], &["a"], now);
        let mut pauses = Vec::new();
        for _ in 0..4 {
            pauses.extend(lost.look_after(now).map(|pause| pause.as_secs()));
            assert_eq!(lost.look_after(now), None, "one look at a time");
            lost.look();
        }
        assert_eq!(pauses, [1, 2, 3, 3]);
        lost.replaced(&route(&["a"]), &route(&["a", "b"]), now);
        assert!(lost.look_after(now).is_some(), "another is still missing");
        lost.look();
        lost.replaced(&route(&["a", "b"]), &route(&["a", "b", "c"]), now);
        assert_eq!(lost.look_after(now), None);
        lost.replaced(&route(&["a", "b"]), &route(&["a"]), now);
        assert_eq!(lost.look_after(now + GONE), None);
        assert_eq!(lost.look_after(now), None, "and it stays so");
    }
}
