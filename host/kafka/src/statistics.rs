//! The few values that we need from the library's statistics.

use std::collections::HashMap;

use serde::Deserialize;

/// A client's statistics, which arrive every two seconds; all other fields are skipped.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Statistics {
    #[serde(default)]
    brokers: HashMap<String, BrokerStatistics>,
}

#[derive(Debug, Deserialize)]
struct BrokerStatistics {
    state: String,
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
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_is_connected_while_one_broker_is_up() {
        let connected = |state: &str| {
            let json = format!(
                r#"{{"name":"x","brokers":{{"b/1":{{"state":"{state}","tx":1}},"b/2":{{"state":"DOWN"}}}},"topics":{{}}}}"#
            );
            Statistics::parse(json.as_bytes()).unwrap().connected()
        };
        assert!(connected("UP") && connected("UPDATE"));
        assert!(!connected("TRY_CONNECT"));
    }
}
