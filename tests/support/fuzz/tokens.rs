//! Tokens: one that opens a route was signed with our secret, for this, and for now.

use std::sync::LazyLock;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, Mac};
use sandman_core::json::lenient;
use sandman_engine::clock;
use sandman_http::fuzzing::{Front, Sent};
use serde_json::{Map, Value, json};
use sha2::Sha256;

use crate::{SECRET, forged};

const CONFIG: &str = r#"
    host = { source = "test" }
    handlers = { a = { component = "a.wasm", topics = ["t"] } }
"#;

static FRONT: LazyLock<Front> = LazyLock::new(|| Front::new(CONFIG, SECRET).expect("a configuration"));

/// The bytes are sent as a token as they are, and as the claims of a token that is really signed, under any header.
pub fn tokens(data: &[u8]) {
    if let Some(claims) = sent(data) {
        signed_by_us(data);
        opens(&claims);
    }
    let text = String::from_utf8_lossy(data);
    let (header, claims) = text
        .split_once('\n')
        .unwrap_or((r#"{"alg":"HS256","typ":"JWT"}"#, &text));
    let (Ok(header), Ok(claims)) = (
        serde_json::from_str::<Value>(header),
        serde_json::from_str::<Value>(claims),
    ) else {
        return;
    };
    let bearer = |token: String| format!("Bearer {token}").into_bytes();
    let good = bearer(forged(&header, &claims, SECRET));
    let taken = sent(&good);
    if let Some(taken) = &taken {
        assert_eq!(header["alg"], "HS256");
        assert_eq!(Value::Object(taken.clone()), claims);
        opens(taken);
    }
    let plain = header == json!({ "alg": "HS256", "typ": "JWT" });
    if plain && is_good(&claims) {
        assert!(taken.is_some(), "a good token is refused: {claims}");
    }
    // The same under another secret, and with a bit of the signature turned.
    assert_eq!(sent(&bearer(forged(&header, &claims, "another secret"))), None);
    let mut turned = good;
    let last = turned.len() - 2;
    turned[last] ^= 1;
    assert_eq!(sent(&turned), None);
}

fn sent(value: &[u8]) -> Option<Map<String, Value>> {
    let headers: &[(&str, &[u8])] = &[("authorization", value)];
    let request = Sent {
        method: "GET",
        target: "/",
        headers,
    };
    match FRONT.claims(request)? {
        Ok(claims) => match lenient(&claims?) {
            Ok(Value::Object(claims)) => Some(claims),
            other => panic!("claims are a JSON object, not {other:?}"),
        },
        Err(why) => {
            assert!(why.contains("token"), "{why}");
            None
        }
    }
}

/// The signature, verified here once more and in another way.
fn signed_by_us(value: &[u8]) {
    let text = std::str::from_utf8(value).expect("a header that was read is text");
    let token = text.split_once(' ').expect("a scheme").1.trim();
    let (message, signature) = token.rsplit_once('.').expect("a signature");
    let mac = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()).expect("a key of any length");
    let expected = mac.chain_update(message).finalize().into_bytes();
    assert_eq!(URL_SAFE_NO_PAD.decode(signature).expect("base64"), expected.as_slice());
}

fn opens(claims: &Map<String, Value>) {
    assert_eq!(claims["type"], "access");
    assert!(claims["userId"].as_str().is_some_and(|user| !user.is_empty()));
    let now = now();
    assert!(claims["exp"].as_f64().is_some_and(|end| end > now - 60.0), "expired");
    assert!(
        claims
            .get("nbf")
            .and_then(Value::as_f64)
            .is_none_or(|start| start < now + 60.0),
        "not yet"
    );
}

/// Whether there is nothing at all to object to.
fn is_good(claims: &Value) -> bool {
    let text = |name: &str| claims[name].as_str();
    let soon = now() as u64 + 3600;
    let end = claims["exp"].as_u64().is_some_and(|end| (soon..1 << 53).contains(&end));
    let registered = ["nbf", "iat", "iss", "sub", "aud", "jti"];
    let plain = registered.iter().all(|name| claims.get(name).is_none());
    plain && end && text("type") == Some("access") && text("userId").is_some_and(|user| !user.is_empty())
}

/// Seconds since 1970.
fn now() -> f64 {
    clock::wall_millis() as f64 / 1000.0
}
