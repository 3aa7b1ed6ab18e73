//! The few numbers that we take from the library's statistics.

use std::collections::HashMap;

use serde::Deserialize;

/// What a consumer or producer says of itself every two seconds; everything else in it is skipped.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Statistics {
    #[serde(default)]
    brokers: HashMap<String, Broker>,
    #[serde(default)]
    topics: HashMap<String, Topic>,
}

#[derive(Debug, Deserialize)]
struct Broker {
    state: String,
}

#[derive(Debug, Deserialize)]
struct Topic {
    partitions: HashMap<i32, Partition>,
}

#[derive(Debug, Deserialize)]
struct Partition {
    fetchq_cnt: i64,
    next_offset: i64,
    app_offset: i64,
    hi_offset: i64,
    ls_offset: i64,
}

impl Statistics {
    pub(super) fn parse(json: &[u8]) -> Result<Self, serde_json::Error> {
        serde_json::from_slice(json)
    }

    /// Whether the client has a connection to at least one broker.
    pub(super) fn connected(&self) -> bool {
        self.brokers
            .values()
            .any(|broker| matches!(broker.state.as_str(), "UP" | "UPDATE"))
    }

    /// The end of each partition that is being read: the offset after the last record that is to come.
    pub(super) fn ends(&self) -> impl Iterator<Item = (&str, i32, i64)> {
        self.topics.iter().flat_map(|(topic, all)| {
            let ends = all
                .partitions
                .iter()
                .filter_map(|(number, partition)| Some((*number, partition.end()?)));
            ends.map(|(number, end)| (topic.as_str(), number, end))
        })
    }
}

impl Partition {
    /// A partition ends in the marker of its last transaction, which is no record. Where everything up to the last
    /// stable offset was fetched and handed over, the end is what was handed over; else a lag of one would stay forever.
    fn end(&self) -> Option<i64> {
        if self.hi_offset < 0 {
            return None;
        }
        let caught_up = self.fetchq_cnt == 0 && self.ls_offset >= 0 && self.next_offset >= self.ls_offset;
        Some(if caught_up && self.app_offset >= 0 {
            self.app_offset
        } else {
            self.hi_offset
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ends(fetchq_cnt: i64, next: i64, app: i64) -> Vec<(String, i32, i64)> {
        let json = format!(
            r#"{{"name":"x","brokers":{{"b/1":{{"state":"UP","tx":1}}}},"topics":{{"t":{{"age":1,"partitions":{{
               "0":{{"fetchq_cnt":{fetchq_cnt},"next_offset":{next},"app_offset":{app},"hi_offset":10,"ls_offset":10}},
               "-1":{{"fetchq_cnt":0,"next_offset":0,"app_offset":-1001,"hi_offset":-1001,"ls_offset":-1001}}}}}}}}}}"#
        );
        let statistics = Statistics::parse(json.as_bytes()).unwrap();
        assert!(statistics.connected());
        statistics
            .ends()
            .map(|(topic, number, end)| (topic.to_owned(), number, end))
            .collect()
    }

    #[test]
    fn a_trailing_transaction_marker_is_no_lag() {
        assert_eq!(ends(0, 10, 9), [("t".to_owned(), 0, 9)]);
        assert_eq!(ends(3, 10, 6), [("t".to_owned(), 0, 10)], "records wait in the client");
        assert_eq!(ends(0, 7, 7), [("t".to_owned(), 0, 10)], "records wait on the broker");
    }
}
