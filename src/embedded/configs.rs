//! Settings of servers as operators see them and change them. Of a broker's, `brokerPermission` acts when it is changed; the
//! others are only kept.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::broker::Broker;
use super::call::{Call, Handled};
use super::records::now_millis;
use crate::code::ResponseCode;
use crate::protocol::properties_text;
use crate::protocol::rpc::brokers::ConfigReply;

pub(super) type Values = BTreeMap<String, String>;

/// What nobody may change over the network.
const LOCKED: [&str; 4] = ["configBlackList", "brokerConfigPath", "configStorePath", "kvConfigPath"];

/// What was changed of a server's settings.
#[derive(Debug, Default)]
pub(super) struct Configs {
    changed: Mutex<(Values, i64)>,
}

impl Configs {
    /// The settings of now: those of the start with what was changed.
    pub(super) fn values(&self, mut start: Values) -> Values {
        start.extend(self.lock().0.clone());
        start
    }

    /// How often they were changed.
    fn changes(&self) -> i64 {
        self.lock().1
    }

    /// Takes what fits, as Java does: unknown names and values that cannot be read are passed over without a word. The error is
    /// the remark.
    pub(super) fn update(&self, start: Values, body: &[u8]) -> Result<Values, &'static str> {
        let asked = properties_text::read_escaped(&String::from_utf8_lossy(body));
        if asked.iter().any(|(name, _)| LOCKED.contains(&name.as_str())) {
            return Err("Can not update config in black list.");
        }
        let now = self.values(start);
        let fits = |(name, value): (String, String)| Some((fitting(now.get(&name)?, value.trim())?, name));
        let taken: Values = asked.into_iter().filter_map(fits).map(|(value, name)| (name, value)).collect();
        let mut changed = self.lock();
        changed.0.extend(taken.clone());
        changed.1 += 1;
        Ok(taken)
    }

    fn lock(&self) -> MutexGuard<'_, (Values, i64)> {
        self.changed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The value in the form of the one it replaces; `None` when it has not its type.
fn fitting(now: &str, value: &str) -> Option<String> {
    if now == "true" || now == "false" {
        return Some(value.eq_ignore_ascii_case("true").to_string());
    }
    match now.parse::<i64>() {
        Ok(_) => value.parse::<i64>().ok().map(|number| number.to_string()),
        Err(_) => Some(value.to_owned()),
    }
}

/// Settings from text, a line to each.
pub(super) fn values(text: &str) -> Values {
    properties_text::read(text).into_iter().collect()
}

/// The text in which servers tell them.
pub(super) fn text(values: &Values) -> String {
    values.iter().map(|(name, value)| format!("{name}={value}\n")).collect()
}

/// What Apache's broker has by default and this one in effect.
const BROKER: &str = "autoCreateSubscriptionGroup=true
brokerTopicEnable=true
clusterTopicEnable=true
configBlackList=configBlackList;brokerConfigPath
defaultTopicQueueNums=8
deleteWhen=04
diskMaxUsedSpaceRatio=75
enablePropertyFilter=true
fileReservedTime=72
filterDataCleanTimeSpan=86400000
flushDiskType=ASYNC_FLUSH
longPollingEnable=true
maxTransferBytesOnMessageInMemory=262144
maxTransferCountOnMessageInMemory=32
messageDelayLevel=1s 5s 10s 30s 1m 2m 3m 4m 5m 6m 7m 8m 9m 10m 20m 30m 1h 2h
msgTraceTopicName=RMQ_SYS_TRACE_TOPIC
popShareQueueNum=-1
regionId=DefaultRegion
timerWheelEnable=true
traceTopicEnable=true
useServerSideResetOffset=true
";

impl Broker {
    fn settings_of_start(&self) -> Values {
        let settings = &self.set.settings;
        let mut values = values(BROKER);
        let mut put = |name: &str, value: String| drop(values.insert(name.to_owned(), value));
        put("autoCreateTopicEnable", settings.auto_create.to_string());
        put("brokerClusterName", settings.cluster.to_string());
        put("brokerIP1", self.member().addr.ip().to_string());
        put("brokerId", self.member().id.to_string());
        put("brokerName", self.set.name.to_string());
        put("brokerPermission", self.set.perm.load(Ordering::SeqCst).to_string());
        put("brokerRole", if self.is_slave() { "SLAVE" } else { "ASYNC_MASTER" }.to_owned());
        put("channelExpiredTimeout", settings.member_timeout.as_millis().to_string());
        put("listenPort", self.member().addr.port().to_string());
        put("maxMessageSize", settings.message_limit.to_string());
        put("recallMessageEnable", settings.recall.to_string());
        put("rejectTransactionMessage", (!settings.transactions.enabled).to_string());
        put("slaveReadEnable", settings.slave_read.to_string());
        put("transactionCheckInterval", settings.transactions.check_interval.as_millis().to_string());
        put("transactionCheckMax", settings.transactions.check_max.to_string());
        put("transactionTimeOut", settings.transactions.timeout.as_millis().to_string());
        values
    }

    pub(super) fn config(&self, call: &mut Call<'_>) -> Handled {
        let (counter, timestamp) = (self.configs.changes(), now_millis());
        let version = format!(r#"{{"counter":{counter},"stateVersion":0,"timestamp":{timestamp}}}"#);
        let text = text(&self.configs.values(self.settings_of_start()));
        call.reply(ResponseCode::SUCCESS, None, &ConfigReply { version: Some(version) }, text.as_bytes())
    }

    pub(super) fn update_config(&self, call: &mut Call<'_>) -> Handled {
        let taken = match self.configs.update(self.settings_of_start(), call.frame.body()) {
            Ok(taken) => taken,
            Err(remark) => return call.error(ResponseCode::NO_PERMISSION, remark),
        };
        if let Some(permission) = taken.get("brokerPermission").and_then(|text| text.parse().ok()) {
            self.set.perm.store(permission, Ordering::SeqCst);
            self.set.topics.registered.allow_only(permission);
        }
        call.done()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_fits_is_taken_and_nothing_is_said_of_the_rest() {
        let start = || values("flag=true\nnumber=5\ntext=a\n");
        let configs = Configs::default();
        let taken = configs.update(start(), b"flag=TRUE\nnumber=06\nunknown=1\ntext=b c\n").unwrap();
        assert_eq!(text(&taken), "flag=true\nnumber=6\ntext=b c\n");
        assert_eq!(text(&configs.update(start(), b"flag=x\nnumber=x\n").unwrap()), "flag=false\n");
        assert_eq!(text(&configs.values(start())), "flag=false\nnumber=6\ntext=b c\n");
        assert!(configs.update(start(), b"kvConfigPath=/x\n").is_err());
        assert_eq!(configs.changes(), 2);
    }
}
