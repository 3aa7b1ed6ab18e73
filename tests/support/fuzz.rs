//! Fuzz targets: what comes from outside, and what must be true of it whatever its bytes are.
//!
//! A target is a function of bytes that panics where a property does not hold. It is called by cargo-fuzz (`just fuzz
//! TARGET`) and, on the stable toolchain, by `cargo test`, which runs the kept corpus and mutations of it.

mod component;
mod configuration;
mod cursor;
mod events;
mod forms;
mod mutate;
mod requests;
mod smoke;
mod store;
mod tokens;

pub use component::component;
pub use configuration::configuration;
pub use events::{dead_letters, envelope, headers};
pub use forms::multipart;
pub use requests::{requests, routes};
pub use smoke::smoke;
pub use store::{outbox, progress};
pub use tokens::tokens;

/// A function of bytes, and how much of it `cargo test` runs.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// Its name: the folder of its corpus, and cargo-fuzz's target.
    pub name: &'static str,
    /// The function.
    pub run: fn(&[u8]),
    /// How many mutations of the corpus `cargo test` runs: seconds at most.
    pub mutations: u32,
}

/// All of them.
pub const TARGETS: &[Target] = &[
    target("envelope", envelope, 4_000),
    target("headers", headers, 4_000),
    target("dead_letters", dead_letters, 300),
    target("progress", progress, 2_000),
    target("outbox", outbox, 4_000),
    target("configuration", configuration, 1_000),
    target("multipart", multipart, 2_000),
    target("routes", routes, 4_000),
    target("tokens", tokens, 2_000),
    target("requests", requests, 4_000),
    target("component", component, 150),
];

const fn target(name: &'static str, run: fn(&[u8]), mutations: u32) -> Target {
    Target { name, run, mutations }
}
