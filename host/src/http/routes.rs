//! Which route a request takes, and what its path and query say.

use std::sync::Arc;

use axum::http::{HeaderMap, Method};

use super::refusal::Refusal;
use super::token::{Claims, Tokens};
use crate::config::{Auth, Config, KeySource, RouteConfig, RoutePath, Segment};
use crate::lanes::HandlerIx;
use crate::meters::{Meters, RouteMeters};

/// Bytes of the longest key.
const LONGEST_KEY: usize = 256;
/// Parameters of one query.
const QUERY_PARAMS: usize = 100;

/// Names with values, decoded, in order.
pub(super) type Params = Vec<(String, String)>;

/// A route, ready to be matched.
#[derive(Clone, Debug)]
pub(super) struct Route {
    /// The method, upper case.
    pub(super) method: &'static str,
    /// The path.
    pub(super) path: RoutePath,
    /// Its handlers, in order.
    pub(super) handlers: Vec<HandlerIx>,
    /// Form fields that may hold a file.
    pub(super) files: Vec<String>,
    /// What is measured of its requests.
    pub(super) meters: Arc<RouteMeters>,
    key: KeySource,
    auth: Auth,
}

/// All routes, the more literal ones first, so that the first that matches is the right one.
#[derive(Debug)]
pub(super) struct Routes(Vec<Route>);

impl Routes {
    /// The configured routes; `index` finds their handlers.
    pub(super) fn new(config: &Config, index: &dyn Fn(&str) -> Option<HandlerIx>, meters: &Meters) -> Self {
        let route = |route: &RouteConfig| Route {
            method: route.method,
            path: route.path.clone(),
            handlers: route.handlers.iter().filter_map(|name| index(name)).collect(),
            files: route.files.clone(),
            meters: Arc::new(meters.route(route.method, route.path.as_str())),
            key: route.key.clone(),
            auth: route.auth,
        };
        let mut routes: Vec<_> = config.routes.iter().map(route).collect();
        let is_param = |segment: &Segment| matches!(segment, Segment::Param(_));
        routes.sort_by_cached_key(|route| route.path.segments().iter().map(is_param).collect::<Vec<_>>());
        Self(routes)
    }

    /// The route of a request, with the parameters of its path. A slash at the end makes no difference, as in the
    /// present service; `HEAD` is a `GET` whose body is not sent.
    pub(super) fn find(&self, method: &Method, path: &str) -> Result<(&Route, Params), Refusal> {
        let parts = split(path);
        let wanted = if method == Method::HEAD { "GET" } else { method.as_str() };
        let mut others = Vec::new();
        for route in &self.0 {
            let Some(params) = matched(route.path.segments(), &parts) else {
                continue;
            };
            if route.method == wanted {
                return Ok((route, decoded(params)?));
            }
            others.push(route.method);
        }
        if others.is_empty() {
            return Err(Refusal::NotFound);
        }
        others.sort_unstable();
        others.dedup();
        Err(Refusal::Method(others.join(", ")))
    }
}

impl Route {
    /// The claims of the request's token and the request's key, if the token, or its absence, is good for this route.
    pub(super) fn admit(
        &self,
        tokens: &Tokens,
        headers: &HeaderMap,
        params: &Params,
    ) -> Result<(Option<Claims>, String), Refusal> {
        let claims = match self.auth {
            Auth::Required => Some(tokens.needed(headers)?),
            Auth::Optional => tokens.sent(headers)?,
            Auth::None => None,
        };
        let key = match &self.key {
            KeySource::Claim(name) => {
                let claim = claims.as_ref().and_then(|claims| claims.text(name));
                let key = claim.ok_or(Refusal::Token("the token lacks a claim that this needs"))?;
                key.to_owned()
            }
            KeySource::Path(name) => {
                let key = params.iter().find(|(param, _)| param == name).map(|(_, value)| value);
                let key = key.ok_or(Refusal::NotFound)?;
                if claims.as_ref().is_some_and(|claims| claims.user() != Some(key)) {
                    return Err(Refusal::NotOwner);
                }
                key.clone()
            }
        };
        if key.is_empty() || key.len() > LONGEST_KEY || key.chars().any(char::is_control) {
            let problem = format!("the request's key must have 1 to {LONGEST_KEY} bytes and no control characters");
            return Err(Refusal::Bad(problem));
        }
        Ok((claims, key))
    }
}

/// Finds a handler by its position in the configuration, which is its index in a host that has just started.
pub(super) fn position(config: &Config) -> impl Fn(&str) -> Option<HandlerIx> + '_ {
    let at = |name: &str| config.handlers.iter().position(|handler| *handler.name == *name);
    move |name| at(name)?.try_into().ok()
}

fn split(path: &str) -> Vec<&str> {
    let path = path.strip_prefix('/').unwrap_or(path);
    path.strip_suffix('/').unwrap_or(path).split('/').collect()
}

fn matched<'p>(segments: &'p [Segment], parts: &[&'p str]) -> Option<Vec<(&'p str, &'p str)>> {
    if segments.len() != parts.len() {
        return None;
    }
    let mut params = Vec::new();
    for (segment, part) in segments.iter().zip(parts) {
        match segment {
            Segment::Literal(text) if text == part => {}
            Segment::Param(name) if !part.is_empty() => params.push((name.as_str(), *part)),
            _ => return None,
        }
    }
    Some(params)
}

