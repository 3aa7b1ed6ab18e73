//! How outbox batches and progress are encoded in a store: one byte for the format, then postcard.

use serde::de::{Error as _, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use sandman_core::event::{Headers, OutRecord};
use sandman_core::progress::Progress;

/// The format of progress, and of batches until records had a timestamp.
const FORMAT: u8 = 2;
/// The format of batches.
const TIMED: u8 = 3;

/// Encodes records as the bytes of a batch, replacing the content of `buffer`, so that megabytes need not be allocated
/// for each batch.
pub(crate) fn encode_into(buffer: &mut Vec<u8>, records: &[OutRecord]) -> Result<(), String> {
    let mut bytes = std::mem::take(buffer);
    bytes.clear();
    bytes.reserve(records.iter().map(|record| 64 + weight(record)).sum());
    bytes.push(TIMED);
    // As a writer, because an iterator would extend the buffer byte by byte.
    *buffer = postcard::to_io(&Records(records), bytes).map_err(|error| error.to_string())?;
    Ok(())
}

/// Encodes records as the bytes of a batch.
pub(crate) fn encode(records: &[OutRecord]) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    encode_into(&mut bytes, records)?;
    Ok(bytes)
}

/// About how many bytes a record takes.
fn weight(record: &OutRecord) -> usize {
    let length = |field: &Option<Vec<u8>>| field.as_ref().map_or(0, Vec::len);
    record.topic.len() + length(&record.key) + length(&record.value) + record.headers.size()
}

/// Decodes the records of a batch.
pub(crate) fn decode(bytes: &[u8]) -> Result<Vec<OutRecord>, String> {
    let records: Vec<(RecordParts<'_>, Option<i64>)> = match bytes.first() {
        Some(&TIMED) => whole((bytes, TIMED))?,
        _ => {
            let records: Vec<RecordParts<'_>> = whole((bytes, FORMAT))?;
            records.into_iter().map(|parts| (parts, None)).collect()
        }
    };
    let mut topic: std::sync::Arc<str> = "".into();
    records
        .into_iter()
        .map(|(parts, timestamp_millis)| {
            // Consecutive records usually go to the same few topics: share the name with the previous record.
            if *topic != *parts.topic {
                topic = parts.topic.into();
            }
            Ok(OutRecord {
                topic: std::sync::Arc::clone(&topic),
                key: parts.key.map(Bytes::owned),
                value: parts.value.map(Bytes::owned),
                headers: Headers::from_bytes(parts.headers.0).ok_or("its headers are invalid")?,
                timestamp_millis,
            })
        })
        .collect()
}

/// Progress as bytes.
pub(crate) fn encode_progress(progress: &Progress) -> Result<Vec<u8>, String> {
    postcard::to_extend(progress, vec![FORMAT]).map_err(|error| error.to_string())
}

/// Decodes progress. Invalid progress is refused, because it could mark offsets as done that nobody has handled.
pub(crate) fn decode_progress(bytes: &[u8]) -> Result<Progress, String> {
    let progress: Progress = whole((bytes, FORMAT))?;
    let sound = progress.is_sound().then_some(progress);
    sound.ok_or_else(|| "its spans overlap, or are below the next offset".to_owned())
}

/// Decodes a value that takes all of the bytes.
fn whole<'a, T: Deserialize<'a>>((bytes, format): (&'a [u8], u8)) -> Result<T, String> {
    let (value, rest) = postcard::take_from_bytes(body(bytes, format)?).map_err(|error| error.to_string())?;
    match rest.len() {
        0 => Ok(value),
        more => Err(format!("{more} bytes follow its end")),
    }
}

fn body(bytes: &[u8], known: u8) -> Result<&[u8], String> {
    match bytes.split_first() {
        Some((format, body)) if *format == known => Ok(body),
        Some((format, _)) => Err(format!("it has format {format}, which this Sandman does not know")),
        None => Err("it is empty".to_owned()),
    }
}

/// Bytes that are encoded in one piece; serde would encode a `Vec<u8>` byte by byte.
struct Bytes<'a>(&'a [u8]);

impl Bytes<'_> {
    fn owned(self) -> Vec<u8> {
        self.0.to_vec()
    }
}

impl Serialize for Bytes<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(self.0)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Bytes<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Borrow;
        impl<'de> Visitor<'de> for Borrow {
            type Value = Bytes<'de>;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("bytes")
            }
            fn visit_borrowed_bytes<E>(self, bytes: &'de [u8]) -> Result<Self::Value, E> {
                Ok(Bytes(bytes))
            }
            fn visit_bytes<E: serde::de::Error>(self, _: &[u8]) -> Result<Self::Value, E> {
                Err(E::custom("bytes that can be borrowed"))
            }
        }
        deserializer.deserialize_bytes(Borrow).map_err(D::Error::custom)
    }
}

