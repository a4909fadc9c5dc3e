use super::Admin;
use crate::code::ResponseCode;
use crate::error::{Error, Result};
use crate::protocol::json;
use crate::protocol::rpc::brokers::{StatsBody, StatsItemBody, ViewStats};

/// What a broker counted under one name and key.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
#[non_exhaustive]
pub struct BrokerCounter {
    /// Within the last minute.
    pub minute: CountedPeriod,
    /// Within the last hour.
    pub hour: CountedPeriod,
    /// Within the last day.
    pub day: CountedPeriod,
}

/// What a broker counted within a period. It takes samples: the last seconds are missing.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
#[non_exhaustive]
pub struct CountedPeriod {
    /// The sum.
    pub sum: i64,
    /// The sum divided by the seconds of the period.
    pub rate: f64,
    /// The average of what was counted at a time.
    pub average: f64,
}

impl CountedPeriod {
    fn read(body: StatsItemBody) -> CountedPeriod {
        CountedPeriod { sum: body.sum, rate: body.tps, average: body.avgpt }
    }
}

impl Admin {
    /// Returns what the broker at `addr` counted (Java: `viewBrokerStatsData`), by Java's names and keys: `TOPIC_PUT_NUMS` and
    /// `TOPIC_PUT_SIZE` by topic, `GROUP_GET_NUMS` and `GROUP_GET_SIZE` by `topic@group`, `BROKER_PUT_NUMS` and `BROKER_GET_NUMS`
    /// by cluster, and others. `None` when it never counted anything under them. In a client with a namespace, keys are still
    /// the brokers' own.
    ///
    /// Blocks at most for the request timeout (3 s by default).
    pub fn broker_counter(&self, addr: &str, name: &str, key: &str) -> Result<Option<BrokerCounter>> {
        let core = self.core();
        let request = ViewStats { name: name.into(), key: key.into() };
        let answer = match core.ask_server(addr, &request, &[], core.request_deadline()) {
            Err(Error::Rejected { code: ResponseCode::SYSTEM_ERROR, remark, .. }) if remark.ends_with("not exist") => {
                return Ok(None);
            }
            answer => answer?,
        };
        let body: StatsBody = json::decode("broker's counter", answer.frame.body())?;
        let read = CountedPeriod::read;
        Ok(Some(BrokerCounter {
            minute: read(body.stats_minute),
            hour: read(body.stats_hour),
            day: read(body.stats_day),
        }))
    }
}
