//! The command line as a user runs it: the built program against `rmq broker`, or against the cluster named in
//! `ROCKETMQ_LIVE_NAME_SERVER`.

mod administering;
mod connecting;
mod consuming;
mod doctor;
mod groups;
mod listing;
mod operators;
mod program;
mod replies;
mod sending;
mod tailing;
mod transactions;

use std::collections::HashSet;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::process::Stdio;

use serde_json::{Value, json};

use self::program::{Cluster, Running, eventually, names, rmq, run, unique};

const SENT: [&str; 7] = ["messageId", "offsetMessageId", "topic", "brokerName", "queueId", "queueOffset", "status"];
const RECEIVED: [&str; 8] =
    ["tag", "keys", "properties", "reconsumeTimes", "bornTimestamp", "storeTimestamp", "bodySize", "body"];

#[test]
fn what_was_sent_is_pulled_with_all_its_parts() {
    let cluster = Cluster::start();
    let topic = cluster.topic("Parts", "2");
    let send = ["send", "--topic", &topic, "--body", "正文 😀", "--tag", "paid", "--keys", "k1 k2"];
    let more = ["--property", "shop=north", "--property", "name=名=字"];
    let sent = cluster.objects(&[&send[..], &more].concat()).remove(0);
    assert_eq!(names(&sent), SENT.into());
    assert_eq!((&sent["status"], &sent["topic"]), (&json!("SEND_OK"), &json!(topic)));

    let received = cluster.objects(&["pull", "--topic", &topic]).remove(0);
    assert_eq!(names(&received), SENT.into_iter().chain(RECEIVED).collect());
    for same in ["messageId", "offsetMessageId", "topic", "brokerName", "queueId", "queueOffset"] {
        assert_eq!(received[same], sent[same], "{same}");
    }
    assert_eq!((&received["tag"], &received["keys"]), (&json!("paid"), &json!(["k1", "k2"])));
    assert_eq!((&received["body"], &received["bodySize"]), (&json!("正文 😀"), &json!(11)));
    assert_eq!(received["properties"]["shop"], "north");
    assert_eq!(received["properties"]["name"], "名=字");
    assert_eq!(received["reconsumeTimes"], 0);
    assert!(received["storeTimestamp"].as_u64() >= Some(1_600_000_000_000), "{received}");
}

#[test]
fn every_mode_stores_every_message_once() {
    let cluster = Cluster::start();
    let modes: [&[&str]; 4] =
        [&["--threads", "3"], &["--mode", "async", "--threads", "2"], &["--batch", "7"], &["--mode", "oneway"]];
    for more in modes {
        let topic = cluster.topic("Modes", "3");
        let send = ["send", "--topic", &topic, "--size", "40", "--count", "50"];
        let sent = cluster.objects(&[&send[..], more].concat());
        assert_eq!(sent.len(), 50, "{more:?}");
        // Oneway, nobody says when they have arrived.
        let pulled = cluster.objects(&["pull", "--topic", &topic, "--count", "50", "--wait", "10s"]);
        let id = |object: &Value| object["messageId"].as_str().map(str::to_owned);
        let received: HashSet<_> = pulled.iter().map(id).collect();
        assert_eq!(received.len(), 50, "{more:?}");
        if !more.contains(&"oneway") {
            assert_eq!(sent.iter().map(id).collect::<HashSet<_>>(), received, "{more:?}");
        }
        assert!(pulled.iter().all(|message| message["bodySize"] == 40));
    }
}

#[test]
fn a_batch_names_each_of_its_messages() {
    let cluster = Cluster::start();
    let topic = cluster.topic("Batch", "1");
    let broker = cluster.objects(&["topic", "route", &topic]).remove(0)["brokers"][0]["brokerName"].clone();
    let send = ["send", "--topic", &topic, "--body", "b", "--count", "5", "--batch", "3", "--queue", "0"];
    let sent = cluster.objects(&send);
    let offsets: Vec<&Value> = sent.iter().map(|object| &object["queueOffset"]).collect();
    assert_eq!(offsets, [0, 1, 2, 3, 4]);
    assert!(sent.iter().all(|object| object["brokerName"] == broker && object["queueId"] == 0));
    for object in &sent {
        let viewed = cluster.objects(&["message", "view", object["offsetMessageId"].as_str().unwrap()]).remove(0);
        assert_eq!(viewed["messageId"], object["messageId"]);
    }
}

