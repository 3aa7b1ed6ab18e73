//! Bytes in a recording: text where they are UTF-8, hexadecimal digits where they are not.

use serde::{Deserialize, Serialize};

/// Bytes of a record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum RecordedBytes {
    /// They are UTF-8.
    Text(String),
    /// They are not.
    Hex {
        /// Two digits a byte.
        hex: String,
    },
}

impl RecordedBytes {
    /// The bytes, to be kept.
    pub fn of(bytes: &[u8]) -> Self {
        match std::str::from_utf8(bytes) {
            Ok(text) => Self::Text(text.to_owned()),
            Err(_) => Self::Hex {
                hex: bytes.iter().map(|byte| format!("{byte:02x}")).collect(),
            },
        }
    }

    /// The original bytes; characters that are not digits are left out.
    pub fn bytes(&self) -> Vec<u8> {
        match self {
            Self::Text(text) => text.as_bytes().to_vec(),
            Self::Hex { hex } => {
                let digits: Vec<u8> = hex
                    .chars()
                    .filter_map(|digit| u8::try_from(digit.to_digit(16)?).ok())
                    .collect();
                let pairs = digits.chunks_exact(2);
                pairs
                    .filter_map(|pair| match pair {
                        [high, low] => Some(high << 4 | low),
                        _ => None,
                    })
                    .collect()
            }
        }
    }

    /// The text, if they are text.
    pub fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Hex { .. } => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn bytes_come_back_as_they_went(bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
            let kept = serde_json::to_string(&RecordedBytes::of(&bytes)).unwrap();
            prop_assert_eq!(serde_json::from_str::<RecordedBytes>(&kept).unwrap().bytes(), bytes);
        }
    }
}
