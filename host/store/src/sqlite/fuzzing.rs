//! Entry points for the fuzz targets: they pass bytes of the store's columns to the decoders. The host does not call them.

use crate::batch;
use sandman_core::event::OutRecord;
use sandman_core::progress::Progress;

/// The records of an outbox batch, as the relay decodes them after a restart.
///
/// # Errors
/// The problem with the bytes.
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
/// The problem with the bytes.
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
