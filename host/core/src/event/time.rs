//! Instants as JavaScript's `toISOString` writes them.

use jiff::Timestamp;

/// Milliseconds since 1970 as `2025-12-12T10:30:00.000Z`; a value outside of jiff's range (years -9999 to 9999) is the
/// epoch.
pub fn iso_millis(millis: i64) -> String {
    let instant = Timestamp::from_millisecond(millis).unwrap_or(Timestamp::UNIX_EPOCH);
    format!("{instant:.3}")
}

/// The milliseconds since 1970 of an instant written in ISO 8601, with its time zone; `None` if it is not such a text.
pub fn millis_of_iso(text: &str) -> Option<i64> {
    text.parse::<Timestamp>().ok().map(Timestamp::as_millisecond)
}

#[cfg(test)]
mod tests {
    use super::{iso_millis, millis_of_iso};

    #[test]
    fn milliseconds_are_always_three_digits() {
        assert_eq!(iso_millis(1_765_535_400_000), "2025-12-12T10:30:00.000Z");
        assert_eq!(millis_of_iso("2025-12-12T11:30:00+01:00"), Some(1_765_535_400_000));
        assert_eq!(millis_of_iso("2025-12-12"), None);
        assert_eq!(iso_millis(7), "1970-01-01T00:00:00.007Z");
    }
}
