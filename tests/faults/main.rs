//! What a client does when networks and servers do wrong.
//!
//! In a binary of its own, because each call is judged: however the peer behaves, it must end by its deadline and 100 ms. So
//! tests run one at a time, but for those that judge no calls and those that mostly wait. A process says at its end how late
//! its calls were. Takes names to choose from like any test binary.

#![allow(clippy::result_large_err, reason = "a failed send gives its message back, and these closures pass it on")]

mod judge;
mod proxy;
mod rig;
mod wire;

mod auto_batch;
mod busy;
mod closing;
mod connecting;
mod consuming;
mod consuming_faults;
mod late;
mod liveness;
mod offset_file;
mod replies;
mod reply;
mod restart;
mod stalled;
mod trace;
mod transactions;

use std::panic::catch_unwind;
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::Instant;

macro_rules! tests {
    ($($module:ident: $($name:ident)*;)*) => { &[$($((concat!(stringify!($module), "::", stringify!($name)), $module::$name as fn()),)*)*] };
}

type Test = (&'static str, fn());

/// Tests that wait for networks and brokers; all at the same time.
const WAITING: &[Test] = tests! {
    consuming_faults:
        nothing_a_server_does_loses_a_message_or_stops_a_consumer;
    consuming:
        a_storm_of_notifications;
    liveness:
        every_queue_pulls_again_after_a_restart_and_the_broker_knows_the_group_before
        every_queue_pulls_again_after_the_network_was_cut
        a_member_that_falls_silent_is_forgotten_and_the_others_take_its_queues;
};

/// Counts what all threads of its process do: in a process of its own, beside all others.
const ALONE: &[Test] = tests! {
    liveness:
        a_consumer_with_nothing_to_do_wakes_at_most_twice_a_second;
};

/// Tests that wait for deadlines and do little else: one at a time, in a process beside the others.
const BESIDE: &[Test] = tests! {
    reply:
        a_reply_after_the_timeout
        a_connection_that_is_cut_before_the_reply
        a_requester_that_was_cut_off_is_known_again
        a_broker_that_is_silent_on_the_request
        a_broker_that_takes_no_heartbeats;
    busy:
        one_of_two_brokers_is_busy
        the_only_broker_is_busy;
    late:
        a_silent_broker_costs_three_fifths_of_the_time
        the_first_attempt_may_still_succeed
        no_second_attempt_when_it_could_duplicate;
    stalled:
        a_peer_that_stops_reading_and_resumes
        a_broker_that_never_reads;
    offset_file:
        half_written_at_every_byte
        a_disk_that_takes_nothing_for_a_while
        a_folder_that_cannot_be_made;
    trace:
        a_stalled_trace_broker;
};

const ONE_BY_ONE: &[Test] = tests! {
    connecting:
        a_server_that_refuses
        a_server_that_never_accepts
        connecting_that_hangs
        a_name_that_cannot_be_resolved
        a_name_server_that_comes_up_later
        a_name_server_that_dies_later
        a_silent_name_server_beside_one_that_answers;
    replies:
        a_reset_before_the_answer
        a_connection_that_ends_within_the_answer
        half_an_answer_and_silence
        answers_of_single_bytes
        an_answer_with_a_foreign_number
        an_answer_on_another_connection
        answers_that_come_twice
        answers_that_come_too_late
        answers_for_others_do_not_prolong_a_call
        garbage_and_impossible_lengths
        a_server_that_goes_away;
    consuming:
        kill_and_restart_with_a_hundred_thousand_messages
        a_listener_that_never_returns_before_a_large_backlog
        a_damaged_body_becomes_a_dead_letter_alone
        a_damaged_body_does_not_hold_up_an_orderly_queue_for_ever
        a_damaged_body_is_an_error_item_of_an_iterator
        a_truncated_last_message_is_pulled_again;
    restart:
        kill_and_restart_under_sixteen_threads;
    transactions:
        an_end_that_is_lost
        an_end_that_cannot_be_sent
        a_broker_killed_between_half_and_commit
        a_restart_between_half_and_check
        a_storm_of_ten_thousand_checks
        checks_that_panic
        a_check_that_never_returns;
    closing:
        closing_while_sends_run
        dropping_without_closing
        a_callback_that_panics
        a_callback_that_closes
        a_full_window;
    auto_batch:
        a_broker_dies_and_returns_under_sixteen_threads
        a_refused_batch_is_sent_message_by_message
        a_refusal_that_concerns_all_is_everybodys
        one_message_too_large_for_the_broker_fails_alone
        closing_sends_what_is_gathered_at_once
        a_broker_that_never_answers
        no_more_is_held_than_allowed;
};

/// Prints what the client logs, when `FAULTS_LOG` is set.
struct Printer(Instant);

impl log::Log for Printer {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &log::Record<'_>) {
        let thread = std::thread::current();
        eprintln!("{:.3?} {} {}: {}", self.0.elapsed(), record.level(), thread.name().unwrap_or("?"), record.args());
    }

    fn flush(&self) {}
}

