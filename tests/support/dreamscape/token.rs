//! Tokens as auth-service signs them, and as forgers would.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, Mac};
use serde_json::{Value, json};
use sha2::{Sha256, Sha512};

/// `JWT_SECRET` of every service in the tests.
pub const SECRET: &str = "a secret of the tests, of 32 bytes or more";

/// A token with these claims, as auth-service signs it.
pub fn signed(claims: &Value) -> String {
    forged(&json!({ "alg": "HS256", "typ": "JWT" }), claims, SECRET)
}

/// A token with any header, signed with any secret: with HMAC-SHA-512 where the header says HS512, not at all where it says
/// none, else with HMAC-SHA-256.
pub fn forged(header: &Value, claims: &Value, secret: &str) -> String {
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let message = format!("{}.{}", part(header), part(claims));
    let signature = match header["alg"].as_str() {
        Some("HS512") => mac::<Hmac<Sha512>>(secret, &message),
        Some("none") => Vec::new(),
        _ => mac::<Hmac<Sha256>>(secret, &message),
    };
    format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature))
}

fn mac<M: Mac + hmac::digest::KeyInit>(secret: &str, message: &str) -> Vec<u8> {
    // HMAC takes keys of any length.
    let keyed = <M as Mac>::new_from_slice(secret.as_bytes());
    keyed.map_or_else(
        |_| Vec::new(),
        |mac| mac.chain_update(message).finalize().into_bytes().to_vec(),
    )
}
