use std::net::SocketAddr;
use std::time::Duration;

use super::*;
use crate::doctor::check::Verdict;

fn server(name: &str, id: i64) -> Server {
    let addr = "10.0.0.5:10911".to_owned();
    Server { cluster: "C".into(), name: name.into(), id, addr: addr.clone(), advertised: addr }
}

fn connected() -> Reach {
    Reach::Connected { at: SocketAddr::from(([10, 0, 0, 5], 10909)), took: Duration::ZERO }
}

fn facts(reach: Reach) -> Broker {
    let runtime = Runtime { version: Some("5.5.0".into()), ..Runtime::default() };
    let config = Ok([("brokerPermission".to_owned(), "6".to_owned())].into());
    let (talk, elsewhere, vip, pop) = (None, Vec::new(), None, None);
    Broker { server: server("broker-a", 0), reach, talk, elsewhere, runtime: Ok(runtime), config, vip, pop }
}

#[test]
fn a_broker_that_answers_is_fine() {
    let checks = one(&facts(connected()), &Asker::default());
    assert!(checks.iter().all(|check| check.verdict == Verdict::Ok), "{checks:?}");
    assert_eq!(checks[0].found, "answers at 10.0.0.5:10911, version 5.5.0");
}

#[test]
fn an_unreachable_address_comes_with_one_that_works() {
    let found = |addr: &str, name: Option<&str>| Elsewhere { addr: addr.into(), name: name.map(str::to_owned) };
    let other = found("192.168.0.1:10911", Some("broker-z"));
    let map = |addr: &str| format!("--address-map 10.0.0.5:10911={addr}");
    for (elsewhere, advice) in [
        (vec![other.clone(), found("127.0.0.1:10911", Some("broker-a"))], map("127.0.0.1:10911")),
        (vec![found("h:10911", None)], map("h:10911")),
        (vec![other], map("HOST:PORT")),
        (vec![], "brokerIP1".to_owned()),
    ] {
        let checks = one(&Broker { elsewhere, ..facts(Reach::TimedOut(Duration::from_secs(3))) }, &Asker::default());
        let [check] = &checks[..] else { panic!("one check: {checks:?}") };
        assert_eq!((check.check, check.verdict), ("broker-address", Verdict::Failed));
        assert!(check.found.contains("10.0.0.5:10911; connecting was tried for 3.0 s"), "{check:?}");
        assert!(check.advice.join(" ").contains(&advice), "{check:?}");
    }
}

#[test]
fn a_map_that_leads_nowhere_is_blamed_itself() {
    let mut mapped = facts(Reach::Refused);
    mapped.server.addr = "127.0.0.1:1".into();
    let check = &one(&mapped, &Asker::default())[0];
    assert!(check.found.contains("127.0.0.1:1 (advertised as 10.0.0.5:10911)"), "{check:?}");
    assert!(check.advice.join(" ").contains("correct --address-map"), "{check:?}");
}

#[test]
fn what_only_operators_may_see_is_skipped_and_wrong_keys_fail() {
    for (access, verdict) in [
        (Access::NoRight, Verdict::Skipped),
        (Access::NoKeys, Verdict::Failed),
        (Access::WrongSecret, Verdict::Failed),
        (Access::UnknownUser, Verdict::Failed),
    ] {
        let runtime = Err(Trouble::Access(access, "no".into()));
        let checks = one(&Broker { runtime, ..facts(connected()) }, &Asker::default());
        let state = checks.iter().find(|check| check.check == "broker-state").unwrap();
        assert_eq!(state.verdict, verdict, "{access:?}");
    }
}

