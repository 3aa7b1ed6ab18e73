//! The configuration: `sandman.toml` and the environment become a [`Config`] that is valid by its types.
//!
//! All mistakes are reported at once. Each section has a module; a section reads its keys one by one, and the rest is
//! unknown. The environment overrides the file before anything is read, so both follow the same rules.

mod difference;
mod environment;
mod feedback;
mod handler;
mod host;
mod kafka;
mod kafka_options;
mod kind;
mod listeners;
mod problem;
mod route;
mod secret;
mod section;
mod settings;
mod store;
#[cfg(test)]
mod tests;
mod units;
mod uploads;

use std::fs;
use std::path::{Path, PathBuf};

use toml::{Table, Value};

pub use difference::Difference;
pub use environment::{Variable, in_environment, variables};
pub use handler::{HandlerConfig, is_handler_name};
pub use host::{HostConfig, LogFormat};
pub use kafka::{Brokers, DEFAULT_PREFIX, KafkaConfig};
pub use listeners::{AdminConfig, HttpConfig, LOCAL};
pub use problem::{ConfigErrors, NoHandler, Problem};
pub use route::{Auth, KeySource, RouteConfig, RoutePath};
pub use secret::Secret;
pub use store::{StoreConfig, StoreUrl};
pub use uploads::{Bucket, UploadsConfig, UploadsUrl};

use problem::ProblemReport;
use sandman_core::contract::Grant;
use section::Section;

/// The valid configuration of the host.
#[derive(Clone, Debug)]
pub struct Config {
    /// The file it came from.
    pub file: PathBuf,
    /// `[host]`.
    pub host: HostConfig,
    /// `[kafka]`.
    pub kafka: KafkaConfig,
    /// `[store]`.
    pub store: StoreConfig,
    /// `[uploads]`.
    pub uploads: UploadsConfig,
    /// `[http]`.
    pub http: HttpConfig,
    /// `[admin]`.
    pub admin: AdminConfig,
    /// `[handlers.<name>]`, by name; at least one.
    pub handlers: Vec<HandlerConfig>,
    /// `[[routes]]`, in order.
    pub routes: Vec<RouteConfig>,
    /// Variables that override the environment's own in this process.
    over: Vec<(String, String)>,
    /// Warnings from reading it.
    remarks: Vec<String>,
}

impl Config {
    /// Reads the file at `path`, overrides it with `environment`, and checks everything.
    ///
    /// # Errors
    /// [`ConfigErrors`] with every mistake, or the one that kept the file from being read.
    pub fn load(
        path: &Path,
        environment: impl Iterator<Item = (String, impl Into<Variable>)>,
    ) -> Result<Self, ConfigErrors> {
        let text = fs::read_to_string(path).map_err(|error| unreadable(path, &error))?;
        Self::parse(path, &text, environment)
    }

    /// Like [`Config::load`], with this process's environment, and `over` overriding both.
    ///
    /// # Errors
    /// As [`Config::load`].
    pub fn load_over(path: &Path, over: Vec<(String, String)>) -> Result<Self, ConfigErrors> {
        let laid_over = over.iter().map(|(name, text)| (name.clone(), text.clone().into()));
        let mut config = Self::load(path, variables().chain(laid_over))?;
        config.over = over;
        Ok(config)
    }

    /// Reads the same file again, in the same way.
    ///
    /// # Errors
    /// As [`Config::load`].
    pub fn again(&self) -> Result<Self, ConfigErrors> {
        Self::load_over(&self.file, self.over.clone())
    }

    /// Like [`Config::load`], from the text of a file that would be at `path`.
    ///
    /// # Errors
    /// [`ConfigErrors`] with every mistake.
    pub fn parse(
        path: &Path,
        text: &str,
        environment: impl Iterator<Item = (String, impl Into<Variable>)>,
    ) -> Result<Self, ConfigErrors> {
        let fail = |problems, readable| ConfigErrors {
            file: path.to_owned(),
            problems,
            readable,
        };
        let mut table = text
            .parse::<Table>()
            .map_err(|error| fail(vec![syntax(text, &error)], None))?;
        let folder = folder_of(path);
        let mut report = ProblemReport::new(&folder);
        flatten_options(&mut table);
        let environment = environment.map(|(name, value)| (name, value.into()));
        let environment = environment::overlay(&mut table, environment, &mut report);
        let mut config = read(path, Section::new("", table, &report), environment);
        config.remarks = report.warnings();
        if report.is_clean() {
            Ok(config)
        } else {
            Err(fail(report.into_problems(), Some(Box::new(config))))
        }
    }