struct Records<'a>(&'a [OutRecord]);

impl Serialize for Records<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter().map(|record| {
            let whole = RecordWhole {
                topic: &record.topic,
                key: record.key.as_deref().map(Bytes),
                value: record.value.as_deref().map(Bytes),
                headers: Bytes(record.headers.as_bytes()),
            };
            (whole, record.timestamp_millis)
        }))
    }
}

#[derive(Serialize)]
struct RecordWhole<'a> {
    topic: &'a str,
    key: Option<Bytes<'a>>,
    value: Option<Bytes<'a>>,
    headers: Bytes<'a>,
}

/// A record as it is stored, field by field as in [`RecordWhole`].
#[derive(Deserialize)]
struct RecordParts<'a> {
    topic: &'a str,
    #[serde(borrow)]
    key: Option<Bytes<'a>>,
    #[serde(borrow)]
    value: Option<Bytes<'a>>,
    #[serde(borrow)]
    headers: Bytes<'a>,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use sandman_core::event::Header;
    use sandman_core::progress::Span;

    fn bytes() -> impl Strategy<Value = Option<Vec<u8>>> {
        proptest::option::of(proptest::collection::vec(any::<u8>(), 0..300))
    }

    proptest! {
        #[test]
        fn records_come_back_as_they_went(
            records in proptest::collection::vec(
                ("[a-z.]{0,20}", bytes(), bytes(), proptest::collection::vec((".{0,8}", bytes()), 0..4), any::<Option<i64>>()),
                0..8,
            )
        ) {
            let records: Vec<OutRecord> = records
                .into_iter()
                .map(|(topic, key, value, headers, timestamp_millis)| OutRecord {
                    topic: topic.into(),
                    key,
                    value,
                    headers: headers.iter().map(|(name, value)| Header { name, value: value.as_deref() }).collect(),
                    timestamp_millis,
                })
                .collect();
            prop_assert_eq!(decode(&encode(&records).unwrap()).unwrap(), records);
        }

        #[test]
        fn progress_comes_back_as_it_went(next in 0i64.., ends in proptest::collection::vec(0i64..1 << 40, 0..20)) {
            let mut progress = Progress::starting_at(next);
            for end in ends {
                progress.complete(Span { start: end, end: end + 1 });
            }
            prop_assert_eq!(decode_progress(&encode_progress(&progress).unwrap()).unwrap(), progress);
        }
    }

    #[test]
    fn batches_from_before_records_had_a_timestamp_are_read() {
        let records = [("t", Some(&b"key"[..]), None::<&[u8]>, &[][..])];
        let old = postcard::to_extend(
            &records.map(|(topic, key, value, headers)| RecordWhole {
                topic,
                key: key.map(Bytes),
                value: value.map(Bytes),
                headers: Bytes(headers),
            })[..],
            vec![FORMAT],
        );
        let read = decode(&old.unwrap()).unwrap();
        assert_eq!(
            (read.len(), read[0].key.as_deref(), read[0].timestamp_millis),
            (1, Some(&b"key"[..]), None)
        );
    }

    #[test]
    fn another_format_and_torn_bytes_are_refused() {
        assert!(decode(&[1, 0]).unwrap_err().contains("format 1"));
        assert!(decode(&[]).is_err());
        let record = OutRecord {
            topic: "t".into(),
            key: Some(vec![1; 50]),
            value: None,
            headers: Headers::default(),
            timestamp_millis: None,
        };
        let whole = encode(&[record]).unwrap();
        for end in 1..whole.len() {
            assert!(decode(&whole[..end]).is_err(), "cut at {end}");
        }
        let longer = [whole.as_slice(), b"rest"].concat();
        assert_eq!(decode(&longer).unwrap_err(), "4 bytes follow its end");
    }

    #[test]
    fn progress_that_no_host_has_written_is_refused() {
        let read = |next: i64, above: &[(i64, i64)]| {
            let bytes = postcard::to_extend(&(next, above), vec![FORMAT]).unwrap();
            decode_progress(&bytes)
        };
        assert_eq!(read(10, &[(12, 14), (15, 16)]).unwrap().gaps(), 2);
        let bad: [&[(i64, i64)]; 6] = [
            &[(2, 4)],
            &[(10, 12)],
            &[(12, 12)],
            &[(15, 12)],
            &[(12, 14), (13, 15)],
            &[(12, 14), (14, 15)],
        ];
        for above in bad {
            assert!(read(10, above).unwrap_err().contains("spans"), "{above:?}");
        }
    }
}
