//! Programs under test, and the cluster they talk to.

use std::collections::HashSet;
use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde_json::Value;

const RMQ: &str = env!("CARGO_BIN_EXE_rmq");

/// No call of these tests may take longer.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) fn rmq(arguments: &[&str]) -> Command {
    let mut command = Command::new(RMQ);
    command.args(arguments).stdin(Stdio::null());
    for name in ["NAMESRV_ADDR", "ROCKETMQ_ACCESS_KEY", "ROCKETMQ_SECRET_KEY", "ROCKETMQ_SECURITY_TOKEN"] {
        command.env_remove(name);
    }
    command
}

/// How a program ended, and what it wrote.
pub(crate) struct Ended {
    pub(crate) status: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// A program under way, killed when the test ends before it does.
pub(crate) struct Running {
    pub(crate) child: Child,
}

impl Running {
    pub(crate) fn start(mut command: Command) -> Running {
        let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("rmq starts");
        Running { child }
    }

    /// Takes standard output, to read it while the program runs.
    pub(crate) fn lines(&mut self) -> Lines {
        Lines::of(self.child.stdout.take().expect("standard output is piped"))
    }

    /// Takes standard error, to read it while the program runs.
    pub(crate) fn error_lines(&mut self) -> Lines {
        Lines::of(self.child.stderr.take().expect("standard error is piped"))
    }

    pub(crate) fn interrupt(&self) {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args(["-INT", &id]).status().expect("kill runs").success());
    }

    /// Waits for the end and returns what has not been read yet.
    pub(crate) fn end(mut self) -> Ended {
        let stdout = self.child.stdout.take().map(whole);
        let stderr = self.child.stderr.take().map(whole);
        // Both end with the program.
        let take = |part: Option<Receiver<String>>| {
            part.map(|part| part.recv_timeout(PATIENCE).expect("rmq ends in time")).unwrap_or_default()
        };
        let (stdout, stderr) = (take(stdout), take(stderr));
        let status = self.child.wait().expect("rmq ends").code();
        Ended { status, stdout, stderr }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Reads to the end on a thread of its own.
fn whole(mut from: impl Read + Send + 'static) -> Receiver<String> {
    let (sender, text) = channel();
    thread::spawn(move || {
        let mut text = String::new();
        from.read_to_string(&mut text).expect("output is UTF-8");
        let _ = sender.send(text);
    });
    text
}

/// Lines of a program as they come.
pub(crate) struct Lines(Receiver<String>);

impl Lines {
    fn of(output: impl Read + Send + 'static) -> Lines {
        let (sender, lines) = channel();
        thread::spawn(move || {
            // It reads on when nobody listens, so that the program is never stopped by a full pipe.
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                let _ = sender.send(line);
            }
        });
        Lines(lines)
    }

    pub(crate) fn next(&self) -> String {
        self.0.recv_timeout(PATIENCE).expect("a line comes in time")
    }

    /// Reads to the end of the output.
    pub(crate) fn end(&self) {
        let until = Instant::now() + PATIENCE;
        while self.0.recv_timeout(PATIENCE).is_ok() {
            assert!(Instant::now() < until, "the output ends in time");
        }
    }
}

/// A cluster for one test: `rmq broker` on free ports, or the one named in the environment.
pub(crate) struct Cluster {
    _broker: Option<Running>,
    addr: String,
}

impl Cluster {
    pub(crate) fn start() -> Cluster {
        Cluster::named_in("ROCKETMQ_LIVE_NAME_SERVER")
    }

    /// As [`start`](Cluster::start); one that asks for the ends of transactions soon.
    pub(crate) fn for_transactions() -> Cluster {
        Cluster::named_in("ROCKETMQ_LIVE_TX_NAME_SERVER")
    }

    fn named_in(variable: &str) -> Cluster {
        match std::env::var(variable) {
            Ok(addr) => Cluster { _broker: None, addr },
            Err(_) => Cluster::embedded(&[]),
        }
    }

    pub(crate) fn embedded(more: &[&str]) -> Cluster {
        Cluster::listening("127.0.0.1:0", more)
    }

    /// Ends this one, and starts another one at its address, which knows nothing of what this one knew.
    pub(crate) fn again(self, more: &[&str]) -> Cluster {
        let addr = self.addr.clone();
        drop(self);
        Cluster::listening(&addr, more)
    }

    fn listening(addr: &str, more: &[&str]) -> Cluster {
        let mut broker = Running::start(rmq(&[&["broker", "--listen", addr], more].concat()));
        let first = broker.lines().next();
        let addr = first.split("name server ").nth(1).and_then(|rest| rest.split(',').next());
        let addr = addr.unwrap_or_else(|| panic!("no address in {first:?}")).to_owned();
        Cluster { _broker: Some(broker), addr }
    }

    /// One that this test did not start, or that is not there.
    pub(crate) fn at(addr: &str) -> Cluster {
        Cluster { _broker: None, addr: addr.to_owned() }
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = rmq(arguments);
        command.env("NAMESRV_ADDR", &self.addr);
        command
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Ended {
        Running::start(self.command(arguments)).end()
    }

    /// Runs and returns standard output; the status must be 0.
    pub(crate) fn succeed(&self, arguments: &[&str]) -> String {
        let ended = self.run(arguments);
        assert_eq!(ended.status, Some(0), "{arguments:?}: {}", ended.stderr);
        ended.stdout
    }

    /// Runs with `--json`, and returns the objects; the status must be 0.
    pub(crate) fn objects(&self, arguments: &[&str]) -> Vec<Value> {
        let output = self.succeed(&[arguments, &["--json"]].concat());
        output
            .lines()
            .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{line}: {error}")))
            .collect()
    }

    /// Runs and returns standard error; the status must be the one given.
    pub(crate) fn fail(&self, arguments: &[&str], status: i32) -> String {
        let ended = self.run(arguments);
        assert_eq!(ended.status, Some(status), "{arguments:?}: {}", ended.stderr);
        ended.stderr
    }

    /// Creates a topic with so many queues on each broker.
    pub(crate) fn topic(&self, name: &str, queues: &str) -> String {
        let topic = unique(name);
        self.succeed(&["topic", "create", &topic, "--queues", queues]);
        topic
    }
}

/// A name that no earlier run has used, because a real cluster keeps what it got.
pub(crate) fn unique(name: &str) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("the clock is past 1970");
    format!("Cli{name}{}", now.as_nanos())
}

pub(crate) fn names(object: &Value) -> HashSet<&str> {
    object.as_object().expect("an object").keys().map(String::as_str).collect()
}

pub(crate) fn run(arguments: &[&str]) -> Ended {
    Running::start(rmq(arguments)).end()
}

/// Whether the cluster is Apache's and of the 4.x line, which lacks timers, recall and attributes of topics.
pub(crate) fn is_old_server() -> bool {
    std::env::var("ROCKETMQ_LIVE_VERSION").is_ok_and(|version| version.starts_with("4."))
}

/// Waits for a condition, asking again and again; each question takes its time.
pub(crate) fn eventually<T>(mut asked: impl FnMut() -> Option<T>) -> T {
    let until = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = asked() {
            return found;
        }
        assert!(Instant::now() < until, "it did not happen in time");
    }
}
