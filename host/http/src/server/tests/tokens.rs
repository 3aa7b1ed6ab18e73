//! Who gets in.

use hmac::{Hmac, Mac};
use sha2::Sha256;

use super::{JSON, SECRET, has, serve};

/// 2100, and a moment long ago.
const LATER: u64 = 4_102_444_800;
const LONG_AGO: u64 = 1_000_000_000;

fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut text = String::new();
    for three in bytes.chunks(3) {
        let bits = three.iter().fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte)) << (8 * (3 - three.len()));
        for letter in 0..=three.len() {
            text.push(char::from(LETTERS[(bits >> (18 - 6 * letter)) as usize & 63]));
        }
    }
    text
}

fn sign(header: &str, claims: &str, secret: &str) -> String {
    let message = format!("{}.{}", base64(header.as_bytes()), base64(claims.as_bytes()));
    let mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("any length will do");
    let signature = mac.chain_update(&message).finalize().into_bytes();
    format!("{message}.{}", base64(&signature))
}

const HS256: &str = r#"{"alg":"HS256","typ":"JWT"}"#;

pub(super) fn token(user: &str) -> String {
    let claims = format!(r#"{{"userId":"{user}","email":"a@b.example","type":"access","exp":{LATER},"iat":1}}"#);
    sign(HS256, &claims, SECRET)
}

pub(super) fn bearer(token: &str) -> String {
    format!("Authorization: Bearer {token}\r\n")
}

#[tokio::test]
async fn a_valid_token_gives_the_key_and_its_claims() {
    let served = serve().await;
    // As `jwt.io` and every other tool make it: our own signing must not be the only measure.
    let foreign = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJmb28iOiJiYXIifQ";
    assert_eq!(
        base64(br#"{"alg":"HS256","typ":"JWT"}"#),
        foreign.split('.').next().unwrap()
    );
    let headers = format!("{JSON}{}", bearer(&token("u-1")));
    has(&served.ask("PUT /own", &headers, "{}").await, 200, "{\"done\":true}");
    let work = served.last();
    assert_eq!((&*work.key, work.handlers.as_slice()), ("u-1", [1, 0].as_slice()));
    let claims = work.claims.expect("claims");
    assert!(
        claims.contains(r#""email":"a@b.example""#) && claims.contains("4102444800"),
        "{claims}"
    );
}

#[tokio::test]
async fn claims_arrive_to_the_last_digit() {
    let served = serve().await;
    let more = r#""a":12345678901234567890.10,"b":"\ud800","c":1e999"#;
    let claims = format!(r#"{{"userId":"u-1","type":"access","exp":{LATER},{more}}}"#);
    let headers = format!("{JSON}{}", bearer(&sign(HS256, &claims, SECRET)));
    has(&served.ask("PUT /own", &headers, "{}").await, 200, "{\"done\":true}");
    let claims = served.last().claims.expect("claims");
    assert!(claims.contains(more), "{claims}");
}

#[tokio::test]
async fn what_is_no_valid_token_is_refused() {
    let served = serve().await;
    let claims = |more: &str| format!(r#"{{"userId":"u-1","email":"a@b.example"{more}}}"#);
    let good = claims(&format!(r#","type":"access","exp":{LATER}"#));
    let valid = token("u-1");
    let unsigned = format!("{}.{}.", base64(br#"{"alg":"none"}"#), base64(good.as_bytes()));
    let (head, signature) = valid.rsplit_once('.').expect("three parts");
    let tokens = [
        sign(HS256, &claims(&format!(r#","type":"access","exp":{LONG_AGO}"#)), SECRET),
        sign(HS256, &claims(&format!(r#","type":"refresh","exp":{LATER}"#)), SECRET),
        sign(HS256, &claims(&format!(r#","exp":{LATER}"#)), SECRET),
        sign(HS256, &claims(r#","type":"access""#), SECRET),
        sign(
            HS256,
            &claims(&format!(r#","type":"access","exp":{LATER},"nbf":{LATER}"#)),
            SECRET,
        ),
        sign(HS256, &format!(r#"{{"type":"access","exp":{LATER}}}"#), SECRET),
        sign(
            HS256,
            &format!(r#"{{"userId":"","type":"access","exp":{LATER}}}"#),
            SECRET,
        ),
        sign(HS256, &good, "another secret that is long enough, too"),
        sign(r#"{"alg":"HS512"}"#, &good, SECRET),
        sign(r#"{"alg":"RS256"}"#, &good, SECRET),
        sign(r#"{"alg":"none"}"#, &good, SECRET),
        format!("{unsigned}{signature}"),
        format!("{head}."),
        head.to_owned(),
        format!("{head}.{}", &signature[..8]),
        valid.replacen('.', "", 1),
        "x".to_owned(),
        String::new(),
        unsigned,
    ];
    for token in &tokens {
        let answer = served.ask("PUT /own", &format!("{JSON}{}", bearer(token)), "{}").await;
        has(&answer, 401, "{\"message\":\"the token ");
        has(&answer, 401, "\"success\":false}");
    }
    has(&served.ask("PUT /own", &bearer(&tokens[0]), "").await, 401, "expired");
    for headers in [
        format!("Authorization: Basic {valid}\r\n"),
        format!("Authorization: {valid}\r\n"),
        format!("{}{}", bearer(&valid), bearer(&valid)),
    ] {
        has(&served.ask("PUT /own", &headers, "").await, 401, "not valid");
    }
    let answer = served.ask("PUT /own", JSON, "{}").await;
    has(&answer, 401, "needs a token");
    has(&answer, 401, "www-authenticate: Bearer");
    assert_eq!(served.count(), 0, "a refused request came through");
}

#[tokio::test]
async fn where_a_token_is_optional_one_that_is_sent_must_own_the_key() {
    let served = serve().await;
    has(&served.ask("POST /users/u-1", JSON, "{}").await, 200, "done");
    assert_eq!(served.last().claims, None);
    let headers = format!("{JSON}{}", bearer(&token("u-1")));
    has(&served.ask("POST /users/u-1", &headers, "{}").await, 200, "done");
    assert!(served.last().claims.is_some());
    let answer = served.ask("POST /users/u-2", &headers, "{}").await;
    has(&answer, 403, "\"success\":false");
    let answer = served
        .ask("POST /users/u-1", &format!("{JSON}{}", bearer("x")), "{}")
        .await;
    has(&answer, 401, "not valid");
    assert_eq!(served.count(), 2);
    // Where tokens are not looked at, a bad one does no harm.
    has(
        &served.ask("POST /users/u-1/avatar", &bearer("x"), "").await,
        200,
        "done",
    );
}
