//! The hosts of a deployment, according to their reports in the store.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use sandman_core::store::HostEntry;

/// A host's report about itself, as it is in the store.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct HostReport {
    /// The version of Sandman.
    pub sandman: String,
    /// Where its admin API listens.
    pub admin: String,
    /// Identifies the configuration of its handlers and routes: hosts with equal ones have the same value.
    pub configuration: String,
    /// Its handlers.
    pub handlers: Vec<ServedHandler>,
}

/// A handler on one of the hosts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ServedHandler {
    /// Its name.
    pub name: String,
    /// The version that is active there.
    pub version: u64,
    /// When that version became active, according to the store: milliseconds since 1970.
    pub since_millis: i64,
    /// The version that the host is about to activate: the others load it beforehand.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub changing: Option<u64>,
    /// The version that another host is about to activate and that is loaded there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ready: Option<u64>,
    /// The version that is active elsewhere and does not load there, and why.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unable: Option<UnableVersion>,
    /// The partitions that the host has, as `topic/partition`.
    pub partitions: Vec<String>,
    /// Records in Kafka that the handler still has to handle, according to this host; null if it is not known.
    pub lag: Option<u64>,
}

/// A version that a host cannot serve.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct UnableVersion {
    /// Its number.
    pub version: u64,
    /// When it became active, according to the store.
    pub since_millis: i64,
    /// Why it does not load.
    pub reason: String,
}

/// A host, as `sandman hosts` shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HostLine {
    /// Its name.
    pub name: String,
    /// Whether it counts as running: it was seen in the last 10 seconds.
    pub live: bool,
    /// Whether it is the host that was asked.
    pub asked: bool,
    /// Milliseconds since it was last seen.
    pub silent_millis: u64,
    /// The shards of the outbox that it publishes.
    pub shards: Vec<u16>,
    /// Its report about itself.
    #[serde(flatten)]
    pub report: HostReport,
}

impl HostLine {
    /// A host from the store. The report of a host of another version may have unknown fields.
    pub fn of(entry: HostEntry) -> Self {
        Self {
            name: entry.name.to_string(),
            live: entry.live,
            asked: entry.own,
            silent_millis: entry.silent_millis,
            shards: entry.shards.iter().map(|shard| shard.0).collect(),
            report: serde_json::from_str(&entry.report).unwrap_or_default(),
        }
    }

    /// Its report about a handler.
    pub fn handler(&self, name: &str) -> Option<&ServedHandler> {
        self.report.handlers.iter().find(|handler| handler.name == name)
    }
}

/// The version of a handler that one host serves.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HostVersion {
    /// The host.
    pub host: String,
    /// The version that is active there.
    pub version: u64,
    /// Why the active version is not served there, if it does not load.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// The version of a handler on each running host.
pub fn versions(hosts: &[HostLine], handler: &str) -> Vec<HostVersion> {
    let live = hosts.iter().filter(|host| host.live);
    let served = live.filter_map(|host| Some((host, host.handler(handler)?)));
    let line = |(host, served): (&HostLine, &ServedHandler)| HostVersion {
        host: host.name.clone(),
        version: served.version,
        error: served
            .unable
            .as_ref()
            .filter(|unable| unable.since_millis > served.since_millis)
            .map(|unable| format!("version {} does not load there: {}", unable.version, unable.reason)),
    };
    served.map(line).collect()
}

/// The version of a handler that one of the other hosts is about to activate.
pub(crate) fn is_changing(hosts: &[HostLine], handler: &str) -> Option<u64> {
    let mut others = hosts.iter().filter(|host| host.live && !host.asked);
    others.find_map(|host| host.handler(handler)?.changing)
}

/// Whether every other running host could serve this version of a handler at once, or has reported that it cannot.
pub fn are_ready(hosts: &[HostLine], handler: &str, version: u64) -> bool {
    let is_ready = |served: &ServedHandler| {
        let unable = served.unable.as_ref().map(|unable| unable.version);
        [Some(served.version), served.ready, unable].contains(&Some(version))
    };
    let mut others = hosts.iter().filter(|host| host.live && !host.asked);
    others.all(|host| !host.report.admin.is_empty() && host.handler(handler).is_none_or(is_ready))
}

