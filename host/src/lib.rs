//! Sandman: a host for WebAssembly event handlers on Kafka.
//!
//! A handler is a pure function `(trigger, state, context) -> outcome`; the host alone touches the world. The modules
//! stand in the order of the way of one event; `ARCHITECTURE.md` is their map.

// The way of one event.
pub mod kafka;
pub mod event;
pub mod work;
pub mod lanes;
pub mod registry;
pub mod sandbox;
pub mod contract;
pub mod outcome;
pub mod unit;
pub mod progress;
pub mod store;
pub mod broker;
pub mod relay;

// What drives it.
pub mod pipeline;
pub mod run;
pub mod load;
pub mod deploy;
pub mod control;

// What it is made with.
pub mod alarm;
pub mod clock;
pub mod faults;
pub mod config;
pub mod limits;
pub mod meters;
pub mod health;
pub mod http;
pub mod uploads;
pub mod telemetry;
pub mod build_guest;
pub mod new_guest;
pub mod invoke;
pub mod import;
pub mod demo;
pub mod cli;
