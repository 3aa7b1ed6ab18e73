//! Kinds of values: a description of the allowed values, and the parser.

use std::net::{Ipv4Addr, SocketAddr};
use std::ops::RangeInclusive;
use std::time::Duration;

use toml::Value;

use super::units::{duration_text, parse_duration, parse_size, size_text};

type ValueReader<T> = Box<dyn Fn(&Value) -> Option<T>>;

/// How a value is parsed, and the allowed values for errors.
pub(super) struct Kind<T> {
    /// The allowed values, as text.
    pub(super) allowed: String,
    read: ValueReader<T>,
}

impl<T: 'static> Kind<T> {
    /// A kind of text, parsed by `parse`.
    pub(super) fn text(allowed: impl Into<String>, parse: impl Fn(&str) -> Option<T> + 'static) -> Self {
        Self::value(allowed, move |value| parse(value.as_str()?))
    }

    /// A kind of value, parsed by `read`.
    pub(super) fn value(allowed: impl Into<String>, read: impl Fn(&Value) -> Option<T> + 'static) -> Self {
        Self {
            allowed: allowed.into(),
            read: Box::new(read),
        }
    }

    /// The value, or `None` if it is not allowed.
    pub(super) fn read(&self, value: &Value) -> Option<T> {
        (self.read)(value)
    }
}

/// A whole number in a range.
pub(super) fn integer<T>(range: RangeInclusive<T>) -> Kind<T>
where
    T: TryFrom<i64> + PartialOrd + std::fmt::Display + 'static,
{
    Kind::value(
        format!("a whole number from {} to {}", range.start(), range.end()),
        move |value| {
            let number = T::try_from(value.as_integer()?).ok()?;
            range.contains(&number).then_some(number)
        },
    )
}

/// A number in a range.
pub(super) fn number(range: RangeInclusive<f64>) -> Kind<f64> {
    Kind::value(
        format!("a number from {:?} to {:?}", range.start(), range.end()),
        move |value| {
            let whole = value.as_integer().and_then(|whole| i32::try_from(whole).ok());
            let number = value.as_float().or(whole.map(f64::from))?;
            range.contains(&number).then_some(number)
        },
    )
}

/// A duration in a range, for example `50ms`.
pub(super) fn duration(range: RangeInclusive<Duration>) -> Kind<Duration> {
    let (low, high) = (duration_text(*range.start()), duration_text(*range.end()));
    Kind::text(
        format!("a duration from {low} to {high}, a number with one of the units ms, s, m, h, such as \"50ms\""),
        move |text| parse_duration(text).filter(|duration| range.contains(duration)),
    )
}

/// A size in a range, for example `16MiB` or a number of bytes.
pub(super) fn size(range: RangeInclusive<u64>) -> Kind<u64> {
    let (low, high) = (size_text(*range.start()), size_text(*range.end()));
    let allowed = format!(
        "a size from {low} to {high}, a number of bytes or a number with one of the units KiB, MiB, GiB, such as \"16MiB\""
    );
    Kind::value(allowed, move |value| {
        let bytes = match value {
            Value::Integer(bytes) => u64::try_from(*bytes).ok()?,
            other => parse_size(other.as_str()?)?,
        };
        range.contains(&bytes).then_some(bytes)
    })
}

/// A size that is a number of bytes in memory.
pub(super) fn bytes(range: RangeInclusive<u64>) -> Kind<usize> {
    let size = size(range);
    Kind::value(size.allowed.clone(), move |value| {
        usize::try_from(size.read(value)?).ok()
    })
}

/// One of a few words.
pub(super) fn one_of<T: Copy + 'static>(words: &'static [(&'static str, T)]) -> Kind<T> {
    let names: Vec<_> = words.iter().map(|(word, _)| format!("\"{word}\"")).collect();
    Kind::text(names.join(", "), move |text| {
        words
            .iter()
            .find(|(word, _)| *word == text)
            .map(|(_, meaning)| *meaning)
    })
}

/// An address to listen on; `localhost` is 127.0.0.1, and port 0 is any free port.
pub(super) fn address() -> Kind<SocketAddr> {
    Kind::text(
        "an IP address and a port, such as \"127.0.0.1:3902\" or \"[::1]:3902\"; port 0 takes any free port",
        |text| match text.strip_prefix("localhost:") {
            Some(port) => Some(SocketAddr::from((Ipv4Addr::LOCALHOST, port.parse().ok()?))),
            None => text.parse().ok(),
        },
    )
}

/// Text that is not empty.
pub(super) fn text() -> Kind<String> {
    Kind::text("text that is not empty", |text| {
        (!text.trim().is_empty()).then(|| text.to_owned())
    })
}

/// A name made of the characters Kafka allows in names, at most `longest` long.
pub(super) fn kafka_name(longest: usize) -> Kind<String> {
    Kind::text(
        format!("1 to {longest} letters, digits, dots, underscores or dashes"),
        move |text| is_kafka_name(text, longest).then(|| text.to_owned()),
    )
}

/// A list of values of one kind, each at most once.
pub(super) fn list<T: PartialEq + 'static>(kind: Kind<T>) -> Kind<Vec<T>> {
    Kind::value(
        format!("a list, each entry at most once: {}", kind.allowed),
        move |value| {
            let mut read = Vec::new();
            for entry in value.as_array()? {
                let entry = kind.read(entry)?;
                if read.contains(&entry) {
                    return None;
                }
                read.push(entry);
            }
            Some(read)
        },
    )
}

/// Whether Kafka accepts `text` as the name of a topic or a group.
pub(super) fn is_kafka_name(text: &str, longest: usize) -> bool {
    let known = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    (1..=longest).contains(&text.len()) && text.bytes().all(known) && text != "." && text != ".."
}
