//! The ports between the engine and Kafka: what a consumer hands in, and what the relay asks for.
//!
//! The Kafka crate implements [`Broker`] and [`Publisher`] and calls [`Intake`]; the engine implements [`Intake`] and
//! calls the other two. Neither depends on the other.

mod consume;
mod publish;

pub use consume::{Extent, Flow, Intake, IntakeError, NamedTopic, Recreated, Recreation, Start};
pub use publish::{Broker, Cursor, CursorError, PublishError, Published, Publisher, TopicSpec, TopicsError};
