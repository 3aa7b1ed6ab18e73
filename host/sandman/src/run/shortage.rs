//! A handler that has not all partitions of its topics: who has them, and whether the group is to be joined again. Pure.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use sandman_core::event::TopicPartition;
use sandman_kafka::GroupMember;

/// How long partitions may be missing before the group is asked who has them: a rebalance takes less, mostly.
const SETTLED: Duration = Duration::from_secs(2);
/// How long a partition may be nobody's before the group is joined again. The client library sees partitions that are added
/// within half a minute and then does so by itself.
const NOBODYS: Duration = Duration::from_secs(40);
/// The same for a topic of which no partition is assigned to anybody, as after a start with other topics.
const TOPIC_NOBODYS: Duration = Duration::from_secs(4);

/// Partitions that a handler of this host lacks, all at once.
#[derive(Debug)]
pub(super) struct Shortage {
    missing: BTreeSet<TopicPartition>,
    since: Instant,
    others: Vec<GroupMember>,
    joined: bool,
}

impl Shortage {
    pub(super) fn of(missing: &BTreeSet<TopicPartition>, now: Instant) -> Self {
        Self {
            missing: missing.clone(),
            since: now,
            others: Vec::new(),
            joined: false,
        }
    }

    /// Says whether the group is to be asked, now that these are missing.
    pub(super) fn is_to_be_asked(&mut self, missing: &BTreeSet<TopicPartition>, now: Instant) -> bool {
        if self.missing != *missing {
            *self = Self::of(missing, now);
        }
        now.saturating_duration_since(self.since) >= SETTLED
    }

    /// Takes in who is in the group, `ours` among them by the beginning of its id, of which this host has `assigned`. Says,
    /// once, whether the group is to be joined again for partitions that nobody has: a member that comes again under its
    /// name is given what it had, and not what has come since.
    pub(super) fn is_to_join_again(
        &mut self,
        members: Vec<GroupMember>,
        ours: &str,
        assigned: &BTreeSet<TopicPartition>,
        now: Instant,
    ) -> bool {
        let given = members.iter().flat_map(|member| &member.partitions);
        let taken: BTreeSet<TopicPartition> = assigned.iter().chain(given).cloned().collect();
        self.others = members;
        self.others.retain(|member| !member.id.starts_with(ours));
        let mut nobodys = self.missing.difference(&taken).peekable();
        if self.joined || nobodys.peek().is_none() {
            return false;
        }
        let is_shared = |nobodys: &TopicPartition| taken.iter().any(|taken| taken.topic == nobodys.topic);
        let patience = if nobodys.all(is_shared) { NOBODYS } else { TOPIC_NOBODYS };
        self.joined = now.saturating_duration_since(self.since) > patience;
        self.joined
    }

    /// The clients that are in the group as well.
    pub(super) fn others(&self) -> Vec<&str> {
        self.others.iter().map(|member| member.client.as_str()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn partitions(names: &[(&str, i32)]) -> BTreeSet<TopicPartition> {
        let named = |(topic, partition): &(&str, i32)| TopicPartition {
            topic: (*topic).into(),
            partition: *partition,
        };
        names.iter().map(named).collect()
    }

    fn member(id: &str, has: &[(&str, i32)]) -> GroupMember {
        GroupMember {
            id: format!("{id}-1234"),
            client: format!("client of {id}"),
            partitions: partitions(has).into_iter().collect(),
        }
    }

    #[test]
    fn what_others_have_is_theirs_and_they_are_named() {
        let start = Instant::now();
        let missing = partitions(&[("a", 1), ("a", 2)]);
        let mut shortage = Shortage::of(&missing, start);
        assert!(!shortage.is_to_be_asked(&missing, start));
        let later = start + Duration::from_secs(600);
        assert!(shortage.is_to_be_asked(&missing, later));
        let members = vec![member("ours", &[("a", 0)]), member("stranger", &[("a", 1), ("a", 2)])];
        assert!(!shortage.is_to_join_again(members, "ours-", &partitions(&[("a", 0)]), later));
        assert_eq!(shortage.others(), ["client of stranger"]);
        assert!(
            !shortage.is_to_be_asked(&partitions(&[("a", 2)]), later),
            "others are missing now"
        );
        assert!(shortage.others().is_empty());
    }

    #[test]
    fn the_group_is_joined_again_once_for_what_nobody_has() {
        let start = Instant::now();
        let missing = partitions(&[("a", 1)]);
        let joins = |missing: &BTreeSet<TopicPartition>, seconds: u64| {
            let mut shortage = Shortage::of(missing, start);
            let members = || vec![member("ours", &[("a", 0)])];
            let (has, at) = (partitions(&[("a", 0)]), start + Duration::from_secs(seconds));
            let first = shortage.is_to_join_again(members(), "ours-", &has, at);
            let again = shortage.is_to_join_again(members(), "ours-", &has, at);
            assert!(!again || !first, "twice");
            first
        };
        assert!(!joins(&missing, 30), "the client library finds it by itself");
        assert!(joins(&missing, 41));
        assert!(
            joins(&partitions(&[("a", 1), ("b", 0)]), 5),
            "a topic of which nobody has any"
        );
        assert!(!joins(&partitions(&[("b", 0)]), 3));
    }
}