fn decoded(params: Vec<(&str, &str)>) -> Result<Params, Refusal> {
    let decode = |(name, text): (&str, &str)| {
        let value = percent_decode(text)
            .ok_or_else(|| Refusal::bad(format!("{name} in the path is not percent-encoded UTF-8")))?;
        Ok((name.to_owned(), value))
    };
    params.into_iter().map(decode).collect()
}

/// The query's parameters, decoded, in order.
pub(super) fn query(text: Option<&str>) -> Result<Params, Refusal> {
    let pairs = text.unwrap_or_default().split('&').filter(|pair| !pair.is_empty());
    let mut params = Vec::new();
    for pair in pairs {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let plain = |text: &str| percent_decode(&text.replace('+', " "));
        match (plain(name), plain(value)) {
            (Some(name), Some(value)) if params.len() < QUERY_PARAMS => params.push((name, value)),
            (Some(_), Some(_)) => {
                return Err(Refusal::bad(format!(
                    "the query has more than {QUERY_PARAMS} parameters"
                )));
            }
            _ => return Err(Refusal::bad("the query is not percent-encoded UTF-8")),
        }
    }
    Ok(params)
}

/// The text behind `%XX`; `None` if an escape is broken or the bytes are not UTF-8.
pub(super) fn percent_decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let high = char::from(rest.next()?).to_digit(16)?;
            let low = char::from(rest.next()?).to_digit(16)?;
            bytes.push(u8::try_from(high * 16 + low).ok()?);
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONFIG: &str = r#"
        host = { source = "test" }
        handlers = { a = { component = "a.wasm" }, b = { component = "b.wasm" } }
        routes = [
            { method = "GET", path = "/users/{id}", handlers = ["b"], key = "path:id", auth = "none" },
            { method = "PUT", path = "/users/{id}", handlers = ["a"], key = "path:id", auth = "none" },
            { method = "GET", path = "/users/all", handlers = ["b", "a"], key = "path:none", auth = "none" },
            { method = "POST", path = "/users/{id}/x/{part}", handlers = ["a"], key = "path:part", auth = "none" },
        ]
    "#;

    fn routes() -> Routes {
        let text = CONFIG.replace("\"path:none\"", "\"claim:userId\"").replace(
            "handlers = [\"b\", \"a\"], key = \"claim:userId\", auth = \"none\"",
            "handlers = [\"b\", \"a\"], key = \"claim:userId\"",
        );
        let secret = ("JWT_SECRET".to_owned(), "x".repeat(32));
        let config = Config::parse(std::path::Path::new("sandman.toml"), &text, [secret].into_iter());
        let config = config.unwrap_or_else(|errors| panic!("{errors}"));
        Routes::new(&config, &position(&config), &Meters::new())
    }

    fn found(method: &Method, path: &str) -> Result<(String, Vec<String>), Refusal> {
        let routes = routes();
        let (route, params) = routes.find(method, path)?;
        let values = params.into_iter().map(|(_, value)| value).collect();
        Ok((format!("{} {} {:?}", route.method, route.path, route.handlers), values))
    }

    #[test]
    fn the_most_literal_route_matches() {
        let is = |method, path, route: &str, values: &[&str]| {
            let values = values.iter().map(|value| (*value).to_owned()).collect();
            assert_eq!(found(&method, path), Ok((route.to_owned(), values)), "{method} {path}");
        };
        is(Method::GET, "/users/all", "GET /users/all [1, 0]", &[]);
        is(Method::GET, "/users/7", "GET /users/{id} [1]", &["7"]);
        is(Method::HEAD, "/users/7/", "GET /users/{id} [1]", &["7"]);
        is(Method::PUT, "/users/all", "PUT /users/{id} [0]", &["all"]);
        is(Method::PUT, "/users/a%2Fb%c3%a9+", "PUT /users/{id} [0]", &["a/bé+"]);
        is(
            Method::POST,
            "/users/1/x/2",
            "POST /users/{id}/x/{part} [0]",
            &["1", "2"],
        );
    }

    #[test]
    fn what_matches_nothing_is_refused() {
        for path in [
            "/",
            "",
            "/users",
            "/users/",
            "/users//",
            "//7",
            "/Users/7",
            "/users/1/x",
            "/users/1/x//",
        ] {
            assert_eq!(found(&Method::POST, path), Err(Refusal::NotFound), "{path:?}");
        }
        assert_eq!(
            found(&Method::DELETE, "/users/all"),
            Err(Refusal::Method("GET, PUT".to_owned()))
        );
        for path in ["/users/%", "/users/%2", "/users/%zz", "/users/%ff", "/users/%+1"] {
            assert!(matches!(found(&Method::PUT, path), Err(Refusal::Bad(_))), "{path:?}");
        }
    }

    #[test]
    fn queries_are_decoded_in_order() {
        let pairs =
            |text| query(Some(text)).map(|params| params.into_iter().map(|(a, b)| format!("{a}={b}")).collect());
        assert_eq!(
            pairs("b=1&a=x+y%26&&c&a="),
            Ok(vec!["b=1".into(), "a=x y&".into(), "c=".into(), "a=".into()])
        );
        assert_eq!(query(None), Ok(Vec::new()));
        for bad in ["a=%", "%ff=1", &"a=1&".repeat(101)] {
            assert!(matches!(query(Some(bad)), Err(Refusal::Bad(_))), "{bad}");
        }
    }
}
