//! What `deploy` tells a container, compose and Kubernetes fits the host: its commands, keys, paths, ports and metrics.
//! Whether the chart renders is for `deploy/helm/check`, which needs helm.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use anyhow::{Context, ensure};
use sandman_config::Config;
use sandman_tests::{Behaviour, Result, SECRET, World, repository, shipped_guest};
use serde_json::Value;

pub const BEHAVIOURS: &[Behaviour] = &[
    Behaviour::new("the_container_file_fits_the_repository_and_the_host", container).without_broker(),
    Behaviour::new("what_compose_tells_a_host_is_understood", compose).without_broker(),
    Behaviour::new("the_chart_uses_and_explains_every_value", chart_values).of_the_sources(),
    Behaviour::new("what_the_chart_tells_a_host_is_understood", chart_host).without_broker(),
];

fn text(path: &str) -> Result<String> {
    fs::read_to_string(repository().join(path)).with_context(|| path.to_owned())
}

/// The instructions of a container file, each on one line.
fn instructions() -> Result<Vec<String>> {
    let text = text("deploy/Dockerfile")?;
    let lines = text.lines().filter(|line| !line.trim_start().starts_with('#'));
    let joined = lines.collect::<Vec<_>>().join("\n").replace("\\\n", " ");
    let lines = joined
        .lines()
        .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "));
    Ok(lines.filter(|line| !line.is_empty()).collect())
}

/// What follows an instruction of this name, wherever there is one.
fn all<'i>(instructions: &'i [String], name: &str) -> Vec<&'i str> {
    let prefix = format!("{name} ");
    instructions
        .iter()
        .filter_map(|line| line.strip_prefix(&*prefix))
        .collect()
}

/// The binary knows the command and all of its options.
fn knows(world: &World, arguments: &[&str]) -> Result {
    let (command, options) = arguments.split_first().context("no command")?;
    let help = world.command(&[command, "--help"], &[])?;
    ensure!(help.code() == 0, "sandman {command}: {}", help.stderr);
    for option in options.iter().filter(|option| option.starts_with("--")) {
        ensure!(help.stdout.contains(option), "sandman {command} has no {option}");
    }
    Ok(())
}

fn list(json: &str) -> Result<Vec<String>> {
    serde_json::from_str(json).with_context(|| json.to_owned())
}

