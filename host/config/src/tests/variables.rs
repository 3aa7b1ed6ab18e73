//! Variables as other programs set them, and what they mean where the file says something else.

use std::os::unix::ffi::OsStringExt;

use super::*;

#[test]
fn what_kubernetes_sets_for_a_service_of_our_name_is_not_ours() {
    let environment = [
        ("SANDMAN_SERVICE_HOST", "10.0.0.1"),
        ("SANDMAN_SERVICE_PORT", "3002"),
        ("SANDMAN_SERVICE_PORT_HTTP", "3002"),
        ("SANDMAN_PORT", "tcp://10.0.0.1:3002"),
        ("SANDMAN_PORT_3002_TCP", "tcp://10.0.0.1:3002"),
        ("SANDMAN_PORT_3002_TCP_PROTO", "tcp"),
        ("SANDMAN_PORT_3002_TCP_PORT", "3002"),
        ("SANDMAN_PORT_3002_TCP_ADDR", "10.0.0.1"),
        ("SANDMAN_ADMIN_SERVICE_HOST", "10.0.0.2"),
        ("SANDMAN_ADMIN_SERVICE_PORT", "3902"),
        ("SANDMAN_ADMIN_PORT", "tcp://10.0.0.2:3902"),
        ("SANDMAN_ADMIN_PORT_3902_TCP_ADDR", "10.0.0.2"),
    ];
    good(MINIMAL, &environment);
    for (name, value) in [
        ("SANDMAN_HTTP_PORT", "3002"),
        ("SANDMAN_PORT_X_TCP_ADDR", "10.0.0.1"),
        ("SANDMAN_SERVICE", "x"),
        ("SANDMAN_HOST_SOURCE", "x"),
    ] {
        refused(MINIMAL, &[(name, value)], name, "there is no such variable");
    }
    refused(
        MINIMAL,
        &[("SANDMAN_SERVICE__HOST", "x")],
        "service",
        "there is no such key",
    );
    // The file has no such section: the variable is where to look.
    let problems = problems(MINIMAL, &[("SANDMAN_SERVICE__HOST", "x")]);
    assert_eq!(problems[0].variable.as_deref(), Some("SANDMAN_SERVICE__HOST"));
}

#[test]
fn a_variable_of_ours_that_is_no_text_is_a_mistake() {
    let bytes = || std::ffi::OsString::from_vec(b"se\xffcret".to_vec());
    let of = |name: &str| [(name.to_owned(), Variable::from(bytes()))].into_iter();
    let load = |name: &str| Config::parse(Path::new("sandman.toml"), MINIMAL, of(name));
    for name in [
        "SANDMAN_ADMIN_TOKEN",
        "SANDMAN_ADMIN__TOKENS__CI",
        "SANDMAN_HOST__WORKERS",
        "JWT_SECRET",
        "KAFKA_SASL_PASSWORD",
    ] {
        let errors = load(name).expect_err(name);
        assert_eq!(errors.problems.len(), 1, "{errors}");
        assert_eq!(errors.problems[0].key, name);
        assert!(errors.problems[0].problem.contains("UTF-8"), "{errors}");
    }
    load("SOMEBODY_ELSES").expect("no variable of ours");
    let admin = Config::admin(Path::new("/nowhere/sandman.toml"), of("SANDMAN_ADMIN_TOKEN"));
    admin.expect_err("a token that is no text is not left out");
}

#[test]
fn whoever_has_a_token_of_their_own_finds_the_host_that_knows_it_by_another_name() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("sandman.toml");
    std::fs::write(
        &file,
        "[admin]\nlisten = \"127.0.0.1:4711\"\nread_data = [\"oncall\"]\n",
    )
    .expect("a file");
    let token = [(
        "SANDMAN_ADMIN_TOKEN".to_owned(),
        Variable::from("long-and-random".to_owned()),
    )];
    let admin = Config::admin(&file, token.into_iter()).expect("the address");
    assert_eq!(admin.listen.port(), 4711);
}

