//! Doors for the fuzz targets: the bytes of the store's columns, straight to what reads them. Nothing of the host calls them.

use crate::batch;
use sandman_core::event::OutRecord;
use sandman_core::progress::Progress;

/// The records of an outbox batch, as a relay reads them after a restart.
///
/// # Errors
/// What is wrong with the bytes.
pub fn batch(bytes: &[u8]) -> Result<Vec<OutRecord>, String> {
    batch::decode(bytes)
}

/// The bytes of an outbox batch.
///
/// # Errors
/// None in practice.
pub fn batch_bytes(records: &[OutRecord]) -> Result<Vec<u8>, String> {
    batch::encode(records)
}

/// The progress in a partition, as a host reads it when it starts.
///
/// # Errors
/// What is wrong with the bytes.
pub fn progress(bytes: &[u8]) -> Result<Progress, String> {
    batch::decode_progress(bytes)
}

/// The bytes of progress.
///
/// # Errors
/// None in practice.
pub fn progress_bytes(progress: &Progress) -> Result<Vec<u8>, String> {
    batch::encode_progress(progress)
}