fn container(world: &World) -> Result {
    let file = instructions()?;
    let toolchain = text("rust-toolchain.toml")?;
    let channel = toolchain
        .lines()
        .find_map(|line| line.strip_prefix("channel = "))
        .context("no channel")?;
    let base = all(&file, "FROM").first().copied().unwrap_or_default().to_owned();
    let expected = format!("rust:{}-slim-bookworm AS build", channel.trim_matches('"'));
    ensure!(base == expected, "builds with {base:?} and not with {expected:?}");
    for copy in all(&file, "COPY").iter().filter(|copy| !copy.contains("--from")) {
        for source in copy.split(' ').rev().skip(1) {
            ensure!(repository().join(source).exists(), "COPY {copy}: there is no {source}");
        }
    }
    for run in all(&file, "RUN") {
        for command in run
            .split("&&")
            .filter_map(|command| command.split("sandman build ").nth(1))
        {
            let arguments: Vec<_> = command.split_whitespace().collect();
            let folder = arguments.first().copied().unwrap_or_default();
            ensure!(repository().join(folder).is_dir(), "there is no guest {folder}");
            knows(world, &[&["build"], &arguments[1..]].concat())?;
        }
    }
    let entry = list(all(&file, "ENTRYPOINT").first().context("no ENTRYPOINT")?)?;
    let installed = all(&file, "COPY").iter().any(|copy| copy.ends_with(&*entry[0]));
    ensure!(entry.len() == 1 && installed, "{entry:?} is not in the image");
    // With `HEALTHCHECK --… CMD […]` the last one is not an instruction of its own.
    let command = list(all(&file, "CMD").first().context("no CMD")?)?;
    let check = all(&file, "HEALTHCHECK")
        .first()
        .and_then(|check| check.split(" CMD ").nth(1));
    let check = list(check.context("no HEALTHCHECK")?)?;
    ensure!(check.first() == entry.first(), "the check runs {check:?}");
    for arguments in [&command[..], &check[1..]] {
        knows(world, &arguments.iter().map(String::as_str).collect::<Vec<_>>())?;
    }
    let user = all(&file, "USER").last().copied().unwrap_or_default();
    ensure!(user == "65532:65532", "runs as {user:?}");

    // What the file in the image says with relative paths is where the image has it, below the folder of the data.
    let folder = all(&file, "WORKDIR").last().copied().unwrap_or_default().to_owned();
    let shipped = text("sandman.toml")?;
    let config = Config::parse(&Path::new(&folder).join("sandman.toml"), &shipped, secrets())?;
    let guests = Path::new(&folder).join("target/sandman");
    let copied = format!("/guests/ {}/", guests.display());
    ensure!(
        all(&file, "COPY").iter().any(|copy| copy.ends_with(&copied)),
        "no {copied}"
    );
    for handler in &config.handlers {
        ensure!(
            handler.component.starts_with(&guests),
            "{}",
            handler.component.display()
        );
    }
    let data = all(&file, "VOLUME").first().copied().unwrap_or_default().to_owned();
    ensure!(
        config.host.compiled.starts_with(&data),
        "{}",
        config.host.compiled.display()
    );
    for place in [format!("{:?}", config.store.url), format!("{:?}", config.uploads.url)] {
        ensure!(place.contains(&data), "{place} is not below {data}");
    }
    let ports = format!("{} {}", config.http.listen.port(), config.admin.listen.port());
    ensure!(all(&file, "EXPOSE") == [&*ports], "listens on {ports}");
    Ok(())
}

fn secrets() -> impl Iterator<Item = (String, String)> {
    std::iter::once(("JWT_SECRET".to_owned(), SECRET.to_owned()))
}

/// The `NAME: value` lines below the line `begin`, as deep as the first of them.
fn mapping(yaml: &str, begin: &str) -> BTreeMap<String, String> {
    let depth = |line: &str| line.len() - line.trim_start().len();
    let mut lines = yaml.lines().skip_while(|line| line.trim() != begin).skip(1).peekable();
    let first = lines.peek().map_or(0, |line| depth(line));
    let lines = lines.take_while(|line| depth(line) >= first && !line.trim().is_empty());
    let pairs = lines.filter_map(|line| line.trim().split_once(": "));
    pairs
        .map(|(name, value)| (name.to_owned(), value.trim_matches('"').to_owned()))
        .collect()
}

/// `sandman check` with these variables takes the repository's own configuration with DreamScape's handlers.
fn is_taken(world: &World, variables: &BTreeMap<String, String>) -> Result {
    let mut all = variables.clone();
    for name in ["profile", "preferences"] {
        let component = shipped_guest(name)?.to_string_lossy().into_owned();
        all.insert(
            format!("SANDMAN_HANDLERS__{}__COMPONENT", name.to_uppercase()),
            component,
        );
    }
    let environment: Vec<_> = all.iter().map(|(name, value)| (&**name, &**value)).collect();
    let checked = world.sandman(&["check"], &text("sandman.toml")?, &environment)?;
    ensure!(checked.code() == 0, "{}", checked.stderr);
    Ok(())
}

