//! What a broker says of itself to operators.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::broker::{Broker, BrokerSet};
use super::call::{Call, Handled};
use super::figures::{Amount, Counted, figure};
use super::records::now_millis;
use crate::code::{RequestCode, ResponseCode};
use crate::protocol::json;
use crate::protocol::rpc::brokers::{StatsBody, StatsItemBody, TableBody, ViewStats};

/// Apache's broker whose behaviour this has.
pub(super) const VERSION_NAME: &str = "V5_5_0";
/// What one says that does not hand messages out.
const OLD_VERSION_NAME: &str = "V4_9_7";

impl Broker {
    /// What only operators ask.
    pub(super) fn administer(&self, call: &mut Call<'_>, code: RequestCode) -> Handled {
        match code {
            RequestCode::GET_BROKER_RUNTIME_INFO => self.runtime(call),
            RequestCode::GET_BROKER_CONFIG => self.config(call),
            RequestCode::UPDATE_BROKER_CONFIG => self.update_config(call),
            RequestCode::VIEW_BROKER_STATS_DATA => self.counter(call),
            RequestCode::GET_ALL_TOPIC_CONFIG => self.topic_configs(call),
            RequestCode::UPDATE_AND_CREATE_STATIC_TOPIC => self.create_static_topic(call),
            RequestCode::GET_TOPIC_STATS_INFO => self.topic_stats(call),
            RequestCode::GET_SYSTEM_TOPIC_LIST_FROM_BROKER => self.own_topics(call),
            // There are no files.
            RequestCode::CLEAN_EXPIRED_CONSUMEQUEUE
            | RequestCode::CLEAN_UNUSED_TOPIC
            | RequestCode::DELETE_EXPIRED_COMMITLOG => call.done(),
            _ => {
                let of_groups = self.group_request(call).or_else(|| self.producer_request(call));
                of_groups.unwrap_or_else(|| call.unsupported())
            }
        }
    }

    fn runtime(&self, call: &mut Call<'_>) -> Handled {
        let mut table = BTreeMap::new();
        let mut put = |name: &str, value: String| drop(table.insert(name.to_owned(), value));
        let (min, max) = self.set.store().commit_log();
        let age = now_millis() - self.set.started;
        let booted = self.set.now_millis() - age;
        let age = Duration::from_millis(u64::try_from(age).unwrap_or(0)).as_secs();
        let (days, hours, minutes, seconds) = (age / 86_400, age / 3600 % 24, age / 60 % 60, age % 60);
        put("brokerVersionDesc", if self.set.settings.pop { VERSION_NAME } else { OLD_VERSION_NAME }.to_owned());
        put("brokerActive", self.set.has_master().to_string());
        put("bootTimestamp", booted.to_string());
        put("runtime", format!("[ {days} days, {hours} hours, {minutes} minutes, {seconds} seconds ]"));
        put("commitLogMinOffset", min.to_string());
        put("commitLogMaxOffset", (max - self.member().lacking_bytes()).max(min).to_string());
        put("earliestMessageTimeStamp", self.set.store().earliest().to_string());
        for (name, counted) in [("Put", figure::BROKER_PUT_NUMS), ("Get", figure::BROKER_GET_NUMS)] {
            put(&format!("msg{name}TotalTodayNow"), self.total(counted).to_string());
            put(&format!("msg{name}TotalTodayMorning"), "0".to_owned());
            put(&format!("msg{name}TotalYesterdayMorning"), "0".to_owned());
        }
        put("putTps", self.rates(figure::BROKER_PUT_NUMS));
        for name in ["getTransferredTps", "getFoundTps", "getTotalTps"] {
            put(name, self.rates(figure::BROKER_GET_NUMS));
        }
        put("getMissTps", "0.0 0.0 0.0".to_owned());
        for (name, capacity) in [("send", 10_000), ("pull", 100_000), ("query", 20_000), ("litePull", 100_000)] {
            put(&format!("{name}ThreadPoolQueueSize"), "0".to_owned());
            put(&format!("{name}ThreadPoolQueueCapacity"), capacity.to_string());
            put(&format!("{name}ThreadPoolQueueHeadWaitTimeMills"), "0".to_owned());
        }
        for nothing in ["dispatchBehindBytes", "dispatchMaxBuffer", "pageCacheLockTimeMills", "putMessageFailedTimes"] {
            put(nothing, "0".to_owned());
        }
        for full in ["commitLogDiskRatio", "consumeQueueDiskRatio"] {
            put(full, format!("{:.2}", self.set.disk_usage()));
        }
        put("remainHowManyDataToFlush", "0 B".to_owned());
        call.body(&json::encode(&TableBody { table }))
    }