#[test]
fn the_body_is_read_from_standard_input() {
    let cluster = Cluster::start();
    let topic = cluster.topic("Stdin", "1");
    for (body, is_text) in [(&b"two\nlines\n"[..], true), (&[0xff, 0x00, 0xfe], false)] {
        let mut command = cluster.command(&["send", "--topic", &topic]);
        command.stdin(Stdio::piped());
        let mut running = Running::start(command);
        running.child.stdin.take().unwrap().write_all(body).unwrap();
        assert_eq!(running.end().status, Some(0));
        let received = cluster.objects(&["pull", "--topic", &topic, "--commit"]).remove(0);
        assert_eq!(received["bodySize"], body.len());
        assert_eq!(received.get("body").is_some(), is_text, "a body that is no text is not shown");
    }
}

#[test]
fn both_forms_of_headers_are_understood() {
    let cluster = Cluster::start();
    let topic = cluster.topic("Header", "1");
    for header in ["json", "binary"] {
        cluster.succeed(&["send", "--topic", &topic, "--body", header, "--header", header]);
    }
    assert_eq!(cluster.objects(&["pull", "--topic", &topic, "--header", "binary"]).len(), 2);
}

#[test]
fn output_for_people_has_a_line_for_each_message_and_the_sum_aside() {
    let cluster = Cluster::start();
    let topic = cluster.topic("People", "1");
    let sent = cluster.succeed(&["send", "--topic", &topic, "--body", "one\nline", "--tag", "t"]);
    assert!(sent.starts_with("SEND_OK  ") && sent.lines().count() == 1, "{sent}");
    let pulled = cluster.run(&["pull", "--topic", &topic]);
    assert_eq!(pulled.stdout.lines().count(), 1, "{}", pulled.stdout);
    assert!(pulled.stdout.contains("tag:t  one\\nline"), "{}", pulled.stdout);
    assert_eq!(pulled.stderr, "rmq: 1 message read\n");
    let many = cluster.succeed(&["send", "--topic", &topic, "--body", "x", "--count", "100"]);
    assert!(many.starts_with("100 stored in ") && many.lines().count() == 1, "{many}");
}

#[test]
fn tags_choose_what_is_pulled() {
    let cluster = Cluster::start();
    let topic = cluster.topic("Tags", "2");
    for tag in ["Aa", "BB", "C"] {
        cluster.succeed(&["send", "--topic", &topic, "--body", tag, "--tag", tag]);
    }
    let pulled = cluster.objects(&["pull", "--topic", &topic, "--expression", "Aa || C"]);
    let bodies: HashSet<_> = pulled.iter().map(|message| message["body"].as_str().unwrap()).collect();
    assert_eq!(bodies, ["Aa", "C"].into());
}

#[test]
fn committed_messages_are_not_read_again_by_the_group() {
    let cluster = Cluster::start();
    let topic = cluster.topic("Commit", "1");
    let group = unique("Group");
    cluster.succeed(&["send", "--topic", &topic, "--body", "x", "--count", "8", "--queue", "0"]);
    let pull = |more: &[&str]| {
        let messages = cluster.objects(&[&["pull", "--topic", &topic, "--group", &group], more].concat());
        messages.iter().map(|message| message["queueOffset"].as_i64().unwrap()).collect::<Vec<_>>()
    };
    assert_eq!(pull(&["--count", "3"]), [0, 1, 2], "reading alone commits nothing");
    assert_eq!(pull(&["--count", "3", "--commit"]), [0, 1, 2]);
    assert_eq!(pull(&["--count", "2", "--commit"]), [3, 4]);
    assert_eq!(pull(&["--from", "6"]), [6, 7]);
    assert_eq!(pull(&["--from", "last"]).len(), 0);
    assert_eq!(pull(&["--from", "first"]).len(), 8);
    assert_eq!(pull(&["--commit"]), [5, 6, 7]);
    assert_eq!(pull(&[]).len(), 0);
}

