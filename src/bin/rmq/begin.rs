use std::str::FromStr;
use std::time::SystemTime;

use rocketmq_blocking::ConsumeFromWhere;

use crate::{duration, moment};

/// Where reading begins, by what is there or by time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Begin {
    First,
    Last,
    Time(SystemTime),
}

impl Begin {
    fn parse_at(text: &str, now: SystemTime) -> Result<Begin, String> {
        match text {
            "first" => Ok(Begin::First),
            "last" => Ok(Begin::Last),
            _ => past(text, now).map(Begin::Time).ok_or_else(|| format!("first, last, {A_TIME} is expected")),
        }
    }
}

/// Reads a moment that is no delay: `2026-11-21T10:00:00Z`, milliseconds since 1970, or `-10m` for so long ago.
pub(crate) fn time(text: &str) -> Result<SystemTime, String> {
    past(text, SystemTime::now()).ok_or_else(|| format!("{A_TIME} is expected"))
}

const A_TIME: &str = "2026-11-21T10:00:00Z, milliseconds since 1970, or -10m (so long ago)";

fn past(text: &str, now: SystemTime) -> Option<SystemTime> {
    let Some(age) = text.strip_prefix('-') else {
        // What comes later is no place to begin at.
        return moment::parse(text).ok().filter(|_| !text.starts_with('+'));
    };
    let began = duration::parse(age).ok().and_then(|age| now.checked_sub(age));
    // Nothing was stored before 1970.
    began.filter(|began| *began >= SystemTime::UNIX_EPOCH)
}

impl FromStr for Begin {
    type Err = String;

    fn from_str(text: &str) -> Result<Begin, String> {
        Begin::parse_at(text, SystemTime::now())
    }
}

impl From<Begin> for ConsumeFromWhere {
    fn from(begin: Begin) -> ConsumeFromWhere {
        match begin {
            Begin::First => ConsumeFromWhere::FirstOffset,
            Begin::Last => ConsumeFromWhere::LastOffset,
            Begin::Time(time) => ConsumeFromWhere::Timestamp(time),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::{Duration, UNIX_EPOCH};

    #[test]
    fn reading_begins_at_an_end_at_a_time_or_some_time_ago() {
        let now = UNIX_EPOCH + Duration::from_secs(100);
        let at = |millis| Ok(Begin::Time(UNIX_EPOCH + Duration::from_millis(millis)));
        let cases = [
            ("first", Ok(Begin::First)),
            ("last", Ok(Begin::Last)),
            ("1700000000123", at(1_700_000_000_123)),
            ("2000-02-29T00:00:00Z", at(951_782_400_000)),
            ("-10s", at(90_000)),
            ("-0", at(100_000)),
        ];
        for (text, begin) in cases {
            assert_eq!(Begin::parse_at(text, now), begin, "{text}");
        }
        for wrong in ["", "First", "+10s", "-10", "-1h", "yesterday", "--1s"] {
            assert!(Begin::parse_at(wrong, now).is_err(), "{wrong}");
        }
    }
}
