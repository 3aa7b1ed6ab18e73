//! Times as events write them. A handler has no clock: the time is [`Context::now_millis`](crate::Context).

use crate::Context;

impl Context {
    /// The time of this call as an event writes it, for example `2025-12-12T10:30:00.000Z`.
    pub fn now_iso(&self) -> String {
        iso_millis(self.now_millis)
    }
}

/// Milliseconds since 1970 as JavaScript's `toISOString` writes them. Years beyond 9999 get as many digits as they need.
pub fn iso_millis(millis: i64) -> String {
    let (days, of_day) = (millis.div_euclid(86_400_000), millis.rem_euclid(86_400_000));
    let (year, month, day) = date_of(days);
    let (seconds, millis) = (of_day / 1_000, of_day % 1_000);
    let (hours, minutes, seconds) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
    format!("{year:04}-{month:02}-{day:02}T{hours:02}:{minutes:02}:{seconds:02}.{millis:03}Z")
}

/// Whether the text is a day of the calendar as ISO 8601 writes it: `2024-02-29`, and nothing behind it.
pub fn is_date(text: &str) -> bool {
    let number = |range: std::ops::Range<usize>| -> Option<u32> {
        let digits = text.get(range)?;
        digits
            .bytes()
            .all(|digit| digit.is_ascii_digit())
            .then(|| digits.parse().ok())?
    };
    let dash = |at: usize| text.get(at..=at) == Some("-");
    let (Some(year), Some(month), Some(day)) = (number(0..4), number(5..7), number(8..10)) else {
        return false;
    };
    let in_month = (1..=12).contains(&month) && (1..=days_in(year, month)).contains(&day);
    text.len() == 10 && dash(4) && dash(7) && in_month
}

fn days_in(year: u32, month: u32) -> u32 {
    match month {
        2 if year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400)) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// The date of a day, counted from 1970-01-01, in the Gregorian calendar.
///
/// Years are counted from March, so that the leap day is the last of its year, in eras of 400 years, which all have
/// the same length.
fn date_of(days: i64) -> (i64, i64, i64) {
    const ERA: i64 = 146_097;
    // 719,468 days lie between 0000-03-01 and 1970-01-01.
    let days = days + 719_468;
    let (era, day) = (days.div_euclid(ERA), days.rem_euclid(ERA));
    let year = (day - day / 1_460 + day / 36_524 - day / (ERA - 1)) / 365;
    let day_of_year = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day_of_month = day_of_year - (153 * month + 2) / 5 + 1;
    let in_next_year = month >= 10;
    let month = if in_next_year { month - 9 } else { month + 3 };
    (era * 400 + year + i64::from(in_next_year), month, day_of_month)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_what_javascript_writes() {
        for (millis, text) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (1_765_535_400_000, "2025-12-12T10:30:00.000Z"),
            (1_709_164_799_999, "2024-02-28T23:59:59.999Z"),
            (1_709_164_800_000, "2024-02-29T00:00:00.000Z"),
            (951_782_400_000, "2000-02-29T00:00:00.000Z"),
            (4_107_542_400_000, "2100-03-01T00:00:00.000Z"),
            (-1, "1969-12-31T23:59:59.999Z"),
            (-62_167_219_200_000, "0000-01-01T00:00:00.000Z"),
        ] {
            assert_eq!(iso_millis(millis), text);
        }
    }

    #[test]
    fn every_day_of_four_centuries_follows_the_one_before_and_is_a_date() {
        let mut expected = (1900, 1, 1);
        for day in -25_567..120_530 {
            assert_eq!(date_of(day), expected);
            let (year, month, day) = expected;
            assert!(is_date(&format!("{year:04}-{month:02}-{day:02}")));
            let last = i64::from(days_in(u32::try_from(year).unwrap(), u32::try_from(month).unwrap()));
            expected = match (month, day) {
                (12, 31) => (year + 1, 1, 1),
                (month, day) if day == last => (year, month + 1, 1),
                (month, day) => (year, month, day + 1),
            };
        }
    }

    #[test]
    fn what_is_no_date_is_refused() {
        for text in [
            "",
            "2023-02-29",
            "1900-02-29",
            "2024-04-31",
            "2024-13-01",
            "2024-00-10",
            "2024-01-00",
            "2024-1-1",
            "2024-01-01T00:00:00Z",
            "2024/01/01",
            "+024-01-01",
            "20240101",
            "2024-01-0é",
            "①024-01-01",
        ] {
            assert!(!is_date(text), "{text}");
        }
    }
}
