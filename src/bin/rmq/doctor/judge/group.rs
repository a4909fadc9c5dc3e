use std::collections::{BTreeMap, BTreeSet};

use super::topic::allowed;
use super::{Asker, listed, queues, troubled};
use crate::doctor::check::Check;
use crate::doctor::facts::{Group, Member, Members};
use crate::text;

pub(in crate::doctor) fn all(facts: &Group, asker: &Asker) -> Vec<Check> {
    const NAME: &str = "group";
    let subject = format!("group {}", facts.name);
    let members = match &facts.members {
        Err(trouble) => {
            let (found, advice) = troubled(trouble, asker);
            let check = Check::failed(NAME, subject, format!("its members were asked for; {found}"));
            return vec![advice.into_iter().fold(check, Check::advise)];
        }
        Ok(None) => {
            let found =
                "no broker knows it: no consumer of it has come so far, for that would have made its retry topic";
            return vec![Check::failed(NAME, subject, found).advise(
                "start a consumer of it, or check the name and the namespace; where brokers do not create groups by themselves \
                 (autoCreateSubscriptionGroup=false), create it first: rmq group create NAME",
            )];
        }
        Ok(Some(members)) => members,
    };
    let mut checks = vec![present(members, &subject)];
    checks.extend(kinds(members, &subject));
    checks.extend(subscriptions(members, &subject));
    checks.extend(connections(members, &subject));
    let on = |broker: &String| format!("reading as {} on {broker}", facts.name);
    checks.extend(facts.pulls.iter().map(|(broker, answer)| allowed("pull", on(broker), answer, asker, "read there")));
    checks.extend(retry_topic(facts, &subject));
    checks.extend(queues::all(facts, members, &subject));
    checks.push(dead_letters(facts, &subject));
    checks
}

fn present(members: &Members, subject: &str) -> Check {
    const NAME: &str = "members";
    let count = members.members.len() as u64;
    if count == 0 {
        return Check::warning(NAME, subject, "has no member now: nobody consumes")
            .advise("start a consumer; if one runs: check that it uses this group, this namespace and this cluster, and its log");
    }
    let silent: Vec<String> = members.members.iter().filter(|member| member.own.is_none()).map(place).collect();
    let told = format!("{}, {}", text::counted(count, "member"), members.model);
    if silent.is_empty() {
        return Check::ok(NAME, subject, told);
    }
    let found = format!("{told}; what they consume was asked, and there is no answer from {}", listed(&silent));
    Check::warning(NAME, subject, found).advise(
        "such a member hangs, or refuses operators' questions (this crate: ClientBuilder::answer_diagnosis(false)); so its subscription \
         is not compared with the others'",
    )
}

/// `10.0.0.7@1234 (10.0.0.7:40112)`.
fn place(member: &Member) -> String {
    format!("{} ({})", member.id, member.address)
}

/// Members that consume in different ways divide queues differently, or acknowledge what others have not got.
fn kinds(members: &Members, subject: &str) -> Option<Check> {
    const NAME: &str = "consume-types";
    let mut kinds: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for member in &members.members {
        let Some(own) = &member.own else { continue };
        let Some(kind) = &own.consume_type else { continue };
        let orderly = if own.orderly.as_deref() == Some("true") { ", orderly" } else { "" };
        kinds.entry(format!("{kind}{orderly}")).or_default().push(place(member));
    }
    if kinds.len() < 2 {
        let (kind, _) = kinds.into_iter().next()?;
        return Some(Check::ok(NAME, subject, format!("all members consume in the same way ({kind})")));
    }
    let told: Vec<String> = kinds.iter().map(|(kind, who)| format!("{kind}: {}", listed(who))).collect();
    Some(Check::failed(NAME, subject, format!("its members consume in different ways; {}", told.join("; "))).advise(
        "all members of a group must be of one kind (push, lite pull, pop; orderly or not): give one kind a group of its own",
    ))
}

