//! What holds for every course of a send: random ones, walked through in virtual time.

use std::time::Duration;

use super::*;
use crate::error::Stage;
use crate::producer::latency::{Faults, choose};
use crate::producer::retry::blames_broker;
use crate::protocol::rpc::route::{BrokerBody, QueueBody, RouteBody};

const COURSES: u64 = 20_000;

/// Brokers `a`, `b`, … with as many queues each as the numbers say.
fn route(queues: &[i32]) -> Route {
    let name = |number: usize| char::from(b'a' + number as u8).to_string();
    let broker = |number| BrokerBody {
        broker_addrs: [(0, format!("{}:1", name(number)))].into(),
        broker_name: name(number),
        ..BrokerBody::default()
    };
    let queue = |(number, count): (usize, &i32)| QueueBody {
        broker_name: name(number),
        perm: 6,
        read_queue_nums: *count,
        write_queue_nums: *count,
        topic_sys_flag: 0,
    };
    let body = RouteBody {
        broker_datas: (0..queues.len()).map(broker).collect(),
        queue_datas: queues.iter().enumerate().map(queue).collect(),
        ..RouteBody::default()
    };
    Route::from_body(&"T".into(), body, None).unwrap()
}

fn any_error(random: &mut fastrand::Rng) -> Error {
    let addr: Arc<str> = "a:1".into();
    let outcome = [Outcome::NotSent, Outcome::Unknown][random.usize(..2)];
    let codes = [
        ResponseCode::SYSTEM_ERROR,
        ResponseCode::SYSTEM_BUSY,
        ResponseCode::SERVICE_NOT_AVAILABLE,
        ResponseCode::TOPIC_NOT_EXIST,
        ResponseCode::GO_AWAY,
        ResponseCode::NO_PERMISSION,
        ResponseCode(9999),
    ];
    match random.u8(..6) {
        0 => Error::Disconnected { addr, outcome, reason: "reset".into() },
        1 => Error::Timeout { stage: Stage::Reply, addr: Some(addr), after: Duration::ZERO, outcome },
        2 => Error::Connect { addr, source: Arc::new(std::io::ErrorKind::ConnectionRefused.into()) },
        3 => Error::NotDurable { addr, status: "FLUSH_DISK_TIMEOUT".into() },
        _ => Error::Rejected { addr, code: codes[random.usize(..codes.len())], remark: "".into() },
    }
}

/// One course, and what is remembered of it to judge it by.
struct Walk {
    random: fastrand::Rng,
    course: Course,
    route: Route,
    faults: Faults,
    notes_faults: bool,
    now: Instant,
    /// The last attempt's error; `None` when it goes on.
    last: Option<Error>,
}

impl Walk {
    fn new(seed: u64) -> Walk {
        let mut random = fastrand::Rng::with_seed(seed);
        let now = Instant::now();
        let queues: Vec<i32> = (0..random.usize(1..5)).map(|_| random.i32(1..4)).collect();
        let route = route(&queues);
        let rules = Rules {
            attempts: random.u32(1..7),
            retry_unknown: random.bool(),
            attempt_timeout: random.bool().then(|| Duration::from_millis(random.u64(1..3000))),
        };
        let fixed = |random: &mut fastrand::Rng| {
            let queues = route.publish_queues();
            Target::Queue { queue: queues[random.usize(..queues.len())].clone(), elsewhere: random.bool() }
        };
        let target = if random.u8(..4) == 0 { fixed(&mut random) } else { Target::Any };
        let deadline = Deadline::from(now, Duration::from_millis(random.u64(1..6000)));
        let (course, notes_faults) = (Course::new(rules, target, deadline), random.bool());
        Walk { random, course, route, faults: Faults::default(), notes_faults, now, last: None }
    }

    fn stays(&self) -> bool {
        matches!(self.course.target, Target::Queue { elsewhere: false, .. })
    }

    /// Begins an attempt and lets it end, or use up its share of the time.
    fn attempt(&mut self) {
        let here = self.course.here;
        let tried = self.course.tried();
        let (queues, start) = (self.route.publish_queues().clone(), self.random.usize(..));
        let (faults, now) = (&self.faults, self.now);
        let choose = |tried: &[Arc<str>]| {
            let chosen = choose(&queues, MessageQueue::broker_name, start, tried, faults, now);
            Ok(queues[chosen.unwrap()].clone())
        };
        let index = self.course.begin_at(&self.route, now, choose).unwrap();
        assert!(now < self.course.deadline.at(), "an attempt is begun after the deadline");
        let chosen = self.course.made[index].queue.broker_name().to_owned();
        let writable = |name: &str| queues.iter().any(|queue| queue.broker_name() == name);
        let mut names: Vec<&str> = queues.iter().map(MessageQueue::broker_name).collect();
        names.dedup();
        if !here && !self.stays() && index > 0 {
            let untried = names.iter().any(|name| tried.iter().all(|one| **one != **name));
            assert!(
                !untried || tried.iter().all(|one| **one != *chosen),
                "{chosen} again, although {tried:?} of {names:?}"
            );
            assert!(names.len() == 1 || tried.last().is_none_or(|last| **last != *chosen), "twice in a row");
        }
        assert!(writable(&chosen));
        let share = self.course.share_at(&self.route, now);
        assert!(share <= self.course.deadline.at(), "a share reaches beyond the deadline");
        let takes = (share - now).mul_f64(self.random.f64() * 1.25);
        if now + takes >= share {
            (self.now, self.last) = (share, None);
            return;
        }
        self.now += takes;
        let error = any_error(&mut self.random);
        if self.notes_faults && blames_broker(&error) {
            self.faults.failed(self.course.made[index].queue.shared_broker_name(), self.now);
        }
        self.course.failed_at(index, error.clone(), self.now);
        self.last = Some(error);
    }

    /// Decides what follows, and whether another attempt does.
    fn goes_on(&mut self) -> bool {
        let chance = self.random.f64();
        let Next::Again { pause, here } = self.course.next_at(&self.route, self.now, chance) else { return false };
        assert!(self.now + pause <= self.course.deadline.at(), "a pause reaches beyond the deadline");
        let gone_away = self.last.as_ref().is_some_and(|error| error.code() == Some(ResponseCode::GO_AWAY));
        assert!(!here || gone_away, "the same queue at once, but for GO_AWAY");
        let unknown = self.last.as_ref().is_none_or(|error| error.outcome() == Outcome::Unknown);
        assert!(self.course.rules.retry_unknown || !unknown, "repeated although it may be stored: {:?}", self.last);
        self.now += pause;
        true
    }
}

#[test]
fn no_course_breaks_a_rule() {
    let (mut longest, mut exhausted) = (0, 0);
    for seed in 0..COURSES {
        let mut walk = Walk::new(seed);
        loop {
            walk.attempt();
            assert!(walk.now <= walk.course.deadline.at(), "seed {seed}: an attempt ends after the deadline");
            // One attempt that a leaving server did not look at does not count.
            let most = walk.course.rules.attempts + walk.course.gone_away.min(1);
            assert!(walk.course.made.len() as u32 <= most, "seed {seed}: more attempts than allowed");
            if !walk.goes_on() {
                break;
            }
        }
        longest = longest.max(walk.course.made.len());
        exhausted += usize::from(walk.now == walk.course.deadline.at());
    }
    assert!(
        longest >= 6 && exhausted > 100,
        "the courses are no test: {longest} attempts at most, {exhausted} ran out"
    );
}