fn main() -> ExitCode {
    if std::env::var_os("FAULTS_LOG").is_some() {
        let _ = log::set_logger(Box::leak(Box::new(Printer(Instant::now()))));
        log::set_max_level(log::LevelFilter::Debug);
    }
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let parts: Vec<_> = arguments.iter().filter(|argument| !argument.starts_with('-')).collect();
    let chosen = |tests: &[Test]| -> Vec<Test> {
        let is_chosen = |name: &str| parts.is_empty() || parts.iter().any(|part| name.contains(&**part));
        tests.iter().copied().filter(|(name, _)| is_chosen(name)).collect()
    };
    let (waiting, mut one_by_one) = (chosen(WAITING), chosen(ONE_BY_ONE));
    let others = [chosen(ALONE), chosen(BESIDE)];
    let count = waiting.len() + one_by_one.len() + others.iter().map(Vec::len).sum::<usize>();
    if arguments.iter().any(|argument| argument == "--list") {
        let all = waiting.iter().chain(others.iter().flatten()).chain(&one_by_one);
        all.for_each(|(name, _)| println!("{name}: test"));
        return ExitCode::SUCCESS;
    }
    let mut processes = Vec::new();
    if count == 1 || std::env::var_os(OWN).is_some() {
        one_by_one.extend(others.into_iter().flatten());
    } else {
        let others = others.into_iter().filter(|tests| !tests.is_empty());
        processes.extend(others.map(|tests| in_own_process(tests.iter().map(|(name, _)| *name))));
    }
    let mut failed = std::thread::scope(|scope| {
        let running: Vec<_> = waiting.into_iter().map(|test| (test.0, scope.spawn(move || passes(test)))).collect();
        let ended = running.into_iter().map(|(name, test)| (name, test.join().unwrap_or(false)));
        ended.filter(|(_, passed)| !passed).map(|(name, _)| name).collect::<Vec<_>>()
    });
    failed.extend(one_by_one.into_iter().filter(|test| !passes(*test)).map(|(name, _)| name));
    let mut sound = true;
    for process in processes {
        let ended = process.wait_with_output().expect("it was started");
        String::from_utf8_lossy(&ended.stdout)
            .lines()
            .filter(|line| !line.is_empty())
            .for_each(|line| println!("{line}"));
        sound &= ended.status.success();
    }
    println!("\n{count} tests, {} failed {failed:?}; {}", failed.len(), judge::summary());
    if sound && failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Set in a process that runs all it is told one by one.
const OWN: &str = "FAULTS_OWN";

fn in_own_process(names: impl Iterator<Item = &'static str>) -> Child {
    let mut command = Command::new(std::env::current_exe().expect("the path of this binary"));
    command.args(names).env(OWN, "1").stdout(Stdio::piped()).spawn().expect("a process")
}

/// Runs a test and says how it went. What is said of calls is said of the test that ran.
fn passes((name, test): Test) -> bool {
    let started = Instant::now();
    let passed = catch_unwind(test).is_ok();
    let complaints = judge::complaints();
    complaints.iter().for_each(|complaint| eprintln!("{name}: {complaint}"));
    let passed = passed && complaints.is_empty();
    println!("test {name} ... {} ({:.1?})", if passed { "ok" } else { "FAILED" }, started.elapsed());
    passed
}
