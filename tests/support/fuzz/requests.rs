//! Heads and bodies of HTTP requests: which route they take, and what of them is carried along.

use std::sync::LazyLock;

use sandman_http::fuzzing::{Admitted, Carried, Front, Sent};
use serde::de::IgnoredAny;
use serde_json::{Value, json};

use crate::{SECRET, signed};

/// Methods and paths of routes, every one with its key in `id`; the path alone says whether a token is needed.
const ROUTES: &[(&str, &str)] = &[
    ("GET", "/users/{id}"),
    ("PUT", "/users/{id}"),
    ("GET", "/users/all/{id}"),
    ("GET", "/users/{id}/{part}"),
    ("POST", "/users/{id}/x/{part}"),
    ("DELETE", "/own/{id}"),
    ("PATCH", "/a.b-c_d~e/{id}"),
];
/// The user of the one token.
const USER: &str = "ada";

static FRONT: LazyLock<Front> = LazyLock::new(|| {
    let auth = |path: &str| {
        if path.starts_with("/own/") {
            "required"
        } else {
            "optional"
        }
    };
    let route = |(method, path): &(&str, &str)| {
        let auth = auth(path);
        format!(
            "[[routes]]\nmethod = {method:?}\npath = {path:?}\nhandlers = [\"a\"]\nkey = \"path:id\"\nauth = {auth:?}\n"
        )
    };
    let routes: String = ROUTES.iter().map(route).collect();
    let handler = "[host]\nsource = \"test\"\n[handlers.a]\ncomponent = \"a.wasm\"\n";
    Front::new(&format!("{handler}{routes}"), SECRET).expect("a configuration")
});

static TOKEN: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let claims = json!({ "userId": USER, "type": "access", "exp": 4_000_000_000_u64 });
    format!("Bearer {}", signed(&claims)).into_bytes()
});

/// `METHOD TARGET` on one line, with a valid token behind a second space: the most literal route with the right key, or none.
pub fn routes(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let mut words = text.split(' ');
    let (Some(method), Some(target)) = (words.next(), words.next()) else {
        return;
    };
    let token: &[(&str, &[u8])] = &[("authorization", &TOKEN)];
    let with_token = words.next().is_some();
    let headers = if with_token { token } else { &[] };
    let request = Sent {
        method,
        target,
        headers,
    };
    // Other forms of a target name hosts; what the path of those is, the library says.
    let Some(answer) = FRONT.admit(request).filter(|_| target.starts_with('/')) else {
        return;
    };
    let path = target.split(['?', '#']).next().unwrap_or_default();
    let method = if method == "HEAD" { "GET" } else { method };
    let mut fitting: Vec<_> = ROUTES.iter().filter(|route| fits(route.1, path)).collect();
    // A literal part goes before a parameter, the first part that differs decides.
    fitting.sort_by_key(|route| parts(route.1).map(|part| part.starts_with('{')).collect::<Vec<_>>());
    let expected = fitting.iter().find(|route| route.0 == method);
    match answer {
        Ok(admitted) => {
            let (route, pattern) = expected.expect("there is no such route");
            assert_eq!((admitted.route.0, admitted.route.1.as_str()), (*route, *pattern));
            let_in(&admitted, path, with_token);
        }
        Err(why) if why.contains("nothing at this path") => assert!(fitting.is_empty(), "{path:?} is not found"),
        Err(why) if why.contains("this path accepts") => {
            assert!(
                expected.is_none() && fitting.iter().all(|route| why.contains(route.0)),
                "{why}"
            );
        }
        Err(why) => assert!(expected.is_some() && why.len() > 10, "{why}"),
    }
}

fn parts(path: &str) -> impl Iterator<Item = &str> {
    let path = path.strip_prefix('/').unwrap_or(path);
    path.strip_suffix('/').unwrap_or(path).split('/')
}

fn fits(pattern: &str, path: &str) -> bool {
    let is = |(pattern, part): (&str, &str)| pattern == part || (pattern.starts_with('{') && !part.is_empty());
    parts(pattern).count() == parts(path).count() && parts(pattern).zip(parts(path)).all(is)
}