/// The classic: brokers keep one subscription for a group, that of whoever spoke last.
fn subscriptions(members: &Members, subject: &str) -> Option<Check> {
    const NAME: &str = "subscriptions";
    let own = |member: &Member| {
        let mut own = member.own.as_ref()?.subscriptions.clone();
        // Each client adds its own retry topic.
        own.retain(|topic, _| !topic.contains("%RETRY%"));
        Some((place(member), own))
    };
    let all: Vec<_> = members.members.iter().filter_map(own).collect();
    if all.len() < 2 {
        return None;
    }
    let topics: BTreeSet<&String> = all.iter().flat_map(|(_, own)| own.keys()).collect();
    let mut differing = Vec::new();
    for topic in topics {
        let mut versions: BTreeMap<&str, Vec<String>> = BTreeMap::new();
        for (who, own) in &all {
            versions.entry(own.get(topic).map_or("nothing", String::as_str)).or_default().push(who.clone());
        }
        if versions.len() > 1 {
            let told: Vec<String> = versions.iter().map(|(what, who)| format!("{what:?} by {}", listed(who))).collect();
            differing.push(format!("{topic}: {}", told.join(", ")));
        }
    }
    Some(if differing.is_empty() {
        Check::ok(NAME, subject, "all members subscribe to the same")
    } else {
        Check::failed(NAME, subject, format!("its members subscribe to different things; {}", differing.join("; "))).advise(
            "all members of a group must subscribe to the same topics with the same expressions: brokers keep what came last and drop the \
             rest, so messages are lost or wait for ever. Make them equal, or give one of them a group of its own",
        )
    })
}

/// A member gets nothing from a broker that it is not connected to, and its queues there wait.
fn connections(members: &Members, subject: &str) -> Option<Check> {
    const NAME: &str = "member-connections";
    let everywhere: BTreeSet<&String> = members.members.iter().flat_map(|member| &member.brokers).collect();
    let lacking: Vec<String> = members
        .members
        .iter()
        .filter_map(|member| {
            let lacks = everywhere.iter().filter(|broker| !member.brokers.contains(broker));
            let lacks: Vec<String> = lacks.map(|broker| (**broker).clone()).collect();
            (!lacks.is_empty()).then(|| format!("{} is not connected to {}", place(member), listed(&lacks)))
        })
        .collect();
    (!lacking.is_empty()).then(|| {
        Check::warning(NAME, subject, lacking.join("; "))
            .advise("that member gets nothing from there: see whether the broker can be reached from its machine (run rmq doctor there)")
    })
}

/// Without it a message that failed has nowhere to go.
fn retry_topic(facts: &Group, subject: &str) -> Option<Check> {
    const NAME: &str = "retry-topic";
    let lacking: Vec<String> =
        facts.topic_brokers.iter().filter(|broker| !facts.retry_brokers.contains(broker)).cloned().collect();
    if facts.topic_brokers.is_empty() {
        return None;
    }
    Some(if lacking.is_empty() {
        Check::ok(NAME, subject, "its retry topic is on every broker that it consumes from")
    } else {
        let found = format!("its retry topic %RETRY%{} is missing on {}", facts.name, listed(&lacking));
        Check::warning(NAME, subject, found).advise(
            "messages from there that fail cannot be given back: it is made by the first heartbeat of a consumer, so see whether the \
             members reach that broker; or create it: rmq group create NAME, and restart a consumer",
        )
    })
}

fn dead_letters(facts: &Group, subject: &str) -> Check {
    const NAME: &str = "dead-letters";
    match facts.dead_letters {
        None => Check::skipped(NAME, subject, "whether messages were given up cannot be asked"),
        Some(..=0) => Check::ok(NAME, subject, "no message was given up"),
        Some(count) => {
            let (have, was) = if count == 1 { ("has", "was") } else { ("have", "were") };
            let found = format!(
                "{} {have} been given up after all retries, and {was} put aside in %DLQ%{}",
                text::counted(count.unsigned_abs(), "message"),
                facts.name
            );
            Check::warning(NAME, subject, found).advise(format!(
                "look at them: rmq pull --topic %DLQ%{0} (where that is forbidden, first rmq topic allow %DLQ%{0} both); mend the \
                 listener, and send again those that count",
                facts.name
            ))
        }
    }
}

#[cfg(test)]
mod tests;
