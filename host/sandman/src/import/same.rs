//! Whether two documents are equal, to the last digit. Pure.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::value::RawValue;

use sandman_core::json::{JsonMembers, Name};

/// The depth of nesting that is compared by value; anything deeper is compared as text.
const DEEPEST: usize = 64;

/// Whether two documents are equal, regardless of whitespace, order of members and escapes.
pub(super) fn same(a: &str, b: &str) -> bool {
    a == b
        || match (serde_json::from_str(a), serde_json::from_str(b)) {
            (Ok(a), Ok(b)) => values(a, b, DEEPEST),
            _ => false,
        }
}

fn values(a: &RawValue, b: &RawValue, deeper: usize) -> bool {
    let (a, b) = (a.get(), b.get());
    if a == b {
        return true;
    }
    let Some(deeper) = deeper.checked_sub(1) else {
        return false;
    };
    match (a.bytes().next(), b.bytes().next()) {
        (Some(b'{'), Some(b'{')) => both::<JsonMembers<'_>>(a, b, |a, b| {
            let (a, b) = (by_name(a), by_name(b));
            a.len() == b.len()
                && a.iter()
                    .all(|(name, value)| b.get(name).is_some_and(|other| values(value, other, deeper)))
        }),
        (Some(b'['), Some(b'[')) => both::<Vec<&RawValue>>(a, b, |a, b| {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| values(a, b, deeper))
        }),
        (Some(b'"'), Some(b'"')) => both::<Name<'_>>(a, b, |Name(a), Name(b)| a == b),
        (Some(b'-' | b'0'..=b'9'), Some(b'-' | b'0'..=b'9')) => {
            matches!((decimal(a), decimal(b)), (Some(a), Some(b)) if a == b)
        }
        _ => false,
    }
}

/// The members of an object; if several have the same name, the last one.
fn by_name<'m>(JsonMembers(members): &'m JsonMembers<'_>) -> BTreeMap<&'m [u8], &'m RawValue> {
    members.iter().map(|(name, value)| (&**name, *value)).collect()
}

fn both<'a, T: Deserialize<'a>>(a: &'a str, b: &'a str, same: impl FnOnce(&T, &T) -> bool) -> bool {
    match (serde_json::from_str(a), serde_json::from_str(b)) {
        (Ok(a), Ok(b)) => same(&a, &b),
        _ => false,
    }
}

/// A number as its sign, its digits without leading and trailing zeros, and the power of ten of the last digit; zero
/// has none of these.
fn decimal(text: &str) -> Option<(bool, String, i64)> {
    let (text, is_negative) = match text.strip_prefix('-') {
        Some(text) => (text, true),
        None => (text, false),
    };
    let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = format!("{whole}{fraction}");
    let short = digits.trim_end_matches('0');
    let zeros = i64::try_from(digits.len() - short.len()).ok()?;
    let exponent: i64 = exponent.parse().ok()?;
    let power = exponent
        .checked_sub(i64::try_from(fraction.len()).ok()?)?
        .checked_add(zeros)?;
    let short = short.trim_start_matches('0').to_owned();
    Some(if short.is_empty() {
        (false, short, 0)
    } else {
        (is_negative, short, power)
    })
}

#[cfg(test)]
mod tests {
    use super::same;

    #[test]
    fn documents_are_the_same_however_they_are_written() {
        for (a, b) in [
            (
                r#"{"a":1,"b":[true,null,"x"]}"#,
                r#"{ "b" : [ true, null, "\u0078" ], "a" : 1 }"#,
            ),
            ("1.50", "1.5"),
            ("100", "1e2"),
            ("-0", "0.0"),
            ("0.001", "1E-3"),
            ("12345678901234567890123", "12345678901234567890123.0"),
            (r#""\ud800""#, r#""\uD800""#),
            (r#"{"a":1,"a":2}"#, r#"{"a":2}"#),
        ] {
            assert!(same(a, b), "{a} and {b}");
        }
    }

    #[test]
    fn what_only_a_double_takes_for_the_same_differs() {
        for (a, b) in [
            ("123456789012345678901", "123456789012345678902"),
            ("9007199254740993", "9007199254740992.0"),
            ("1e999", "1e998"),
            ("0.1", "0.10000000000000001"),
            (r#"{"a":1}"#, r#"{"a":1,"b":2}"#),
            (r#"{"a":1,"b":2}"#, r#"{"a":1,"c":2}"#),
            ("[1,2]", "[2,1]"),
            ("[1]", "{}"),
            ("true", "false"),
            (r#""1""#, "1"),
            ("-1", "1"),
        ] {
            assert!(!same(a, b), "{a} and {b}");
        }
        let deep = |inner: &str| format!("{}{inner}{}", "[".repeat(100_000), "]".repeat(100_000));
        assert!(!same(&deep("1"), &deep(" 1")) && same(&deep("1"), &deep("1")));
    }
}
