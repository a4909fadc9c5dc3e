use std::time::Duration;

use super::*;
use crate::doctor::check::Verdict;
use crate::doctor::facts::OwnWords;

fn member(id: &str, subscriptions: &[(&str, &str)]) -> Member {
    let text = |text: &str| text.to_owned();
    let own = OwnWords {
        consume_type: Some("CONSUME_PASSIVELY".into()),
        orderly: Some("false".into()),
        subscriptions: subscriptions.iter().map(|(topic, what)| (text(topic), text(what))).collect(),
    };
    Member { id: id.into(), address: "10.0.0.7:1".into(), brokers: vec!["a".into()], own: Some(own) }
}

fn group(members: Vec<Member>) -> Group {
    let members = Members { members, model: "CLUSTERING".into(), ..Members::default() };
    Group {
        name: "G".into(),
        members: Ok(Some(members)),
        looks: None,
        between: Duration::from_secs(3),
        pulls: Vec::new(),
        dead_letters: Some(0),
        retry_brokers: vec!["a".into()],
        topic_brokers: vec!["a".into()],
    }
}

fn find(group: &Group, name: &str) -> Check {
    let checks = all(group, &Asker::default());
    checks.iter().find(|check| check.check == name).unwrap_or_else(|| panic!("no {name} in {checks:?}")).clone()
}

#[test]
fn members_that_are_alike_are_fine() {
    let own = [("T", "TAG a || b"), ("%RETRY%G", "TAG *")];
    let checks = all(&group(vec![member("1", &own), member("2", &own[..1])]), &Asker::default());
    assert!(checks.iter().all(|check| matches!(check.verdict, Verdict::Ok | Verdict::Skipped)), "{checks:?}");
    assert_eq!(checks[0].found, "2 members, CLUSTERING");
}

#[test]
fn an_unknown_group_and_one_without_members_are_told_apart() {
    let unknown = find(&Group { members: Ok(None), ..group(vec![]) }, "group");
    assert!(
        unknown.verdict == Verdict::Failed && unknown.advice[0].contains("autoCreateSubscriptionGroup"),
        "{unknown:?}"
    );
    assert_eq!(find(&group(vec![]), "members").verdict, Verdict::Warning);
}

#[test]
fn unequal_subscriptions_are_found_by_topic_and_by_expression() {
    for (other, found) in [
        (&[("T", "TAG b")][..], "T: \"TAG a\" by 1 (10.0.0.7:1), \"TAG b\" by 2 (10.0.0.7:1)"),
        (&[("T", "TAG a"), ("U", "TAG *")], "U: \"TAG *\" by 2 (10.0.0.7:1), \"nothing\" by 1 (10.0.0.7:1)"),
        (&[("T", "SQL92 a")], "\"SQL92 a\""),
    ] {
        let check = find(&group(vec![member("1", &[("T", "TAG a")]), member("2", other)]), "subscriptions");
        assert!(check.verdict == Verdict::Failed && check.found.contains(found), "{check:?}");
        assert!(check.advice[0].contains("same expressions"), "{check:?}");
    }
}

#[test]
fn members_of_different_kinds_are_found() {
    let (one, mut other) = (member("1", &[]), member("2", &[]));
    other.own.as_mut().unwrap().orderly = Some("true".into());
    let orderly = find(&group(vec![one.clone(), other.clone()]), "consume-types");
    assert!(orderly.found.contains("CONSUME_PASSIVELY, orderly: 2"), "{orderly:?}");
    other.own = Some(OwnWords { consume_type: Some("CONSUME_ACTIVELY".into()), ..OwnWords::default() });
    let check = find(&group(vec![one, other]), "consume-types");
    assert!(check.verdict == Verdict::Failed && check.found.contains("CONSUME_ACTIVELY: 2"), "{check:?}");
}

#[test]
fn a_member_that_does_not_answer_is_named() {
    let silent = Member { own: None, ..member("2", &[]) };
    let check = find(&group(vec![member("1", &[]), silent]), "members");
    assert!(check.verdict == Verdict::Warning && check.found.ends_with("no answer from 2 (10.0.0.7:1)"), "{check:?}");
}

#[test]
fn a_member_that_misses_a_broker_is_named() {
    let both = Member { brokers: vec!["a".into(), "b".into()], ..member("1", &[]) };
    let check = find(&group(vec![both, member("2", &[])]), "member-connections");
    assert!(
        check.verdict == Verdict::Warning && check.found.contains("2 (10.0.0.7:1) is not connected to b"),
        "{check:?}"
    );
}

#[test]
fn a_missing_retry_topic_is_found_on_its_broker() {
    let topic_brokers = vec!["a".into(), "b".into()];
    let check = find(&Group { topic_brokers, ..group(vec![member("1", &[])]) }, "retry-topic");
    assert!(check.verdict == Verdict::Warning && check.found.ends_with("%RETRY%G is missing on b"), "{check:?}");
}

#[test]
fn dead_letters_are_counted() {
    for (dead_letters, verdict, found) in [
        (None, Verdict::Skipped, "cannot be asked"),
        (Some(0), Verdict::Ok, "no message"),
        (Some(1), Verdict::Warning, "1 message has been given up after all retries, and was put aside in %DLQ%G"),
        (Some(7), Verdict::Warning, "7 messages have been"),
    ] {
        let check = find(&Group { dead_letters, ..group(vec![]) }, "dead-letters");
        assert!(check.verdict == verdict && check.found.contains(found), "{check:?}");
    }
}
