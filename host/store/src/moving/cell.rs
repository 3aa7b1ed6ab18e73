//! One value of a row, in a form that is independent of the store.

use sha2::{Digest, Sha256};

use super::tables::ColumnKind;

/// A value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum MovedValue {
    Null,
    Number(i64),
    Text(String),
    Bytes(Vec<u8>),
}

/// A row as 128 bits of its hash.
pub(super) fn hash(row: &[MovedValue]) -> u128 {
    let mut hash = Sha256::new();
    for cell in row {
        let (kind, bytes): (u8, &[u8]) = match cell {
            MovedValue::Null => (0, &[]),
            MovedValue::Number(number) => {
                hash.update([1]);
                hash.update(number.to_le_bytes());
                continue;
            }
            MovedValue::Text(text) => (2, text.as_bytes()),
            MovedValue::Bytes(bytes) => (3, bytes),
        };
        hash.update([kind]);
        hash.update((bytes.len() as u64).to_le_bytes());
        hash.update(bytes);
    }
    let hash: [u8; 32] = hash.finalize().into();
    hash.first_chunk().map_or(0, |first| u128::from_le_bytes(*first))
}

impl MovedValue {
    /// About how many bytes it takes.
    pub(crate) fn size(&self) -> usize {
        match self {
            Self::Null | Self::Number(_) => 8,
            Self::Text(text) => text.len(),
            Self::Bytes(bytes) => bytes.len(),
        }
    }

    /// The number, if it is one.
    pub(crate) fn number(&self) -> Option<i64> {
        match self {
            Self::Number(number) => Some(*number),
            _ => None,
        }
    }

    /// Text without characters that a store cannot hold.
    pub(crate) fn text(kind: ColumnKind, text: &str) -> Self {
        match kind {
            ColumnKind::Text => Self::Text(text.replace('\0', " ")),
            _ => Self::Text(text.to_owned()),
        }
    }
}
