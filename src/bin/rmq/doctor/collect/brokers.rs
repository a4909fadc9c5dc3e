use std::collections::BTreeMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rocketmq_blocking::{BrokerRuntime, Error, RequestCode};

use super::{Probe, net};
use crate::doctor::facts::{Broker, Clock, Elsewhere, Reach, Runtime, Server};
use crate::doctor::trouble::Trouble;

/// Nobody has a topic of this name, so that asking about it creates nothing.
const NO_TOPIC: &str = "rmq-doctor-no-such-topic";
/// How long another address for a broker may take: it is a guess.
const GUESS_LIMIT: Duration = Duration::from_millis(700);

impl Probe<'_> {
    /// Looks at one server of a broker. `near` are hosts where it might be found when it is not where it says.
    pub(in crate::doctor) fn broker(&self, server: &Server, near: &[String], pop: bool) -> Broker {
        let reach = net::reach(&server.addr, self.limit);
        let Reach::Connected { at, .. } = reach else {
            let unreached = || Trouble::Unanswered("it is not reached".to_owned());
            let (runtime, config) = (Err(unreached()), Err(unreached()));
            let elsewhere = self.elsewhere(server, near);
            return Broker {
                server: server.clone(),
                reach,
                talk: None,
                elsewhere,
                runtime,
                config,
                vip: None,
                pop: None,
            };
        };
        let runtime = self.runtime(&server.addr);
        let talk = match &runtime {
            Err(Trouble::Unanswered(_)) => Some(net::talk(at, self.limit, self.cluster.is_encrypted())),
            _ => None,
        };
        let answers = talk.is_none();
        let config =
            if answers { self.config(&server.addr) } else { Err(Trouble::Unanswered("it does not answer".into())) };
        let vip =
            net::port(&server.addr).filter(|_| answers && server.is_master()).and_then(|port| port.checked_sub(2));
        let vip =
            vip.map(|port| net::reach(&format!("{}:{port}", net::host(&server.addr)), self.limit.min(GUESS_LIMIT)));
        let pop = (pop && answers && server.is_master()).then(|| self.pop(&server.addr));
        Broker { server: server.clone(), reach, talk, elsewhere: Vec::new(), runtime, config, vip, pop }
    }

    fn runtime(&self, addr: &str) -> Result<Runtime, Trouble> {
        let asked = SystemTime::now();
        let answer = self.admin.broker_runtime(addr).map_err(|error| Trouble::of(&error))?;
        let answered = SystemTime::now();
        let max_offset = answer.value("commitLogMaxOffset").and_then(|offset| offset.trim().parse().ok());
        let clock = clock(&answer, asked, answered);
        Ok(Runtime { version: answer.version(), disk: answer.disk_usage(), max_offset, clock })
    }

    /// How much a broker has stored, or copied.
    pub(in crate::doctor) fn max_offset(&self, addr: &str) -> Option<i64> {
        self.runtime(addr).ok()?.max_offset
    }

    fn config(&self, addr: &str) -> Result<BTreeMap<String, String>, Trouble> {
        let asked = self.admin.request(addr, RequestCode::GET_BROKER_CONFIG, &[], b"");
        Ok(properties(&asked.map_err(|error| Trouble::of(&error))?.body_text()))
    }

    /// Asks for what came with pop. That the topic is missing is as good an answer as any.
    fn pop(&self, addr: &str) -> Result<(), Trouble> {
        let fields = [("consumerGroup", "rmq-doctor"), ("topic", NO_TOPIC), ("queueId", "0")];
        match self.admin.request(addr, RequestCode::POLLING_INFO, &fields, b"") {
            Err(error @ Error::Unsupported { .. }) => Err(Trouble::of(&error)),
            _ => Ok(()),
        }
    }

    /// Where else something answers at the advertised port.
    fn elsewhere(&self, server: &Server, near: &[String]) -> Vec<Elsewhere> {
        let Some(port) = net::port(&server.advertised) else { return Vec::new() };
        let guesses = near.iter().map(|host| format!("{host}:{port}")).filter(|guess| *guess != server.addr);
        let limit = self.limit.min(GUESS_LIMIT);
        let reached = guesses.filter(|guess| net::reach(guess, limit).is_connected());
        let look = |addr: String| {
            let config = self.config(&addr);
            let name = config.as_ref().ok().and_then(|config| config.get("brokerName").cloned());
            // A refusal is the answer of a broker as well; what does not answer is none.
            let speaks = !matches!(config, Err(Trouble::Unanswered(_)));
            speaks.then_some(Elsewhere { addr, name })
        };
        reached.filter_map(look).collect()
    }
}

/// Brokers tell when they were started and for how long they have been running, to the second: together their time.
fn clock(runtime: &BrokerRuntime, asked: SystemTime, answered: SystemTime) -> Option<Clock> {
    let started = runtime.value("bootTimestamp")?.trim().parse::<i64>().ok()?;
    let now = started.checked_add(running(runtime.value("runtime")?)?)?;
    let millis = |time: SystemTime| i64::try_from(time.duration_since(UNIX_EPOCH).ok()?.as_millis()).ok();
    Some(Clock {
        least: now.checked_sub(millis(answered)?)?,
        most: now.checked_add(1000)?.checked_sub(millis(asked)?)?,
    })
}

/// Reads `[ 0 days, 1 hours, 2 minutes, 3 seconds ]`, in milliseconds.
fn running(text: &str) -> Option<i64> {
    let mut seconds = 0_i64;
    for part in text.trim_matches(['[', ']', ' ']).split(',') {
        let (number, unit) = part.trim().split_once(' ')?;
        let length = match unit {
            "days" => 86_400,
            "hours" => 3_600,
            "minutes" => 60,
            "seconds" => 1,
            _ => return None,
        };
        seconds = seconds.checked_add(number.parse::<i64>().ok()?.checked_mul(length)?)?;
    }
    seconds.checked_mul(1000)
}

/// Reads Java's properties: `name=value` lines.
fn properties(text: &str) -> BTreeMap<String, String> {
    let lines = text.lines().filter(|line| !line.starts_with(['#', '!']));
    lines
        .filter_map(|line| line.split_once('='))
        .map(|(name, value)| (name.trim().into(), value.trim().into()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_a_broker_has_run_is_read() {
        assert_eq!(running("[ 1 days, 1 hours, 2 minutes, 3 seconds ]"), Some(90_123_000));
        for wrong in ["", "[ ]", "[ 1 weeks ]", "[ x days ]"] {
            assert_eq!(running(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn settings_are_lines_with_an_equals_sign() {
        let read = properties("#x=y\nbrokerName=broker-a\n brokerPermission = 6\nempty=\nnothing\n");
        assert_eq!(read.len(), 3);
        assert_eq!((&*read["brokerName"], &*read["brokerPermission"], &*read["empty"]), ("broker-a", "6", ""));
    }
}
