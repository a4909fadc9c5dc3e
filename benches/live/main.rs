//! How fast the client is against Apache's own server, and what automatic batching brings there.
//!
//! `tests/live/run bench` starts a server and runs this; `-- --quick` takes a fifth of the time, a word chooses the rows with
//! it in their names. Without a server in the environment it says so and ends well.

mod rows;

use std::process::ExitCode;
use std::time::Duration;

use crate::rows::{Row, Stage, rows};

const ROUNDS: usize = 5;
/// How long one row runs in one round.
const RUN: Duration = Duration::from_millis(1500);

fn main() -> ExitCode {
    let Ok(name_server) = std::env::var("ROCKETMQ_LIVE_NAME_SERVER") else {
        println!("ROCKETMQ_LIVE_NAME_SERVER is not set: run `tests/live/run bench`, which starts Apache's server.");
        return ExitCode::SUCCESS;
    };
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let run = if arguments.iter().any(|argument| argument == "--quick") { RUN / 5 } else { RUN };
    let words: Vec<&String> = arguments.iter().filter(|argument| !argument.starts_with('-')).collect();
    let chosen = |row: &Row| words.is_empty() || words.iter().any(|word| row.name.contains(word.as_str()));
    let rows: Vec<Row> = rows().into_iter().filter(chosen).collect();
    let stage = Stage::new(&name_server);
    let mut rates: Vec<Vec<f64>> = vec![Vec::new(); rows.len()];
    let mut sizes: Vec<Vec<f64>> = vec![Vec::new(); rows.len()];
    // The first round warms up; rows take turns, so that what disturbs the machine disturbs all.
    for round in 0..=ROUNDS {
        for (number, row) in rows.iter().enumerate() {
            let before = stage.requests();
            let rate = (row.measure)(&stage, run);
            let requests = (stage.requests() - before).max(1) as f64;
            if round > 0 {
                rates[number].push(rate.per_second());
                sizes[number].push(rate.messages as f64 / requests);
            }
        }
    }
    print(&rows, &mut rates, &mut sizes);
    ExitCode::SUCCESS
}

fn print(rows: &[Row], rates: &mut [Vec<f64>], sizes: &mut [Vec<f64>]) {
    let version = std::env::var("ROCKETMQ_LIVE_VERSION").unwrap_or_else(|_| "of an unknown version".into());
    println!("server {version}: thousand messages of {} B per second, medians of {ROUNDS} rounds", rows::SIZE);
    println!("{:<28} {:>9} {:>14} {:>16}", "", "rate", "per request", "to unbatched");
    let medians: Vec<f64> = rates.iter_mut().map(|rates| median(rates)).collect();
    for (number, row) in rows.iter().enumerate() {
        let unbatched = row.beside.and_then(|name| rows.iter().position(|other| other.name == name));
        let ratio = unbatched.map(|other| format!("{:.2}", medians[number] / medians[other])).unwrap_or_default();
        let size = median(&mut sizes[number]);
        println!("{:<28} {:>9.1} {:>14.1} {:>16}", row.name, medians[number] / 1e3, size, ratio);
    }
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