fn compose(world: &World) -> Result {
    let file = text("deploy/compose.yaml")?;
    let mut variables = mapping(&file, "environment: &environment");
    ensure!(variables.len() >= 8, "{variables:?}");
    let secret = variables.insert("JWT_SECRET".to_owned(), SECRET.to_owned());
    ensure!(
        secret.is_some_and(|secret| secret.starts_with("${JWT_SECRET:?")),
        "a secret that is the same everywhere"
    );
    is_taken(world, &variables)?;
    // The servers that a host is told of are there, by their names.
    for (name, service) in [
        ("KAFKA_BROKERS", "kafka:9092"),
        ("SANDMAN_STORE__URL", "@postgres:5432"),
        ("AWS_ENDPOINT_URL", "//s3:7070"),
    ] {
        let value = variables.get(name).map(String::as_str).unwrap_or_default();
        ensure!(value.contains(service), "{name} is {value:?}");
        let service = service
            .trim_start_matches(['@', '/'])
            .split(':')
            .next()
            .unwrap_or_default();
        ensure!(
            file.contains(&format!("\n  {service}:\n")),
            "there is no service {service}"
        );
    }
    let dockerfile = text("deploy/Dockerfile")?;
    ensure!(
        file.contains("target: dreamscape") && dockerfile.contains(" AS dreamscape\n"),
        "no such stage"
    );
    Ok(())
}

const CHART: &str = "deploy/helm/sandman";

/// Every template, with its name.
fn templates() -> Result<Vec<(String, String)>> {
    let mut templates = Vec::new();
    for entry in fs::read_dir(repository().join(CHART).join("templates"))? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        templates.push((name, fs::read_to_string(&path)?));
    }
    ensure!(templates.len() >= 8, "{templates:?}");
    Ok(templates)
}

/// The paths of all keys of a YAML file that has only mappings in it, two deep at most; a deeper one is its parent's affair.
fn keys(yaml: &str) -> BTreeSet<String> {
    let (mut keys, mut outer, mut in_text) = (BTreeSet::new(), String::new(), false);
    for line in yaml.lines() {
        let depth = line.len() - line.trim_start().len();
        let Some((key, rest)) = line.trim().split_once(':') else {
            continue;
        };
        if line.trim_start().starts_with('#') || (in_text && depth > 0) {
            continue;
        }
        in_text = false;
        match depth {
            0 => {
                key.clone_into(&mut outer);
                in_text = rest.trim() == "|";
                keys.insert(outer.clone());
            }
            2 => drop(keys.insert(format!("{outer}.{key}"))),
            _ => {}
        }
    }
    keys
}

fn chart_values(_: &World) -> Result {
    let values = keys(&text(&format!("{CHART}/values.yaml"))?);
    let templates = templates()?;
    let mut used = BTreeSet::new();
    for (name, template) in &templates {
        for path in template.split(".Values.").skip(1) {
            let path: String = path
                .chars()
                .take_while(|letter| letter.is_ascii_alphanumeric() || *letter == '.')
                .collect();
            let path = path.trim_end_matches('.');
            let known = path.split('.').take(2).collect::<Vec<_>>().join(".");
            ensure!(
                values.contains(&known),
                "{name} uses {path}, which values.yaml does not have"
            );
            used.insert(known);
        }
    }
    let is_used = |key: &String| {
        let outer = key.split('.').next().unwrap_or_default();
        used.contains(key) || used.contains(outer) || used.iter().any(|path| path.starts_with(&format!("{key}.")))
    };
    let unused: Vec<_> = values.iter().filter(|key| !is_used(key)).collect();
    ensure!(unused.is_empty(), "no template uses {unused:?}");

    let schema: Value = serde_json::from_str(&text(&format!("{CHART}/values.schema.json"))?)?;
    let page = text(&format!("{CHART}/README.md"))?;
    for key in &values {
        let path = key
            .split('.')
            .fold("".to_owned(), |path, part| format!("{path}/properties/{part}"));
        let outer = key.split('.').next().unwrap_or_default();
        // Tables whose keys are Kubernetes' own are not described further.
        let is_free = schema.pointer(&format!("/properties/{outer}/properties")).is_none();
        ensure!(
            schema.pointer(&path).is_some() || (key != outer && is_free),
            "values.schema.json does not have {key}"
        );
        ensure!(
            page.contains(&format!("`{outer}`")),
            "the chart's page says nothing of {outer}"
        );
    }
    Ok(())
}

