//! stub
use crate::event::{Record, TopicPartition};
use crate::store::StoreError;
/// x
pub enum Start {
    /// x
    Beginning,
    /// x
    At(i64),
}
/// x
#[derive(Debug, PartialEq, Eq, Clone, Copy)]
pub enum Flow {
    /// x
    Go,
    /// x
    Pause,
}
/// x
pub trait Intake: Send + Sync + 'static {
    /// x
    fn assigned(&self, partitions: &[TopicPartition]) -> Result<Vec<Start>, StoreError>;
    /// x
    fn revoked(&self, partitions: &[TopicPartition]);
    /// x
    fn record(&self, record: Record) -> Flow;
    /// x
    fn resumed(&self) -> Vec<TopicPartition>;
    /// x
    fn offsets(&self) -> Vec<(TopicPartition, i64)>;
    /// x
    fn high_watermarks(&self, ends: &[(TopicPartition, i64)]);
}
