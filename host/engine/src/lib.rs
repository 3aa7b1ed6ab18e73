//! The engine: accepts records and requests, runs them in the lanes of their keys, commits their outcomes, and
//! publishes the events. It uses ports only: neither Kafka's client, nor a database, nor WebAssembly.

pub mod failing;
pub mod outbox;
pub mod pipeline;
pub mod registry;
pub mod relay;

// Monitoring and stopping.
pub mod alarm;
pub mod clock;
pub mod health;
pub mod meters;
