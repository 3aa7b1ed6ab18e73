//! Finds the route of a request, and reads the parameters of its path and query.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::http::{HeaderMap, Method};
use matchit::Router;

use super::refusal::HttpRefusal;
use super::token::{Claims, Tokens};
use sandman_config::{Auth, Config, KeySource, RouteConfig, RoutePath};
use sandman_core::lanes::HandlerIx;
use sandman_engine::meters::{Meters, RouteMeters};

/// Bytes of the longest key.
const LONGEST_KEY: usize = 256;
/// The most parameters of one query.
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
    /// The metrics of its requests.
    pub(super) meters: Arc<RouteMeters>,
    key: KeySource,
    auth: Auth,
}

/// All routes, by method. If two match, the one whose first differing part is literal wins.
pub(super) struct Routes(BTreeMap<&'static str, Router<Route>>);

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
        let mut routes: BTreeMap<_, Router<_>> = BTreeMap::new();
        for config in &config.routes {
            let of_method = routes.entry(config.method).or_default();
            // The configuration has already refused routes that would fail here because they match the same requests.
            if let Err(error) = of_method.insert(config.path.as_str(), route(config)) {
                tracing::error!(%error, path = %config.path, "a route cannot be served");
            }
        }
        Self(routes)
    }

    /// The route of a request, with the parameters of its path. A trailing slash makes no difference, as in
    /// DreamScape's current service; `HEAD` is a `GET` whose body is not sent.
    pub(super) fn find(&self, method: &Method, path: &str) -> Result<(&Route, Params), HttpRefusal> {
        let path = path.strip_suffix('/').unwrap_or(path);
        let wanted = if method == Method::HEAD { "GET" } else { method.as_str() };
        if let Some(Ok(found)) = self.0.get(wanted).map(|routes| routes.at(path)) {
            return Ok((found.value, decoded(found.params.iter())?));
        }
        let others = self.0.iter().filter(|(_, routes)| routes.at(path).is_ok());
        let others: Vec<_> = others.map(|(method, _)| *method).collect();
        if others.is_empty() {
            return Err(HttpRefusal::NotFound);
        }
        Err(HttpRefusal::Method(others.join(", ")))
    }
}

impl Route {
    /// The claims of the request's token and the request's key, if the token, or its absence, is valid for this route.
    pub(super) fn admit(
        &self,
        tokens: &Tokens,
        headers: &HeaderMap,
        params: &Params,
    ) -> Result<(Option<Claims>, String), HttpRefusal> {
        let claims = match self.auth {
            Auth::Required => Some(tokens.needed(headers)?),
            Auth::Optional => tokens.sent(headers)?,
            Auth::None => None,
        };
        let key = match &self.key {
            KeySource::Claim(name) => {
                let claim = claims.as_ref().and_then(|claims| claims.text(name));
                claim.ok_or(HttpRefusal::Token("the token lacks a required claim"))?
            }
            KeySource::Path(name) => {
                let key = params.iter().find(|(param, _)| param == name).map(|(_, value)| value);
                let key = key.ok_or(HttpRefusal::NotFound)?;
                if claims
                    .as_ref()
                    .is_some_and(|claims| claims.user().as_ref() != Some(key))
                {
                    return Err(HttpRefusal::NotOwner);
                }
                key.clone()
            }
        };
        if key.is_empty() || key.len() > LONGEST_KEY || key.chars().any(char::is_control) {
            let problem = format!("the request's key must have 1 to {LONGEST_KEY} bytes and no control characters");
            return Err(HttpRefusal::Bad(problem));
        }
        Ok((claims, key))
    }
}

/// Finds a handler by its position in the configuration, which is its index in a host that has just started.
pub(super) fn position(config: &Config) -> impl Fn(&str) -> Option<HandlerIx> + '_ {
    let at = |name: &str| config.handlers.iter().position(|handler| *handler.name == *name);
    move |name| at(name)?.try_into().ok()
}

fn decoded<'p>(params: impl Iterator<Item = (&'p str, &'p str)>) -> Result<Params, HttpRefusal> {
    let decode = |(name, text): (&str, &str)| {
        let value = percent_decode(text)
            .ok_or_else(|| HttpRefusal::bad(format!("{name} in the path is not percent-encoded UTF-8")))?;
        Ok((name.to_owned(), value))
    };
    params.map(decode).collect()
}

