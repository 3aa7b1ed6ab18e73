//! Missing partitions of a handler's topics: who has them, and whether to rejoin the group. Pure.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use sandman_core::event::TopicPartition;
use sandman_kafka::GroupMember;

/// How long partitions may be missing before the group is asked who has them: a rebalance usually takes less.
const SETTLED: Duration = Duration::from_secs(2);
/// How long a partition may be unassigned before the consumer rejoins the group. The client library notices added
/// partitions within half a minute and then rejoins on its own.
const NOBODYS: Duration = Duration::from_secs(40);
/// The same for a topic without any assigned partition, for example after a start with other topics.
const TOPIC_NOBODYS: Duration = Duration::from_secs(4);
/// How long a partition may be unassigned before it is reported: longer than rejoining takes.
const LACKING: Duration = Duration::from_secs(60);

/// The missing partitions of a handler of this host.
#[derive(Debug)]
pub(super) struct Shortage {
    missing: BTreeSet<TopicPartition>,
    since: Instant,
    others: Vec<GroupMember>,
    /// The missing ones that no member has.
    nobodys: BTreeSet<TopicPartition>,
    joined: bool,
    /// Whether the group has been asked.
    asked: bool,
}

impl Shortage {
    pub(super) fn of(missing: &BTreeSet<TopicPartition>, now: Instant) -> Self {
        Self {
            missing: missing.clone(),
            since: now,
            others: Vec::new(),
            nobodys: BTreeSet::new(),
            joined: false,
            asked: false,
        }
    }

    /// Returns whether to ask the group, now that these are missing.
    pub(super) fn is_to_be_asked(&mut self, missing: &BTreeSet<TopicPartition>, now: Instant) -> bool {
        if self.missing != *missing {
            *self = Self::of(missing, now);
        }
        now.saturating_duration_since(self.since) >= SETTLED
    }

    /// Updates the members of the group, among which `ours` is the prefix of this host's ids, and this host has
    /// `assigned`. Returns, once, whether to rejoin the group because of unassigned partitions: a returning static
    /// member gets its old partitions, and not new ones.
    pub(super) fn is_to_join_again(
        &mut self,
        members: Vec<GroupMember>,
        ours: &str,
        assigned: &BTreeSet<TopicPartition>,
        now: Instant,
    ) -> bool {
        let given = members.iter().flat_map(|member| &member.partitions);
        let taken: BTreeSet<TopicPartition> = assigned.iter().chain(given).cloned().collect();
        self.asked = true;
        self.others = members;
        self.others.retain(|member| !member.id.starts_with(ours));
        self.nobodys = self.missing.difference(&taken).cloned().collect();
        if self.joined || self.nobodys.is_empty() {
            return false;
        }
        let is_shared = |nobodys: &TopicPartition| taken.iter().any(|taken| taken.topic == nobodys.topic);
        let patience = match self.nobodys.iter().all(is_shared) {
            true => NOBODYS,
            false => TOPIC_NOBODYS,
        };
        self.joined = now.saturating_duration_since(self.since) > patience;
        self.joined
    }

    /// Whether other hosts of the deployment have everything that is missing here, as a group may divide partitions among
    /// several hosts.
    pub(super) fn is_covered(&self) -> bool {
        self.asked && self.others.is_empty() && self.nobodys.is_empty()
    }

    /// The other clients in the group.
    pub(super) fn others(&self) -> Vec<&str> {
        self.others.iter().map(|member| member.client.as_str()).collect()
    }

    /// Describes partitions that other clients outside of this deployment have, and those that have long been unassigned.
    pub(super) fn lack(&self, now: Instant) -> Option<String> {
        let mut lack = Vec::new();
        for member in &self.others {
            let theirs = member.partitions.iter();
            let theirs: Vec<_> = theirs.filter(|partition| self.missing.contains(partition)).collect();
            if !theirs.is_empty() {
                lack.push(format!("{} has {}", member.client, listed(theirs)));
            }
        }
        if !self.nobodys.is_empty() && now.saturating_duration_since(self.since) >= LACKING {
            lack.push(format!("nobody has {}", listed(&self.nobodys)));
        }
        (!lack.is_empty()).then(|| lack.join("; "))
    }
}

fn listed<'a>(partitions: impl IntoIterator<Item = &'a TopicPartition>) -> String {
    let names: Vec<_> = partitions.into_iter().map(ToString::to_string).collect();
    names.join(", ")
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
        assert!(!shortage.is_covered());
        assert_eq!(
            shortage.lack(later).as_deref(),
            Some("client of stranger has a[1], a[2]")
        );
        let of_us = vec![
            member("ours", &[("a", 0)]),
            member("ours-elsewhere", &[("a", 1), ("a", 2)]),
        ];
        assert!(!shortage.is_to_join_again(of_us, "ours-", &partitions(&[("a", 0)]), later));
        assert_eq!(shortage.lack(later), None, "another host of the deployment has them");
        assert!(shortage.is_covered());
        assert!(
            !shortage.is_to_be_asked(&partitions(&[("a", 2)]), later),
            "others are missing now"
        );
        assert!(shortage.others().is_empty());
    }

    #[test]
    fn what_nobody_has_is_lacking_once_it_should_have_been_joined_for() {
        let start = Instant::now();
        let missing = partitions(&[("a", 1), ("a", 2)]);
        let mut shortage = Shortage::of(&missing, start);
        let members = vec![member("ours", &[("a", 0), ("a", 2)])];
        shortage.is_to_join_again(members, "ours-", &partitions(&[("a", 0)]), start);
        assert_eq!(shortage.lack(start + Duration::from_secs(59)), None);
        let lack = shortage.lack(start + LACKING);
        assert_eq!(lack.as_deref(), Some("nobody has a[1]"));
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
