//! A log of everything the crate says, at its most talkative, for a search for secrets: `.ci/secrets` reads it.

use std::fs::File;
use std::io::Write;
use std::sync::{Mutex, OnceLock, PoisonError};

use rocketmq_blocking::ClientBuilder;
#[cfg(feature = "acl")]
use rocketmq_blocking::Credentials;

/// Stands in every secret of the tests, and must stand in no log, no output and no error.
pub(crate) const SECRET: &str = "it-secret-7Qx1vZ";

struct TraceLog(Mutex<File>);

impl log::Log for TraceLog {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &log::Record<'_>) {
        let mut file = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // Debug form, too: it is what people log of values that have no other.
        let _ = writeln!(file, "{} {}: {}", record.level(), record.target(), record.args());
    }

    fn flush(&self) {}
}

/// Starts the log when `ROCKETMQ_TEST_LOG` names a file for it; says whether it did.
pub(crate) fn start() -> bool {
    static STARTED: OnceLock<bool> = OnceLock::new();
    *STARTED.get_or_init(|| {
        let Some(path) = std::env::var_os("ROCKETMQ_TEST_LOG") else { return false };
        let log = TraceLog(Mutex::new(File::create(path).expect("a file for the log")));
        log::set_logger(Box::leak(Box::new(log))).expect("nobody else logs");
        log::set_max_level(log::LevelFilter::Trace);
        true
    })
}

/// Gives a client secrets to keep while there is a log; brokers that check nothing take no notice.
pub(crate) fn with_secrets(builder: ClientBuilder) -> ClientBuilder {
    #[cfg(feature = "acl")]
    if start() {
        let credentials = Credentials::new("it-scanned", SECRET).security_token(format!("{SECRET}-token"));
        return builder.credentials(credentials);
    }
    builder
}
