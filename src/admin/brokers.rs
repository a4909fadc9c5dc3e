use std::collections::BTreeMap;
use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::Admin;
use crate::error::Result;
use crate::protocol::json;
use crate::protocol::rpc::brokers::{GetRuntime, TableBody};

/// What a broker says of itself, as names and values, which differ from version to version; the usual ones have methods.
/// Those return `None` for what the broker does not say, or not as a number.
///
/// Its `Display` has a line to a value, sorted by name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BrokerRuntime {
    table: BTreeMap<String, String>,
}

/// Work that waits in a broker for a thread.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct WorkQueue {
    /// How many requests wait.
    pub waiting: u64,
    /// How many may wait before the broker refuses more.
    pub capacity: u64,
    /// How long the first of them has waited.
    pub longest: Duration,
}

impl BrokerRuntime {
    pub(super) fn new(table: BTreeMap<String, String>) -> BrokerRuntime {
        BrokerRuntime { table }
    }

    /// Returns a value by the broker's name for it, such as `putTps`.
    pub fn value(&self, name: &str) -> Option<&str> {
        self.table.get(name).map(String::as_str)
    }

    /// Returns all names and values, sorted by name.
    pub fn values(&self) -> impl ExactSizeIterator<Item = (&str, &str)> {
        self.table.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// Returns the broker's version, such as `5.5.0`.
    pub fn version(&self) -> Option<String> {
        let name = self.value("brokerVersionDesc")?;
        Some(name.strip_prefix('V').unwrap_or(name).replace("_SNAPSHOT", "-SNAPSHOT").replace('_', "."))
    }

    /// Returns when it was started.
    pub fn started(&self) -> Option<SystemTime> {
        self.time("bootTimestamp")
    }

    /// Returns how many messages a second it stored during the last ten seconds or so.
    pub fn put_rate(&self) -> Option<f64> {
        self.first("putTps")
    }

    /// Returns how many messages a second it handed out during the last ten seconds or so.
    pub fn get_rate(&self) -> Option<f64> {
        // So it was spelt before 5.0.
        self.first("getTransferredTps").or_else(|| self.first("getTransferedTps"))
    }

    /// Returns how many messages it stored since its midnight, in its own time zone.
    pub fn puts_today(&self) -> Option<u64> {
        self.number::<u64>("msgPutTotalTodayNow")?.checked_sub(self.number("msgPutTotalTodayMorning")?)
    }

    /// Returns how many messages it handed out since its midnight.
    pub fn gets_today(&self) -> Option<u64> {
        self.number::<u64>("msgGetTotalTodayNow")?.checked_sub(self.number("msgGetTotalTodayMorning")?)
    }

    /// Returns how many messages it stored on the day before, as far as it was running.
    pub fn puts_yesterday(&self) -> Option<u64> {
        self.number::<u64>("msgPutTotalTodayMorning")?.checked_sub(self.number("msgPutTotalYesterdayMorning")?)
    }

    /// Returns how many messages it handed out on the day before.
    pub fn gets_yesterday(&self) -> Option<u64> {
        self.number::<u64>("msgGetTotalTodayMorning")?.checked_sub(self.number("msgGetTotalYesterdayMorning")?)
    }

    /// Returns how full the disk of the messages is, 0 to 1. Brokers refuse messages above 0.9 unless configured otherwise.
    pub fn disk_usage(&self) -> Option<f64> {
        self.number("commitLogDiskRatio").filter(|ratio| *ratio >= 0.0)
    }

    /// Returns when the oldest message it keeps was stored; `None` when there is none.
    pub fn oldest_message(&self) -> Option<SystemTime> {
        self.time("earliestMessageTimeStamp")
    }

    /// Returns how many bytes of messages consumers cannot see yet, because their queues are not written.
    pub fn behind_bytes(&self) -> Option<i64> {
        self.number("dispatchBehindBytes")
    }

    /// Returns how long storing has been holding its lock; beyond a second the broker refuses messages.
    pub fn page_cache_lock(&self) -> Option<Duration> {
        self.number("pageCacheLockTimeMills").map(Duration::from_millis)
    }

    /// Returns the sends that wait for a thread.
    pub fn send_queue(&self) -> Option<WorkQueue> {
        self.work_queue("send")
    }

    /// Returns the pulls that wait for a thread.
    pub fn pull_queue(&self) -> Option<WorkQueue> {
        self.work_queue("pull")
    }

    fn work_queue(&self, kind: &str) -> Option<WorkQueue> {
        let part = |name: &str| self.number::<u64>(&format!("{kind}ThreadPoolQueue{name}"));
        let longest = Duration::from_millis(part("HeadWaitTimeMills").unwrap_or(0));
        Some(WorkQueue { waiting: part("Size")?, capacity: part("Capacity")?, longest })
    }

    fn number<T: std::str::FromStr>(&self, name: &str) -> Option<T> {
        self.value(name)?.trim().parse().ok()
    }

    /// Rates are those of the last ten seconds, the last minute, and the last ten.
    fn first(&self, name: &str) -> Option<f64> {
        self.value(name)?.split_ascii_whitespace().next()?.parse().ok()
    }

    fn time(&self, name: &str) -> Option<SystemTime> {
        let millis = self.number::<u64>(name).filter(|millis| *millis > 0)?;
        UNIX_EPOCH.checked_add(Duration::from_millis(millis))
    }
}

impl fmt::Display for BrokerRuntime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = self.table.keys().map(String::len).max().unwrap_or(0);
        for (number, (name, value)) in self.table.iter().enumerate() {
            let end = if number == 0 { "" } else { "\n" };
            write!(f, "{end}{name:width$}  {}", value.trim_end())?;
        }
        Ok(())
    }
}

