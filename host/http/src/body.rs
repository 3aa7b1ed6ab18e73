//! Reads bodies within limits, and checks that they are valid JSON.

use std::time::Duration;

use axum::body::{Body, HttpBody};
use axum::http::{HeaderMap, HeaderName, header};
use axum::response::{IntoResponse, Response};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::Frame;
use serde::de::IgnoredAny;
use tokio::time::timeout;

use super::parameters::{Parameters, entries};
use super::refusal::HttpRefusal;

/// How deep JSON may be nested: a depth that guests can parse without exhausting their stack.
const DEEPEST: usize = 64;
/// How many bytes of a refused request's body are read and discarded, so that a client that is still sending gets the
/// response and not a broken connection.
const DISCARDED: usize = 8 << 20;
const DISCARD_TIME: Duration = Duration::from_secs(2);

/// A request's body as it arrives.
pub struct IncomingBody {
    body: Body,
    /// The client sends it only after we have started to read.
    waits: bool,
    /// It is compressed or otherwise encoded.
    encoded: bool,
}

impl IncomingBody {
    /// The body of a request with these headers.
    pub fn new(body: Body, headers: &HeaderMap) -> Self {
        let waits = headers.contains_key(header::EXPECT);
        let encoded = !all_entries_are(headers, &header::CONTENT_ENCODING, &["identity"]);
        Self { body, waits, encoded }
    }

    /// Reads all of it, at most `most` bytes, within `time`.
    ///
    /// # Errors
    /// [`HttpRefusal`] if it is encoded, too large, too slow, or ends early.
    pub async fn read(&mut self, most: usize, time: Duration) -> Result<Vec<u8>, HttpRefusal> {
        if self.encoded && !self.body.is_end_stream() {
            return Err(HttpRefusal::Encoded);
        }
        let announced = self.body.size_hint().lower();
        if announced > u64::try_from(most).unwrap_or(u64::MAX) {
            return Err(too_large(most));
        }
        self.waits = false;
        let mut body = Limited::new(&mut self.body, most);
        // Collected in one buffer, because many small chunks would take many times their size.
        let all = async {
            let mut read = Vec::new();
            while let Some(frame) = body.frame().await {
                match frame.map(Frame::into_data) {
                    Ok(Ok(bytes)) => read.extend_from_slice(&bytes),
                    // Trailers, which are ignored.
                    Ok(Err(_)) => {}
                    Err(fault) if fault.is::<LengthLimitError>() => return Err(too_large(most)),
                    Err(_) => return Err(HttpRefusal::bad("the body is incomplete")),
                }
            }
            Ok(read)
        };
        timeout(time, all).await.unwrap_or(Err(HttpRefusal::Slow(time)))
    }

    /// The response to a refused request, after the client has had time to send the rest of its body.
    pub async fn refuse(self, refusal: HttpRefusal) -> Response {
        // No more waiting for a client that was already too slow.
        if !matches!(refusal, HttpRefusal::Slow(_)) {
            self.discard().await;
        }
        refusal.into_response()
    }

    /// Reads and discards the rest, within limits.
    pub async fn discard(self) {
        if self.waits {
            return;
        }
        let mut rest = Limited::new(self.body, DISCARDED);
        let rest = async { while let Some(Ok(_)) = rest.frame().await {} };
        // The response is sent now in any case.
        timeout(DISCARD_TIME, rest).await.ok();
    }
}

fn too_large(most: usize) -> HttpRefusal {
    let what = "the body".to_owned();
    HttpRefusal::TooLarge { what, most }
}

/// Whether each entry of a list header is one of `known`, ignoring case; true without the header.
pub(crate) fn all_entries_are(headers: &HeaderMap, name: &HeaderName, known: &[&str]) -> bool {
    entries(headers, name).all(|entry| known.iter().any(|known| entry.eq_ignore_ascii_case(known.as_bytes())))
}

