use super::{Asker, listed, troubled};
use crate::doctor::check::Check;
use crate::doctor::facts::{Place, Topic};
use crate::doctor::trouble::{Access, Trouble};
use crate::text;

const EXISTS: &str = "topic";
const WRITE: i32 = 2;
const READ: i32 = 4;

pub(in crate::doctor) fn all(facts: &Topic, asker: &Asker) -> Vec<Check> {
    let subject = format!("topic {}", facts.name);
    let places = match &facts.route {
        Err(trouble) => {
            let (found, advice) = troubled(trouble, asker);
            let check = Check::failed(EXISTS, subject, format!("its route was asked for; {found}"));
            return vec![advice.into_iter().fold(check, Check::advise)];
        }
        Ok(None) => return vec![missing(facts, &subject)],
        Ok(Some(places)) => places,
    };
    let queues: i32 = places.iter().map(|place| place.write_queues).sum();
    let brokers: Vec<String> = places.iter().map(|place| place.broker.clone()).collect();
    let found = format!("has {} on {}", text::counted(queues.unsigned_abs().into(), "queue"), listed(&brokers));
    let mut checks = vec![Check::ok(EXISTS, &*subject, found)];
    checks.extend(places.iter().filter_map(|place| permission(place, facts)));
    checks.extend(places.iter().filter(|place| !place.has_master).map(|place| no_master(place, facts)));
    let on = |broker: &String| format!("sending to {} on {broker}", facts.name);
    checks.extend(facts.sends.iter().map(|(broker, answer)| allowed("send", on(broker), answer, asker, "send there")));
    checks
}

fn missing(facts: &Topic, subject: &str) -> Check {
    let create = format!("rmq topic create {} --queues 8", facts.name);
    if facts.creating.is_empty() {
        return Check::failed(EXISTS, subject, "no name server knows it, and no broker creates topics on first use")
            .advise(format!("create it: {create}"))
            .advise("if it should be there: check the spelling, the namespace, and that this is the right cluster");
    }
    let found = format!(
        "does not exist; {} would create it on the first send (autoCreateTopicEnable)",
        listed(&facts.creating)
    );
    Check::warning(EXISTS, subject, found).advise(format!(
        "consumers wait until then, and at first it lies on one broker only; better create it before: {create}"
    ))
}

/// What keeps producers or consumers from a topic on one broker, where its settings do.
fn permission(place: &Place, facts: &Topic) -> Option<Check> {
    const NAME: &str = "topic-permission";
    let subject = format!("topic {} on {}", facts.name, place.broker);
    let empty = |queues: i32| if queues == 0 { " (it has no queue for that)" } else { "" };
    let lacking = match (place.readable && place.read_queues > 0, place.writable && place.write_queues > 0) {
        (true, true) => return None,
        (true, false) => format!("cannot be written{}", empty(place.write_queues)),
        (false, true) => format!("cannot be read{}", empty(place.read_queues)),
        (false, false) => "can neither be read nor written".to_owned(),
    };
    let check = |found| Check::failed(NAME, &*subject, found);
    if place.readable && place.writable {
        return Some(check(lacking).advise(format!("give it some: rmq topic change {} --queues 8", facts.name)));
    }
    // The broker's own word is newer than what it told the name server, or the name server was told otherwise.
    let own = facts.own_perms.get(&place.broker).copied();
    let allow = format!("rmq topic allow {} both --broker {}", facts.name, place.broker);
    let come_back = format!("rmq cluster allow-writes {}", place.broker);
    let wiped = !place.writable && own.is_some_and(|own| own & WRITE != 0);
    Some(if wiped {
        check(format!(
            "{lacking}: the name server says so, and the broker itself would allow it: its write permission was wiped"
        ))
        .advise(format!("when its maintenance is over: {come_back}"))
    } else if let Some(own) = own {
        check(format!("{lacking}; the topic's permission there is {own} ({})", words(own)))
            .advise(format!("{allow}, if it is not meant so"))
    } else {
        check(lacking)
            .advise(format!("{allow}, or {come_back} if producers were to leave it; the broker itself does not say"))
    })
}

fn words(perm: i32) -> &'static str {
    match (perm & READ != 0, perm & WRITE != 0) {
        (true, true) => "read and write",
        (true, false) => "read only",
        (false, true) => "write only",
        (false, false) => "nothing",
    }
}

fn no_master(place: &Place, facts: &Topic) -> Check {
    Check::warning(
        "topic-master",
        format!("topic {} on {}", facts.name, place.broker),
        "has only a slave there: its messages can be read, and none are taken",
    )
    .advise("start that broker's master; until then the other brokers take what is sent")
}

