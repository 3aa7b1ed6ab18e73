//! The sandbox with real guests: what a good one gets, and what a hostile one cannot do.

mod bounds;
mod build;
mod invoke;
mod load;
mod secrets;
mod support;
