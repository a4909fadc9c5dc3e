//! Finding the cluster: name servers, the environment, discovery, and translated addresses.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use rocketmq_blocking::{Error, Message, Outcome};

use crate::support::{
    NOWHERE, PATIENCE, Scene, SilentServer, client_builder, cluster, eventually, scene, sorted_bodies, unique,
};

/// Says in a child process which part of a test it is to play.
const CHILD: &str = "IT_CHILD";

/// Runs the test of this name again in a process of its own, where it finds `CHILD` set, and these variables.
fn run_again(test: &str, variables: &[(&str, &str)]) {
    let mut child = Command::new(std::env::current_exe().unwrap());
    child.args(["--exact", test, "--nocapture", "--test-threads=1"]).env(CHILD, "1");
    for name in ["NAMESRV_ADDR", "ROCKETMQ_NAMESRV_DOMAIN", "ROCKETMQ_NAMESRV_DOMAIN_SUBGROUP"] {
        child.env_remove(name);
    }
    let output = child.envs(variables.iter().copied()).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && text.contains("1 passed"), "the child process failed:\n{text}");
}

fn is_child() -> bool {
    std::env::var_os(CHILD).is_some()
}

/// Finds the cluster without being told an address, and asks it something.
fn ask_whoever_is_found() {
    let client = client_builder().connect().unwrap();
    assert!(!client.publish_queues("TBW102").unwrap().is_empty());
}

#[test]
fn the_name_servers_come_from_the_environment() {
    if is_child() {
        return ask_whoever_is_found();
    }
    let list = format!("{NOWHERE};{}", cluster().name_server);
    run_again("client::the_name_servers_come_from_the_environment", &[("NAMESRV_ADDR", &list)]);
}

#[test]
fn an_address_that_is_given_goes_before_the_environment() {
    if is_child() {
        let error = client_builder().name_servers(NOWHERE).connect().unwrap_err();
        assert!(error.to_string().contains(NOWHERE), "{error}");
        return;
    }
    run_again(
        "client::an_address_that_is_given_goes_before_the_environment",
        &[("NAMESRV_ADDR", &cluster().name_server)],
    );
}

/// Answers HTTP requests with an address list, and says which paths were asked for.
fn address_server(list: &str) -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap().to_string();
    let (asked, list) = (Arc::new(Mutex::new(Vec::new())), list.to_owned());
    let seen = asked.clone();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut lines = BufReader::new(stream.try_clone().unwrap()).lines().map_while(Result::ok);
            seen.lock().unwrap().push(lines.next().unwrap_or_default());
            lines.by_ref().take_while(|line| !line.is_empty()).for_each(drop);
            let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{list}\n", list.len() + 1);
            let _ = stream.write_all(answer.as_bytes());
        }
    });
    (addr, asked)
}

#[test]
fn the_name_servers_are_discovered_over_http_when_none_are_given() {
    if is_child() {
        return ask_whoever_is_found();
    }
    let (domain, asked) = address_server(&cluster().name_server);
    let test = "client::the_name_servers_are_discovered_over_http_when_none_are_given";
    run_again(test, &[("ROCKETMQ_NAMESRV_DOMAIN", &domain)]);
    run_again(test, &[("ROCKETMQ_NAMESRV_DOMAIN", &domain), ("ROCKETMQ_NAMESRV_DOMAIN_SUBGROUP", "mine")]);
    let asked = asked.lock().unwrap();
    assert!(asked[0].starts_with("GET /rocketmq/nsaddr HTTP/1.1"), "{asked:?}");
    assert!(asked.iter().any(|line| line.starts_with("GET /rocketmq/mine HTTP/1.1")), "{asked:?}");
}

#[test]
fn the_place_of_discovery_can_be_set() {
    if is_child() {
        let (domain, asked) = address_server(&std::env::var("IT_NAME_SERVER").unwrap());
        let client =
            client_builder().discovery_domain(domain).discovery_subgroup("ours").unit_name("u1").connect().unwrap();
        assert!(!client.publish_queues("TBW102").unwrap().is_empty());
        assert!(client.client_id().ends_with("@u1"), "{}", client.client_id());
        let asked = asked.lock().unwrap();
        assert!(asked[0].starts_with("GET /rocketmq/ours-u1?nofix=1 HTTP/1.1"), "{asked:?}");
        return;
    }
    run_again("client::the_place_of_discovery_can_be_set", &[("IT_NAME_SERVER", &cluster().name_server)]);
}

#[test]
fn the_name_servers_are_discovered_again_and_again() {
    if is_child() {
        let (domain, asked) = address_server(NOWHERE);
        let builder = client_builder().discovery_domain(domain).discovery_interval(Duration::from_millis(200));
        let _client = builder.build().unwrap();
        return eventually(PATIENCE, || match asked.lock().unwrap().len() {
            3.. => Ok(()),
            count => Err(format!("asked {count} times")),
        });
    }
    run_again("client::the_name_servers_are_discovered_again_and_again", &[]);
}

#[test]
fn of_several_name_servers_a_dead_one_is_passed_over() {
    let scene = scene();
    // The first to be asked is chosen at random, so several clients meet both orders.
    for number in 0..6 {
        let list = format!("{NOWHERE};{},127.0.0.1:2", scene.cluster.name_server);
        let client = client_builder().name_servers(list).connect().unwrap();
        let producer = client.producer(&*scene.group).start().unwrap();
        producer.send(scene.message(format!("{number}"))).unwrap();
    }
    assert_eq!(scene.arrived(6).len(), 6);
}

