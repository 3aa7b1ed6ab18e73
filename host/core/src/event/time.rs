//! Instants as JavaScript's `toISOString` writes them.

use jiff::Timestamp;

/// Milliseconds since 1970 as `2025-12-12T10:30:00.000Z`; a value outside of jiff's range (years -9999 to 9999) is the
/// epoch.
pub fn iso_millis(millis: i64) -> String {
    let instant = Timestamp::from_millisecond(millis).unwrap_or(Timestamp::UNIX_EPOCH);
    format!("{instant:.3}")
}

#[cfg(test)]
mod tests {
    use super::iso_millis;

    #[test]
    fn milliseconds_are_always_three_digits() {
        assert_eq!(iso_millis(1_765_535_400_000), "2025-12-12T10:30:00.000Z");
        assert_eq!(iso_millis(7), "1970-01-01T00:00:00.007Z");
    }
}
