//! Configurations, good and bad, in the words of their file.

mod bad;
mod documents;
mod feedback;
mod good;
mod variables;

use std::path::Path;

use super::*;

const MINIMAL: &str = r#"
[host]
source = "user-service"
[handlers.profile]
component = "profile.wasm"
topics = ["dreamscape.user.created"]
"#;

const ROUTE: &str = r#"
[[routes]]
method = "PUT"
path = "/users/{userId}"
handlers = ["profile"]
key = "path:userId"
auth = "none"
"#;

fn load(text: &str, environment: &[(&str, &str)]) -> Result<Config, ConfigErrors> {
    let environment = environment
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    Config::parse(Path::new("/etc/sandman/sandman.toml"), text, environment)
}

fn good(text: &str, environment: &[(&str, &str)]) -> Config {
    load(text, environment).unwrap_or_else(|errors| panic!("{errors}"))
}

fn problems(text: &str, environment: &[(&str, &str)]) -> Vec<Problem> {
    match load(text, environment) {
        Ok(_) => Vec::new(),
        Err(errors) => errors.problems,
    }
}

/// The configuration must be refused with exactly one mistake: this key, and these words somewhere in it.
#[track_caller]
fn refused(text: &str, environment: &[(&str, &str)], key: &str, words: &str) {
    let problems = problems(text, environment);
    let shown: Vec<_> = problems.iter().map(ToString::to_string).collect();
    assert!(
        problems.len() == 1,
        "one mistake at {key} expected, found {shown:#?} in\n{text}"
    );
    assert_eq!(problems[0].key, key, "{shown:?}");
    assert!(shown[0].contains(words), "{words:?} expected in {:?}", shown[0]);
}