/// Whether every running host serves the version that was activated at that time, or has reported that it cannot.
pub fn have_followed(hosts: &[HostLine], handler: &str, since_millis: i64) -> bool {
    let has = |served: &ServedHandler| {
        let unable = served.unable.as_ref();
        served.since_millis >= since_millis || unable.is_some_and(|unable| unable.since_millis >= since_millis)
    };
    let mut live = hosts.iter().filter(|host| host.live);
    // A host whose configuration does not name the handler need not switch.
    live.all(|host| !host.report.admin.is_empty() && host.handler(handler).is_none_or(has))
}

/// The names of hosts whose handlers or routes are configured differently from those of the host that was asked.
pub fn configured_otherwise(hosts: &[HostLine]) -> Vec<Arc<str>> {
    let own = hosts
        .iter()
        .find(|host| host.asked)
        .map(|host| &host.report.configuration);
    let others = hosts
        .iter()
        .filter(|host| host.live && !host.report.configuration.is_empty());
    let differ = others.filter(|host| own.is_some_and(|own| host.report.configuration != *own));
    differ.map(|host| host.name.as_str().into()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(name: &str, live: bool, served: ServedHandler) -> HostLine {
        HostLine {
            name: name.to_owned(),
            live,
            asked: name == "a",
            silent_millis: 0,
            shards: Vec::new(),
            report: HostReport {
                admin: "x".to_owned(),
                configuration: served.version.to_string(),
                handlers: vec![served],
                ..HostReport::default()
            },
        }
    }

    fn served(version: u64, since_millis: i64, unable: Option<(u64, i64)>) -> ServedHandler {
        ServedHandler {
            name: "h".to_owned(),
            version,
            since_millis,
            unable: unable.map(|(version, since_millis)| UnableVersion {
                version,
                since_millis,
                reason: "no".to_owned(),
            }),
            ..ServedHandler::default()
        }
    }

    #[test]
    fn a_version_is_switched_to_when_each_other_host_has_loaded_it_or_says_that_it_cannot() {
        let ready = |ready| ServedHandler {
            ready,
            ..served(1, 10, None)
        };
        let of = |other| {
            vec![
                host("a", true, served(1, 10, None)),
                host("b", true, other),
                host("gone", false, ready(None)),
            ]
        };
        assert!(!are_ready(&of(ready(None)), "h", 2) && !are_ready(&of(ready(Some(3))), "h", 2));
        assert!(
            are_ready(&of(ready(Some(2))), "h", 2),
            "the host that asks has it anyway"
        );
        assert!(are_ready(&of(served(1, 10, Some((2, 0)))), "h", 2), "it cannot");
        assert!(are_ready(&of(served(2, 10, None)), "h", 2) && are_ready(&of(ready(None)), "other", 2));
        let mut silent = of(ready(Some(2)));
        silent[1].report.admin.clear();
        assert!(!are_ready(&silent, "h", 2), "it has not said anything yet");
        let changing = |changing| ServedHandler {
            changing,
            ..served(1, 10, None)
        };
        let mut hosts = of(changing(Some(2)));
        assert_eq!(
            (is_changing(&hosts, "h"), is_changing(&hosts, "other")),
            (Some(2), None)
        );
        hosts[1].live = false;
        assert_eq!(
            is_changing(&hosts, "h"),
            None,
            "a host that is gone changes nothing any more"
        );
    }

    #[test]
    fn a_deploy_has_arrived_when_each_live_host_serves_it_or_says_that_it_cannot() {
        let mut hosts = vec![
            host("a", true, served(2, 20, None)),
            host("b", true, served(1, 10, None)),
            host("gone", false, served(1, 10, None)),
        ];
        assert!(!have_followed(&hosts, "h", 20));
        hosts[1] = host("b", true, served(1, 10, Some((2, 20))));
        assert!(have_followed(&hosts, "h", 20) && have_followed(&hosts, "other", 99));
        let told = versions(&hosts, "h");
        assert_eq!((told.len(), told[0].error.as_deref()), (2, None));
        assert_eq!(told[1].error.as_deref(), Some("version 2 does not load there: no"));
        // One that it could not follow once is of no interest when another one serves.
        hosts[1] = host("b", true, served(3, 30, Some((2, 20))));
        assert_eq!(versions(&hosts, "h")[1].error, None);
        assert_eq!(configured_otherwise(&hosts), ["b".into()]);
        hosts[1].report.admin.clear();
        assert!(!have_followed(&hosts, "h", 20), "it has not said anything yet");
    }
}