fn chart_host(world: &World) -> Result {
    let templates: BTreeMap<_, _> = templates()?.into_iter().collect();
    let set = templates.get("statefulset.yaml").context("no statefulset.yaml")?;
    // The variables, each with a value that it may have.
    let names: BTreeSet<_> = set
        .lines()
        .filter_map(|line| line.trim().strip_prefix("- name: "))
        .filter(|name| name.chars().all(|letter| letter.is_ascii_uppercase() || letter == '_'))
        .collect();
    let values = [
        ("SANDMAN_HOST__NAME", "users-0"),
        ("SANDMAN_HOST__COMPILED", "/sandman/data/compiled"),
        ("KAFKA_BROKERS", "kafka:9092"),
        ("KAFKA_SSL", "true"),
        ("KAFKA_SASL_MECHANISM", "scram-sha-512"),
        ("SANDMAN_STORE__URL", "postgres://sandman@postgres:5432/sandman"),
        ("SANDMAN_STORE__SCHEMA", "sandman"),
        ("SANDMAN_UPLOADS__URL", "s3://pictures/users"),
        ("AWS_REGION", "us-east-1"),
        ("AWS_ENDPOINT_URL", "https://s3.example:9000"),
        ("SANDMAN_HTTP__LISTEN", "0.0.0.0:3002"),
        ("SANDMAN_ADMIN__LISTEN", "127.0.0.1:3902"),
    ];
    let known: BTreeSet<_> = values.iter().map(|(name, _)| *name).collect();
    ensure!(names == known, "the chart sets {names:?}, this test knows {known:?}");
    let secrets = [
        ("JWT_SECRET", SECRET),
        ("PGPASSWORD", "hush"),
        ("KAFKA_SASL_USERNAME", "sandman"),
        ("KAFKA_SASL_PASSWORD", "hush"),
        ("AWS_ACCESS_KEY_ID", "sandman"),
        ("AWS_SECRET_ACCESS_KEY", "hush"),
    ];
    let told = text(&format!("{CHART}/values.yaml"))?;
    for (name, _) in secrets {
        ensure!(told.contains(name), "values.yaml says nothing of {name}");
    }
    let all = values.iter().chain(&secrets);
    is_taken(
        world,
        &all.map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect(),
    )?;

    let arguments = set
        .lines()
        .find_map(|line| line.trim().strip_prefix("args: "))
        .context("no args")?;
    let arguments = list(arguments)?;
    knows(world, &arguments.iter().map(String::as_str).collect::<Vec<_>>())?;
    let (folder, _) = arguments
        .last()
        .and_then(|file| file.rsplit_once('/'))
        .context("no file")?;
    let file = instructions()?;
    let data = all_of(&file, "VOLUME");
    for mount in [folder, &*data] {
        ensure!(set.contains(&format!("mountPath: {mount}\n")), "{mount} is not mounted");
    }
    let user = all_of(&file, "USER");
    let (user, _) = user.split_once(':').context("no user")?;
    ensure!(
        set.contains(&format!("runAsUser: {user}\n")),
        "another user than the image's"
    );
    let grace = told
        .lines()
        .find_map(|line| line.strip_prefix("terminationGracePeriodSeconds: "));
    let grace: u64 = grace.context("no grace")?.parse()?;
    let config = Config::parse(
        Path::new("/sandman/sandman.toml"),
        &text("sandman.toml")?,
        self::secrets(),
    )?;
    ensure!(grace > config.host.grace.as_secs(), "{grace} s are too short");
    // What it scales by is a metric of ours.
    let scaled = templates.get("scaledobject.yaml").context("no scaledobject.yaml")?;
    let metric = scaled
        .split_once("(sandman_")
        .and_then(|(_, rest)| rest.split('{').next());
    let metric = format!("\"sandman_{}\"", metric.context("no metric")?);
    ensure!(
        text("host/engine/src/meters/catalogue.rs")?.contains(&metric),
        "there is no {metric}"
    );
    Ok(())
}

fn all_of(file: &[String], name: &str) -> String {
    all(file, name).last().copied().unwrap_or_default().to_owned()
}
