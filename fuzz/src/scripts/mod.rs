//! A client against an embedded cluster on which a script plays: calls of all kinds, faults, servers that go and come.
//!
//! Promises, whatever the script: every call ends by its deadline; what was not sent is never stored; what was
//! acknowledged is stored; what was not committed is not; a queue that is consumed in order is so by one thread at a time; and
//! after closing nothing is left: no call, no callback, no thread, no socket.

mod calls;
mod consumers;
mod process;
mod script;
mod stage;
mod transactions;

use std::time::Duration;

use rocketmq_blocking::{Client, ClientBuilder};

use calls::Calls;
use consumers::Consumers;
pub use script::Script;
use script::Step;
use stage::Stage;
use transactions::Transactions;

const TOPIC: &str = "T";
const QUEUES: u16 = 2;
const GRACE: Duration = Duration::from_millis(200);

/// How much later than its deadline a call may end: machines that fuzz are busy.
const SLACK: Duration = Duration::from_millis(2500);

fn millis(count: u64) -> Duration {
    Duration::from_millis(count)
}

fn builder(name_servers: &str, script: &Script) -> ClientBuilder {
    Client::builder()
        .name_servers(name_servers)
        .binary_headers(script.binary_headers)
        .request_timeout(millis(300))
        .connect_timeout(millis(200))
        .silence_limit(millis(300))
        .probe_timeout(millis(100))
        .stall_limit(millis(400))
        .callback_threads(1)
}

/// Plays a script and checks what is promised.
pub fn play(script: &Script) {
    process::eventually("threads of the script before are gone", || process::threads().is_empty());
    let sockets = process::sockets();
    let stage = Stage::new(1 + usize::from(script.two_brokers));
    let client = builder(&stage.name_servers(), script).build().expect("a client");
    let mut calls = Calls::new(client.clone(), stage.broker_names());
    let mut consumers = Consumers::new(client.clone());
    let mut transactions = Transactions::new(client.clone());
    for step in script.steps() {
        match step {
            Step::Deed(server, deed) => stage.play(*server, deed),
            Step::Call(call) => calls.play(call),
            Step::Push(deed) => consumers.push(deed),
            Step::Lite(deed) => consumers.lite(deed, calls.queue(deed.queue())),
            Step::Transaction(how) => transactions.play(how),
            Step::Pause(time) => std::thread::sleep(millis(u64::from(*time % 50))),
        }
    }
    if script.heal {
        stage.heal();
        calls.end();
        // A consumer always waits for messages.
        if consumers.are_none() {
            process::eventually("no call is left", || client.calls_waiting() == 0);
        }
    }
    close(&client);
    let account = calls.end();
    check_nothing_is_left(&client);
    let decided = transactions.end();
    drop((calls, consumers, client));
    process::eventually("no thread of the client is left", || !process::threads().iter().any(process::is_clients));
    // What the network still holds arrives now.
    stage.heal();
    process::eventually("the servers have read to the end", || stage.connections() == 0);
    account.check(&stage.stored());
    decided.check(&stage.stored());
    stage.close();
    process::eventually("no thread is left", || process::threads().is_empty());
    process::eventually("as many sockets as before", || process::sockets() <= sockets);
}

fn close(client: &Client) {
    let watch = process::Watch::start();
    client.close_within(GRACE).expect("closing never fails");
    let took = watch.passed();
    assert!(took <= GRACE + millis(1000) + SLACK, "closing took {took:?}");
}

fn check_nothing_is_left(client: &Client) {
    assert_eq!(client.calls_waiting(), 0, "a closed client has no calls");
    let stats = client.stats();
    let left = (stats.connections.len(), stats.callbacks_queued, stats.callbacks_running, stats.requests_waiting);
    assert_eq!(left, (0, 0, 0, 0), "{stats}");
}
