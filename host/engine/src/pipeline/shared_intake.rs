//! The pipeline's side of a consumer that several handlers share: each record goes to the handler whose topic it is.
//!
//! No handler may hold up the others, so the consumer does not wait while one of them is full: its partitions pause at
//! once. A revocation waits once for all of them.

use std::collections::HashMap;
use std::sync::Arc;

use ahash::RandomState;

use sandman_core::broker::{Flow, Intake, IntakeError, NamedTopic, Recreation, Start};
use sandman_core::event::{Record, TopicPartition};
use sandman_core::lanes::HandlerIx;

use super::Pipeline;
use super::intake::Patience;

/// A handler of a shared consumer.
#[derive(Clone, Debug)]
pub struct SharingHandler {
    /// The handler.
    pub handler: HandlerIx,
    /// Its topics, which no other handler of the consumer has.
    pub topics: Vec<Arc<str>>,
    /// What to do with its progress in a topic that was deleted and created again.
    pub recreation: Recreation,
}

/// The pipeline's side of a consumer that several handlers share.
pub struct SharedIntake {
    pipeline: Arc<Pipeline>,
    handlers: Vec<SharingHandler>,
    /// The handler of each topic, as its place in `handlers`.
    by_topic: HashMap<Arc<str>, usize, RandomState>,
    /// The handlers, in order.
    ours: Vec<HandlerIx>,
}

impl SharedIntake {
    /// The intake of these handlers.
    pub fn new(pipeline: Arc<Pipeline>, handlers: Vec<SharingHandler>) -> Self {
        let mut by_topic = HashMap::default();
        for (at, handler) in handlers.iter().enumerate() {
            by_topic.extend(handler.topics.iter().map(|topic| (Arc::clone(topic), at)));
        }
        let mut ours: Vec<_> = handlers.iter().map(|handler| handler.handler).collect();
        ours.sort_unstable();
        Self {
            pipeline,
            handlers,
            by_topic,
            ours,
        }
    }

    fn of_topic(&self, topic: &str) -> Option<&SharingHandler> {
        self.handlers.get(*self.by_topic.get(topic)?)
    }

    fn handler_of(&self, topic: &str) -> Option<HandlerIx> {
        self.of_topic(topic).map(|handler| handler.handler)
    }

    /// The partitions of each handler that has any of these.
    fn divided(&self, partitions: &[TopicPartition]) -> Vec<(HandlerIx, Vec<TopicPartition>)> {
        let of = |handler: &SharingHandler| {
            let own = partitions
                .iter()
                .filter(|name| self.handler_of(&name.topic) == Some(handler.handler));
            (handler.handler, own.cloned().collect::<Vec<_>>())
        };
        let divided = self.handlers.iter().map(of);
        divided.filter(|(_, names)| !names.is_empty()).collect()
    }
}

impl Intake for SharedIntake {
    fn assigned(&self, partitions: &[TopicPartition], topics: &[NamedTopic]) -> Result<Vec<Start>, IntakeError> {
        for (topic, id) in topics {
            if let (Some(handler), Some(id)) = (self.of_topic(topic), id) {
                self.pipeline
                    .identify(handler.handler, (topic, id), handler.recreation)?;
            }
        }
        let mut starts = HashMap::new();
        for (handler, names) in self.divided(partitions) {
            let given = self.pipeline.assigned(handler, &names)?;
            starts.extend(names.into_iter().zip(given));
        }
        Ok(partitions.iter().filter_map(|name| starts.get(name).copied()).collect())
    }

    fn revoked(&self, partitions: &[TopicPartition]) {
        self.pipeline.revoked(&self.divided(partitions));
    }

    fn record(&self, record: Record) -> Flow {
        match self.handler_of(&record.source.topic) {
            Some(handler) => self.pipeline.accept(handler, record, Patience::OnlyWithHost),
            None => Flow::Go,
        }
    }

    fn caught_up(&self) {
        self.pipeline.state.lock().scheduler.wake();
    }

    fn resumed(&self) -> Vec<TopicPartition> {
        let handlers = self.handlers.iter();
        handlers
            .flat_map(|handler| self.pipeline.resumed(handler.handler))
            .collect()
    }

    fn fenced(&self) -> Vec<TopicPartition> {
        self.pipeline.state.lock().admission.fenced(&self.ours)
    }

    fn offsets(&self) -> Vec<(TopicPartition, i64)> {
        self.pipeline.state.lock().admission.told(&self.ours)
    }

    fn read_to(&self, positions: &[(TopicPartition, i64)]) {
        let mut state = self.pipeline.state.lock();
        for position in positions {
            if let Some(handler) = self.handler_of(&position.0.topic) {
                state.admission.read_up_to(handler, std::slice::from_ref(position));
            }
        }
    }
}
