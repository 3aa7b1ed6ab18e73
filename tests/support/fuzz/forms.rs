//! Multipart forms.

use sandman_http::fuzzing::{form, upload};
use serde_json::{Map, Value};

/// Bytes of the largest file.
const MOST: usize = 64;
/// Parts of the longest form, as the host has it.
const PARTS: usize = 64;

/// A `Content-Type` on the first line, and the body; what is taken keeps to the route's bounds.
pub fn multipart(data: &[u8]) {
    let end = data.iter().position(|byte| *byte == b'\n').unwrap_or(data.len());
    let content_type = String::from_utf8_lossy(&data[..end]);
    let body = data.get(end + 1..).unwrap_or_default();
    let fields = ["avatar".to_owned(), "cover".to_owned()];
    let read = || form(content_type.trim_end(), body.to_vec(), &fields, MOST);
    let taken = match read() {
        Ok(taken) => taken,
        Err(why) => return assert!(why.len() > 10 && !why.contains("waits"), "{why}"),
    };
    let texts: Map<String, Value> = serde_json::from_str(&taken.texts).expect("texts are a JSON object");
    assert!(texts.values().all(Value::is_string));
    assert!(texts.len() + taken.pictures.len() <= PARTS);
    for (at, (field, kind, digest, content)) in taken.pictures.iter().enumerate() {
        assert!(fields.contains(field) && !texts.contains_key(field), "{field}");
        assert!(
            taken.pictures[..at].iter().all(|(other, ..)| other != field),
            "{field} twice"
        );
        assert!(content.len() <= MOST);
        assert!(
            body.windows(content.len()).any(|window| window == content),
            "not what was sent"
        );
        assert_eq!(*digest, sandman_core::digest(content));
        let start: &[u8] = match *kind {
            "image/jpeg" => b"\xFF\xD8\xFF",
            "image/png" => b"\x89PNG\r\n\x1A\n",
            "image/gif" => b"GIF8",
            other => panic!("{other}"),
        };
        assert!(content.starts_with(start));
    }
    assert_eq!(read().as_ref(), Ok(&taken));
    // The end of a form is part of it.
    let paths = String::from_utf8_lossy(body);
    looked_up(&paths);
}

/// Only names of the host's own making reach the disk.
fn looked_up(path: &str) {
    if upload(path).is_some() {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'/');
        assert!(path.bytes().all(plain) && path.matches('/').count() == 1 && path.matches('.').count() == 1);
    }
}
