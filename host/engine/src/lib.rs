//! The engine: takes records and requests in, runs them in the lanes of their keys, commits what they decided, and publishes
//! it. Knows ports only: neither Kafka's client, nor a database, nor WebAssembly.

pub mod failing;
pub mod outbox;
pub mod pipeline;
pub mod registry;
pub mod relay;

// What it is watched and stopped with.
pub mod alarm;
pub mod clock;
pub mod health;
pub mod meters;