#[test]
fn of_several_name_servers_a_silent_one_is_passed_over_within_the_deadline() {
    let (scene, silent) = (scene(), SilentServer::start());
    for number in 0..3 {
        let client =
            client_builder().name_servers(format!("{};{}", silent.addr(), scene.cluster.name_server)).build().unwrap();
        let producer = client.producer(&*scene.group).timeout(Duration::from_secs(2)).start().unwrap();
        producer.send(scene.message(format!("{number}"))).unwrap();
    }
    assert_eq!(scene.arrived(3).len(), 3);
}

#[test]
fn connecting_to_dead_name_servers_names_each_of_them() {
    let began = Instant::now();
    let error = client_builder().name_servers("127.0.0.1:1;127.0.0.1:2").connect().unwrap_err();
    let text = error.to_string();
    assert!(text.contains("127.0.0.1:1") && text.contains("127.0.0.1:2"), "{text}");
    assert_eq!((error.outcome(), error.is_retryable()), (Outcome::NotSent, true));
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
}

#[test]
fn an_address_without_a_port_gets_9876() {
    let error = client_builder().name_servers("no-such-host.invalid").connect().unwrap_err();
    assert!(error.to_string().contains("no-such-host.invalid:9876"), "{error}");
}

#[test]
fn lists_that_name_no_server_are_refused() {
    for list in ["host:port", "host:0", "host:70000", "a b:9876", "[::1", ":9876", "http://"] {
        let refused = client_builder().name_servers(list).build();
        assert!(matches!(refused, Err(Error::Invalid { .. })), "{list:?}: {refused:?}");
    }
}

#[test]
fn name_servers_may_be_written_in_all_of_javas_forms() {
    let server = &cluster().name_server;
    for list in [format!(" {server} ; "), format!("{server},{server}"), format!("http://jmenv.example/{server}")] {
        let client = client_builder().name_servers(&list).connect().unwrap_or_else(|error| panic!("{list:?}: {error}"));
        assert!(client.publish_queues("TBW102").is_ok(), "{list:?}");
    }
}

#[test]
fn building_connects_to_nothing() {
    let began = Instant::now();
    let client = client_builder().name_servers(NOWHERE).build().unwrap();
    let producer = client.producer("it_lazy").start().unwrap();
    assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
    assert!(producer.send(Message::new("T", "x")).is_err());
}

#[test]
fn brokers_are_reached_at_translated_addresses() {
    let mut scene = Scene::with_queues(1);
    let seen = Arc::new(Mutex::new(Vec::new()));
    let record = seen.clone();
    let translate = move |addr: &str| {
        record.lock().unwrap().push(addr.to_owned());
        addr.replace("127.0.0.1", "localhost")
    };
    scene.client = scene.cluster.builder().address_map(translate).build().unwrap();
    let sent = scene.producer().send(scene.message("x")).unwrap();
    assert_eq!(scene.arrived(1).len(), 1);
    assert!(scene.client.view_message(sent.offset_message_id()).unwrap().is_some());
    let seen = seen.lock().unwrap();
    assert!(!seen.is_empty() && seen.iter().all(|addr| addr.starts_with("127.0.0.1:")), "{seen:?}");
}

#[test]
fn a_broker_whose_address_leads_nowhere_is_replaced_by_another() {
    let mut scene = Scene::with_queues(1);
    // One broker only: the map's answer for the other one is a port at which nothing listens.
    let dead: Arc<Mutex<Option<String>>> = Arc::default();
    let translate = move |addr: &str| {
        let mut dead = dead.lock().unwrap();
        let first = dead.get_or_insert_with(|| addr.to_owned());
        if first == addr { NOWHERE.to_owned() } else { addr.to_owned() }
    };
    scene.client = scene.cluster.builder().address_map(translate).build().unwrap();
    let producer = scene.producer();
    let bodies: Vec<String> = (0..8).map(|number| number.to_string()).collect();
    let sent: Vec<_> = bodies.iter().map(|body| producer.send(scene.message(body.clone())).unwrap()).collect();
    let first = sent[0].queue().broker_name();
    assert!(sent.iter().all(|sent| sent.queue().broker_name() == first), "all went to the broker that is there");
    assert!(sent.iter().all(|sent| !sent.may_be_duplicated()), "what was not sent cannot be there twice");
    let retried = sent.iter().filter(|sent| sent.attempts() > 1).count();
    assert!(retried <= 4, "a broker that failed is avoided: {retried} of 8 sends tried it");
    scene.client = scene.cluster.builder().build().unwrap();
    assert_eq!(sorted_bodies(&scene.arrived(8)), bodies);
}

#[test]
fn a_unit_name_is_part_of_the_identity() {
    let build = |unit: &str| {
        let client = client_builder().name_servers(NOWHERE).instance_name(unique("i"));
        if unit.is_empty() { client } else { client.unit_name(unit) }.build().unwrap()
    };
    assert!(build("unit-7").client_id().ends_with("@unit-7"));
    assert_eq!(build("").client_id().matches('@').count(), 1);
    let ip = client_builder().name_servers(NOWHERE).client_ip([10, 9, 8, 7].into()).build().unwrap();
    assert!(ip.client_id().starts_with("10.9.8.7@"), "{}", ip.client_id());
}

#[test]
fn settings_out_of_range_are_refused() {
    let builder = || client_builder().name_servers(NOWHERE);
    let zero = Duration::ZERO;
    let wrong = [
        builder().request_timeout(zero),
        builder().connect_timeout(zero),
        builder().route_interval(zero),
        builder().heartbeat_interval(zero),
        builder().callback_threads(0),
        builder().callback_threads(257),
        builder().callback_queue(0),
        builder().frame_limit(0),
        builder().instance_name(" "),
    ];
    for builder in wrong {
        let refused = builder.clone().build();
        assert!(matches!(refused, Err(Error::Invalid { .. })), "{builder:?}: {refused:?}");
    }
}
