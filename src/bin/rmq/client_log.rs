use log::{LevelFilter, Log, Metadata, Record};

use crate::failure::complain;

/// Shows on standard error what the client logs.
struct ClientLog;

impl Log for ClientLog {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.level() <= log::max_level() && metadata.target().starts_with("rocketmq_blocking")
    }

    fn log(&self, record: &Record<'_>) {
        if self.enabled(record.metadata()) {
            complain(&format!("{}: {}", record.level().as_str().to_lowercase(), record.args()));
        }
    }

    fn flush(&self) {}
}

/// Shows nothing for 0, what the client tells at `info` and above for 1, and everything for more.
pub(crate) fn show(verbosity: u8) {
    let level = match verbosity {
        0 => return,
        1 => LevelFilter::Info,
        _ => LevelFilter::Trace,
    };
    if log::set_logger(&ClientLog).is_ok() {
        log::set_max_level(level);
    }
}
