//! Compares JSON values as JSON Schema does: numbers by their value, members in any order.

use std::cmp::Ordering;
use std::hash::{Hash, Hasher};

use serde_json::{Number, Value};

/// A number, whole where it can be.
#[derive(Clone, Copy, Debug)]
pub(super) enum Quantity {
    Whole(i128),
    /// With a fraction, or beyond [`WHOLE`].
    Real(f64),
}

/// 2^96: a float below it is as exact as a whole number, and no integer of JSON text that is kept as one is above it.
const WHOLE: f64 = 79_228_162_514_264_337_593_543_950_336.0;

impl Quantity {
    pub(super) fn of(number: &Number) -> Self {
        if let Some(whole) = number.as_i64() {
            return Self::Whole(whole.into());
        }
        if let Some(whole) = number.as_u64() {
            return Self::Whole(whole.into());
        }
        let real = number.as_f64().unwrap_or_default();
        if real.fract() == 0.0 && real.abs() < WHOLE {
            #[expect(clippy::cast_possible_truncation, reason = "a whole number well within the range")]
            return Self::Whole(real as i128);
        }
        Self::Real(real)
    }

    pub(super) fn is_integer(self) -> bool {
        match self {
            Self::Whole(_) => true,
            Self::Real(real) => real.fract() == 0.0,
        }
    }

    pub(super) fn order(self, other: Self) -> Ordering {
        #[expect(
            clippy::cast_precision_loss,
            reason = "the other is far away or has a fraction, so that order stays"
        )]
        let real = |quantity| match quantity {
            Self::Whole(whole) => whole as f64,
            Self::Real(real) => real,
        };
        match (self, other) {
            (Self::Whole(a), Self::Whole(b)) => a.cmp(&b),
            (a, b) => real(a).total_cmp(&real(b)),
        }
    }
}

/// A decimal number as digits and a power of ten.
#[derive(Clone, Copy, Debug)]
pub(super) struct Decimal {
    digits: u128,
    power: i32,
}

impl Decimal {
    /// The absolute value of a number.
    pub(super) fn of(number: &Number) -> Option<Self> {
        if let Quantity::Whole(whole) = Quantity::of(number)
            && whole.unsigned_abs() < 1 << 64
        {
            return Some(Self {
                digits: whole.unsigned_abs(),
                power: 0,
            });
        }
        // The shortest digits that denote this number, at most 17.
        let text = format!("{:e}", number.as_f64()?.abs());
        let (digits, power) = text.split_once('e')?;
        let fraction = digits.split_once('.').map_or(0, |(_, fraction)| fraction.len());
        Some(Self {
            digits: digits.replace('.', "").parse().ok()?,
            power: power.parse::<i32>().ok()? - i32::try_from(fraction).ok()?,
        })
    }

    pub(super) fn is_zero(self) -> bool {
        self.digits == 0
    }

    /// Whether this is a multiple of `other`, which is not 0.
    pub(super) fn is_multiple_of(self, other: Self) -> bool {
        if self.digits == 0 {
            return true;
        }
        let shift = self.power - other.power;
        let power = |base: u128, exponent: i32| (0..exponent).try_fold(base, |product, _| product.checked_mul(10));
        if shift < 0 {
            return power(other.digits, -shift).is_some_and(|unit| self.digits.is_multiple_of(unit));
        }
        // At most 64 bits each, so that no product is over 128.
        let unit = other.digits;
        let remainder = (0..shift).fold(self.digits % unit, |remainder, _| remainder * 10 % unit);
        remainder == 0
    }
}

/// Whether two values are the same.
pub(super) fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => Quantity::of(a).order(Quantity::of(b)).is_eq(),
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b)),
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(name, a)| b.get(name).is_some_and(|b| same(a, b)))
        }
        (a, b) => a == b,
    }
}

/// Approximate steps to visit all of a value.
pub(super) fn weight(value: &Value) -> u64 {
    match value {
        Value::String(text) => text_weight(text),
        Value::Array(entries) => 1 + entries.iter().map(weight).sum::<u64>(),
        Value::Object(members) => {
            1 + members
                .iter()
                .map(|(name, value)| text_weight(name) + weight(value))
                .sum::<u64>()
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => 1,
    }
}

/// The steps to read a text.
pub(super) fn text_weight(text: &str) -> u64 {
    1 + u64::try_from(text.len() / 64).unwrap_or(u64::MAX)
}

/// Hashes a value; equal values have the same hash.
pub(super) fn hash(value: &Value, hasher: &mut impl Hasher) {
    match value {
        Value::Null => 0_u8.hash(hasher),
        Value::Bool(flag) => (1_u8, flag).hash(hasher),
        Value::Number(number) => match Quantity::of(number) {
            Quantity::Whole(whole) => (2_u8, whole).hash(hasher),
            Quantity::Real(real) => (3_u8, real.to_bits()).hash(hasher),
        },
        Value::String(text) => (4_u8, text).hash(hasher),
        Value::Array(entries) => {
            (5_u8, entries.len()).hash(hasher);
            entries.iter().for_each(|entry| hash(entry, hasher));
        }
        Value::Object(members) => {
            (6_u8, members.len()).hash(hasher);
            // Sorted: the order of the members is that of their names in one build, and may be that of the text in another.
            let mut names: Vec<_> = members.iter().collect();
            names.sort_unstable_by_key(|(name, _)| *name);
            for (name, value) in names {
                name.hash(hasher);
                hash(value, hasher);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn multiple(a: &Value, b: &Value) -> bool {
        let decimal = |value: &Value| Decimal::of(value.as_number().expect("a number")).expect("digits");
        decimal(a).is_multiple_of(decimal(b))
    }

    #[test]
    fn multiples_are_those_of_the_written_digits() {
        for (a, b) in [
            (json!(19.99), json!(0.01)),
            (json!(4.5), json!(1.5)),
            (json!(0), json!(0.3)),
            (json!(-8), json!(4)),
            (json!(1e308), json!(0.5)),
            (json!(9_007_199_254_740_993_u64), json!(3)),
        ] {
            assert!(multiple(&a, &b), "{a} of {b}");
        }
        for (a, b) in [
            (json!(19.995), json!(0.01)),
            (json!(7), json!(2)),
            (json!(1e-300), json!(1)),
            (json!(0.1), json!(1e300)),
        ] {
            assert!(!multiple(&a, &b), "{a} of {b}");
        }
    }

    #[test]
    fn numbers_are_the_same_by_their_value() {
        assert!(same(&json!([1, { "a": 2.0 }]), &json!([1.0, { "a": 2 }])));
        assert!(!same(
            &json!(9_007_199_254_740_993_u64),
            &json!(9_007_199_254_740_992.0)
        ));
        assert!(!same(&json!(1), &json!(true)));
        assert_eq!(
            Quantity::of(&1.5.try_number()).order(Quantity::of(&2.into())),
            Ordering::Less
        );
    }

    trait TryNumber {
        fn try_number(self) -> Number;
    }

    impl TryNumber for f64 {
        fn try_number(self) -> Number {
            Number::from_f64(self).expect("finite")
        }
    }
}
