use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::time::Duration;

use super::{cluster, live_variable, say};

/// A program beside `tests/live/java`, run with the client that belongs to the server under test.
pub(crate) struct Java {
    child: Child,
    lines: Receiver<String>,
}

impl Java {
    /// Starts a program: its mode, the cluster's name server, and `args`. `None`, which is said, when there is no server of Apache's
    /// or no Java compiler.
    pub(crate) fn start(program: &str, mode: &str, args: &[&str]) -> Option<Java> {
        let (Some(lib), Some(_)) = (live_variable("LIB"), live_variable("JAVAC")) else {
            say(&format!(
                "not tested with Java's client, which needs a live server and a Java compiler: {program} {mode}"
            ));
            return None;
        };
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/live/java").join(program);
        let mut command = Command::new("java");
        // Its client writes its log below the home folder.
        if let Some(logs) = live_variable("LOGS") {
            command.arg(format!("-Duser.home={logs}/java"));
        }
        command.args(["-XX:TieredStopAtLevel=1", "-cp", &format!("{lib}/*")]).arg(source).arg(mode);
        command.arg(&cluster().name_server).args(args).stdin(Stdio::null()).stdout(Stdio::piped());
        let mut child = command.spawn().expect("java runs");
        let output = child.stdout.take().expect("it is piped");
        let (sender, lines) = mpsc::channel();
        std::thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                // The client's logging writes to the same stream.
                if let Some(line) = line.strip_prefix("> ") {
                    sender.send(line.to_owned()).unwrap_or(());
                }
            }
        });
        Some(Java { child, lines })
    }

    /// The next line it prints for the test: those begin with `> `.
    #[track_caller]
    pub(crate) fn line(&self) -> String {
        self.lines.recv_timeout(Duration::from_secs(60)).expect("the Java program prints another line")
    }
}

impl Drop for Java {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
