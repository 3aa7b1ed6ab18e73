//! Sandman: a host for WebAssembly event handlers on Kafka.
//!
//! A handler is a pure function `(trigger, state, context) -> outcome`; the host alone touches the world. The modules
//! stand in the order of the way of one event; `ARCHITECTURE.md` is their map.

pub mod cli;
pub mod config;
pub mod contract;
pub mod event;
pub mod health;
pub mod http;
pub mod limits;
pub mod meters;
pub mod outcome;
pub mod progress;
pub mod store;
pub mod telemetry;
