//! How often groups are rebalanced.

use std::time::Duration;

use crate::error::{Error, Result};

/// Java's system property `rocketmq.client.rebalance.waitInterval`, in milliseconds.
const VARIABLE: &str = "ROCKETMQ_CLIENT_REBALANCE_WAITINTERVAL";
const DEFAULT: Duration = Duration::from_secs(20);

/// What the user set, else what the environment says, else 20 s. A value that is no number is refused: whoever set it wants
/// it to have an effect.
pub(super) fn rebalance_interval(set: Option<Duration>) -> Result<Duration> {
    choose(set, std::env::var_os(VARIABLE).map(|value| value.to_string_lossy().into_owned()))
}

fn choose(set: Option<Duration>, variable: Option<String>) -> Result<Duration> {
    let interval = match (set, variable.as_deref().map(str::trim).filter(|text| !text.is_empty())) {
        (Some(set), _) => set,
        (None, Some(text)) => match text.parse() {
            Ok(millis) => Duration::from_millis(millis),
            Err(_) => {
                return Err(Error::invalid(format!("{VARIABLE} is {text:?}: a number of milliseconds is needed")));
            }
        },
        (None, None) => DEFAULT,
    };
    if interval.is_zero() {
        return Err(Error::invalid("the interval of rebalancing is zero"));
    }
    Ok(interval)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_interval_is_the_users_else_the_environments_else_javas() {
        let variable = |text: &str| Some(text.to_owned());
        assert_eq!(choose(Some(Duration::from_secs(1)), variable("x")).unwrap(), Duration::from_secs(1));
        assert_eq!(choose(None, variable(" 5000 ")).unwrap(), Duration::from_secs(5));
        assert_eq!(choose(None, variable("")).unwrap(), DEFAULT);
        assert_eq!(choose(None, None).unwrap(), DEFAULT);
        for wrong in ["x", "-1", "0", "1.5", "5s"] {
            assert!(choose(None, variable(wrong)).is_err(), "{wrong}");
        }
        assert!(choose(Some(Duration::ZERO), None).is_err());
    }
}
