//! The members of a consumer group and their partitions.

use std::sync::Arc;

use rdkafka::groups::GroupInfo;

use sandman_core::event::TopicPartition;

/// The state of a group whose members all know their partitions.
const STABLE: &str = "Stable";
/// The state that requests of the older protocol get for a group with members of the newer one
/// (`group.protocol=consumer`), whose members are not visible.
const UNSEEN: &str = "Dead";

/// A member of a consumer group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupMember {
    /// Its id, which begins with its static name, if it has one.
    pub id: String,
    /// The client's name and address: "`rdkafka` at /10.0.0.1".
    pub client: String,
    /// Its partitions.
    pub partitions: Vec<TopicPartition>,
}

/// The members of a stable group; empty for a group whose members are not visible.
pub(super) fn members(group: &GroupInfo) -> Option<Vec<GroupMember>> {
    let member = |member: &rdkafka::groups::GroupMemberInfo| GroupMember {
        id: member.id().to_owned(),
        client: format!("`{}` at {}", member.client_id(), member.client_host()),
        partitions: member.assignment().and_then(assignment).unwrap_or_default(),
    };
    [STABLE, UNSEEN]
        .contains(&group.state())
        .then(|| group.members().iter().map(member).collect())
}

/// [ConsumerProtocolAssignment](https://kafka.apache.org/protocol.html): a version, then topics with their partitions.
fn assignment(mut bytes: &[u8]) -> Option<Vec<TopicPartition>> {
    let bytes = &mut bytes;
    let _version = take(bytes).map(i16::from_be_bytes)?;
    let mut partitions = Vec::new();
    for _ in 0..take(bytes).map(i32::from_be_bytes)? {
        let length = usize::try_from(take(bytes).map(i16::from_be_bytes)?).ok()?;
        let (name, rest) = bytes.split_at_checked(length)?;
        *bytes = rest;
        let topic: Arc<str> = std::str::from_utf8(name).ok()?.into();
        for _ in 0..take(bytes).map(i32::from_be_bytes)? {
            partitions.push(TopicPartition {
                topic: Arc::clone(&topic),
                partition: take(bytes).map(i32::from_be_bytes)?,
            });
        }
    }
    Some(partitions)
}

fn take<const N: usize>(bytes: &mut &[u8]) -> Option<[u8; N]> {
    let (taken, rest) = bytes.split_first_chunk()?;
    *bytes = rest;
    Some(*taken)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_assignment_is_read_as_it_is_written_and_a_torn_one_is_none() {
        let mut bytes = vec![0, 1, 0, 0, 0, 2];
        for (topic, partitions) in [("a", &[0, 7][..]), ("b.c", &[3])] {
            bytes.extend(i16::try_from(topic.len()).unwrap().to_be_bytes());
            bytes.extend(topic.as_bytes());
            bytes.extend(i32::try_from(partitions.len()).unwrap().to_be_bytes());
            bytes.extend(partitions.iter().flat_map(|partition: &i32| partition.to_be_bytes()));
        }
        let whole = bytes.len();
        // No user data.
        bytes.extend((-1_i32).to_be_bytes());
        let read = assignment(&bytes).unwrap();
        let read: Vec<_> = read.iter().map(ToString::to_string).collect();
        assert_eq!(read, ["a[0]", "a[7]", "b.c[3]"]);
        for length in 0..whole {
            assert_eq!(assignment(&bytes[..length]), None, "{length} of {whole} bytes");
        }
        assert_eq!(assignment(&[0, 1, 0xff, 0xff, 0xff, 0xff]), Some(Vec::new()));
    }
}
