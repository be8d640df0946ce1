//! Days as files write them. They are checked and not kept.

use crate::args::DateOrder;
use crate::units::is_day;

/// Whether a text is a day: three numbers with `-`, `.` or `/` between them, of which the year has four digits. A time
/// may follow, behind a blank or a `T`.
pub(super) fn is_date(text: &str, order: DateOrder) -> bool {
    let (day, time) =
        text.split_once([' ', 'T']).map_or((text, None), |(day, time)| (day, Some(time)));
    let Some(mark) = ['-', '.', '/'].into_iter().find(|mark| day.contains(*mark)) else {
        return false;
    };
    let parts: Vec<&str> = day.split(mark).collect();
    let [first, second, third] = parts[..] else { return false };
    let (year, month, day) = match order {
        DateOrder::Ymd => (first, second, third),
        DateOrder::Dmy => (third, second, first),
        DateOrder::Mdy => (third, first, second),
    };
    let number = |text: &str, digits: std::ops::RangeInclusive<usize>| {
        let is_number =
            digits.contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
        text.parse::<u64>().ok().filter(|_| is_number)
    };
    let is_day_of_calendar = match (number(year, 4..=4), number(month, 1..=2), number(day, 1..=2)) {
        (Some(year), Some(month), Some(day)) => is_day(year, month, day),
        _ => false,
    };
    is_day_of_calendar && time.is_none_or(is_time)
}

/// An order, other than the one that was said, in which the text would be a day.
pub(super) fn other_order(text: &str, said: DateOrder) -> Option<&'static str> {
    let all = [(DateOrder::Ymd, "ymd"), (DateOrder::Dmy, "dmy"), (DateOrder::Mdy, "mdy")];
    let fits = |(order, _): &(DateOrder, _)| *order != said && is_date(text, *order);
    all.into_iter().find(fits).map(|(_, name)| name)
}

/// `HH:MM`, with seconds, a fraction and a zone or not.
fn is_time(text: &str) -> bool {
    let text = text.trim();
    let mut numbers = text.split(':');
    let two = |text: Option<&str>, below: u8| {
        let digits = text
            .filter(|text| text.len() == 2 && !text.starts_with('+'))
            .and_then(|text| text.parse::<u8>().ok());
        digits.is_some_and(|number| number < below)
    };
    let hour_fits = two(numbers.next(), 24);
    let minute = numbers.next();
    let is_rest =
        |rest: &str| rest.bytes().all(|byte| byte.is_ascii_digit() || b".:+-Z ".contains(&byte));
    hour_fits && two(minute.and_then(|minute| minute.get(..2)), 60) && is_rest(&text[2..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_read_in_the_order_that_is_said_and_must_be_on_the_calendar() {
        for (text, order) in [
            ("2026-03-26", DateOrder::Ymd),
            ("2024-02-29", DateOrder::Ymd),
            ("2026-03-01 10:00:00", DateOrder::Ymd),
            ("2026-03-01T10:00:00.123+02:00", DateOrder::Ymd),
            ("2026/3/1T10:00Z", DateOrder::Ymd),
            ("26.03.2013", DateOrder::Dmy),
            ("03/26/2013", DateOrder::Mdy),
        ] {
            assert!(is_date(text, order), "{text}");
        }
        for (text, order) in [
            ("2026-02-29", DateOrder::Ymd),
            ("26.03.2013", DateOrder::Ymd),
            ("03/26/2013", DateOrder::Dmy),
            ("26.03.13", DateOrder::Dmy),
            ("2026-03", DateOrder::Ymd),
            ("2026-03-26 25:00", DateOrder::Ymd),
            ("2026-03-26 later", DateOrder::Ymd),
            ("2026-+3-26", DateOrder::Ymd),
            ("", DateOrder::Ymd),
            ("yesterday", DateOrder::Ymd),
            ("2026-03-26 é", DateOrder::Ymd),
        ] {
            assert!(!is_date(text, order), "{text}");
        }
    }

    #[test]
    fn a_day_of_another_order_is_recognised() {
        assert_eq!(other_order("30/11/2026", DateOrder::Ymd), Some("dmy"));
        assert_eq!(other_order("11/30/2026", DateOrder::Dmy), Some("mdy"));
        assert_eq!(other_order("2026-11-30", DateOrder::Dmy), Some("ymd"));
        assert_eq!(other_order("32/11/2026", DateOrder::Ymd), None);
        assert_eq!(other_order("soon", DateOrder::Ymd), None);
    }
}
