//! Which Kafka this machine can offer, and what to do about it.

use std::fmt;

use anyhow::bail;

use super::maven::{self, Jars};
use crate::Result;
use crate::node::Node;

/// What to do where no real Kafka can be had.
const REMEDY: &str = "install Java 17 and Maven (Debian: apt-get install openjdk-17-jre-headless maven), or name a broker \
                      in KAFKA_BROKERS";

/// The same for Node.
const NODE_REMEDY: &str = "install Node 18 or later and npm (Debian: apt-get install nodejs npm)";

/// Where Kafka comes from in this run, and what else it has.
pub(crate) struct Means {
    pub(crate) shared: Shared,
    /// The jars for brokers that a behaviour may stop, or why there are none.
    pub(crate) own: Result<Jars, String>,
    /// Node with the packages of `tests/node`, or why there is none.
    pub(crate) node: Result<Node, String>,
}

pub(crate) enum Shared {
    /// The one in `KAFKA_BROKERS`.
    Given(String),
    /// One that we start.
    Apache(Jars),
    /// The in-process one, and why.
    InProcess(String),
}

impl fmt::Display for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Given(brokers) => write!(f, "Kafka at {brokers}, from KAFKA_BROKERS"),
            Self::Apache(_) => f.write_str("Apache Kafka of our own"),
            Self::InProcess(why) => write!(f, "in-process ({why})"),
        }
    }
}

impl Means {
    /// For a run that needs no broker.
    pub(crate) fn none() -> Self {
        Self::without("this run needs none".to_owned())
    }

    /// Looks at the environment and at what is installed.
    ///
    /// `SANDMAN_TEST_BROKER=kafka` insists on a real Kafka, and, where Node is needed, on Node; `embedded` on the in-process
    /// broker.
    pub(crate) fn find(needs_node: bool) -> Result<Self> {
        let wish = std::env::var("SANDMAN_TEST_BROKER").unwrap_or_default();
        let insists = match wish.as_str() {
            "kafka" => true,
            "" => false,
            "embedded" => return Ok(Self::without("SANDMAN_TEST_BROKER asks for it".to_owned())),
            other => bail!("SANDMAN_TEST_BROKER is {other:?}; it can be `kafka`, `embedded` or left out"),
        };
        let given = std::env::var("KAFKA_BROKERS")
            .ok()
            .filter(|brokers| !brokers.is_empty());
        let own = maven::jars().map_err(|error| format!("{error:#}"));
        let shared = match (given, &own) {
            (Some(brokers), _) => Shared::Given(brokers),
            (None, Ok(jars)) => Shared::Apache(jars.clone()),
            (None, Err(why)) => Shared::InProcess(why.clone()),
        };
        let node = if needs_node {
            Node::find().map_err(|error| format!("{error:#}"))
        } else {
            Err("this run needs none".to_owned())
        };
        match (&own, &node) {
            (Err(why), _) if insists => bail!("a real Kafka is asked for and cannot be had: {why}\n{REMEDY}"),
            (_, Err(why)) if insists && needs_node => {
                bail!("clients in Node are asked for and cannot be had: {why}\n{NODE_REMEDY}")
            }
            _ => Ok(Self { shared, own, node }),
        }
    }

    fn without(why: String) -> Self {
        Self {
            shared: Shared::InProcess(why.clone()),
            own: Err(why.clone()),
            node: Err(why),
        }
    }

    /// What to say at the end where `ignored` behaviours were not proven.
    pub(crate) fn remedy(&self, ignored: u64) -> Option<String> {
        let (want, why, remedy) = match (&self.shared, &self.own, &self.node) {
            (_, Err(why), _) | (Shared::InProcess(why), ..) => ("a real Kafka", why, REMEDY),
            (_, _, Err(why)) => ("Node", why, NODE_REMEDY),
            _ => return None,
        };
        let noun = if ignored == 1 {
            "behaviour was"
        } else {
            "behaviours were"
        };
        (ignored > 0).then(|| format!("{ignored} {noun} not proven, for want of {want} ({why}): {remedy}"))
    }
}
