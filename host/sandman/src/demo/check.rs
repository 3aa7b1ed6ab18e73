//! Checks the output against the input: nothing lost, nothing duplicated, every user's values in an unbroken chain. Pure.

use std::collections::{BTreeMap, HashMap, HashSet};

/// An event that must be published because of an accepted input.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Owed {
    /// The correlation id of the request, or the id of the event, that caused it.
    pub(super) cause: String,
    /// Its type.
    pub(super) event_type: &'static str,
}

/// A published event.
#[derive(Clone, Debug)]
pub(super) struct SeenEvent {
    /// Its id.
    pub(super) event_id: String,
    /// Its type.
    pub(super) event_type: String,
    /// The user, which is the record's key.
    pub(super) user: String,
    /// What caused it: the `causationId`, or the `correlationId` where a request did.
    pub(super) cause: String,
    /// The user's name before and after, if the event has it.
    pub(super) name: Option<(Option<String>, String)>,
    /// When it was written: milliseconds since 1970.
    pub(super) at_millis: i64,
    /// The whole envelope.
    pub(super) text: String,
}

/// The result of the check.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct DemoVerdict {
    /// Checked events, without duplicates.
    pub(super) events: usize,
    /// Expected, but missing.
    pub(super) lost: Vec<String>,
    /// Duplicated, or not expected.
    pub(super) doubled: Vec<String>,
    /// Not consistent with the previous one of the same user.
    pub(super) disordered: Vec<String>,
    /// Records of a transaction that the outage interrupted. The embedded broker shows them although they were aborted;
    /// Kafka does not.
    pub(super) aborted: usize,
}

impl DemoVerdict {
    /// Whether everything is as promised.
    pub(super) fn holds(&self) -> bool {
        self.lost.is_empty() && self.doubled.is_empty() && self.disordered.is_empty()
    }
}

/// Compares. `seen` is in the order of reading, which is the order of each user's events of one type. A record that was
/// written during `outage` may occur again.
pub(super) fn check(owed: &[Owed], seen: &[SeenEvent], outage: Option<(i64, i64)>) -> DemoVerdict {
    let mut verdict = DemoVerdict::default();
    let mut written: HashMap<&str, i64> = HashMap::new();
    let mut open: HashSet<(&str, &str)> = owed.iter().map(|owed| (owed.cause.as_str(), owed.event_type)).collect();
    let mut names: BTreeMap<&str, &str> = BTreeMap::new();
    for event in seen {
        if let Some(first) = written.get(event.event_id.as_str()) {
            match outage {
                Some((from, to)) if (from..=to).contains(first) => verdict.aborted += 1,
                _ => verdict.doubled.push(told(event)),
            }
            continue;
        }
        written.insert(&event.event_id, event.at_millis);
        verdict.events += 1;
        if !open.remove(&(event.cause.as_str(), event.event_type.as_str())) {
            verdict.doubled.push(told(event));
        }
        let Some((old, new)) = &event.name else { continue };
        if let Some(before) = names.insert(&event.user, new)
            && old.as_deref() != Some(before)
        {
            let old = old.as_deref().unwrap_or("nothing");
            verdict
                .disordered
                .push(format!("{}: {old:?} → {new:?} after {before:?}", event.user));
        }
    }
    verdict.lost = open
        .into_iter()
        .map(|(cause, event_type)| format!("{event_type} of {cause}"))
        .collect();
    verdict
}

/// The versions that served each user out of the order in which they became active. `served` is in the order of each
/// user's requests.
pub(super) fn versions<'a>(served: impl Iterator<Item = (&'a str, u64)>, active: &[u64]) -> Vec<String> {
    let mut users: BTreeMap<&str, Vec<u64>> = BTreeMap::new();
    for (user, version) in served {
        users.entry(user).or_default().push(version);
    }
    let strays = users.into_iter().filter_map(|(user, mut versions)| {
        versions.dedup();
        let mut rest = active.iter();
        let in_turn = versions.iter().all(|version| rest.any(|active| active == version));
        (!in_turn).then(|| format!("{user}: {versions:?}"))
    });
    strays.collect()
}

fn told(event: &SeenEvent) -> String {
    format!("{} {} of {}", event.event_type, event.event_id, event.cause)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owed(cause: &str) -> Owed {
        Owed {
            cause: cause.to_owned(),
            event_type: "user.updated",
        }
    }

    fn seen(id: &str, cause: &str, old: Option<&str>, new: &str) -> SeenEvent {
        SeenEvent {
            event_id: id.to_owned(),
            event_type: "user.updated".to_owned(),
            user: "u".to_owned(),
            cause: cause.to_owned(),
            name: Some((old.map(str::to_owned), new.to_owned())),
            at_millis: 100,
            text: String::new(),
        }
    }

    #[test]
    fn what_is_whole_holds() {
        let seen = [seen("1", "a", None, "A"), seen("2", "b", Some("A"), "B")];
        let verdict = check(&[owed("a"), owed("b")], &seen, None);
        assert!(verdict.holds() && verdict.events == 2, "{verdict:?}");
    }

    #[test]
    fn a_user_who_meets_an_older_version_is_found() {
        let served = [("a", 1), ("b", 1), ("a", 2), ("b", 1), ("a", 2), ("a", 1), ("b", 2)];
        assert!(versions(served.into_iter(), &[1, 2, 1]).is_empty());
        assert_eq!(versions(served.into_iter(), &[1, 2]), ["a: [1, 2, 1]"]);
    }

    #[test]
    fn each_fault_is_found() {
        let both = [owed("a"), owed("b")];
        let (first, second) = (seen("1", "a", None, "A"), seen("2", "b", Some("A"), "B"));
        let of = |seen: &[SeenEvent], outage| check(&both, seen, outage);
        let lost = of(std::slice::from_ref(&first), None);
        assert_eq!((lost.lost.len(), lost.doubled.len()), (1, 0));
        let twice = [first.clone(), second.clone(), second.clone()];
        assert_eq!(of(&twice, None).doubled.len(), 1);
        assert_eq!(of(&twice, Some((100, 100))).aborted, 1);
        assert!(of(&twice, Some((100, 100))).holds());
        assert_eq!(of(&twice, Some((101, 102))).doubled.len(), 1);
        let anew = seen("3", "b", Some("B"), "B");
        assert_eq!(of(&[first.clone(), second.clone(), anew], None).doubled.len(), 1);
        assert_eq!(of(&[second, first], None).disordered.len(), 1);
    }
}
