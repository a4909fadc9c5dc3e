//! A log of everything the crate says, at its most talkative, for a search for secrets: `.ci/secrets` reads it.

use std::fs::File;
use std::io::Write;
use std::sync::{Mutex, OnceLock, PoisonError};

#[cfg(feature = "acl")]
use rocketmq_blocking::Credentials;
use rocketmq_blocking::{Client, ClientBuilder};

/// Stands in every secret of the tests, and must stand in no log, no output and no error.
pub(crate) const SECRET: &str = "it-secret-7Qx1vZ";

struct TraceLog {
    file: Option<Mutex<File>>,
    warnings: Mutex<Vec<String>>,
}

impl log::Log for TraceLog {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &log::Record<'_>) {
        if record.level() == log::Level::Warn {
            self.warnings.lock().unwrap_or_else(PoisonError::into_inner).push(record.args().to_string());
        }
        let Some(file) = &self.file else { return };
        let mut file = file.lock().unwrap_or_else(PoisonError::into_inner);
        // Debug form, too: it is what people log of values that have no other.
        let _ = writeln!(file, "{} {}: {}", record.level(), record.target(), record.args());
    }

    fn flush(&self) {}
}

/// Starts the log: everything into the file that `ROCKETMQ_TEST_LOG` names, else warnings only, which are kept.
fn log() -> &'static TraceLog {
    static STARTED: OnceLock<&TraceLog> = OnceLock::new();
    STARTED.get_or_init(|| {
        let path = std::env::var_os("ROCKETMQ_TEST_LOG");
        let file = path.map(|path| Mutex::new(File::create(path).expect("a file for the log")));
        let level = if file.is_some() { log::LevelFilter::Trace } else { log::LevelFilter::Warn };
        let log: &TraceLog = Box::leak(Box::new(TraceLog { file, warnings: Mutex::default() }));
        log::set_logger(log).expect("nobody else logs");
        log::set_max_level(level);
        log
    })
}

/// Starts the log when there is a file for it; says whether it did.
pub(crate) fn start() -> bool {
    log().file.is_some()
}

/// What was warned of so far, of what mentions this.
#[cfg(feature = "tls")]
pub(crate) fn warnings(of: &str) -> Vec<String> {
    let warnings = log().warnings.lock().unwrap_or_else(PoisonError::into_inner);
    warnings.iter().filter(|text| text.contains(of)).cloned().collect()
}

/// Prepares a client: all tests do it here. While there is a log file it has secrets to keep; servers that check nothing take
/// no notice.
pub(crate) fn client_builder() -> ClientBuilder {
    let builder = Client::builder();
    #[cfg(feature = "acl")]
    if start() {
        let credentials = Credentials::new("it-scanned", SECRET).security_token(format!("{SECRET}-token"));
        return builder.credentials(credentials);
    }
    builder
}
