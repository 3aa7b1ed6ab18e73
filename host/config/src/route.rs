//! `[[routes]]`: which HTTP requests call which handlers, and their keys.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use super::kind::{Kind, list, one_of, text};
use super::problem::{ProblemReport, nearest};
use super::section::Section;

/// Methods that a route can have.
const METHODS: &[(&str, &str)] = &[
    ("GET", "GET"),
    ("POST", "POST"),
    ("PUT", "PUT"),
    ("PATCH", "PATCH"),
    ("DELETE", "DELETE"),
];

/// The first segments of the host's own paths.
const TAKEN: [&str; 2] = ["health", "uploads"];

/// Whether a request needs a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Auth {
    /// A valid token.
    Required,
    /// A token that is sent must be valid and own the key.
    Optional,
    /// Tokens are ignored.
    None,
}

/// Where the key of a request comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeySource {
    /// A claim of the verified token.
    Claim(String),
    /// A parameter of the path.
    Path(String),
}

/// One part of a path between slashes.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Segment {
    /// Must be exactly this.
    Literal(String),
    /// Anything; the text becomes this parameter.
    Param(String),
}

/// A path with parameters, for example `/api/v1/users/profile/{userId}`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoutePath {
    text: String,
    segments: Vec<Segment>,
}

impl RoutePath {
    /// The path as it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether it has the parameter.
    pub fn has_param(&self, name: &str) -> bool {
        self.segments.contains(&Segment::Param(name.to_owned()))
    }

    /// The path with nameless parameters: two routes of one shape cannot be told apart.
    fn shape(&self) -> String {
        let part = |segment: &Segment| match segment {
            Segment::Literal(text) => format!("/{text}"),
            Segment::Param(_) => "/{}".to_owned(),
        };
        self.segments.iter().map(part).collect()
    }

    fn parse(text: &str) -> Option<Self> {
        let mut segments = Vec::new();
        for part in text.strip_prefix('/')?.split('/') {
            let param = part.strip_prefix('{').and_then(|part| part.strip_suffix('}'));
            let segment = match param {
                Some(name) => Segment::Param(is_name(name).then(|| name.to_owned())?),
                None => Segment::Literal(is_literal(part).then(|| part.to_owned())?),
            };
            if matches!(segment, Segment::Param(_)) && segments.contains(&segment) {
                return None;
            }
            segments.push(segment);
        }
        let text = text.to_owned();
        Some(Self { text, segments })
    }
}

impl fmt::Display for RoutePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// `[[routes]]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RouteConfig {
    /// The HTTP method, upper case.
    pub method: &'static str,
    /// The path.
    pub path: RoutePath,
    /// The handlers that answer it, in order; each exists.
    pub handlers: Vec<Arc<str>>,
    /// Where the key comes from; a path parameter exists, a claim has `auth = "required"`.
    pub key: KeySource,
    /// Whether a request needs a token.
    pub auth: Auth,
    /// Fields of a multipart form that may have a file; without any, the route accepts no forms.
    pub files: Vec<String>,
}

impl RouteConfig {
    /// Whether requests without a token can change something.
    pub fn strangers_write(&self) -> bool {
        self.method != "GET" && self.auth != Auth::Required
    }
}

const AUTH: &[(&str, Auth)] = &[
    ("required", Auth::Required),
    ("optional", Auth::Optional),
    ("none", Auth::None),
];

pub(super) fn read_all(sections: Vec<Section<'_>>, handlers: &[String], report: &ProblemReport) -> Vec<RouteConfig> {
    let mut seen = BTreeMap::new();
    let mut routes = Vec::new();
    for (index, section) in sections.into_iter().enumerate() {
        let Some(route) = read(section, handlers) else {
            continue;
        };
        if let Some(other) = seen.insert((route.method, route.path.shape()), index) {
            let problem = format!(
                "{} {} matches the same requests as routes[{other}]",
                route.method, route.path
            );
            report.refuse(&format!("routes[{index}].path"), problem);
        }
        routes.push(route);
    }
    routes
}

fn read(mut section: Section<'_>, known: &[String]) -> Option<RouteConfig> {
    let method = section.required("method", &one_of(METHODS));
    let path = section.required("path", &path());
    let handlers = section.required("handlers", &list(text()));
    let key = section.required("key", &key());
    let auth = section.or("auth", &one_of(AUTH), Auth::Required);
    let files = section.or("files", &list(field()), Vec::new());
    if method == Some("GET") && !files.is_empty() {
        section.refuse("files", "a GET request has no body, so no file can come with it");
    }
    if let Some(handlers) = &handlers {
        check_handlers(&section, handlers, known);
    }
    if let Some(path) = &path {
        check_path(&section, path, key.as_ref());
    }
    if let Some(KeySource::Claim(claim)) = &key
        && auth != Auth::Required
    {
        let problem = format!("the key is the claim {claim} of a token, so auth must be \"required\"");
        section.refuse("auth", problem);
    }
    section.finish();
    Some(RouteConfig {
        method: method?,
        path: path?,
        handlers: handlers?.into_iter().map(Arc::from).collect(),
        key: key?,
        auth,
        files,
    })
}

fn check_handlers(section: &Section<'_>, handlers: &[String], known: &[String]) {
    if handlers.is_empty() {
        section.refuse("handlers", "is empty; name at least one handler");
    }
    for name in handlers.iter().filter(|name| !known.contains(name)) {
        let near = nearest(name, known.iter().map(String::as_str));
        let allowed = near.is_none().then(|| known.join(", "));
        let problem = format!("there is no handler {name:?}");
        section.report.add(&section.path("handlers"), problem, allowed, near);
    }
}

fn check_path(section: &Section<'_>, path: &RoutePath, key: Option<&KeySource>) {
    if let Some(Segment::Literal(first)) = path.segments.first()
        && TAKEN.contains(&first.as_str())
    {
        section.refuse("path", format!("/{first} is answered by the host itself"));
    }
    if let Some(KeySource::Path(name)) = key
        && !path.has_param(name)
    {
        section.refuse("key", format!("the path {path} has no parameter {{{name}}}"));
    }
}

fn path() -> Kind<RoutePath> {
    Kind::text(
        "a path such as \"/users/{userId}\": parts of letters, digits, dots, dashes, underscores and tildes, or a parameter \
         in braces, each parameter once, no slash at the end",
        RoutePath::parse,
    )
}

fn key() -> Kind<KeySource> {
    Kind::text(
        "\"claim:NAME\", a claim of the token, or \"path:NAME\", a parameter of the path",
        |text| {
            let (source, name) = text.split_once(':')?;
            let name = is_name(name).then(|| name.to_owned())?;
            match source {
                "claim" => Some(KeySource::Claim(name)),
                "path" => Some(KeySource::Path(name)),
                _ => None,
            }
        },
    )
}

/// The name of a form's field; files of the field `avatar` are served from `/uploads/avatars/`.
fn field() -> Kind<String> {
    Kind::text(
        "the name of a form's field: 1 to 32 letters, digits and underscores, the first a letter",
        |text| {
            let letter = text.bytes().next().is_some_and(|byte| byte.is_ascii_alphabetic());
            (letter && is_name(text) && text.len() <= 32).then(|| text.to_owned())
        },
    )
}

fn is_name(name: &str) -> bool {
    let known = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    (1..=64).contains(&name.len()) && name.bytes().all(known)
}

fn is_literal(part: &str) -> bool {
    let known = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_' | b'~');
    !part.is_empty() && part != "." && part != ".." && part.bytes().all(known)
}
