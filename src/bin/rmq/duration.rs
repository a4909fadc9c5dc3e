use std::time::Duration;

/// Units with their length in nanoseconds, longest first.
const UNITS: [(&str, f64); 6] = [("ms", 1e6), ("us", 1e3), ("µs", 1e3), ("s", 1e9), ("m", 60e9), ("h", 3600e9)];

/// Reads a duration such as `500ms`, `3s`, `1.5m` or `1h`. A unit is needed, except for `0`.
pub(crate) fn parse(text: &str) -> Result<Duration, String> {
    let text = text.trim();
    if text == "0" {
        return Ok(Duration::ZERO);
    }
    let wrong = || "a number with a unit is expected: 500ms, 3s, 2m, 1h".to_owned();
    let (number, length) =
        UNITS.iter().find_map(|(unit, length)| Some((text.strip_suffix(unit)?, *length))).ok_or_else(wrong)?;
    let number = number.trim_end();
    let plain = number.chars().all(|digit| digit.is_ascii_digit() || digit == '.');
    let value: f64 = number.parse().ok().filter(|_| plain).ok_or_else(wrong)?;
    let duration = Duration::try_from_secs_f64(value * length / 1e9).map_err(|_| "that is too long".to_owned())?;
    // Deadlines are instants, and instants end somewhere.
    const LONGEST: Duration = Duration::from_secs(365 * 24 * 3600);
    if duration > LONGEST { Err("that is too long: at most 365 days".to_owned()) } else { Ok(duration) }
}

/// As [`parse`], for durations that must be above zero.
pub(crate) fn parse_positive(text: &str) -> Result<Duration, String> {
    match parse(text)? {
        Duration::ZERO => Err("it must be above zero".to_owned()),
        duration => Ok(duration),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_a_number_and_a_unit() {
        let cases = [
            ("3s", 3_000),
            ("500ms", 500),
            ("2m", 120_000),
            ("1h", 3_600_000),
            ("1.5s", 1_500),
            (" 10 s ", 10_000),
            ("0", 0),
            ("0ms", 0),
            ("250us", 0),
        ];
        for (text, millis) in cases {
            assert_eq!(parse(text).map(|duration| duration.as_millis()), Ok(millis), "{text}");
        }
        assert_eq!(parse("250us"), Ok(Duration::from_micros(250)));
    }

    #[test]
    fn anything_else_is_refused() {
        for text in ["", "3", "s", "-3s", "3 days", "3sec", "1e3s", "infs", "nans", "1..2s", "99999999999h"] {
            assert!(parse(text).is_err(), "{text}");
        }
        assert!(parse_positive("0s").is_err());
        assert!(parse_positive("1ms").is_ok());
    }
}
