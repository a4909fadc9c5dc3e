//! How fast the client is, beside what the machine allows and beside the plain way to write a client.
//!
//! `cargo bench --bench remoting` measures all rows, in five rounds that take turns, and prints medians; `-- --quick` takes
//! a fifth of the time, a word only the rows with it in their names. `-- --gate` measures writes and allocations per request
//! only, and fails when one is above its limit: those do not depend on how busy the machine is.

#[path = "../common/counting.rs"]
mod counting;

mod baseline;
mod floor;
mod pushing;
mod rows;
mod server;

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use rocketmq_blocking::bench::{Codec, Form};

use crate::rows::{Contenders, Row, rows};
use crate::server::{SIZE, Server};

const ROUNDS: usize = 5;
/// How long one row of one contender runs in one round.
const RUN: Duration = Duration::from_millis(500);
/// Writes per request allowed at that many threads.
const MAX_WRITES: [(usize, f64); 2] = [(8, 0.3), (64, 0.05)];
/// The received frame, and the two ids in it that users keep.
const MAX_ALLOCATIONS: f64 = 3.0;

/// Two for a message and one for its batch of 32.
const MAX_ALLOCATIONS_PUSH: f64 = 2.0 + 1.0 / 32.0;

fn main() -> ExitCode {
    let asked = |name: &str| std::env::args().any(|argument| argument == name);
    if asked("--serve") {
        server::serve();
        return ExitCode::SUCCESS;
    }
    let server = Server::start();
    let contenders = Contenders::new(server.addr);
    if !asked("--gate") {
        compare(&contenders, if asked("--quick") { RUN / 5 } else { RUN });
    }
    let kept = costs(&contenders, &server.addr.to_string());
    if kept || !asked("--gate") { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// What was measured of one row: per contender the rate of each round.
#[derive(Default)]
struct Measured {
    client: Vec<f64>,
    floor: Vec<f64>,
    baseline: Vec<f64>,
    /// Writes per request of the client, and microseconds of processor time.
    writes: Vec<f64>,
    cpu: Vec<f64>,
}

fn compare(contenders: &Contenders, run: Duration) {
    let words: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    let chosen = |row: &Row| words.is_empty() || words.iter().any(|word| row.name.contains(word));
    let rows: Vec<Row> = rows().into_iter().filter(chosen).collect();
    let mut measured: Vec<Measured> = rows.iter().map(|_| Measured::default()).collect();
    for round in 0..=ROUNDS {
        for (row, measured) in rows.iter().zip(&mut measured) {
            let before = (contenders.requests_and_writes(), cpu_micros());
            let client = (row.client)(contenders, run);
            let after = (contenders.requests_and_writes(), cpu_micros());
            let baseline = (row.baseline)(contenders, run);
            let floor = (row.floor)(contenders, run);
            // The first round warms up.
            if round > 0 {
                measured.client.push(client.per_second());
                measured.baseline.push(baseline.per_second());
                measured.floor.push(floor.per_second());
                measured.writes.push((after.0.1 - before.0.1) as f64 / (after.0.0 - before.0.0).max(1) as f64);
                measured.cpu.push((after.1 - before.1) / client.count.max(1) as f64);
            }
        }
    }
    print(&rows, measured);
}

fn print(rows: &[Row], measured: Vec<Measured>) {
    println!(
        "thousand requests per second, {SIZE} B bodies, medians of {ROUNDS} rounds; the client beside a bare socket"
    );
    println!("(floor) and the plain way (baseline); processor time and writes of the client per request");
    println!(
        "{:<26} {:>9} {:>9} {:>9}   {:>7} {:>9}   {:>7} {:>7}   aim",
        "", "client", "floor", "baseline", "/floor", "/baseline", "cpu us", "writes"
    );
    for (row, mut measured) in rows.iter().zip(measured) {
        let client = median(&mut measured.client);
        let (floor, baseline) = (median(&mut measured.floor), median(&mut measured.baseline));
        println!(
            "{:<26} {:>9.1} {:>9.1} {:>9.1}   {:>7.2} {:>9.2}   {:>7.2} {:>7.3}   {}",
            row.name,
            client / 1e3,
            floor / 1e3,
            baseline / 1e3,
            client / floor,
            client / baseline,
            median(&mut measured.cpu),
            median(&mut measured.writes),
            row.aim
        );
    }
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Prints what does not depend on the machine, and says whether the limits are kept.
fn costs(contenders: &Contenders, addr: &str) -> bool {
    let mut kept = true;
    for (threads, limit) in MAX_WRITES {
        let mut shares: Vec<f64> = (0..ROUNDS)
            .map(|_| {
                let before = contenders.requests_and_writes();
                rows::client_sends(contenders, threads, RUN / 2);
                let after = contenders.requests_and_writes();
                (after.1 - before.1) as f64 / (after.0 - before.0).max(1) as f64
            })
            .collect();
        kept &= within(&format!("writes per request at {threads} threads"), median(&mut shares), limit);
    }
    let codec = Codec::new(Form::Json, "Bench");
    let addr: Arc<str> = addr.into();
    let body = [b'x'; SIZE];
    let call = || codec.call(&contenders.client, &addr, &body).expect("the server answers");
    let per_call = allocations(call);
    kept &= within("allocations per send in codec and remoting", per_call, MAX_ALLOCATIONS);
    let (messages, most) = (1_000_000, MAX_ALLOCATIONS_PUSH);
    let per_message = contenders.pushing.allocations(messages);
    kept &= within("allocations per message pushed, 32 a batch", per_message, most);
    println!("{:<44} {:>6.2}", "allocations per send by a producer", allocations(|| contenders.send()));
    kept
}

/// Allocations of all threads per call, in the steady state.
fn allocations<T>(call: impl Fn() -> T) -> f64 {
    const TIMES: u64 = 2_000;
    let many = || {
        for _ in 0..TIMES {
            call();
        }
    };
    many();
    // Timers and heartbeats allocate now and then: the least of a few counts is without them.
    let counts = (0..5).map(|_| counting::count(many));
    counts.min().unwrap_or(0) as f64 / TIMES as f64
}

fn within(what: &str, value: f64, limit: f64) -> bool {
    // Growth of what is reused may fall into a count.
    let kept = value <= limit + 0.005;
    println!("{what:<44} {value:>6.3}{}", if kept { String::new() } else { format!("   ABOVE THE LIMIT of {limit}") });
    kept
}

/// Processor time this process has used, in microseconds; 0 where it cannot be read.
fn cpu_micros() -> f64 {
    let Ok(stat) = std::fs::read_to_string("/proc/self/stat") else { return 0.0 };
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    // User and system time stand in ticks of 10 ms.
    let ticks = [11, 12].iter().filter_map(|at| fields.get(*at)?.parse::<f64>().ok()).sum::<f64>();
    ticks * 10_000.0
}
