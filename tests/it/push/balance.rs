//! Members share the queues of a topic evenly, whoever comes and goes.

use std::time::Duration;

use super::member::{Member, Sending, shared_out, together};
use crate::support::{LONG, Scene, eventually, numbered};

/// Each member gets its share of what is sent now, give or take a tenth, and each message comes once.
#[track_caller]
fn assert_even(scene: &Scene, members: &[&Member], bodies: &[String]) {
    scene.send(bodies);
    arrived(members, bodies);
    let (parts, fair) = (members.iter().map(|member| member.part(bodies)), bodies.len() / members.len());
    let parts: Vec<usize> = parts.collect();
    assert!(parts.iter().all(|part| part.abs_diff(fair) * 10 <= fair), "{parts:?} of {} each", bodies.len());
    assert_eq!(parts.iter().sum::<usize>(), bodies.len(), "each once");
}

/// Waits until the members together have got all of these.
#[track_caller]
fn arrived(members: &[&Member], bodies: &[String]) {
    eventually(LONG, || {
        let here = together(members);
        let missing: Vec<_> = bodies.iter().filter(|body| here.binary_search(body).is_err()).collect();
        if missing.is_empty() { Ok(()) } else { Err(format!("{} are missing: {missing:?}", missing.len())) }
    });
}

fn static_balance(count: usize) {
    let scene = Scene::with_queues(4);
    let members: Vec<Member> = (0..count).map(|_| Member::join(&scene)).collect();
    let members: Vec<&Member> = members.iter().collect();
    shared_out(&scene, &members);
    assert_even(&scene, &members, &numbered(160));
}

#[test]
fn two_members_get_the_same_share() {
    static_balance(2);
}

#[test]
fn four_members_get_the_same_share() {
    static_balance(4);
}

#[test]
fn a_member_that_joins_while_messages_are_sent_takes_its_share() {
    let scene = Scene::with_queues(4);
    let one = Member::join(&scene);
    shared_out(&scene, &[&one]);
    let sending = Sending::start(&scene, "a");
    sending.more(20);
    let two = Member::join(&scene);
    shared_out(&scene, &[&one, &two]);
    sending.more(20);
    let sent = sending.stop("a");
    arrived(&[&one, &two], &sent);
    assert_eq!(together(&[&one, &two]), sent, "each once");
    assert_even(&scene, &[&one, &two], &numbered(80));
}

#[test]
fn of_four_members_one_crashes_and_one_joins_and_nothing_is_lost() {
    let scene = Scene::with_queues(4);
    let mut members: Vec<Member> = (0..4).map(|_| Member::join(&scene)).collect();
    shared_out(&scene, &members.iter().collect::<Vec<_>>());
    let sending = Sending::start(&scene, "a");
    sending.more(40);
    let crashed = members.remove(0);
    crashed.crash();
    // What it had in memory or had not committed goes to the others, and perhaps comes twice.
    shared_out(&scene, &members.iter().collect::<Vec<_>>());
    sending.more(20);
    members.push(Member::join(&scene));
    let four: Vec<&Member> = members.iter().collect();
    shared_out(&scene, &four);
    let sent = sending.stop("a");
    arrived(&[&four[..], &[&crashed]].concat(), &sent);
    assert_even(&scene, &four, &numbered(160));
    // Dropped, it would give its listeners their time.
    crashed.consumer.close_within(Duration::ZERO).unwrap();
}
