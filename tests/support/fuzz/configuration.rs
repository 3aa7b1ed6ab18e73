//! The configuration: a file and an environment are valid, or every mistake is named, and no secret is shown.

use std::path::Path;

use sandman_config::{Config, ConfigErrors};

/// What no error and no debug output may ever hold.
const SECRET: &str = "a-secret-that-must-never-be-shown-0123456789";
/// Stands between the file's text and the variables, one `NAME=value` a line.
const BETWEEN: &str = "\n%%\n";

/// The text of `sandman.toml`, and behind a line `%%` variables that lie over it.
pub fn configuration(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let (text, variables) = text.split_once(BETWEEN).unwrap_or((text, ""));
    let mut environment: Vec<_> = variables
        .lines()
        .filter_map(|line| line.split_once('='))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    for name in ["JWT_SECRET", "SANDMAN_ADMIN_TOKEN", "KAFKA_SASL_PASSWORD"] {
        environment.push((name.to_owned(), SECRET.to_owned()));
    }
    let parse = || {
        Config::parse(
            Path::new("/etc/sandman/sandman.toml"),
            text,
            environment.iter().cloned(),
        )
    };
    match parse() {
        Ok(config) => valid(&config),
        Err(errors) => {
            refused(&errors);
            let again = parse().expect_err("refused once, refused always");
            assert_eq!(errors.to_string(), again.to_string());
        }
    }
}

fn valid(config: &Config) {
    hidden(&format!("{config:?}"));
    config.warnings().iter().for_each(|warning| hidden(warning));
    assert!(!config.handlers.is_empty());
    assert!(config.host.workers > 0 && config.host.component > 0);
    for handler in &config.handlers {
        assert!(handler.limits.memory > 0 && !handler.limits.time.is_zero());
        assert!(config.find(&handler.name).is_ok());
        let called = !handler.topics.is_empty() || !config.grant(handler).routes.is_empty();
        assert!(called, "nothing would ever call {}", handler.name);
        serde_json::from_str::<serde_json::Map<_, _>>(&handler.settings).expect("settings are a JSON object");
    }
    for route in &config.routes {
        assert!(route.path.as_str().starts_with('/') && !route.handlers.is_empty());
        assert!(route.handlers.iter().all(|name| config.find(name).is_ok()));
    }
}

fn refused(errors: &ConfigErrors) {
    hidden(&errors.to_string());
    hidden(&format!("{errors:?}"));
    assert!(!errors.problems.is_empty(), "refused without a mistake");
    for problem in &errors.problems {
        assert!(!problem.problem.is_empty(), "a mistake without words: {problem:?}");
    }
    let text = errors.to_string();
    let first = text.lines().next().unwrap_or_default();
    assert!(first.contains("sandman.toml"), "no file is named in {first:?}");
}

fn hidden(text: &str) {
    assert!(!text.contains(SECRET), "a secret is shown: {text}");
}
