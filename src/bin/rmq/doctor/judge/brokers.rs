use std::collections::{BTreeMap, BTreeSet};

use super::{Asker, listed, misspoken, troubled, unreached};
use crate::doctor::check::Check;
use crate::doctor::facts::{Broker, Clock, Copying, Elsewhere, Reach, Runtime, Server, Talk};
use crate::doctor::trouble::{Access, Trouble};
use crate::text;

/// In milliseconds: what timers allow for, and what makes brokers answer every pop as if it were late.
const CLOCK_DIFFERS: i64 = 2_000;
const CLOCK_WRONG: i64 = 10_000;
/// A slave so far behind is not counted any more by its master (`haMaxGapNotInSync`, 256 MiB).
const SLAVE_LOST: i64 = 256 << 20;

/// All that one server of a broker is judged by.
pub(in crate::doctor) fn one(facts: &Broker, asker: &Asker) -> Vec<Check> {
    let subject = format!("broker {}", facts.server.title());
    let address = address(facts, &subject, asker);
    let answers = facts.reach.is_connected() && facts.talk.is_none();
    let mut checks = vec![address];
    if !answers {
        return checks;
    }
    match &facts.runtime {
        Ok(runtime) => {
            let limits = DiskLimits::of(facts.config.as_ref().ok());
            checks.extend(runtime.disk.map(|full| disk(full, limits, &subject)));
            checks.extend(runtime.clock.map(|found| clock(found, &subject)));
        }
        Err(trouble) => checks.push(unseen(trouble, &subject, asker)),
    }
    if let Ok(config) = &facts.config {
        checks.extend(permission(config, &facts.server.addr, &subject));
    }
    checks.extend(facts.vip.as_ref().map(|reach| vip(reach, &subject)));
    checks.extend(facts.pop.as_ref().map(|answer| pop(answer, facts.runtime.as_ref().ok(), &subject)));
    checks
}

fn address(facts: &Broker, subject: &str, asker: &Asker) -> Check {
    const NAME: &str = "broker-address";
    let Server { addr, advertised, .. } = &facts.server;
    let place = if addr == advertised { addr.clone() } else { format!("{addr} (advertised as {advertised})") };
    if let Some((found, advice)) = unreached(&facts.reach, "broker") {
        let check = Check::failed(NAME, subject, format!("the name server says it is at {place}; {found}"));
        return elsewhere(check, facts, advice);
    }
    match (&facts.talk, &facts.runtime) {
        (Some(talk), runtime) => {
            let (mut found, advice) = misspoken(talk, asker.tls, "broker");
            if let (Err(trouble), Talk::RocketMq | Talk::Silent | Talk::Tls) = (runtime, talk) {
                found += &format!("; {}", trouble.words());
            }
            Check::failed(NAME, subject, format!("at {place}: {found}")).advise(advice)
        }
        (None, Ok(Runtime { version: Some(version), .. })) => {
            Check::ok(NAME, subject, format!("answers at {place}, version {version}"))
        }
        (None, _) => Check::ok(NAME, subject, format!("answers at {place}")),
    }
}

/// Another address where it was found is the best advice there is.
fn elsewhere(check: Check, facts: &Broker, advice: String) -> Check {
    let Server { advertised, name, .. } = &facts.server;
    let host = advertised.rsplit_once(':').map_or(&**advertised, |(host, _)| host);
    let own = |found: &&Elsewhere| found.name.as_ref() == Some(name);
    let found = facts.elsewhere.iter().find(own).or_else(|| facts.elsewhere.iter().find(|found| found.name.is_none()));
    let Some(found) = found else {
        let check = check.advise(advice);
        return if facts.server.addr == *advertised {
            check.advise(format!(
                "if {host} is an address of another network (Docker, NAT, a cloud's inner one), set brokerIP1 in broker.conf to one that \
                 can be reached from here and restart the broker, or translate it: --address-map {advertised}=HOST:PORT"
            ))
        } else {
            check.advise("the address map leads to the wrong place: correct --address-map")
        };
    };
    let who = if found.name.is_some() { format!("{name} itself") } else { "a server of RocketMQ".to_owned() };
    check
        .advise(format!(
            "{who} answers at {}: use --address-map {advertised}={}; in a program ClientBuilder::address_map",
            found.addr, found.addr
        ))
        .advise(format!("for all clients: set brokerIP1 in broker.conf to an address they can reach, and restart the broker; {host} is not one"))
}

