//! Moments as arguments.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::duration;
use crate::text::{self, DAY};

/// Reads a moment: `2026-11-21T10:00:00Z`, milliseconds since 1970, or `+10s` for so long from now.
pub(crate) fn parse(text: &str) -> Result<SystemTime, String> {
    parse_at(text, SystemTime::now())
}

fn parse_at(text: &str, now: SystemTime) -> Result<SystemTime, String> {
    let wrong = || "2026-11-21T10:00:00Z, milliseconds since 1970, or +10s is expected".to_owned();
    if let Some(delay) = text.strip_prefix('+') {
        return now.checked_add(duration::parse(delay)?).ok_or_else(wrong);
    }
    let millis = if text.bytes().all(|byte| byte.is_ascii_digit()) { text.parse().ok() } else { civil(text) };
    millis.and_then(|millis| UNIX_EPOCH.checked_add(Duration::from_millis(millis))).ok_or_else(wrong)
}

/// Reads a time by the calendar as RFC 3339 writes it; the zone may not be left out. Milliseconds since 1970.
fn civil(text: &str) -> Option<u64> {
    let (date, rest) = text.split_once(['T', 't', ' '])?;
    let [year, month, day] = fields(date, '-', [4, 2, 2])?;
    let (time, zone_seconds) = zone(rest)?;
    let (time, millis) = match time.split_once('.') {
        Some((time, fraction)) => (time, millis(fraction)?),
        None => (time, 0),
    };
    let [hour, minute, second] = fields(time, ':', [2, 2, 2])?;
    if hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let days = text::days(year, month, day)?;
    let local = i64::try_from(days * DAY + hour * 3600 + minute * 60 + second).ok()?;
    Some(u64::try_from(local - zone_seconds).ok()? * 1000 + millis)
}

/// Splits off the zone, and returns by how many seconds it is ahead of UTC.
fn zone(text: &str) -> Option<(&str, i64)> {
    if let Some(time) = text.strip_suffix(['Z', 'z']) {
        return Some((time, 0));
    }
    let (time, zone) = text.split_at_checked(text.rfind(['+', '-'])?)?;
    let [hours, minutes] = fields(&zone[1..], ':', [2, 2])?;
    let seconds = i64::try_from(hours * 3600 + minutes * 60).ok().filter(|_| hours < 24 && minutes < 60)?;
    Some((time, if zone.starts_with('-') { -seconds } else { seconds }))
}

/// Thousandths of a second; what is finer is cut off.
fn millis(fraction: &str) -> Option<u64> {
    let digits = fraction.bytes().all(|byte| byte.is_ascii_digit()) && !fraction.is_empty();
    format!("{fraction:0<3}").get(..3).filter(|_| digits)?.parse().ok()
}

/// Numbers of exactly so many digits, apart by a sign.
fn fields<const N: usize>(text: &str, apart: char, lengths: [usize; N]) -> Option<[u64; N]> {
    let mut fields = text.split(apart);
    let mut numbers = [0; N];
    for (number, length) in numbers.iter_mut().zip(lengths) {
        let field = fields.next().filter(|field| field.len() == length)?;
        *number = field.bytes().all(|byte| byte.is_ascii_digit()).then(|| field.parse().ok())??;
    }
    fields.next().is_none().then_some(numbers)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn millis_of(text: &str) -> Option<u64> {
        parse_at(text, UNIX_EPOCH + Duration::from_secs(100)).ok().map(text::millis)
    }

    #[test]
    fn a_moment_is_a_time_by_the_calendar_a_number_or_a_delay() {
        let cases = [
            ("1970-01-01T00:00:00Z", 0),
            ("2000-02-29T00:00:00Z", 951_782_400_000),
            ("2023-11-14T22:13:20.123Z", 1_700_000_000_123),
            ("2023-11-14 22:13:20.1239z", 1_700_000_000_123),
            ("2023-11-14T22:13:20.5Z", 1_700_000_000_500),
            ("2023-11-15T00:13:20+02:00", 1_700_000_000_000),
            ("2023-11-14T21:43:20-00:30", 1_700_000_000_000),
            ("1700000000123", 1_700_000_000_123),
            ("+10s", 110_000),
            ("+1.5h", 5_500_000),
            ("+0", 100_000),
        ];
        for (text, millis) in cases {
            assert_eq!(millis_of(text), Some(millis), "{text}");
        }
    }

    #[test]
    fn anything_else_is_refused() {
        let wrong = "2023-11-14T22:13:20|2023-11-14|22:13:20Z|2023-02-29T00:00:00Z|2023-13-01T00:00:00Z|10s|+10|-10s\
            |2023-00-01T00:00:00Z|2023-01-00T00:00:00Z|2023-04-31T00:00:00Z|2023-01-01T24:00:00Z|+|tomorrow|-5|1e3\
            |2023-01-01T00:60:00Z|2023-01-01T00:00:60Z|2023-1-1T00:00:00Z|2023-01-01T00:00:00.Z|1969-12-31T23:59:59Z\
            |2023-01-01T00:00Z|2023-01-01T00:00:00+2|2023-01-01T00:00:00é+02:00|99999999999999999999|2023-01-01TZ";
        for text in wrong.split('|').chain([""]) {
            assert_eq!(millis_of(text), None, "{text}");
        }
    }

    #[test]
    fn what_is_written_is_read_as_the_same_moment() {
        for day in (0..80_000).step_by(17) {
            let written = text::time(UNIX_EPOCH + Duration::from_secs(day * DAY + 3_723));
            assert_eq!(millis_of(&format!("{written}Z")), Some((day * DAY + 3_723) * 1000), "{written}");
        }
    }
}