#[test]
fn a_waiting_pull_shows_a_message_when_it_comes_and_an_interrupt_ends_it() {
    let cluster = Cluster::start();
    let topic = cluster.topic("Wait", "3");
    let pull = ["pull", "--topic", &topic, "--wait", "10m", "--json"];
    let mut pulling = Running::start(cluster.command(&pull));
    let lines = pulling.lines();
    for body in ["first", "second"] {
        cluster.succeed(&["send", "--topic", &topic, "--body", body]);
        let received: Value = serde_json::from_str(&lines.next()).unwrap();
        assert_eq!(received["body"], body);
    }
    pulling.interrupt();
    lines.end();
    let ended = pulling.end();
    assert_eq!((ended.status, ended.stderr.as_str()), (Some(0), ""));
}

#[test]
fn messages_are_found_by_key_and_by_id() {
    let cluster = Cluster::start();
    let topic = cluster.topic("Find", "2");
    let sent = cluster.objects(&["send", "--topic", &topic, "--body", "found", "--keys", "order-17 other"]).remove(0);
    let (id, offset_id) = (sent["messageId"].as_str().unwrap(), sent["offsetMessageId"].as_str().unwrap());
    let find = ["message", "find", "--topic", &topic, "--key", "order-17", "--json"];
    // Brokers list a message under its keys a moment after storing it.
    let found = eventually(|| Some(cluster.run(&find)).filter(|ended| ended.status == Some(0)));
    let found: Value = serde_json::from_str(&found.stdout).unwrap();
    assert_eq!((&found["messageId"], &found["body"]), (&sent["messageId"], &json!("found")));
    let view = |arguments: &[&str]| cluster.objects(&[&["message", "view"], arguments].concat()).remove(0);
    assert_eq!(view(&[offset_id])["messageId"], id);
    assert_eq!(view(&[id, "--topic", &topic])["offsetMessageId"], offset_id);
    assert_eq!(view(&[offset_id, "--topic", &topic])["messageId"], id);
    let people = cluster.succeed(&["message", "view", offset_id]);
    assert!(people.contains(id) && people.ends_with("found\n"), "{people}");
    assert!(cluster.fail(&["message", "find", "--topic", &topic, "--key", "none"], 1).contains("no message"));
    assert!(cluster.fail(&["message", "view", "xyz"], 1).contains("--topic"));
}

#[test]
fn a_route_names_brokers_and_queues() {
    let cluster = Cluster::start();
    let topic = cluster.topic("Route", "5");
    let route = cluster.objects(&["topic", "route", &topic]).remove(0);
    let broker = &route["brokers"][0];
    assert_eq!((&broker["readQueues"], &broker["writable"]), (&json!(5), &json!(true)));
    assert!(broker["addresses"]["0"].as_str().is_some_and(|addr| addr.contains(':')), "{route}");
    let table = cluster.succeed(&["topic", "route", &topic]);
    assert!(table.starts_with("BROKER ") && table.contains("read write"), "{table}");
    assert!(cluster.fail(&["topic", "route", &unique("None")], 1).contains("no route"));
}

#[test]
fn every_failed_send_says_what_became_of_the_message() {
    let cluster = Cluster::start();
    let topic = cluster.topic("Fail", "2");
    let send = ["send", "--topic", &topic];
    let failed = |more: &[&str]| cluster.fail(&[&send[..], more].concat(), 1);
    assert!(failed(&["--size", "4194305"]).contains("message 1 not sent: "));
    assert!(failed(&["--body", ""]).contains("not sent"));
    assert!(failed(&["--body", "x", "--property", "KEYS=x"]).contains("message 1 not sent: "));
    assert!(failed(&["--body", "x", "--queue", "9"]).contains("no queue 9"));
    assert!(failed(&["--body", "x", "--queue", "-1"]).contains("no queue -1"));
    let nobody = cluster.fail(&["send", "-n", "127.0.0.1:1", "--topic", &topic, "--body", "x"], 1);
    assert!(nobody.contains("nothing sent: cannot connect to 127.0.0.1:1"), "{nobody}");
}

#[test]
fn a_refused_send_is_told_for_each_message() {
    let cluster = Cluster::embedded(&["--no-auto-create", "--topic", "Small", "--message-limit", "1000"]);
    let large = cluster.fail(&["send", "--topic", "Small", "--size", "1500", "--count", "2"], 1);
    assert!(large.contains("message 1 rejected: ") && large.contains("message 2 rejected: "), "{large}");
    let missing = cluster.fail(&["send", "--topic", "Missing", "--body", "x", "--count", "2"], 1);
    assert_eq!(missing.matches("not sent: no route to topic Missing").count(), 2, "{missing}");
}