/// How a request went that no broker carries out.
pub(super) fn allowed(
    name: &'static str,
    subject: String,
    answer: &Result<(), Trouble>,
    asker: &Asker,
    what: &str,
) -> Check {
    let trouble = match answer {
        Ok(()) => return Check::ok(name, subject, "was tried without changing anything, and is allowed"),
        Err(trouble) => trouble,
    };
    let (found, advice) = troubled(trouble, asker);
    let check = Check::failed(name, subject, format!("was tried without changing anything; {found}"));
    match (trouble, advice) {
        (Trouble::Access(Access::NoRight, _), Some(advice)) => check.advise(advice).advise(match name {
            "send" => "sending needs PUB on the topic (Topic:NAME)",
            _ => "consuming needs SUB on the topic and on the group (Topic:NAME, Group:NAME)",
        }),
        (_, Some(advice)) => check.advise(advice),
        (Trouble::Rejected(code, _), None) => check.advise(on_code(code.0, what)),
        _ => check.advise("see the check of the broker's address above, and the broker's log"),
    }
}

fn on_code(code: i32, what: &str) -> String {
    match code {
        2 => "the broker is overloaded and refuses work: see its send queue (rmq cluster show BROKER) and its disk".to_owned(),
        14 => "the broker takes nothing: it is a slave, its disk is full, or it is shutting down".to_owned(),
        16 => format!("nobody may {what} now: see the permissions of the broker (brokerPermission), the topic and the group (consumeEnable)"),
        17 => "the broker does not have the topic although the name server says so: it was deleted a moment ago, or the broker has lost \
               its settings: create it again"
            .to_owned(),
        26 => "brokers do not create groups by themselves here (autoCreateSubscriptionGroup=false): rmq group create GROUP"
            .to_owned(),
        _ => "see the broker's log for what it says about this request".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::check::Verdict;
    use crate::doctor::trouble::Signer;
    use rocketmq_blocking::ResponseCode;

    fn place(readable: bool, writable: bool) -> Place {
        Place { broker: "a".into(), has_master: true, readable, writable, read_queues: 4, write_queues: 4 }
    }

    fn facts(places: Option<Vec<Place>>) -> Topic {
        Topic {
            name: "T".into(),
            route: Ok(places),
            creating: Vec::new(),
            sends: vec![("a".into(), Ok(()))],
            own_perms: [("a".to_owned(), 6)].into(),
        }
    }

    fn find(facts: &Topic, name: &str) -> Option<Check> {
        all(facts, &Asker::default()).into_iter().find(|check| check.check == name)
    }

    #[test]
    fn a_topic_that_can_be_used_is_fine() {
        let checks = all(&facts(Some(vec![place(true, true)])), &Asker::default());
        assert!(checks.len() == 2 && checks.iter().all(|check| check.verdict == Verdict::Ok), "{checks:?}");
    }

    #[test]
    fn a_missing_topic_fails_unless_brokers_would_create_it() {
        let missing = find(&facts(None), "topic").unwrap();
        assert!(missing.verdict == Verdict::Failed && missing.advice[0].contains("rmq topic create T"), "{missing:?}");
        let created = find(&Topic { creating: vec!["a".into()], ..facts(None) }, "topic").unwrap();
        assert!(created.verdict == Verdict::Warning && created.found.contains("autoCreateTopicEnable"), "{created:?}");
    }

    #[test]
    fn permissions_are_told_from_those_that_were_wiped() {
        let with = |place: Place, own: Option<i32>| {
            let own_perms = own.map(|perm| ("a".to_owned(), perm)).into_iter().collect();
            find(&Topic { own_perms, ..facts(Some(vec![place])) }, "topic-permission").unwrap()
        };
        let no_queue = Place { write_queues: 0, ..place(true, true) };
        for (place, own, found, advice) in [
            (place(true, false), Some(6), "permission was wiped", "rmq cluster allow-writes a"),
            (place(true, false), Some(4), "permission there is 4 (read only)", "rmq topic allow T both --broker a"),
            (place(false, true), Some(2), "cannot be read; ", "rmq topic allow T"),
            (place(false, false), None, "neither", "allow-writes"),
            (no_queue, Some(6), "cannot be written (it has no queue for that)", "rmq topic change T"),
        ] {
            let check = with(place, own);
            assert_eq!(check.verdict, Verdict::Failed);
            assert!(check.found.contains(found) && check.advice.join(" ").contains(advice), "{check:?}");
        }
    }

    #[test]
    fn a_refused_send_says_what_is_missing_and_whose_keys_were_used() {
        let signer = Some(Signer { access_key: "who".into(), from: "the environment".into() });
        let asker = Asker { signer, tls: false };
        let refused = |trouble| {
            let sends = vec![("a".to_owned(), Err(trouble))];
            let checks = all(&Topic { sends, ..facts(Some(vec![place(true, true)])) }, &asker);
            checks.into_iter().find(|check| check.check == "send").unwrap()
        };
        let right = "User:who has no permission to access Topic:T";
        let check = refused(Trouble::Access(Access::NoRight, right.into()));
        assert!(check.verdict == Verdict::Failed && check.found.contains("Topic:T"), "{check:?}");
        assert!(check.advice[0].contains("access key who (from the environment)"), "{check:?}");
        assert!(check.advice[1].contains("needs PUB"), "{check:?}");
        for (code, advice) in
            [(2, "overloaded"), (14, "disk"), (16, "brokerPermission"), (17, "create it again"), (99, "log")]
        {
            let check = refused(Trouble::Rejected(ResponseCode(code), "no".into()));
            assert!(check.advice[0].contains(advice), "{check:?}");
        }
    }
}