/// The parsed `Content-Type`.
pub(crate) fn content_type(headers: &HeaderMap) -> Option<Parameters> {
    let value = headers.get(header::CONTENT_TYPE)?;
    Some(Parameters::parse(value.as_bytes()))
}

/// Decodes `bytes` as text; `what` names them in the refusal.
///
/// # Errors
/// [`HttpRefusal`] if they are not UTF-8.
pub fn utf8(bytes: Vec<u8>, what: &str) -> Result<String, HttpRefusal> {
    String::from_utf8(bytes).map_err(|_| not_utf8(what))
}

pub(crate) fn not_utf8(what: &str) -> HttpRefusal {
    HttpRefusal::Media(format!("{what} is not UTF-8; nothing else is accepted"))
}

/// The body as JSON text; `None` if it is empty.
pub(crate) fn json(content_type: Option<&Parameters>, body: Vec<u8>) -> Result<Option<String>, HttpRefusal> {
    if body.is_empty() {
        return Ok(None);
    }
    let is_json = |described: &&Parameters| described.value == "application/json" || described.value.ends_with("+json");
    let Some(described) = content_type.filter(is_json) else {
        return Err(HttpRefusal::media(
            "the body must be JSON, with Content-Type: application/json",
        ));
    };
    // JSON begins with two ASCII characters, which in UTF-16 and UTF-32 are next to a zero byte.
    let is_wide = body.iter().take(4).any(|byte| *byte == 0);
    if is_wide || !described.is_utf8() {
        return Err(not_utf8("the body"));
    }
    let text = utf8(body, "the body")?;
    if depth(&text) > DEEPEST {
        return Err(HttpRefusal::bad(format!(
            "the body is nested deeper than {DEEPEST} levels"
        )));
    }
    match serde_json::from_str::<IgnoredAny>(&text) {
        Ok(_) => Ok(Some(text)),
        Err(error) => Err(HttpRefusal::bad(format!("the body is not JSON: {error}"))),
    }
}

/// The nesting depth of brackets outside of strings.
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

    fn read(content_type: &str, body: impl Into<Vec<u8>>) -> Result<Option<String>, HttpRefusal> {
        json(Some(&Parameters::parse(content_type.as_bytes())), body.into())
    }

    const JSON: &str = "application/json";

    #[test]
    fn json_is_passed_on_as_it_was_written() {
        for text in [r#"{"a": [1, {}, "\"]]"]}"#, "null", " 1e2 "] {
            assert_eq!(read(JSON, text), Ok(Some(text.to_owned())));
        }
        assert_eq!(json(None, Vec::new()), Ok(None));
        assert_eq!(
            read("application/merge-patch+json; charset=utf-8", "{}"),
            Ok(Some("{}".to_owned()))
        );
    }

    #[test]
    fn what_is_no_json_is_refused() {
        for text in ["{", "{\"a\":}", "\u{feff}{}", "{} {}", "{'a': 1}", "[1,]"] {
            assert!(matches!(read(JSON, text), Err(HttpRefusal::Bad(_))), "{text}");
        }
        assert!(matches!(json(None, b"{}".to_vec()), Err(HttpRefusal::Media(_))));
        assert!(matches!(read(JSON, vec![b'"', 0xFF, b'"']), Err(HttpRefusal::Media(_))));
        for media in [
            "",
            "text/plain",
            "application/x-www-form-urlencoded",
            "application/json; charset=utf-16",
        ] {
            assert!(matches!(read(media, "{}"), Err(HttpRefusal::Media(_))), "{media:?}");
        }
    }

    #[test]
    fn depth_counts_brackets_but_not_those_in_strings() {
        assert_eq!(depth(r#"{"a":[[],"[[[[",{"\"[":1}]}"#), 3);
        let nested = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
        assert!(read(JSON, nested(DEEPEST)).is_ok());
        assert!(matches!(read(JSON, nested(DEEPEST + 1)), Err(HttpRefusal::Bad(_))));
    }
}