#[test]
fn what_files_add_to_the_end_of_a_secret_is_taken_off_and_told() {
    let environment = [
        ("SANDMAN_ADMIN_TOKEN", "long-and-random\n"),
        ("SANDMAN_ADMIN__TOKENS__CI", "another \r\n"),
        ("JWT_SECRET", "0123456789abcdef0123456789abcdef\n"),
        ("KAFKA_SASL_USERNAME", "ann\n"),
        ("KAFKA_SASL_PASSWORD", "hush\n"),
        ("SANDMAN_KAFKA__OPTIONS__SSL_KEY_PASSWORD", "hush\n"),
    ];
    let config = good(MINIMAL, &environment);
    let tokens: Vec<_> = config.admin.tokens.iter().map(|(_, token)| token.expose()).collect();
    assert_eq!(tokens, ["long-and-random", "another"]);
    let secret = config.http.jwt_secret.as_ref().map(Secret::expose);
    assert_eq!(secret, Some("0123456789abcdef0123456789abcdef"));
    let sasl = config.kafka.sasl.as_ref().expect("a login");
    assert_eq!((sasl.username.as_str(), sasl.password.as_str()), ("ann", "hush"));
    assert_eq!(config.kafka.options["ssl.key.password"], "hush");
    let warnings = config.warnings();
    for name in [
        "SANDMAN_ADMIN_TOKEN",
        "admin.tokens.ci",
        "JWT_SECRET",
        "KAFKA_SASL_PASSWORD",
        "SSL_KEY_PASSWORD",
    ] {
        let told = warnings
            .iter()
            .filter(|warning| warning.contains(name) && warning.contains("taken off"));
        assert_eq!(told.count(), 1, "{name}: {warnings:?}");
    }
    assert!(!warnings.join(" ").contains("hush"), "{warnings:?}");
}

#[test]
fn a_secret_that_cannot_be_used_is_a_mistake() {
    refused(MINIMAL, &[("JWT_SECRET", " \n")], "JWT_SECRET", "is empty");
    let login = [("KAFKA_SASL_USERNAME", "\n"), ("KAFKA_SASL_PASSWORD", "hush")];
    let found = problems(MINIMAL, &login);
    let told: Vec<_> = found.iter().map(ToString::to_string).collect();
    assert_eq!(told, ["KAFKA_SASL_USERNAME: is empty; leave it out, or set it"]);
    let login = [("KAFKA_SASL_USERNAME", "ann"), ("KAFKA_SASL_PASSWORD", " ")];
    let found = problems(MINIMAL, &login);
    assert_eq!(found.len(), 1, "{found:?}");
    let option = "SANDMAN_KAFKA__OPTIONS__SSL_KEY_PASSWORD";
    refused(MINIMAL, &[(option, "\n")], option, "is empty");
    for token in ["two words", " first", "café", "a\u{1}b"] {
        let (name, words) = ("SANDMAN_ADMIN_TOKEN", "no client can send");
        refused(MINIMAL, &[(name, token)], name, words);
        refused(
            MINIMAL,
            &[("SANDMAN_ADMIN__TOKENS__CI", token)],
            "admin.tokens.ci",
            words,
        );
    }
}

fn settings(file: &str, variables: &[(&str, &str)]) -> String {
    let text = format!("{MINIMAL}\nsettings = {{ {file} }}");
    let variables: Vec<_> = variables
        .iter()
        .map(|(key, value)| (format!("SANDMAN_HANDLERS__PROFILE__SETTINGS__{key}"), *value))
        .collect();
    let variables: Vec<_> = variables.iter().map(|(name, value)| (name.as_str(), *value)).collect();
    good(&text, &variables).handlers[0].settings.to_string()
}

#[test]
fn settings_from_variables_are_text_unless_the_file_or_they_themselves_say_otherwise() {
    for text in [
        "+442079460018",
        "1_000",
        "0x1F",
        "007",
        "true",
        "1e3",
        "[1]",
        "{}",
        "2025-01-01",
        "",
        "nan",
    ] {
        let quoted = serde_json::to_string(text).expect("JSON");
        assert_eq!(settings("", &[("A", text)]), format!("{{\"a\":{quoted}}}"));
        assert_eq!(settings("a = 'x'", &[("A", text)]), format!("{{\"a\":{quoted}}}"));
    }
    for (file, text, json) in [
        ("a = 1", "7", "7"),
        ("a = 1.5", "7", "7"),
        ("a = false", "true", "true"),
        ("a = ['x']", "[\"y\", 2]", "[\"y\",2]"),
        ("a = { b = 1 }", "{\"c\": 2}", "{\"c\":2}"),
        ("a = 'x'", "json:5", "\"json:5\""),
        ("", "json:5", "5"),
        ("", "json:true", "true"),
        ("", "json:\"json:5\"", "\"json:5\""),
        ("", "json:{\"b\":[null]}", "{\"b\":[null]}"),
    ] {
        assert_eq!(
            settings(file, &[("A", text)]),
            format!("{{\"a\":{json}}}"),
            "{file} {text}"
        );
    }
    for (file, text) in [
        ("a = 1", "0x1F"),
        ("a = 1", "1_000"),
        ("a = 1", "1.5"),
        ("a = false", "yes"),
        ("a = ['x']", "x,y"),
    ] {
        let file = format!("{MINIMAL}\nsettings = {{ {file} }}");
        let variable = ("SANDMAN_HANDLERS__PROFILE__SETTINGS__A", text);
        refused(&file, &[variable], "handlers.profile.settings.a", "than the file holds");
    }
    let variable = ("SANDMAN_HANDLERS__PROFILE__SETTINGS__A", "json:{");
    refused(MINIMAL, &[variable], "handlers.profile.settings.a", "is not JSON");
}
