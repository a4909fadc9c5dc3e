//! What a client costs that is connected and has nothing to do: memory, and wake-ups of its threads.
//!
//! `cargo bench --bench idle` starts an embedded cluster, and beside it, in a process of its own, a client with a producer
//! and a push consumer, which measures itself. `-- --gate` fails when a limit is not kept. It takes three quarters of a
//! minute, and reads `/proc`: on other systems it says so and ends well.

use std::collections::BTreeMap;
use std::fs;
use std::process::{Command, ExitCode};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use rocketmq_blocking::embedded::Cluster;
use rocketmq_blocking::{Client, ConsumeFromWhere, ConsumeResult, Message, MessageView};

const TOPIC: &str = "Idle";
/// Queues of the topic: each is a long poll of the consumer.
const QUEUES: u16 = 8;
/// Until the first messages, assignments and heartbeats are through.
const SETTLE: Duration = Duration::from_secs(15);
/// As long as the longest interval, so that everything periodic is in it.
const WINDOW: Duration = Duration::from_secs(30);
/// Whoever else uses the processors adds wake-ups and takes none away, so the least of so many windows counts.
const WINDOWS: usize = 3;
/// Resident memory that a client may add to its process, in KiB.
const MAX_MEMORY: u64 = 5 * 1024;
const MAX_WAKE_UPS: f64 = 2.0;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if !cfg!(target_os = "linux") {
        println!("memory and wake-ups are read from /proc: not on this system");
        return ExitCode::SUCCESS;
    }
    if let Some(at) = arguments.iter().position(|argument| argument == "--client") {
        let kept = measure(&arguments[at + 1]);
        return if kept { ExitCode::SUCCESS } else { ExitCode::FAILURE };
    }
    let cluster = Cluster::builder().topic(TOPIC, QUEUES).start().expect("an embedded cluster");
    let program = std::env::current_exe().expect("this program's file");
    let client = Command::new(program).args(["--client", cluster.name_server()]).status().expect("a process");
    let gate = arguments.iter().any(|argument| argument == "--gate");
    if client.success() || !gate { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn measure(name_server: &str) -> bool {
    let before = resident();
    let client = Client::connect(name_server).expect("a client");
    let producer = client.producer("idle").start().expect("a producer");
    let (consumed, message) = mpsc::channel();
    let consumer = client
        .push_consumer("idle")
        .subscribe(TOPIC, "*")
        .consume_from_where(ConsumeFromWhere::FirstOffset)
        .start(move |messages: &[MessageView]| {
            for _ in messages {
                // Nobody listens any more once the first has come.
                let _ = consumed.send(());
            }
            ConsumeResult::Success
        })
        .expect("a consumer");
    producer.send(Message::new(TOPIC, "body")).expect("a cluster that works");
    message.recv_timeout(Duration::from_secs(30)).expect("the message");
    pass(SETTLE);
    let mut rate = wake_ups_in_a_window();
    for _ in 1..WINDOWS {
        if rate > MAX_WAKE_UPS {
            rate = rate.min(wake_ups_in_a_window());
        }
    }
    let after = resident();
    println!("wake-ups of an idle client: {rate:.2} per second, at most {MAX_WAKE_UPS}");
    let added = after.saturating_sub(before);
    println!("idle memory added by a client: {added} KiB of {after} KiB in all, at most {MAX_MEMORY}");
    consumer.close().and_then(|()| client.close()).expect("a cluster that works");
    rate <= MAX_WAKE_UPS && added <= MAX_MEMORY
}

/// Wake-ups per second, which are printed by what the threads do.
fn wake_ups_in_a_window() -> f64 {
    let (from, earlier) = (Instant::now(), wake_ups());
    pass(WINDOW);
    let (seconds, later) = (from.elapsed().as_secs_f64(), wake_ups());
    let mut sum = 0.0;
    for (name, (count, threads)) in later {
        let before = earlier.get(&name).map_or(0, |(count, _)| *count);
        let rate = count.saturating_sub(before) as f64 / seconds;
        println!("{name:<12} {threads:>3} threads {rate:>7.2} wake-ups per second");
        sum += rate;
    }
    sum
}

fn pass(time: Duration) {
    std::thread::sleep(time);
}

/// Resident memory of this process in KiB.
fn resident() -> u64 {
    let status = fs::read_to_string("/proc/self/status").expect("a Linux /proc");
    field(&status, "VmRSS:")
}

fn field(status: &str, name: &str) -> u64 {
    let line = status.lines().find_map(|line| line.strip_prefix(name)).expect("a line of the kernel's");
    line.trim().trim_end_matches(" kB").parse().expect("a number")
}

/// How often the client's threads have gone to sleep so far, and how many there are, by what they do.
fn wake_ups() -> BTreeMap<String, (u64, usize)> {
    let mut found = BTreeMap::new();
    for task in fs::read_dir("/proc/self/task").expect("a Linux /proc").flatten() {
        let read = |what: &str| fs::read_to_string(task.path().join(what));
        // A thread may end between the looks.
        let (Ok(name), Ok(status)) = (read("comm"), read("status")) else { continue };
        let name = name.trim().split(' ').next().unwrap_or_default();
        if name.starts_with("mq-") {
            let (count, threads) = found.entry(name.to_owned()).or_insert((0, 0));
            *count += field(&status, "voluntary_ctxt_switches:");
            *threads += 1;
        }
    }
    found
}
