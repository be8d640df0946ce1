//! Sizes, spans of time and points in time as people type and read them.
//!
//! What is absent: time zones and calendars other than UTC's.

use std::time::Duration;

const SIZE_UNITS: &[(&str, u64)] = &[
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("TiB", 1 << 40),
    ("K", 1 << 10),
    ("M", 1 << 20),
    ("G", 1 << 30),
    ("T", 1 << 40),
];

const DURATION_UNITS: &[(&str, u64)] =
    &[("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)];

/// Reads a number of bytes: `4096`, `64KiB`, `64K`, `1GiB`. All units are powers of two.
///
/// # Errors
/// Says what is expected.
pub fn parse_size(text: &str) -> Result<u64, String> {
    parse_with_units(text, SIZE_UNITS, Some(1))
        .ok_or_else(|| "not a size; write bytes, or a number with KiB, MiB, GiB".to_owned())
}

/// Reads a span of time: `250ms`, `60s`, `5m`, `2h`, `30d`. A unit is needed.
///
/// # Errors
/// Says what is expected.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    parse_with_units(text, DURATION_UNITS, None)
        .map(Duration::from_millis)
        .ok_or_else(|| "not a duration; write a number with ms, s, m, h or d, as in 60s".to_owned())
}

fn parse_with_units(text: &str, units: &[(&str, u64)], unit_default: Option<u64>) -> Option<u64> {
    let text = text.trim();
    let end = text.find(|letter: char| !letter.is_ascii_digit() && letter != '_');
    let (digits, unit) = text.split_at(end.unwrap_or(text.len()));
    let number = digits.replace('_', "").parse::<u64>().ok()?;
    let unit = unit.trim();
    let factor = if unit.is_empty() {
        unit_default?
    } else {
        units.iter().find(|(name, _)| *name == unit)?.1
    };
    number.checked_mul(factor)
}

/// A point in time as `2026-01-02T03:04:05.000000006Z`, from nanoseconds since 1970.
#[must_use]
pub fn timestamp_text(timestamp_ns: u64) -> String {
    let seconds = timestamp_ns / 1_000_000_000;
    let nanoseconds = timestamp_ns % 1_000_000_000;
    let (year, month, day) = civil_date(seconds / 86_400);
    let (hour, minute, second) = (seconds / 3_600 % 24, seconds / 60 % 60, seconds % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{nanoseconds:09}Z")
}

/// A point in time as [`timestamp_text`] writes it, with at most nine or no digits of a fraction, as nanoseconds since
/// 1970. `None` if it is none, or lies before 1970 or beyond what 64 bits hold.
#[must_use]
pub fn parse_timestamp(text: &str) -> Option<u64> {
    let (date, time) = text.strip_suffix('Z')?.split_once('T')?;
    let (time, fraction) = time.split_once('.').unwrap_or((time, "0"));
    let [year, month, day] = numbers(date, '-', [4, 2, 2])?;
    let [hour, minute, second] = numbers(time, ':', [2, 2, 2])?;
    let is_time = hour < 24 && minute < 60 && second < 60 && (1..=9).contains(&fraction.len());
    if !is_time || !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let nanoseconds = format!("{fraction:0<9}").parse::<u64>().ok()?;
    let days = days_of(year, month, day)?;
    let seconds = days.checked_mul(86_400)?.checked_add(hour * 3_600 + minute * 60 + second)?;
    seconds.checked_mul(1_000_000_000)?.checked_add(nanoseconds)
}

/// Whether the calendar has this day, from 1970 on.
#[must_use]
pub fn is_day(year: u64, month: u64, day: u64) -> bool {
    days_of(year, month, day).is_some()
}

/// Three numbers of so many digits each.
fn numbers(text: &str, separator: char, digits: [usize; 3]) -> Option<[u64; 3]> {
    let parts: Vec<&str> = text.split(separator).collect();
    let mut found = [0; 3];
    if parts.len() != found.len() {
        return None;
    }
    for ((part, digits), number) in parts.iter().zip(digits).zip(&mut found) {
        let is_number = part.len() == digits && part.bytes().all(|byte| byte.is_ascii_digit());
        *number = part.parse().ok().filter(|_| is_number)?;
    }
    Some(found)
}

/// The day since 1970-01-01; `None` if there is no such day, or it lies before.
///
/// Source: the civil-to-days algorithm over eras of 400 years that begin on 1 March.
fn days_of(year: u64, month: u64, day: u64) -> Option<u64> {
    const DAYS_TO_1970: u64 = 719_468;
    if !(1..=12).contains(&month) || day == 0 {
        return None;
    }
    let year_from_march = if month > 2 { year } else { year.checked_sub(1)? };
    let (era, year_of_era) = (year_from_march / 400, year_from_march % 400);
    let month_from_march = (month + 9) % 12;
    let day_of_year = (153 * month_from_march + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    let days = (era * 146_097 + day_of_era).checked_sub(DAYS_TO_1970)?;
    // A day that the month does not have would be one of the next.
    (civil_date(days) == (year, month, day)).then_some(days)
}

/// Year, month and day of a day since 1970-01-01, in the proleptic Gregorian calendar.
///
/// Source: the days-to-civil algorithm over eras of 400 years that begin on 1 March.
fn civil_date(days: u64) -> (u64, u64, u64) {
    const DAYS_TO_1970: u64 = 719_468;
    const DAYS_OF_ERA: u64 = 146_097;
    let shifted = days + DAYS_TO_1970;
    let (era, day_of_era) = (shifted / DAYS_OF_ERA, shifted % DAYS_OF_ERA);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    (era * 400 + year_of_era + u64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_powers_of_two_and_plain_numbers_are_bytes() {
        assert_eq!(parse_size("4096"), Ok(4096));
        assert_eq!(parse_size("64KiB"), Ok(65_536));
        assert_eq!(parse_size("64 K"), Ok(65_536));
        assert_eq!(parse_size("1_024MiB"), Ok(1 << 30));
        for text in ["", "MiB", "1.5GiB", "-1", "1kb", "99999999999999999999", "20000000T"] {
            assert!(parse_size(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_point_in_time_is_read_as_it_is_written() {
        for ns in [0, 1, 951_782_400_000_000_000, 1_700_000_000_123_456_789, u64::MAX] {
            assert_eq!(parse_timestamp(&timestamp_text(ns)), Some(ns), "{ns}");
        }
        assert_eq!(parse_timestamp("1970-01-01T00:00:01Z"), Some(1_000_000_000));
        assert_eq!(parse_timestamp("1970-01-01T00:00:00.5Z"), Some(500_000_000));
        for text in [
            "",
            "2026-01-31",
            "2026-01-31T16:00:00",
            "2026-02-29T00:00:00Z",
            "2026-13-01T00:00:00Z",
            "1969-12-31T23:59:59Z",
            "2026-01-31T24:00:00Z",
            "2026-1-31T16:00:00Z",
            "2026-01-31T16:00:00.Z",
            "2600-01-01T00:00:00Z",
        ] {
            assert_eq!(parse_timestamp(text), None, "{text}");
        }
    }

    #[test]
    fn a_duration_needs_its_unit() {
        assert_eq!(parse_duration("60s"), Ok(Duration::from_secs(60)));
        assert_eq!(parse_duration("250ms"), Ok(Duration::from_millis(250)));
        assert_eq!(parse_duration("7d"), Ok(Duration::from_secs(604_800)));
        for text in ["60", "", "s", "1y", "1 month", "-5s", "1.5h"] {
            assert!(parse_duration(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn points_in_time_are_those_of_the_calendar() {
        // Reference: `date -u -d @SECONDS`.
        for (seconds, expected) in [
            (0, "1970-01-01T00:00:00.000000000Z"),
            (951_782_400, "2000-02-29T00:00:00.000000000Z"),
            (1_582_979_696, "2020-02-29T12:34:56.000000000Z"),
            (4_107_542_399, "2100-02-28T23:59:59.000000000Z"),
            (4_107_542_400, "2100-03-01T00:00:00.000000000Z"),
        ] {
            assert_eq!(timestamp_text(seconds * 1_000_000_000), expected);
        }
        assert_eq!(timestamp_text(6), "1970-01-01T00:00:00.000000006Z");
    }
}