#[test]
fn wrong_usage_exits_with_2() {
    let cluster = Cluster::at("127.0.0.1:1");
    let wrong: &[&[&str]] = &[
        &[],
        &["sned"],
        &["send", "--body", "x"],
        &["send", "--topic", "T", "--body", "x", "--size", "3"],
        &["send", "--topic", "T", "--body", "x", "--timeout", "3"],
        &["send", "--topic", "T", "--body", "x", "--count", "0"],
        &["send", "--topic", "T", "--body", "x", "--mode", "later"],
        &["send", "--topic", "T", "--body", "x", "--property", "no-sign"],
        &["send", "--topic", "T", "--body", "x", "--batch", "2", "--delay-level", "3"],
        &["send", "--topic", "T", "--body", "x", "--access-key", "only-one"],
        &["send", "--topic", "T", "--body", "x", "--deliver-at", "tomorrow"],
        &["send", "--topic", "T", "--body", "x", "--deliver-at", "+1s", "--deliver-after", "1s"],
        &["send", "--topic", "T", "--body", "x", "--transaction", "perhaps"],
        &["send", "--topic", "T", "--body", "x", "--transaction", "commit", "--batch", "2"],
        &["send", "--topic", "T", "--body", "x", "--transaction", "commit", "--deliver-at", "+1s"],
        &["request", "--topic", "T", "--body", "x", "--timeout", "0s"],
        &["reply", "--topic", "T", "--from", "middle"],
        &["recall", "--topic", "T"],
        &["send", "--topic", "T", "--body", "x", "--compress", "gzip"],
        &["send", "--topic", "T", "--body", "x", "--auto-batch", "--batch", "3"],
        &["send", "--topic", "T", "--body", "x", "--priority", "-1"],
        &["topic", "create", "T", "--type", "odd"],
        &["topic", "create", "T", "--attribute", "name"],
        &["topic", "route", "T", "--header", "xml"],
        &["pull", "--topic", "T", "--from", "middle"],
        &["pull", "--topic", "T", "--expression", "a", "--sql", "b > 1"],
        &["bench", "pull", "--topic", "T", "--mode", "oneway"],
        &["broker", "--listen", "127.0.0.1:x"],
    ];
    for &arguments in wrong {
        assert!(!cluster.fail(arguments, 2).is_empty(), "{arguments:?}");
    }
    assert!(cluster.succeed(&["--help"]).contains("Exit status"));
}

#[test]
fn a_benchmark_has_all_its_figures() {
    let cluster = Cluster::start();
    let topic = cluster.topic("Bench", "4");
    let fields = "op mode threads size count seconds per_s p50_us p99_us p999_us cpu_us_per_msg peak_rss_mib";
    let load = ["--topic", &topic, "--threads", "2", "--count", "300", "--window", "16"];
    for (op, mode, size) in [
        ("send", "sync", Some("64")),
        ("send", "async", Some("64")),
        ("send", "oneway", Some("64")),
        ("pull", "sync", None),
        ("pull", "async", None),
    ] {
        let mut arguments = [&["bench", op, "--mode", mode][..], &load].concat();
        arguments.extend(size.into_iter().flat_map(|size| ["--size", size]));
        let figures = cluster.objects(&arguments).remove(0);
        assert_eq!(names(&figures), fields.split(' ').collect(), "{op} {mode}");
        assert_eq!((&figures["op"], &figures["mode"], &figures["threads"]), (&json!(op), &json!(mode), &json!(2)));
        assert_eq!(figures["size"], 64, "{op} {mode}");
        assert!(figures["count"].as_u64() >= Some(300), "{figures}");
        for positive in ["seconds", "per_s", "p50_us", "p99_us", "p999_us", "peak_rss_mib"] {
            assert!(figures[positive].as_f64() > Some(0.0), "{op} {mode}: {positive} in {figures}");
        }
    }
    let gathered = ["bench", "send", "--mode", "async", "--auto-batch", "--compress", "lz4", "--size", "5000"];
    assert!(cluster.objects(&[&gathered[..], &load].concat())[0]["count"].as_u64() >= Some(300));
    let filled = unique("BenchFill");
    let pull = ["bench", "pull", "--topic", &filled, "--size", "32", "--count", "200"];
    assert_eq!(cluster.objects(&pull).remove(0)["size"], 32);
    assert!(cluster.fail(&["bench", "pull", "--topic", &unique("BenchNone")], 1).contains("no route"));
}