    /// Only `[admin]`, for a command that asks a host: the rest may be for another machine, or missing.
    ///
    /// # Errors
    /// [`ConfigErrors`] with every mistake in this section, or the one that kept the file from being read.
    pub fn admin(
        path: &Path,
        environment: impl Iterator<Item = (String, impl Into<Variable>)>,
    ) -> Result<AdminConfig, ConfigErrors> {
        let text = match fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
            Err(error) => return Err(unreadable(path, &error)),
        };
        let fail = |problems| ConfigErrors {
            file: path.to_owned(),
            problems,
            readable: None,
        };
        let mut table = text
            .parse::<Table>()
            .map_err(|error| fail(vec![syntax(&text, &error)]))?;
        let mut report = ProblemReport::new(&folder_of(path));
        let environment = environment.map(|(name, value)| (name, value.into()));
        let mut environment = environment::overlay(&mut table, environment, &mut report);
        let section = Section::new("", table, &report).section("admin");
        let admin = listeners::read_admin(section, environment.admin_token.take());
        // `read_data` is checked only by the host, because a client does not know the names of all tokens.
        let ours = |problem: &Problem| {
            (problem.key.starts_with("admin") && problem.key != "admin.read_data")
                || problem.key.starts_with("SANDMAN_ADMIN")
        };
        let problems: Vec<_> = report.into_problems().into_iter().filter(ours).collect();
        if problems.is_empty() {
            Ok(admin)
        } else {
            Err(fail(problems))
        }
    }

    /// The handler of that name.
    ///
    /// # Errors
    /// [`NoHandler`]
    pub fn find(&self, name: &str) -> Result<&HandlerConfig, NoHandler> {
        let mut handlers = self.handlers.iter();
        handlers
            .find(|handler| &*handler.name == name)
            .ok_or_else(|| NoHandler {
                file: self.file.clone(),
                name: name.to_owned(),
                known: self.handlers.iter().map(|handler| handler.name.to_string()).collect(),
            })
    }

    /// The grant of a handler.
    pub fn grant(&self, handler: &HandlerConfig) -> Grant {
        let routes = self
            .routes
            .iter()
            .filter(|route| route.handlers.contains(&handler.name));
        Grant {
            emits: handler.emits.clone(),
            has_topics: !handler.topics.is_empty(),
            routes: routes
                .map(|route| (route.method.to_owned(), route.path.as_str().to_owned()))
                .collect(),
        }
    }

    /// Warnings about valid settings that are probably not intended.
    pub fn warnings(&self) -> Vec<String> {
        let mut warnings = self.remarks.clone();
        let tokens = self.routes.iter().any(|route| route.auth != Auth::None);
        match &self.http.jwt_secret {
            None if tokens => {
                warnings.push("JWT_SECRET is not set: every token that is sent is refused".to_owned());
            }
            Some(secret) if secret.expose().len() < 32 => warnings
                .push("JWT_SECRET is shorter than 32 bytes: tokens signed with it can be forged by trying".to_owned()),
            _ => {}
        }
        for route in self.routes.iter().filter(|route| route.strangers_write()) {
            let (method, path) = (route.method, &route.path);
            warnings.push(format!(
                "{method} {path} lets strangers write: a token is not required (auth)"
            ));
        }
        let is_fleet = matches!(self.store.url, StoreUrl::Postgres(_));
        let takes_files = self.routes.iter().any(|route| !route.files.is_empty());
        if is_fleet && takes_files && matches!(self.uploads.url, UploadsUrl::Folder(_)) {
            warnings.push(
                "uploads.url is a folder: unless all hosts share it, a file that one of them takes is not found by the others"
                    .to_owned(),
            );
        }
        warnings.extend(feedback::warnings(self));
        warnings
    }
}