/// The query's parameters, decoded, in order.
pub(super) fn query(text: Option<&str>) -> Result<Params, HttpRefusal> {
    let pairs = text.unwrap_or_default().split('&').filter(|pair| !pair.is_empty());
    let mut params = Vec::new();
    for pair in pairs {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let plain = |text: &str| percent_decode(&text.replace('+', " "));
        match (plain(name), plain(value)) {
            (Some(name), Some(value)) if params.len() < QUERY_PARAMS => params.push((name, value)),
            (Some(_), Some(_)) => {
                return Err(HttpRefusal::bad(format!(
                    "the query has more than {QUERY_PARAMS} parameters"
                )));
            }
            _ => return Err(HttpRefusal::bad("the query is not percent-encoded UTF-8")),
        }
    }
    Ok(params)
}

/// Decodes `%XX`; `None` if an escape is invalid or the bytes are not UTF-8.
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
    use std::collections::HashSet;

    use proptest::collection::vec;
    use proptest::prelude::{prop_assert_eq, prop_assume, proptest};
    use proptest::sample::select;

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
        served(&text)
    }

    fn served(text: &str) -> Routes {
        let secret = ("JWT_SECRET".to_owned(), "x".repeat(32));
        let config = Config::parse(std::path::Path::new("sandman.toml"), text, [secret].into_iter());
        let config = config.unwrap_or_else(|errors| panic!("{errors}"));
        Routes::new(&config, &position(&config), &Meters::new())
    }

    fn found(method: &Method, path: &str) -> Result<(String, Vec<String>), HttpRefusal> {
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
            assert_eq!(found(&Method::POST, path), Err(HttpRefusal::NotFound), "{path:?}");
        }
        assert_eq!(
            found(&Method::DELETE, "/users/all"),
            Err(HttpRefusal::Method("GET, PUT".to_owned()))
        );
        for path in ["/users/%", "/users/%2", "/users/%zz", "/users/%ff", "/users/%+1"] {
            assert!(
                matches!(found(&Method::PUT, path), Err(HttpRefusal::Bad(_))),
                "{path:?}"
            );
        }
    }

    /// The path of the route that is to be taken: of those that fit, the one whose first differing part is literal.
    fn most_literal<'r>(routes: &'r [Vec<&str>], path: &[&str]) -> Option<&'r Vec<&'r str>> {
        let fits = |route: &&Vec<&str>| {
            let parts = route.iter().zip(path);
            route.len() == path.len()
                && parts
                    .into_iter()
                    .all(|(part, sent)| part.starts_with('{') || part == sent)
        };
        let fitting = routes.iter().filter(fits);
        fitting.min_by_key(|route| route.iter().map(|part| part.starts_with('{')).collect::<Vec<_>>())
    }

    proptest! {
        #[test]
        fn every_route_that_the_configuration_takes_is_served(
            routes in vec(vec(select(vec!["a", "ab", "a.b", "{x}", "{y}"]), 1..4), 1..8),
            path in vec(select(vec!["a", "ab", "abc", "a.b", "b", "a%2Fb"]), 1..4),
        ) {
            let mut shapes = HashSet::new();
            let is_new = |route: &Vec<&str>| {
                let unlike = route.iter().filter(|part| part.starts_with('{')).collect::<HashSet<_>>();
                let params = route.iter().filter(|part| part.starts_with('{')).count();
                unlike.len() == params && shapes.insert(route.join("/").replace("{y}", "{x}"))
            };
            let routes: Vec<_> = routes.into_iter().filter(is_new).collect();
            prop_assume!(!routes.is_empty());
            let section = |route: &Vec<&str>| {
                let path = route.join("/");
                format!("[[routes]]\nmethod = \"PUT\"\npath = \"/{path}\"\nhandlers = [\"a\"]\nkey = \"claim:userId\"\n")
            };
            let sections: String = routes.iter().map(section).collect();
            let text = format!("host = {{ source = \"test\" }}\nhandlers = {{ a = {{ component = \"a.wasm\" }} }}\n{sections}");
            let served = served(&text);
            let found = served.find(&Method::PUT, &format!("/{}", path.join("/")));
            let found = found.map(|(route, params)| (route.path.to_string(), params.len()));
            let wanted = most_literal(&routes, &path).map(|route| {
                (format!("/{}", route.join("/")), route.iter().filter(|part| part.starts_with('{')).count())
            });
            prop_assert_eq!(found, wanted.ok_or(HttpRefusal::NotFound));
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
            assert!(matches!(query(Some(bad)), Err(HttpRefusal::Bad(_))), "{bad}");
        }
    }
}