#[test]
fn an_interrupt_ends_sending_cleanly() {
    let cluster = Cluster::start();
    let topic = cluster.topic("Stop", "2");
    let send = ["send", "--topic", &topic, "--body", "x", "--count", "100000000", "--threads", "2", "--json"];
    let mut sending = Running::start(cluster.command(&send));
    let lines = sending.lines();
    let first: Value = serde_json::from_str(&lines.next()).unwrap();
    assert_eq!(first["status"], "SEND_OK");
    sending.interrupt();
    lines.end();
    let ended = sending.end();
    assert_eq!((ended.status, ended.stderr.as_str()), (Some(130), "rmq: interrupted\n"));
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let cluster = Cluster::start();
    let topic = cluster.topic("Pipe", "4");
    cluster.succeed(&["send", "--topic", &topic, "--size", "2000", "--count", "2000", "--mode", "async"]);
    let mut pulling = Running::start(cluster.command(&["pull", "--topic", &topic, "--json"]));
    let mut output = BufReader::new(pulling.child.stdout.take().unwrap());
    let mut line = String::new();
    output.read_line(&mut line).unwrap();
    drop(output);
    let ended = pulling.end();
    assert_eq!((ended.status, ended.stderr.as_str()), (Some(0), ""));
}

#[test]
fn a_broker_says_where_it_listens_and_ends_when_interrupted() {
    let mut broker =
        Running::start(rmq(&["broker", "--listen", "127.0.0.1:0", "--brokers", "2", "--topic", "Own:3", "--json"]));
    let lines = broker.lines();
    let started: Value = serde_json::from_str(&lines.next()).unwrap();
    let addr = started["nameServer"].as_str().unwrap().to_owned();
    assert_eq!(started["brokers"].as_array().map(Vec::len), Some(2));
    let cluster = Cluster::at(&addr);
    let route = cluster.objects(&["topic", "route", "Own"]).remove(0);
    for (shown, told) in route["brokers"].as_array().unwrap().iter().zip(started["brokers"].as_array().unwrap()) {
        assert_eq!((&shown["brokerName"], &shown["addresses"]["0"]), (&told["name"], &told["address"]));
        assert_eq!(shown["readQueues"], 3);
    }
    // Topics are created on first use.
    assert_eq!(cluster.objects(&["send", "--topic", "New", "--body", "x"])[0]["status"], "SEND_OK");
    let taken = run(&["broker", "--listen", &addr]);
    assert_eq!(taken.status, Some(1));
    assert!(taken.stderr.contains(&addr), "{}", taken.stderr);
    broker.interrupt();
    lines.end();
    assert_eq!(broker.end().status, Some(0));
    assert!(TcpStream::connect(addr).is_err(), "nobody listens any more");
}

#[cfg(feature = "acl")]
#[test]
fn keys_from_the_environment_sign_requests_and_are_never_shown() {
    let cluster = Cluster::embedded(&["--access-key", "who", "--secret-key", "hush-hush"]);
    let mut outputs = vec![cluster.fail(&["send", "--topic", "T", "--body", "x"], 1)];
    assert!(outputs[0].contains("rejected"), "{}", outputs[0]);
    for (secret, status) in [("hush-hush", 0), ("wrong-hush", 1)] {
        let mut command = cluster.command(&["send", "--topic", "T", "--body", "x"]);
        command.env("ROCKETMQ_ACCESS_KEY", "who").env("ROCKETMQ_SECRET_KEY", secret);
        let ended = Running::start(command).end();
        assert_eq!(ended.status, Some(status), "{}", ended.stderr);
        outputs.push(ended.stdout + &ended.stderr);
        let mut help = cluster.command(&["send", "--help"]);
        help.env("ROCKETMQ_ACCESS_KEY", "who-else").env("ROCKETMQ_SECRET_KEY", secret);
        let shown = Running::start(help).end().stdout;
        assert!(!shown.contains("who-else"), "{shown}");
        outputs.push(shown);
    }
    assert!(outputs.iter().all(|output| !output.contains("hush")), "{outputs:?}");
}