fn unseen(trouble: &Trouble, subject: &str, asker: &Asker) -> Check {
    const NAME: &str = "broker-state";
    let (found, advice) = troubled(trouble, asker);
    let found = format!("its state was asked for; {found}");
    let check = match trouble {
        // What only operators may see does not keep anybody from sending and consuming.
        Trouble::Access(Access::NoRight, _) | Trouble::Unsupported(_) => return Check::skipped(NAME, subject, found),
        _ => Check::failed(NAME, subject, found),
    };
    advice.into_iter().fold(check, Check::advise)
}

/// How full a disk may be, from 0 to 1, as the broker is set; in the bounds it keeps itself.
#[derive(Debug, Clone, Copy)]
struct DiskLimits {
    /// From here on expired messages are deleted at any hour (`diskMaxUsedSpaceRatio`).
    expired: f64,
    /// From here on others are deleted before their time (`diskSpaceCleanForciblyRatio`).
    early: f64,
    /// From here on messages are refused (`diskSpaceWarningLevelRatio`).
    refused: f64,
}

impl DiskLimits {
    /// Brokers before 5.0 have the last two as options of their Java machine, which nobody can ask them for.
    fn of(config: Option<&BTreeMap<String, String>>) -> DiskLimits {
        let percent = |name: &str, usual: f64, least: f64, most: f64| {
            let set = config.and_then(|config| config.get(name)?.trim().parse::<f64>().ok());
            set.unwrap_or(usual).clamp(least, most) / 100.0
        };
        DiskLimits {
            expired: percent("diskMaxUsedSpaceRatio", 75.0, 10.0, 95.0),
            early: percent("diskSpaceCleanForciblyRatio", 85.0, 30.0, 85.0),
            refused: percent("diskSpaceWarningLevelRatio", 90.0, 35.0, 90.0),
        }
    }
}

fn disk(full: f64, limits: DiskLimits, subject: &str) -> Check {
    const NAME: &str = "broker-disk";
    let DiskLimits { expired, early, refused } = limits;
    let percent = format!("the disk of its messages is {:.0} % full", full * 100.0);
    let from = |limit: f64| format!("from {:.0} % on", limit * 100.0);
    if full >= refused {
        let found = format!("{percent}: {} it refuses messages (code 14)", from(refused));
        Check::failed(NAME, subject, found).advise(
            "make room on that disk, or keep messages for less time (rmq cluster change --broker NAME fileReservedTime=HOURS) and let \
             it delete now: rmq cluster clean expired-messages",
        )
    } else if full >= early {
        let found = format!(
            "{percent}: {} old messages are deleted before their time, {} new ones are refused",
            from(early),
            from(refused)
        );
        Check::warning(NAME, subject, found)
            .advise("make room on that disk, or keep messages for less time (fileReservedTime)")
    } else if full >= expired {
        Check::ok(NAME, subject, format!("{percent}: {} what has expired is deleted at any hour", from(expired)))
    } else {
        Check::ok(NAME, subject, percent)
    }
}

fn clock(found: Clock, subject: &str) -> Check {
    const NAME: &str = "clock";
    let subject = format!("clock of {subject}");
    // As near to zero as the bounds allow: nothing is held against a clock that may be right.
    let surely = if found.least > 0 { found.least } else { found.most.min(0) };
    let amount = text::duration(std::time::Duration::from_millis(surely.unsigned_abs()));
    let way = if surely > 0 { "ahead of" } else { "behind" };
    let told = format!("it is at least {amount} {way} the clock of this machine");
    let advice = "set both by NTP (chronyc tracking, timedatectl); the clock of a container is its host's";
    match surely.abs() {
        wrong if wrong >= CLOCK_WRONG => Check::failed(NAME, subject, told).advise(advice).advise(
            "until then messages to be delivered at a time come early or late, groups that begin at a time begin at another, and pop \
             (SimpleConsumer) can fail",
        ),
        wrong if wrong >= CLOCK_DIFFERS => Check::warning(NAME, subject, told).advise(advice),
        _ => Check::ok(NAME, subject, "it agrees with this machine's, to a second or two"),
    }
}