impl Admin {
    /// Returns what the broker at `addr` (`host:port`, see [`cluster`](Admin::cluster)) says of itself (`mqadmin brokerStatus`;
    /// Java: `fetchBrokerRuntimeStats`).
    ///
    /// Blocks at most for the request timeout (3 s by default).
    pub fn broker_runtime(&self, addr: &str) -> Result<BrokerRuntime> {
        let core = self.core();
        let answer = core.ask_server(addr, &GetRuntime, &[], core.request_deadline())?;
        let body: TableBody = json::decode("runtime statistics", answer.frame.body())?;
        Ok(BrokerRuntime::new(body.table))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn runtime(values: &[(&str, &str)]) -> BrokerRuntime {
        BrokerRuntime::new(values.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect())
    }

    #[test]
    fn the_usual_figures_are_read_as_brokers_write_them() {
        let found = runtime(&[
            ("brokerVersionDesc", "V5_5_0"),
            ("bootTimestamp", "1700000000000"),
            ("putTps", "12.5 10.0 "),
            ("getTransferredTps", "0.0 1.0 2.0"),
            ("msgPutTotalTodayNow", "17"),
            ("msgPutTotalTodayMorning", "7"),
            ("msgPutTotalYesterdayMorning", "3"),
            ("commitLogDiskRatio", "0.28"),
            ("earliestMessageTimeStamp", "-1"),
            ("dispatchBehindBytes", "0"),
            ("pageCacheLockTimeMills", "3"),
            ("sendThreadPoolQueueSize", "2"),
            ("sendThreadPoolQueueCapacity", "10000"),
            ("sendThreadPoolQueueHeadWaitTimeMills", "9"),
        ]);
        assert_eq!(found.version().as_deref(), Some("5.5.0"));
        assert_eq!(found.started(), Some(UNIX_EPOCH + Duration::from_secs(1_700_000_000)));
        assert_eq!((found.put_rate(), found.get_rate()), (Some(12.5), Some(0.0)));
        assert_eq!((found.puts_today(), found.puts_yesterday(), found.gets_today()), (Some(10), Some(4), None));
        assert_eq!((found.disk_usage(), found.oldest_message()), (Some(0.28), None));
        assert_eq!((found.behind_bytes(), found.page_cache_lock()), (Some(0), Some(Duration::from_millis(3))));
        let queue = WorkQueue { waiting: 2, capacity: 10_000, longest: Duration::from_millis(9) };
        assert_eq!((found.send_queue(), found.pull_queue()), (Some(queue), None));
        assert_eq!(found.values().len(), 14);
    }

    #[test]
    fn what_is_not_said_or_is_no_number_is_none() {
        let found = runtime(&[("putTps", " "), ("commitLogDiskRatio", "-1.0"), ("bootTimestamp", "x")]);
        assert_eq!((found.version(), found.put_rate(), found.disk_usage(), found.started()), (None, None, None, None));
        let named = |name| runtime(&[("brokerVersionDesc", name)]).version();
        assert_eq!(named("V4_0_0_SNAPSHOT").as_deref(), Some("4.0.0-SNAPSHOT"));
        assert_eq!(runtime(&[("b", "2 "), ("name", "1")]).to_string(), "b     2\nname  1");
    }
}
