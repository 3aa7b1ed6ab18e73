//! stub
#![allow(
    missing_docs,
    clippy::allow_attributes,
    clippy::allow_attributes_without_reason,
    unused_variables
)]
use crate::store::OutboxSize;
use std::time::Duration;
pub struct HandlerMeters;
impl HandlerMeters {
    pub fn new(_: &str) -> Self {
        Self
    }
    pub fn invoked(&self, d: Duration, k: Option<&'static str>) {}
    pub fn ignored(&self) {}
    pub fn retried(&self) {}
    pub fn dead_letter(&self, t: &str) {}
    pub fn behind(&self, t: &str, n: i64) {}
    pub fn lag(&self, d: Duration) {}
}
pub struct PipelineMeters;
impl PipelineMeters {
    pub fn new() -> Self {
        Self
    }
    pub fn committed(&self, n: usize, d: Duration) {}
    pub fn outbox(&self, o: &OutboxSize) {}
    pub fn lanes(&self, a: usize, b: usize, c: usize) {}
}
pub struct RelayMeters;
impl RelayMeters {
    pub fn new() -> Self {
        Self
    }
    pub fn failed(&self) {}
    pub fn published<'a>(&self, d: Duration, r: impl Iterator<Item = &'a crate::event::OutRecord>) {}
}