/// What the broker allows as a whole, whatever topics say.
fn permission(config: &BTreeMap<String, String>, addr: &str, subject: &str) -> Option<Check> {
    const NAME: &str = "broker-permission";
    let perm: i32 = config.get("brokerPermission")?.parse().ok()?;
    let lacking = match (perm & 4 != 0, perm & 2 != 0) {
        (true, true) => return Some(Check::ok(NAME, subject, "may be read and written")),
        (true, false) => "written",
        (false, true) => "read",
        (false, false) => "read or written",
    };
    let found =
        format!("its configuration has brokerPermission={perm}: it may not be {lacking}, whatever the topic allows");
    Some(
        Check::failed(NAME, subject, found).advise(format!(
            "set it back, if it is not meant so: rmq cluster change --broker {addr} brokerPermission=6",
        )),
    )
}

/// Nobody needs that port by default any more, so it is nothing to complain about.
fn vip(reach: &Reach, subject: &str) -> Check {
    const NAME: &str = "vip-port";
    let subject = format!("VIP port of {subject}");
    match reach {
        Reach::Connected { at, .. } => Check::ok(NAME, subject, format!("port {} can be reached", at.port())),
        _ => Check::skipped(
            NAME,
            subject,
            "cannot be reached (the broker's port minus two); only clients with vip_channel(true), and Java's up to 4.4, use it",
        ),
    }
}

fn pop(answer: &Result<(), Trouble>, runtime: Option<&Runtime>, subject: &str) -> Check {
    const NAME: &str = "pop";
    let version = runtime.and_then(|runtime| runtime.version.as_deref()).unwrap_or("unknown");
    match answer {
        Ok(()) => Check::ok(NAME, subject, "hands messages out (pop)"),
        Err(trouble) => Check::failed(NAME, subject, format!("pop was asked for; {}; its version is {version}", trouble.words()))
            .advise("SimpleConsumer and pop need brokers 5.0 or later: upgrade it, or consume with PushConsumer or LitePullConsumer"),
    }
}

/// Brokers of which only slaves are known: they can be read, and take nothing.
pub(in crate::doctor) fn masters(servers: &[Server]) -> Vec<Check> {
    let names: BTreeSet<&str> = servers.iter().map(|server| &*server.name).collect();
    let without =
        names.iter().filter(|name| !servers.iter().any(|server| server.is_master() && server.name == ***name));
    let check = |name: &&str| {
        let slaves = servers.iter().filter(|server| server.name == **name).map(|server| server.addr.clone());
        let slaves = listed(&slaves.collect::<Vec<_>>());
        Check::failed("master", format!("broker {name}"), format!("its master is not known to the name server, only a slave: {slaves}"))
            .advise(
                "what it has can be read, but it takes no message and no offset: start the master, or see in its log why it cannot \
                 register; controller mode and acting masters (enableSlaveActingMaster) bridge this by themselves",
            )
    };
    without.map(check).collect()
}

pub(in crate::doctor) fn copying(facts: &Copying) -> Check {
    const NAME: &str = "slave-behind";
    let subject = format!("broker {}", facts.slave);
    let (Some(master), Some(copied)) = (facts.master, facts.copied) else {
        return Check::skipped(
            NAME,
            subject,
            "how far it has copied its master cannot be told: one of them does not say",
        );
    };
    let behind = master.saturating_sub(copied);
    if behind <= 0 {
        return Check::ok(NAME, subject, "has what its master had a moment ago");
    }
    let found = format!(
        "lacks {} bytes of what its master had {} before",
        text::count(behind.unsigned_abs()),
        text::duration(facts.between)
    );
    let check =
        if behind >= SLAVE_LOST { Check::failed(NAME, subject, found) } else { Check::warning(NAME, subject, found) };
    check.advise(
        "if the master is lost now, those messages are: see both logs for \"HA\", the network between them (the master's port plus one), \
         and the slave's disk",
    )
}

#[cfg(test)]
mod tests;
