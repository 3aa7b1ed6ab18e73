//! The handlers of a consumer. Usually it has one; handlers of the same group share one.

use std::sync::Arc;

/// Most handlers that a name for logs has.
const NAMED: usize = 5;

/// A handler whose topics a consumer reads.
#[derive(Clone, Debug)]
pub struct HandlerTopics {
    /// Its name.
    pub name: Arc<str>,
    /// Its topics, which no other handler of the consumer has.
    pub topics: Vec<Arc<str>>,
    /// Identifies the store, and among several handlers this one, in the metadata of the group's offsets, so that a
    /// store that has lost its progress is detected. At most 200 bytes.
    pub signature: String,
}

/// All handlers of a consumer.
#[derive(Clone, Debug)]
pub(super) struct Served(Arc<[HandlerTopics]>);

impl Served {
    pub(super) fn new(handlers: Vec<HandlerTopics>) -> Self {
        Self(handlers.into())
    }

    pub(super) fn names(&self) -> Vec<Arc<str>> {
        self.0.iter().map(|handler| Arc::clone(&handler.name)).collect()
    }

    pub(super) fn topics(&self) -> Vec<Arc<str>> {
        let topics = self.0.iter().flat_map(|handler| &handler.topics);
        topics.map(Arc::clone).collect()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &HandlerTopics> {
        self.0.iter()
    }

    pub(super) fn of_topic(&self, topic: &str) -> Option<&HandlerTopics> {
        let has = |handler: &&HandlerTopics| handler.topics.iter().any(|known| &**known == topic);
        self.0.iter().find(has)
    }

    /// Whether there are several.
    pub(super) fn is_shared(&self) -> bool {
        self.0.len() > 1
    }

    /// All but one.
    pub(super) fn without(&self, name: &str) -> Self {
        let others = self.0.iter().filter(|handler| &*handler.name != name);
        Self(others.cloned().collect())
    }

    /// Their names, for logs.
    pub(super) fn listed(&self) -> String {
        let named: Vec<&str> = self.0.iter().take(NAMED).map(|handler| &*handler.name).collect();
        match self.0.len().saturating_sub(NAMED) {
            0 => named.join(", "),
            more => format!("{} and {more} others", named.join(", ")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_others_stay_when_one_ends_and_logs_name_a_few() {
        let named = |number: usize| HandlerTopics {
            name: format!("h{number}").into(),
            topics: vec![format!("t{number}").into()],
            signature: String::new(),
        };
        let served = Served::new((0..7).map(named).collect());
        assert_eq!(served.listed(), "h0, h1, h2, h3, h4 and 2 others");
        assert_eq!(&*served.of_topic("t6").unwrap().name, "h6");
        let left = served.without("h6");
        assert!(left.of_topic("t6").is_none());
        assert_eq!(left.topics().len(), 6);
    }
}
