//! The ports between the engine and Kafka: what a consumer hands in, and what the relay asks for.
//!
//! The Kafka crate implements [`Broker`] and [`Publisher`] and calls [`Intake`]; the engine the other way round. Neither
//! knows the other.

mod consume;
mod publish;

pub use consume::{Extent, Flow, Intake, IntakeError, NamedTopic, Recreated, Recreation, Start};
pub use publish::{Broker, Cursor, CursorError, PublishError, Published, Publisher, TopicSpec, TopicsError};