fn read(path: &Path, mut root: Section<'_>, mut environment: environment::Environment) -> Config {
    let host = host::read(root.section("host"));
    let jwt_secret = environment.jwt_secret.take();
    let token = environment.admin_token.take();
    let postgres = (environment.pg_password.take(), environment.pg_passfile.take());
    let aws = std::mem::take(&mut environment.aws);
    let http = listeners::read_http(root.section("http"), environment.port.as_deref(), jwt_secret);
    let admin = listeners::read_admin(root.section("admin"), token);
    listeners::check_distinct(&http, &admin, root.report);
    let kafka = kafka::read(root.section("kafka"), environment);
    let sections = root.named("handlers");
    let names: Vec<_> = sections.iter().map(|(name, _)| name.clone()).collect();
    if names.is_empty() {
        root.refuse(
            "handlers",
            "there is none; add a table [handlers.NAME] with its component",
        );
    }
    let handlers = handler::read_all(sections, &host, &kafka, root.report);
    let routes = route::read_all(root.array("routes"), &names, root.report);
    let store = store::read(root.section("store"), postgres);
    check_idle(&handlers, &routes, root.report);
    check_secret(&http, &routes, root.report);
    let config = Config {
        file: path.to_owned(),
        store,
        uploads: uploads::read(root.section("uploads"), aws),
        host,
        kafka,
        http,
        admin,
        handlers,
        routes,
        over: Vec::new(),
        remarks: Vec::new(),
    };
    root.finish();
    config
}

/// A handler without topics and routes would never be called.
fn check_idle(handlers: &[HandlerConfig], routes: &[RouteConfig], report: &ProblemReport) {
    for handler in handlers.iter().filter(|handler| handler.topics.is_empty()) {
        let key = format!("handlers.{}", handler.name);
        let served = routes.iter().any(|route| route.handlers.contains(&handler.name));
        // If the handler or a route has a mistake, that may be the reason.
        if !served && !report.has(&key) && !report.has("routes") {
            let problem = "is empty and no route names the handler, so nothing would ever call it";
            report.refuse(&format!("{key}.topics"), problem);
        }
    }
}

/// Without the key, routes that need a token would refuse every request.
fn check_secret(http: &HttpConfig, routes: &[RouteConfig], report: &ProblemReport) {
    let needs = |route: &&RouteConfig| route.auth == Auth::Required;
    if let (None, Some(route)) = (&http.jwt_secret, routes.iter().find(needs)) {
        let (method, path) = (route.method, &route.path);
        let problem =
            format!("is not set, and {method} {path} needs a token: set it to the key that tokens are signed with");
        report.refuse("JWT_SECRET", problem);
    }
}

fn flatten_options(table: &mut Table) {
    if let Some(Value::Table(kafka)) = table.get_mut("kafka")
        && let Some(Value::Table(options)) = kafka.get_mut("options")
    {
        *options = kafka_options::flatten(std::mem::take(options));
    }
}

fn folder_of(path: &Path) -> PathBuf {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder.to_owned(),
        _ => PathBuf::from("."),
    }
}

fn unreadable(path: &Path, error: &std::io::Error) -> ConfigErrors {
    // A guest's folder is in that of the configuration, and commands are often run there.
    let above = Path::new("..").join(path);
    let elsewhere = if path.is_relative() && above.is_file() {
        "; there is one in the folder above: go there"
    } else {
        ""
    };
    let problem = Problem {
        key: String::new(),
        problem: format!("the file cannot be read: {error}; name another with --config{elsewhere}"),
        allowed: None,
        nearest: None,
        variable: None,
    };
    ConfigErrors {
        file: path.to_owned(),
        problems: vec![problem],
        readable: None,
    }
}

fn syntax(text: &str, error: &toml::de::Error) -> Problem {
    let offset = error.span().map_or(0, |span| span.start);
    let before = text.get(..offset).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    Problem {
        key: format!("line {line}, column {column}"),
        problem: error.message().trim().replace('\n', ", "),
        allowed: None,
        nearest: None,
        variable: None,
    }
}