    /// What was counted under a name and a key. Apache's brokers take samples, so that the last seconds are missing.
    fn counter(&self, call: &mut Call<'_>) -> Handled {
        let asked: ViewStats = match call.frame.header() {
            Ok(asked) => asked,
            Err(error) => return call.unreadable(&error),
        };
        let now = Instant::now();
        let within = |counted: &Counted, seconds: u32| {
            let Amount { sum, parts } = counted.within(Duration::from_secs(u64::from(seconds)), now);
            let average = if parts == 0 { 0.0 } else { sum as f64 / parts as f64 };
            let sum = i64::try_from(sum).unwrap_or(i64::MAX);
            StatsItemBody { avgpt: average, sum, tps: sum as f64 / f64::from(seconds) }
        };
        let look = |counted: &Counted| StatsBody {
            stats_minute: within(counted, 60),
            stats_hour: within(counted, 3600),
            stats_day: within(counted, 86_400),
        };
        match self.set.figures.look(&asked.name, &asked.key, look) {
            Some(body) => call.body(&json::encode(&body)),
            None => {
                let remark = format!("The stats <{}> <{}> not exist", asked.name, asked.key);
                call.error(ResponseCode::SYSTEM_ERROR, &remark)
            }
        }
    }

    fn total(&self, name: &str) -> u64 {
        self.set.figures.look(name, &self.set.settings.cluster, |counted| counted.total).unwrap_or(0)
    }

    /// Of the last ten seconds, the last minute and the last ten.
    fn rates(&self, name: &str) -> String {
        let now = Instant::now();
        let rate = |seconds: u32| {
            let period = Duration::from_secs(u64::from(seconds));
            let look = |counted: &Counted| counted.within(period, now).sum;
            let sum = self.set.figures.look(name, &self.set.settings.cluster, look).unwrap_or(0);
            format!("{:?}", sum as f64 / f64::from(seconds))
        };
        [10, 60, 600].map(rate).join(" ")
    }
}

impl BrokerSet {
    /// Messages a second within the last ten.
    pub(super) fn rate_of_topic(&self, topic: &str) -> f64 {
        let (period, now) = (Duration::from_secs(10), Instant::now());
        let look = |counted: &Counted| counted.within(period, now).sum as f64 / period.as_secs_f64();
        self.figures.look(figure::TOPIC_PUT_NUMS, topic, look).unwrap_or(0.0)
    }

    /// Counts messages that were stored.
    pub(super) fn took_in(&self, topic: &Arc<str>, messages: usize, bytes: usize) {
        let (messages, bytes) = (messages as u64, bytes as u64);
        self.figures.add(figure::TOPIC_PUT_NUMS, topic, messages);
        self.figures.add(figure::TOPIC_PUT_SIZE, topic, bytes);
        self.figures.add(figure::BROKER_PUT_NUMS, &self.settings.cluster, messages);
    }

    /// Counts messages that go to a group.
    pub(super) fn handed_out(&self, group: &str, topic: &str, records: &[Arc<[u8]>]) {
        if records.is_empty() {
            return;
        }
        let key: Arc<str> = format!("{topic}@{group}").into();
        let (messages, bytes) = (records.len() as u64, records.iter().map(|record| record.len() as u64).sum());
        self.figures.add(figure::GROUP_GET_NUMS, &key, messages);
        self.figures.add(figure::GROUP_GET_SIZE, &key, bytes);
        self.figures.add(figure::BROKER_GET_NUMS, &self.settings.cluster, messages);
    }
}
