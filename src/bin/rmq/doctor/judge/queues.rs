//! Whether a group gets on, from two looks at its queues. Pure.

use std::collections::{BTreeMap, BTreeSet};

use super::listed;
use crate::doctor::check::Check;
use crate::doctor::facts::{Group, Members, Queue};
use crate::text;

/// A queue at both looks.
struct Pair<'a> {
    before: &'a Queue,
    now: &'a Queue,
}

/// Why a queue with messages stands still.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Stuck {
    NoOwner,
    /// The owner has the messages, and does not finish.
    NotConsumed,
    /// The owner does not even fetch them.
    NotPulled,
}

impl Pair<'_> {
    fn moved(&self) -> bool {
        self.now.consumer_offset != self.before.consumer_offset
    }

    /// Messages that were there at the first look and are not consumed yet: younger ones have had no time.
    fn waited(&self) -> bool {
        self.now.consumer_offset < self.before.broker_offset
    }

    fn stuck(&self) -> Option<Stuck> {
        if self.moved() || !self.waited() {
            return None;
        }
        Some(match &self.now.owner {
            None => Stuck::NoOwner,
            Some(_) if self.now.pulled_offset > self.now.consumer_offset => Stuck::NotConsumed,
            Some(_) => Stuck::NotPulled,
        })
    }
}

pub(super) fn all(facts: &Group, members: &Members, subject: &str) -> Vec<Check> {
    let Some([first, second]) = &facts.looks else {
        return vec![Check::skipped("progress", subject, "its progress could not be looked at twice")];
    };
    let same = |now: &Queue| {
        first.iter().find(|before| (&before.topic, &before.broker, before.id) == (&now.topic, &now.broker, now.id))
    };
    let pairs: Vec<Pair<'_>> = second.iter().filter_map(|now| Some(Pair { before: same(now)?, now })).collect();
    let broadcast = members.model == "BROADCASTING";
    let mut checks = vec![progress(facts, &pairs, subject, broadcast)];
    if !members.members.is_empty() && !broadcast {
        checks.extend(stuck(facts, &pairs, subject, members));
        checks.extend(idle(members, second, subject));
    }
    checks.extend(lost(second, subject));
    checks
}

