//! The pure core of Sandman: events, the rules of lanes and progress, attempts and their outcomes, and the ports that
//! the other crates implement. No I/O, no clock, no async runtime.

// Events.
pub mod event;
pub mod work;
pub mod outcome;
pub mod unit;

// One run of a handler.
pub mod attempt;
pub mod reason;
pub mod version;
pub mod recording;
pub mod comparison;

// The rules.
pub mod contract;
pub mod schema;
pub mod lanes;
pub mod limits;
pub mod progress;
pub mod recent;
pub mod files;

// The ports.
pub mod broker;
pub mod store;

mod digest;
pub mod printable;
pub mod faults;
pub mod json;

pub use digest::digest;
