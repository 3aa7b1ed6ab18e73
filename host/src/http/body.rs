//! Bodies: read within bounds, and checked to be the JSON they say they are.

use std::future::poll_fn;
use std::pin::Pin;
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use axum::http::{HeaderMap, header};
use serde::de::IgnoredAny;
use tokio::time::timeout;

use super::refusal::Refusal;

/// How deep JSON may be nested: what guests read without a thought of their stack.
const DEEPEST: usize = 64;
/// What is read and thrown away of the body of a refused request, so that a client that is still sending sees the answer
/// and not a broken connection.
const DISCARDED: usize = 8 << 20;
const DISCARD_TIME: Duration = Duration::from_secs(2);

/// A request's body as it arrives.
pub(super) struct Incoming {
    body: Body,
    /// The client sends it once we have begun to read.
    waits: bool,
}

impl Incoming {
    pub(super) fn new(body: Body, headers: &HeaderMap) -> Self {
        let waits = headers.contains_key(header::EXPECT);
        Self { body, waits }
    }

    /// All of it, at most `most` bytes, within `time`.
    pub(super) async fn read(&mut self, most: usize, time: Duration) -> Result<Vec<u8>, Refusal> {
        let announced = self.body.size_hint().lower();
        if announced > u64::try_from(most).unwrap_or(u64::MAX) {
            return Err(too_large(most));
        }
        self.waits = false;
        let all = async {
            let mut read = Vec::new();
            while let Some(bytes) = self.next().await? {
                if read.len() + bytes.len() > most {
                    return Err(too_large(most));
                }
                read.extend_from_slice(&bytes);
            }
            Ok(read)
        };
        timeout(time, all).await.unwrap_or(Err(Refusal::Slow(time)))
    }

    /// Reads what is left and forgets it, within bounds.
    pub(super) async fn discard(mut self) {
        if self.waits {
            return;
        }
        let rest = async {
            let mut left = DISCARDED;
            while let Ok(Some(bytes)) = self.next().await {
                match left.checked_sub(bytes.len()) {
                    Some(less) => left = less,
                    None => return,
                }
            }
        };
        // In time or not, the answer goes out now.
        timeout(DISCARD_TIME, rest).await.ok();
    }

    async fn next(&mut self) -> Result<Option<Bytes>, Refusal> {
        loop {
            match poll_fn(|cx| Pin::new(&mut self.body).poll_frame(cx)).await {
                None => return Ok(None),
                Some(Err(_)) => return Err(Refusal::bad("the body ended before its end")),
                Some(Ok(frame)) => {
                    if let Ok(bytes) = frame.into_data() {
                        return Ok(Some(bytes));
                    }
                }
            }
        }
    }
}

fn too_large(most: usize) -> Refusal {
    let what = "the body".to_owned();
    Refusal::TooLarge { what, most }
}

/// The media type of a `Content-Type`, lower case, without its parameters.
pub(super) fn media_type(headers: &HeaderMap) -> Option<String> {
    let text = headers.get(header::CONTENT_TYPE)?.to_str().ok()?;
    let media_type = text.split(';').next().unwrap_or_default();
    Some(media_type.trim().to_ascii_lowercase())
}

/// The body as the JSON text it is; `None` where there is none.
pub(super) fn json(media_type: Option<&str>, body: Vec<u8>) -> Result<Option<String>, Refusal> {
    if body.is_empty() {
        return Ok(None);
    }
    let is_json = |media: &str| media == "application/json" || media.ends_with("+json");
    if !media_type.is_some_and(is_json) {
        return Err(Refusal::Media(
            "the body must be JSON, with Content-Type: application/json",
        ));
    }
    let text = String::from_utf8(body).map_err(|_| Refusal::bad("the body is not UTF-8"))?;
    if depth(&text) > DEEPEST {
        return Err(Refusal::bad(format!("the body is nested deeper than {DEEPEST} levels")));
    }
    match serde_json::from_str::<IgnoredAny>(&text) {
        Ok(_) => Ok(Some(text)),
        Err(error) => Err(Refusal::bad(format!("the body is not JSON: {error}"))),
    }
}

/// How deep brackets outside of strings are nested.
fn depth(text: &str) -> usize {
    let (mut depth, mut deepest) = (0_usize, 0);
    let (mut in_string, mut escaped) = (false, false);
    for byte in text.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = in_string,
            b'"' => in_string = !in_string,
            b'[' | b'{' if !in_string => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b']' | b'}' if !in_string => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

#[cfg(test)]
mod tests {
    use super::*;

    const JSON: Option<&str> = Some("application/json");

    #[test]
    fn json_is_passed_on_as_it_was_written() {
        for text in [r#"{"a": [1, {}, "\"]]"]}"#, "null", " 1e2 "] {
            assert_eq!(json(JSON, text.into()), Ok(Some(text.to_owned())));
        }
        assert_eq!(json(None, Vec::new()), Ok(None));
        assert_eq!(
            json(Some("application/merge-patch+json"), b"{}".to_vec()),
            Ok(Some("{}".to_owned()))
        );
    }

    #[test]
    fn what_is_no_json_is_refused() {
        for text in ["{", "{\"a\":}", "\u{feff}{}", "{} {}", "{'a': 1}", "[1,]"] {
            assert!(matches!(json(JSON, text.into()), Err(Refusal::Bad(_))), "{text}");
        }
        assert_eq!(
            json(JSON, vec![b'"', 0xFF, b'"']),
            Err(Refusal::bad("the body is not UTF-8"))
        );
        for media in [None, Some("text/plain"), Some("application/x-www-form-urlencoded")] {
            assert!(
                matches!(json(media, b"{}".to_vec()), Err(Refusal::Media(_))),
                "{media:?}"
            );
        }
    }

    #[test]
    fn depth_counts_brackets_but_not_those_in_strings() {
        assert_eq!(depth(r#"{"a":[[],"[[[[",{"\"[":1}]}"#), 3);
        let nested = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
        assert!(json(JSON, nested(DEEPEST).into()).is_ok());
        assert!(matches!(json(JSON, nested(DEEPEST + 1).into()), Err(Refusal::Bad(_))));
    }
}
