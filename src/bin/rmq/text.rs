//! Numbers, times and bodies as people read them. Pure.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

pub(crate) const DAY: u64 = 86_400;

/// Milliseconds since 1970; 0 for times before.
pub(crate) fn millis(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

/// `2026-11-21 05:16:05.123` in UTC.
pub(crate) fn time(time: SystemTime) -> String {
    let millis = millis(time);
    let (seconds, rest) = (millis / 1000, millis % 1000);
    let (year, month, day) = date(seconds / DAY);
    let (hour, minute, second) = (seconds % DAY / 3600, seconds % 3600 / 60, seconds % 60);
    format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}.{rest:03}")
}

/// Year, month and day of a day counted from 1970-01-01. Years are counted from March, so that a leap day ends its year.
fn date(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    (era * 400 + year_of_era + u64::from(month <= 2), month, day)
}

/// Counts the days from 1970-01-01 to a date; `None` before that, and for a date that no month has.
pub(crate) fn days(year: u64, month: u64, day: u64) -> Option<u64> {
    let from_march = (month + 9) % 12;
    let year_from_march = year.checked_sub(u64::from(month < 3))?;
    let (era, year_of_era) = (year_from_march / 400, year_from_march % 400);
    let day_of_year = (153 * from_march + 2) / 5 + day.checked_sub(1)?;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    let days = (era * 146_097 + day_of_era).checked_sub(719_468)?;
    // The 31st of a short month counts into the next one, the 13th month into the next year.
    (date(days) == (year, month, day)).then_some(days)
}

/// `1 234 567`: three digits to a group.
pub(crate) fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() * 2);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at) % 3 == 0 {
            text.push(' ');
        }
        text.push(digit);
    }
    text
}

/// `1 message`, `2 messages`.
pub(crate) fn counted(number: u64, what: &str) -> String {
    format!("{} {what}{}", count(number), if number == 1 { "" } else { "s" })
}

/// `840 ms`, `12.3 s`, `4 min 05 s`.
pub(crate) fn duration(duration: Duration) -> String {
    let seconds = duration.as_secs_f64();
    match duration.as_secs() {
        0 => format!("{:.0} ms", seconds * 1e3),
        1..=119 => format!("{seconds:.1} s"),
        whole => format!("{} min {:02} s", whole / 60, whole % 60),
    }
}

/// One line of at most `limit` characters: line breaks and other control characters are written as escapes, and what is no
/// text is counted.
pub(crate) fn body(body: &[u8], limit: usize) -> String {
    let Ok(text) = std::str::from_utf8(body) else { return format!("<{} bytes>", body.len()) };
    let mut line = line(text.chars().take(limit));
    if text.chars().nth(limit).is_some() {
        line += &format!("… <{} bytes>", body.len());
    }
    line
}

/// Text with control characters as escapes, so that what others wrote cannot drive the terminal.
pub(crate) fn line(text: impl IntoIterator<Item = char>) -> String {
    let mut out = String::new();
    for character in text {
        if character.is_control() {
            out.extend(character.escape_default());
        } else {
            out.push(character);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_by_the_civil_calendar() {
        let cases = [
            (0, "1970-01-01 00:00:00.000"),
            (951_782_399_999, "2000-02-28 23:59:59.999"),
            (951_782_400_000, "2000-02-29 00:00:00.000"),
            (1_700_000_000_123, "2023-11-14 22:13:20.123"),
            (1_735_689_599_000, "2024-12-31 23:59:59.000"),
            (1_735_689_600_000, "2025-01-01 00:00:00.000"),
        ];
        for (millis, text) in cases {
            assert_eq!(time(UNIX_EPOCH + Duration::from_millis(millis)), text);
        }
    }

    #[test]
    fn numbers_are_grouped() {
        for (number, text) in [(0, "0"), (999, "999"), (1_000, "1 000"), (1_234_567, "1 234 567")] {
            assert_eq!(count(number), text);
        }
        assert_eq!(counted(1, "message"), "1 message");
        assert_eq!(counted(2, "message"), "2 messages");
    }

    #[test]
    fn bodies_stay_on_one_line_and_drive_no_terminal() {
        assert_eq!(body("two\nlines\u{1b}[2J".as_bytes(), 80), "two\\nlines\\u{1b}[2J");
        assert_eq!(body(&[0xff, 0xfe], 80), "<2 bytes>");
        assert_eq!(body("中文字".as_bytes(), 2), "中文… <9 bytes>");
        assert_eq!(body("中文".as_bytes(), 2), "中文");
    }

    #[test]
    fn durations_have_the_unit_that_fits() {
        let cases = [(840, "840 ms"), (12_345, "12.3 s"), (245_000, "4 min 05 s")];
        for (millis, text) in cases {
            assert_eq!(duration(Duration::from_millis(millis)), text);
        }
    }
}
