//! Durations and sizes as people write them.

use std::time::Duration;

const DURATIONS: [(&str, u64); 4] = [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000)];
const SIZES: [(&str, u64); 5] = [
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("TiB", 1 << 40),
    ("B", 1),
];

/// Parses `50ms`, `2s`, `1m` or `1h`; fractions are not accepted.
pub(super) fn parse_duration(text: &str) -> Option<Duration> {
    let (number, millis) = split(text, &DURATIONS)?;
    number.checked_mul(millis).map(Duration::from_millis)
}

/// Parses `16MiB`, `64KiB`, `1GiB`, `100B` or `100`, in bytes.
pub(super) fn parse_size(text: &str) -> Option<u64> {
    let (number, bytes) = split(text, &SIZES).or_else(|| Some((text.parse().ok()?, 1)))?;
    number.checked_mul(bytes)
}

fn split(text: &str, units: &[(&str, u64)]) -> Option<(u64, u64)> {
    units.iter().find_map(|(unit, factor)| {
        let digits = text.strip_suffix(unit)?.trim_end();
        let plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
        plain.then(|| digits.parse().ok().map(|number| (number, *factor)))?
    })
}

/// The duration in the largest unit that has no remainder.
pub(super) fn duration_text(duration: Duration) -> String {
    let millis = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    in_units(millis, &DURATIONS, "ms")
}

/// The size in the largest unit that has no remainder.
pub(super) fn size_text(bytes: u64) -> String {
    in_units(bytes, &SIZES, "B")
}

fn in_units(number: u64, units: &[(&str, u64)], smallest: &str) -> String {
    units
        .iter()
        .filter(|(_, factor)| number >= *factor && number.is_multiple_of(*factor))
        .max_by_key(|(_, factor)| *factor)
        .map_or_else(
            || format!("{number}{smallest}"),
            |(unit, factor)| format!("{}{unit}", number / factor),
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_need_a_known_unit_and_a_whole_number() {
        let good = [
            ("50ms", 50),
            ("2s", 2_000),
            ("1m", 60_000),
            ("1h", 3_600_000),
            ("3 s", 3_000),
            ("0s", 0),
        ];
        for (text, millis) in good {
            assert_eq!(parse_duration(text), Some(Duration::from_millis(millis)), "{text}");
        }
        for text in [
            "",
            "50",
            "ms",
            "-1s",
            "+1s",
            "1.5s",
            "1d",
            "1S",
            "99999999999999999999s",
            "18446744073709551615h",
        ] {
            assert_eq!(parse_duration(text), None, "{text}");
        }
    }

    #[test]
    fn sizes_are_bytes_or_binary_units() {
        let good = [
            ("16MiB", 16 << 20),
            ("64KiB", 64 << 10),
            ("1GiB", 1 << 30),
            ("7B", 7),
            ("7", 7),
        ];
        for (text, bytes) in good {
            assert_eq!(parse_size(text), Some(bytes), "{text}");
        }
        for text in ["", "MiB", "16MB", "16mib", "-1", "1.5MiB", "17179869184GiB"] {
            assert_eq!(parse_size(text), None, "{text}");
        }
    }

    #[test]
    fn bounds_are_shown_in_the_largest_whole_unit() {
        assert_eq!(size_text(1 << 30), "1GiB");
        assert_eq!(size_text(1025), "1025B");
        assert_eq!(duration_text(Duration::from_millis(1500)), "1500ms");
        assert_eq!(duration_text(Duration::from_secs(60)), "1m");
    }
}