fn let_in(admitted: &Admitted, path: &str, with_token: bool) {
    let patterns = parts(&admitted.route.1).zip(parts(path));
    let params: Vec<_> = patterns.filter(|(pattern, _)| pattern.starts_with('{')).collect();
    assert_eq!(params.len(), admitted.params.len());
    for ((pattern, part), (name, value)) in params.iter().zip(&admitted.params) {
        assert_eq!(pattern.trim_matches(['{', '}']), name);
        assert_eq!(encoded(value), plain(part), "{part:?} was not read as {value:?}");
        if name == "id" {
            assert_eq!(*value, admitted.key);
        }
    }
    assert!((1..=256).contains(&admitted.key.len()) && !admitted.key.chars().any(char::is_control));
    assert_eq!(admitted.claims.is_some(), with_token);
    assert!(
        !with_token || admitted.key == USER,
        "a token opens what is not its user's"
    );
    assert!(with_token || !path.starts_with("/own/"), "let in without a token");
}

/// Every byte escaped.
fn encoded(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

/// The same, of a text in which some bytes are escaped already.
fn plain(part: &str) -> String {
    let mut all = String::new();
    let mut rest = part.bytes();
    while let Some(first) = rest.next() {
        let escaped = match first {
            b'%' => rest
                .by_ref()
                .take(2)
                .map(|digit| char::from(digit.to_ascii_uppercase()))
                .collect(),
            byte => format!("{byte:02X}"),
        };
        all.push('%');
        all.push_str(&escaped);
    }
    all
}

/// A head with `name: value` lines, an empty line, and a body.
pub fn requests(data: &[u8]) {
    let end = data.windows(2).position(|pair| pair == b"\n\n").unwrap_or(data.len());
    let body = data.get(end + 2..).unwrap_or_default();
    let mut lines = data[..end].split(|byte| *byte == b'\n');
    let target = String::from_utf8_lossy(lines.next().unwrap_or_default());
    let headers: Vec<_> = lines.filter_map(header).collect();
    let request = Sent {
        method: "PUT",
        target: &target,
        headers: &headers,
    };
    let Some(carried) = request.carried(body) else { return };
    let values = |name: &'static str| {
        headers
            .iter()
            .filter(move |(other, _)| other.eq_ignore_ascii_case(name))
    };
    match carried {
        Ok(carried) => {
            assert_eq!(carried.idempotency.is_some(), values("idempotency-key").count() == 1);
            taken(&carried, body);
        }
        Err(why) => assert!(why.len() > 10, "{why}"),
    }
}

fn header(line: &[u8]) -> Option<(&str, &[u8])> {
    let colon = line.iter().position(|byte| *byte == b':')?;
    let value = line[colon + 1..].trim_ascii();
    Some((std::str::from_utf8(&line[..colon]).ok()?, value))
}

fn taken(carried: &Carried, body: &[u8]) {
    let visible = |text: &Option<String>, most| {
        let good = |text: &String| (1..=most).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
        text.as_ref().is_none_or(good)
    };
    assert!(visible(&carried.correlation, 128) && visible(&carried.idempotency, 255));
    if let Some(trace) = &carried.trace {
        let lengths: Vec<_> = trace.split('-').map(str::len).collect();
        assert_eq!(lengths, [2, 32, 16, 2]);
        assert!(trace.bytes().all(|byte| byte == b'-' || byte.is_ascii_hexdigit()));
    }
    assert!(carried.query.len() <= 100);
    match &carried.body {
        None => assert!(body.is_empty(), "a body is lost"),
        Some(text) => {
            assert_eq!(text.as_bytes(), body);
            serde_json::from_str::<IgnoredAny>(text).expect("a body is JSON");
            // Numbers and escapes that JSON knows and no value can hold are passed on as they are.
            match serde_json::from_str::<Value>(text) {
                Ok(value) => assert!(depth(&value) <= 64),
                Err(error) => assert!(!error.to_string().contains("recursion"), "{error}"),
            }
        }
    }
}

fn depth(value: &Value) -> usize {
    match value {
        Value::Array(entries) => 1 + entries.iter().map(depth).max().unwrap_or(0),
        Value::Object(fields) => 1 + fields.values().map(depth).max().unwrap_or(0),
        _ => 0,
    }
}
