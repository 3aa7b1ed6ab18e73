//! Which versions of an event a handler reads. A version in a contract includes later minor versions: `1.0` is every
//! `1.x` from there on, since a change within a major version only adds fields. `=1.0` is that version alone.

use std::collections::HashMap;

/// The declarations of an event type, by version.
#[derive(Debug)]
pub(super) struct Versions<T> {
    exact: HashMap<String, T>,
    /// For each declared range its beginning, and its name in `exact`; the latest first.
    ranges: Vec<(Number, String)>,
}

/// A version as numbers: major, and the rest without trailing zeros, so that `1`, `1.0` and `1.0.0` are equal.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Number {
    major: u64,
    minor: Vec<u64>,
}

impl<T> Default for Versions<T> {
    fn default() -> Self {
        Self {
            exact: HashMap::new(),
            ranges: Vec::new(),
        }
    }
}

impl<T> Versions<T> {
    /// Adds a declaration of a version; it replaces an earlier one of the same version. Returns `false` for an empty version.
    pub(super) fn add(&mut self, declared: &str, what: T) -> bool {
        let (name, alone) = match declared.strip_prefix('=') {
            Some(name) => (name, true),
            None => (declared, false),
        };
        if name.is_empty() {
            return false;
        }
        self.ranges.retain(|(_, known)| known != name);
        if let (Some(number), false) = (Number::parse(name), alone) {
            self.ranges.push((number, name.to_owned()));
            self.ranges.sort_by(|(a, _), (b, _)| b.cmp(a));
        }
        self.exact.insert(name.to_owned(), what);
        true
    }

    /// The declaration of a version, or else of the latest one before it with the same major number.
    pub(super) fn find(&self, version: &str) -> Option<&T> {
        self.exact.get(version).or_else(|| {
            let number = Number::parse(version)?;
            let reads = |(from, _): &&(Number, String)| from.major == number.major && *from <= number;
            let (_, name) = self.ranges.iter().find(reads)?;
            self.exact.get(name)
        })
    }

    /// All declarations, by version.
    pub(super) fn declared(&self) -> impl Iterator<Item = (&str, &T)> {
        self.exact.iter().map(|(name, what)| (name.as_str(), what))
    }

    /// The versions that are read, as text: `1.0 and later 1.x, 2.5 alone`.
    pub(super) fn told(&self) -> String {
        let mut told: Vec<_> = self.exact.keys().map(|name| self.told_of(name)).collect();
        told.sort_unstable();
        told.join(", ")
    }

    fn told_of(&self, name: &str) -> String {
        match self.ranges.iter().find(|(_, known)| known == name) {
            Some((from, _)) => format!("{name} and later {}.x", from.major),
            None => format!("{name} alone"),
        }
    }
}

impl Number {
    /// Reads decimal numbers separated by dots; any other name is equal only to itself.
    fn parse(text: &str) -> Option<Self> {
        let number = |part: &str| {
            let is_plain = part == "0" || (!part.starts_with('0') && part.bytes().all(|byte| byte.is_ascii_digit()));
            is_plain.then(|| part.parse().ok())?
        };
        let mut parts = text.split('.');
        let major = number(parts.next()?)?;
        let mut minor = parts.map(number).collect::<Option<Vec<u64>>>()?;
        while minor.last() == Some(&0) {
            minor.pop();
        }
        Some(Self { major, minor })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn versions(declared: &[&'static str]) -> Versions<&'static str> {
        let mut versions = Versions::default();
        for &name in declared {
            assert!(versions.add(name, name));
        }
        versions
    }

    #[test]
    fn a_version_stands_for_the_later_ones_of_its_major_number() {
        let one = versions(&["1.0"]);
        for read in ["1.0", "1.1", "1.10", "1", "1.0.0", "1.0.7", "1.99999999"] {
            assert_eq!(one.find(read), Some(&"1.0"), "{read}");
        }
        for other in [
            "2.0", "0.9", "10.0", "", "1.", "1.x", "1.-1", "1.+1", " 1.0", "v1.0", "01.0", "1.01", "1e0",
        ] {
            assert_eq!(one.find(other), None, "{other}");
        }
        let later = versions(&["1.2"]);
        assert_eq!(
            (later.find("1.1"), later.find("1.2"), later.find("1.10")),
            (None, Some(&"1.2"), Some(&"1.2"))
        );
    }

    #[test]
    fn the_latest_declared_version_before_it_counts() {
        let several = versions(&["1.0", "1.10", "1.2", "2.0"]);
        for (version, found) in [
            ("1.1", "1.0"),
            ("1.2", "1.2"),
            ("1.9", "1.2"),
            ("1.10", "1.10"),
            ("1.11", "1.10"),
            ("2.3", "2.0"),
        ] {
            assert_eq!(several.find(version), Some(&found), "{version}");
        }
        assert_eq!(several.find("3.0"), None);
    }

    #[test]
    fn a_version_may_stand_for_itself_alone() {
        let alone = versions(&["=1.0", "spring", "=2"]);
        assert_eq!(
            (alone.find("1.0"), alone.find("1.1"), alone.find("=1.0")),
            (Some(&"=1.0"), None, None)
        );
        assert_eq!((alone.find("spring"), alone.find("spring.1")), (Some(&"spring"), None));
        assert_eq!((alone.find("2"), alone.find("2.0")), (Some(&"=2"), None));
        let both = versions(&["1.0", "=1.5"]);
        assert_eq!((both.find("1.5"), both.find("1.6")), (Some(&"=1.5"), Some(&"1.0")));
        assert_eq!(both.told(), "1.0 and later 1.x, 1.5 alone");
        let mut none = Versions::default();
        assert!(!none.add("", ()) && !none.add("=", ()));
    }
}
