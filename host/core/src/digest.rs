//! The digest by which versions and files are named.

use sha2::{Digest, Sha256};

/// The SHA-256 of these bytes, lower-case hex.
pub fn digest(bytes: &[u8]) -> String {
    format!("{:x}", Sha256::digest(bytes))
}
