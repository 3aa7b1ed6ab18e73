//! Times in the format of events. A handler has no clock: the time is [`Context::now_millis`](crate::Context).

use crate::Context;

impl Context {
    /// The time of this call in the format of events, for example `2025-12-12T10:30:00.000Z`.
    pub fn now_iso(&self) -> String {
        iso_millis(self.now_millis)
    }
}

/// Formats milliseconds since 1970 like JavaScript's `toISOString`. Years after 9999 have as many digits as needed.
pub fn iso_millis(millis: i64) -> String {
    let (days, of_day) = (millis.div_euclid(86_400_000), millis.rem_euclid(86_400_000));
    let (year, month, day) = date_of(days);
    let (seconds, millis) = (of_day / 1_000, of_day % 1_000);
    let (hours, minutes, seconds) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
    format!("{year:04}-{month:02}-{day:02}T{hours:02}:{minutes:02}:{seconds:02}.{millis:03}Z")
}

/// Whether the text is a valid ISO 8601 date such as `2024-02-29`, with nothing after it.
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

/// Parses a date with a time into milliseconds since 1970, in the formats of databases and services: `2025-12-12T10:30:00Z`,
/// `2025-12-12 10:30:00.123456+01`, `2025-12-12T10:30`. Without an offset it is UTC; fractions of a
/// millisecond are truncated. Returns `None` for anything else, including a date without a time.
pub fn millis_of(text: &str) -> Option<i64> {
    let (date, rest) = text.split_at_checked(10)?;
    let clock = rest.strip_prefix(['T', 't', ' '])?;
    let (clock, offset) = match clock.find(['Z', 'z', '+', '-']) {
        Some(at) => clock.split_at_checked(at)?,
        None => (clock, "Z"),
    };
    let day = is_date(date).then(|| day_of(date))??;
    Some(day * 86_400_000 + millis_of_clock(clock)? - minutes_of_offset(offset)? * 60_000)
}

/// The milliseconds of `10:30`, `10:30:00` or `10:30:00.5`.
fn millis_of_clock(text: &str) -> Option<i64> {
    let mut parts = text.splitn(3, ':');
    let (hours, minutes) = (two_digits(parts.next()?, 23)?, two_digits(parts.next()?, 59)?);
    let (seconds, fraction) = match parts.next() {
        None => ("00", "0"),
        Some(seconds) => seconds.split_once('.').unwrap_or((seconds, "0")),
    };
    let seconds = two_digits(seconds, 59)?;
    let is_number = !fraction.is_empty() && fraction.bytes().all(|digit| digit.is_ascii_digit());
    let millis: i64 = format!("{fraction:0<3}").get(..3).filter(|_| is_number)?.parse().ok()?;
    Some(((hours * 60 + minutes) * 60 + seconds) * 1_000 + millis)
}

/// The offset of `Z`, `+01`, `+0130` or `-01:30` from UTC in minutes.
fn minutes_of_offset(text: &str) -> Option<i64> {
    if matches!(text, "Z" | "z") {
        return Some(0);
    }
    let (sign, rest) = text.split_at_checked(1)?;
    let (hours, minutes) = rest.split_at_checked(2)?;
    let minutes = match minutes.strip_prefix(':').unwrap_or(minutes) {
        "" if minutes.is_empty() => 0,
        minutes => two_digits(minutes, 59)?,
    };
    let ahead = two_digits(hours, 23)? * 60 + minutes;
    Some(if sign == "-" { -ahead } else { ahead })
}

/// A number of two digits, up to `most`.
fn two_digits(text: &str, most: i64) -> Option<i64> {
    let fits = text.len() == 2 && text.bytes().all(|digit| digit.is_ascii_digit());
    text.parse().ok().filter(|number| fits && *number <= most)
}

/// The day of a date, counted from 1970-01-01; the opposite of [`date_of`].
fn day_of(date: &str) -> Option<i64> {
    let part = |range: std::ops::Range<usize>| date.get(range)?.parse::<i64>().ok();
    let (year, month, day) = (part(0..4)?, part(5..7)?, part(8..10)?);
    let (year, month) = if month < 3 {
        (year - 1, month + 9)
    } else {
        (year, month - 3)
    };
    let leap_days = year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    Some(year * 365 + leap_days + (153 * month + 2) / 5 + day - 1 - 719_468)
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
        for number in -25_567..120_530 {
            assert_eq!(date_of(number), expected);
            let (year, month, day) = expected;
            let text = format!("{year:04}-{month:02}-{day:02}");
            assert!(is_date(&text));
            assert_eq!(day_of(&text), Some(number), "{text}");
            let last = i64::from(days_in(u32::try_from(year).unwrap(), u32::try_from(month).unwrap()));
            expected = match (month, day) {
                (12, 31) => (year + 1, 1, 1),
                (month, day) if day == last => (year, month + 1, 1),
                (month, day) => (year, month, day + 1),
            };
        }
    }

    #[test]
    fn times_of_databases_are_read() {
        for (text, iso) in [
            ("2025-12-12T10:30:00.000Z", "2025-12-12T10:30:00.000Z"),
            ("2025-12-12T10:30:00Z", "2025-12-12T10:30:00.000Z"),
            ("2025-12-12t10:30z", "2025-12-12T10:30:00.000Z"),
            ("2025-12-12 10:30:00", "2025-12-12T10:30:00.000Z"),
            ("2025-12-12 10:30:00.123456+00", "2025-12-12T10:30:00.123Z"),
            ("2025-12-12T10:30:00.5+01:30", "2025-12-12T09:00:00.500Z"),
            ("2025-12-31T23:30:00-0100", "2026-01-01T00:30:00.000Z"),
            ("0000-01-01T00:00:00Z", "0000-01-01T00:00:00.000Z"),
        ] {
            assert_eq!(millis_of(text).map(iso_millis).as_deref(), Some(iso), "{text}");
        }
        for text in [
            "",
            "2025-12-12",
            "2025-12-12T",
            "2025-12-12T10",
            "2025-12-12T10:3",
            "2025-12-12T24:00:00Z",
            "2025-12-12T10:60:00Z",
            "2025-12-12T10:30:60Z",
            "2025-12-12T10:30:00.Z",
            "2025-12-12T10:30:00,5Z",
            "2025-12-12T10:30:00:00Z",
            "2025-12-12T10:30:00ZZ",
            "2025-12-12T10:30:00+1",
            "2025-12-12T10:30:00+01:",
            "2025-12-12T10:30:00+24:00",
            "2025-02-30T10:30:00Z",
            "12/12/2025 10:30",
            "2025-12-1éT10:30:00Z",
            "2025-12-12T1é:30:00Z",
        ] {
            assert_eq!(millis_of(text), None, "{text}");
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