/// How much waits, and whether that grows.
fn progress(facts: &Group, pairs: &[Pair<'_>], subject: &str, broadcast: bool) -> Check {
    const NAME: &str = "progress";
    if broadcast {
        return Check::skipped(NAME, subject, "its members broadcast and keep their offsets themselves");
    }
    if pairs.is_empty() {
        return Check::ok(NAME, subject, "has consumed of no queue so far");
    }
    let sum = |of: fn(&Pair<'_>) -> i64| pairs.iter().map(of).fold(0_i64, i64::saturating_add);
    let (before, now) = (sum(|pair| pair.before.lag()), sum(|pair| pair.now.lag()));
    let retries: i64 =
        pairs.iter().filter(|pair| pair.now.topic.starts_with("%RETRY%")).map(|pair| pair.now.lag()).sum();
    let between = text::duration(facts.between);
    let waiting = text::counted(now.unsigned_abs(), "message");
    let of_retries = if retries > 0 {
        format!(", {} of them to be retried", text::count(retries.unsigned_abs()))
    } else {
        String::new()
    };
    match now {
        0 => Check::ok(NAME, subject, "is up to date"),
        _ if now > before && before > 0 => {
            let found = format!(
                "{waiting} wait{of_retries}, {} more than {between} ago",
                text::count((now - before).unsigned_abs())
            );
            Check::warning(NAME, subject, found).advise(
                "it consumes more slowly than messages come: make the listener faster, give it more threads, or start more members (up \
                 to one for each queue)",
            )
        }
        _ => Check::ok(
            NAME,
            subject,
            format!("{waiting} wait{of_retries}; {} {between} ago", text::count(before.unsigned_abs())),
        ),
    }
}

/// Queues that stand still although messages wait in them, one line for each reason.
fn stuck(facts: &Group, pairs: &[Pair<'_>], subject: &str, members: &Members) -> Vec<Check> {
    const NAME: &str = "stuck-queue";
    let mut found: BTreeMap<Stuck, Vec<&Queue>> = BTreeMap::new();
    for pair in pairs {
        if let Some(why) = pair.stuck() {
            found.entry(why).or_default().push(pair.now);
        }
    }
    if found.is_empty() {
        return vec![Check::ok(NAME, subject, "every queue with messages moves")];
    }
    let between = text::duration(facts.between);
    let check = |(why, queues): (Stuck, Vec<&Queue>)| {
        let names: Vec<String> = queues
            .iter()
            .map(|queue| match &queue.owner {
                Some(owner) => {
                    format!("{} ({} waiting, owner {owner})", queue.title(), text::count(queue.lag().unsigned_abs()))
                }
                None => format!("{} ({} waiting)", queue.title(), text::count(queue.lag().unsigned_abs())),
            })
            .collect();
        let still = format!("{} did not move within {between}", listed(&names));
        match why {
            // Whoever pops owns nothing.
            Stuck::NoOwner if members.consume_type == "CONSUME_POP" => Check::failed(NAME, subject, format!("{still} and nobody took of it"))
                .advise("see whether consumers receive and acknowledge, and the listener's log for errors"),
            Stuck::NoOwner if members.members.iter().any(|member| member.own.is_none()) => {
                Check::failed(NAME, subject, format!("{still} and no member that answers has it")).advise(
                    "a member that does not answer has it, perhaps, and hangs: see its log and threads, and restart it; the others take \
                     its queues when its connection has ended",
                )
            }
            Stuck::NoOwner => Check::failed(NAME, subject, format!("{still} and no member says it has it")).advise(
                "members divide queues anew every 20 s: look again after that. If it stays so, their subscriptions or their ways of \
                 dividing (allocation) differ, two have the same client id, or one does not reach that broker",
            ),
            Stuck::NotConsumed => Check::failed(NAME, subject, format!("{still} although the owner has fetched messages")).advise(
                "its listener is slow, hangs, or fails on a message that is tried for ever (orderly): see the owner's log and threads; in \
                 this crate PushConsumer::queues says why a queue stands still",
            ),
            Stuck::NotPulled => Check::failed(NAME, subject, format!("{still} and the owner fetches nothing")).advise(
                "the owner is suspended, at its limit of cached messages, commits nothing, or cannot read there (permissions, rights): see \
                 its log; in this crate PushConsumer::queues says why a queue stands still",
            ),
        }
    };
    found.into_iter().map(check).collect()
}

/// Members beyond the number of queues get nothing.
fn idle(members: &Members, queues: &[Queue], subject: &str) -> Option<Check> {
    const NAME: &str = "members-and-queues";
    if members.consume_type == "CONSUME_POP" {
        return None;
    }
    let mut topics: BTreeMap<&str, BTreeSet<(&str, i32)>> = BTreeMap::new();
    for queue in queues.iter().filter(|queue| !queue.topic.starts_with('%')) {
        topics.entry(&queue.topic).or_default().insert((&queue.broker, queue.id));
    }
    let count = members.members.len();
    let (topic, most) = topics.iter().map(|(topic, queues)| (topic, queues.len())).max_by_key(|(_, queues)| *queues)?;
    if count <= most {
        return Some(Check::ok(NAME, subject, "has no more members than queues"));
    }
    let found = format!("has {count} members and {most} queues (of {topic}): {} of them get nothing", count - most);
    Some(
        Check::warning(NAME, subject, found)
            .advise("give the topic more queues (rmq topic change TOPIC --queues N), or run fewer members"),
    )
}

/// What brokers deleted before the group came to it.
fn lost(queues: &[Queue], subject: &str) -> Option<Check> {
    let gone: Vec<(&Queue, i64)> = queues
        .iter()
        .filter_map(|queue| Some((queue, queue.min_offset?.checked_sub(queue.consumer_offset)?)))
        .filter(|(_, gone)| *gone > 0)
        .collect();
    let (sum, names): (i64, Vec<String>) =
        (gone.iter().map(|(_, gone)| gone).sum(), gone.iter().map(|(queue, _)| queue.title()).collect());
    (sum > 0).then(|| {
        let found = format!(
            "{} of {} were deleted before the group consumed them",
            text::counted(sum.unsigned_abs(), "message"),
            listed(&names)
        );
        Check::failed("deleted-unconsumed", subject, found).advise(
            "brokers keep messages for a time (fileReservedTime, 72 hours unless configured otherwise) and less when their disk is full: \
             consume faster, or keep longer. The next consumer begins at the oldest that is left",
        )
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::doctor::check::Verdict;
    use crate::doctor::facts::{Member, OwnWords};

    /// Offsets: of the broker, consumed, pulled.
    fn queue(id: i32, [broker_offset, consumer_offset, pulled_offset]: [i64; 3], owner: Option<&str>) -> Queue {
        let owner = owner.map(str::to_owned);
        let (topic, broker) = ("T".to_owned(), "a".to_owned());
        Queue { topic, broker, id, broker_offset, consumer_offset, pulled_offset, min_offset: None, owner }
    }

    fn judge(before: Vec<Queue>, now: Vec<Queue>, members: usize) -> Vec<Check> {
        let group = Group {
            name: "G".into(),
            members: Ok(None),
            looks: Some([before, now]),
            between: Duration::from_secs(3),
            pulls: Vec::new(),
            dead_letters: None,
            retry_brokers: Vec::new(),
            topic_brokers: Vec::new(),
        };
        let member = Member { own: Some(OwnWords::default()), ..Member::default() };
        let members = Members { members: vec![member; members], ..Members::default() };
        all(&group, &members, "group G")
    }

    fn find(checks: &[Check], name: &str) -> Check {
        checks.iter().find(|check| check.check == name).unwrap_or_else(|| panic!("no {name} in {checks:?}")).clone()
    }

    #[test]
    fn a_queue_is_stuck_when_what_waited_at_the_first_look_still_waits() {
        let own = Some("me");
        for (before, now, verdict, found) in [
            (queue(0, [9, 3, 9], own), queue(0, [9, 5, 9], own), Verdict::Ok, "moves"),
            (queue(0, [9, 9, 9], own), queue(0, [12, 9, 9], own), Verdict::Ok, "moves"),
            (queue(0, [9, 3, 9], None), queue(0, [9, 3, 9], None), Verdict::Failed, "no member says it has it"),
            (
                queue(0, [9, 3, 3], own),
                queue(0, [9, 3, 7], own),
                Verdict::Failed,
                "T a/0 (6 waiting, owner me) did not move within 3.0 s although",
            ),
            (queue(0, [9, 3, 3], own), queue(0, [9, 3, 3], own), Verdict::Failed, "the owner fetches nothing"),
        ] {
            let check = find(&judge(vec![before], vec![now], 1), "stuck-queue");
            assert!(check.verdict == verdict && check.found.contains(found), "{check:?}");
        }
    }

    #[test]
    fn nobody_is_stuck_without_members() {
        let (before, now) = (queue(0, [9, 3, 3], None), queue(0, [9, 3, 3], None));
        let checks = judge(vec![before], vec![now], 0);
        assert!(checks.iter().all(|check| check.check != "stuck-queue"), "{checks:?}");
    }

    #[test]
    fn what_waits_is_counted_and_growth_is_a_warning() {
        let own = Some("me");
        for (before, now, verdict, found) in [
            ([9, 9, 9], [9, 9, 9], Verdict::Ok, "up to date"),
            ([9, 3, 9], [9, 5, 9], Verdict::Ok, "4 messages wait; 6 3.0 s ago"),
            ([9, 3, 9], [20, 5, 9], Verdict::Warning, "15 messages wait, 9 more than 3.0 s ago"),
        ] {
            let check = find(&judge(vec![queue(0, before, own)], vec![queue(0, now, own)], 1), "progress");
            assert!(check.verdict == verdict && check.found.contains(found), "{check:?}");
        }
        let retry = |offsets| Queue { topic: "%RETRY%G".into(), ..queue(0, offsets, own) };
        let check = find(&judge(vec![retry([3, 1, 1])], vec![retry([3, 2, 2])], 1), "progress");
        assert!(check.found.contains("1 of them to be retried"), "{check:?}");
    }

    #[test]
    fn more_members_than_queues_are_idle() {
        let queues = || vec![queue(0, [0; 3], None), queue(1, [0; 3], None)];
        assert_eq!(find(&judge(queues(), queues(), 2), "members-and-queues").verdict, Verdict::Ok);
        let check = find(&judge(queues(), queues(), 5), "members-and-queues");
        assert!(
            check.verdict == Verdict::Warning && check.found.contains("5 members and 2 queues (of T): 3 of them"),
            "{check:?}"
        );
    }

    #[test]
    fn messages_that_were_deleted_unconsumed_are_counted() {
        let now = Queue { min_offset: Some(7), ..queue(0, [9, 3, 3], None) };
        let check = find(&judge(vec![now.clone()], vec![now], 0), "deleted-unconsumed");
        assert!(check.verdict == Verdict::Failed && check.found.starts_with("4 messages of T a/0"), "{check:?}");
    }
}
