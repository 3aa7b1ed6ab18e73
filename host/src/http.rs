//! HTTP: the listeners, and nothing that decides. Only this folder names the web framework.

mod admin;
mod answer;
mod guard;
mod health;
mod serve;
#[cfg(test)]
mod tests;

pub use admin::AdminServer;
pub use serve::{Bounds, ListenError};
