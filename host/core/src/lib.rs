//! The pure core of Sandman: an event as it travels, the rules of lanes and progress, what a handler decides, and the ports
//! that the parts around it implement. No I/O, no clock, no async runtime.

// What travels.
pub mod event;
pub mod work;
pub mod outcome;
pub mod unit;

// One run.
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
