//! The `sandman` command: builds a host from the configuration and runs it; also the tools.

pub mod cli;
pub mod run;

// The tools.
pub mod build_guest;
pub mod demo;
pub mod guest;
pub mod import;
pub mod invoke;
pub mod new_guest;
pub mod telemetry;