#[test]
fn a_disk_is_judged_by_the_limits_of_brokers() {
    let set = |pairs: &[(&str, &str)]| {
        let config = pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        DiskLimits::of(Some(&config))
    };
    let usual = DiskLimits::of(None);
    let low = set(&[
        ("diskMaxUsedSpaceRatio", "40"),
        ("diskSpaceCleanForciblyRatio", "50"),
        ("diskSpaceWarningLevelRatio", "60"),
    ]);
    // What is out of bounds, or no number, brokers do not follow either.
    let wrong = set(&[("diskSpaceCleanForciblyRatio", "99"), ("diskSpaceWarningLevelRatio", "full")]);
    for (full, limits, verdict, found) in [
        (0.2, usual, Verdict::Ok, "20 % full"),
        (0.8, usual, Verdict::Ok, "from 75 % on what has expired"),
        (0.85, usual, Verdict::Warning, "from 85 % on old messages"),
        (0.9, usual, Verdict::Failed, "from 90 % on it refuses"),
        (0.45, low, Verdict::Ok, "from 40 % on what has expired"),
        (0.5, low, Verdict::Warning, "from 60 % on new ones are refused"),
        (0.6, low, Verdict::Failed, "from 60 % on it refuses"),
        (0.86, wrong, Verdict::Warning, "from 90 % on new ones"),
    ] {
        let check = disk(full, limits, "broker a");
        assert!(check.verdict == verdict && check.found.contains(found), "{full}: {check:?}");
        assert!(verdict == Verdict::Ok || check.advice.join(" ").contains("fileReservedTime"), "{check:?}");
    }
}

#[test]
fn a_clock_is_only_held_against_what_is_certain() {
    for (least, most, verdict, found) in [
        (-900, 1_200, Verdict::Ok, "agrees"),
        (-5_000, 100, Verdict::Ok, "agrees"),
        (1_900, 3_100, Verdict::Ok, "agrees"),
        (2_500, 3_600, Verdict::Warning, "at least 2.5 s ahead of"),
        (-4_600, -3_500, Verdict::Warning, "at least 3.5 s behind"),
        (60_000, 61_000, Verdict::Failed, "60.0 s ahead of"),
        (-3_601_000, -3_600_000, Verdict::Failed, "60 min 00 s behind"),
    ] {
        let check = clock(Clock { least, most }, "broker a");
        assert_eq!(check.verdict, verdict, "{check:?}");
        assert!(check.found.contains(found), "{check:?}");
    }
}

#[test]
fn a_broker_that_may_not_be_written_is_found_by_its_settings() {
    for (perm, verdict, found) in [
        ("6", Verdict::Ok, "read and written"),
        ("4", Verdict::Failed, "may not be written"),
        ("2", Verdict::Failed, "may not be read"),
        ("0", Verdict::Failed, "read or written"),
    ] {
        let check = permission(&[("brokerPermission".to_owned(), perm.to_owned())].into(), "h:1", "broker a").unwrap();
        assert_eq!(check.verdict, verdict);
        assert!(check.found.contains(found), "{check:?}");
    }
    assert_eq!(permission(&BTreeMap::new(), "h:1", "broker a"), None);
}

#[test]
fn a_vip_port_that_is_closed_is_no_failure() {
    assert_eq!(vip(&connected(), "broker a").verdict, Verdict::Ok);
    assert_eq!(vip(&Reach::Refused, "broker a").verdict, Verdict::Skipped);
}

#[test]
fn an_old_broker_is_told_from_one_that_hands_messages_out() {
    let old = Runtime { version: Some("4.9.7".into()), ..Runtime::default() };
    let check = pop(&Err(Trouble::Unsupported("200055".into())), Some(&old), "broker a");
    assert!(
        check.verdict == Verdict::Failed && check.found.contains("4.9.7") && check.advice[0].contains("5.0"),
        "{check:?}"
    );
    assert_eq!(pop(&Ok(()), None, "broker a").verdict, Verdict::Ok);
}

#[test]
fn a_broker_without_its_master_fails() {
    let servers = [server("a", 0), server("a", 1), server("b", 1)];
    let checks = masters(&servers);
    let [check] = &checks[..] else { panic!("one check: {checks:?}") };
    assert_eq!((&*check.subject, check.verdict), ("broker b", Verdict::Failed));
}

#[test]
fn a_slave_is_behind_when_it_lacks_what_its_master_had_before() {
    let facts =
        |master, copied| Copying { slave: "a (slave 1)".into(), master, copied, between: Duration::from_secs(1) };
    for (master, copied, verdict) in [
        (Some(100), Some(120), Verdict::Ok),
        (Some(100), Some(99), Verdict::Warning),
        (Some(1 << 30), Some(0), Verdict::Failed),
        (None, Some(1), Verdict::Skipped),
    ] {
        assert_eq!(copying(&facts(master, copied)).verdict, verdict, "{master:?} {copied:?}");
    }
}
