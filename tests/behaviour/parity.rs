//! What DreamScape's pages send, and what they must read: `parity/*.json`, written from the facts on which clients of the
//! service before this one rely. Each file is the story of one user.

use std::fs;

use anyhow::{Context, bail, ensure};
use sandman::guest::Language;
use sandman_tests::{Ask, Behaviour, DreamScape, Events, Form, OWN, PUBLISHED, Reply, Result, User, World, repository};
use serde::Deserialize;
use serde_json::{Map, Value, json};

pub const BEHAVIOURS: &[Behaviour] = &[
    Behaviour::new("pages_read_what_they_always_have", pages),
    Behaviour::new("pages_read_what_they_always_have_with_preferences_in_typescript", pages)
        .in_language(Language::TypeScript),
];

/// A user's story: what happens in this order, and all that is published of it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Story {
    /// What it shows.
    about: String,
    steps: Vec<Step>,
    /// By event type, the payloads in their order.
    events: Map<String, Value>,
}

/// One step of a story.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
enum Step {
    /// auth-service tells of a registration, with these fields beside `userId`, `email` and `createdAt`.
    Register(Map<String, Value>),
    /// A page sends a request.
    Ask(Request),
    /// Somebody looks at the picture that the last answer named.
    Look,
}

/// A request, and its answer.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Request {
    /// Such as `PUT /`, below the profile's path; `<user>` is the user's id.
    to: String,
    /// Whether it carries the user's token.
    #[serde(default)]
    token: bool,
    /// The JSON body; `<email>` is the address in the user's token.
    json: Option<Value>,
    /// The bytes of a file in the form's field `avatar`, as text; an empty form where that is empty.
    avatar: Option<String>,
    status: u16,
    /// The whole body.
    answer: Option<Value>,
    /// Or: it is an error that names these.
    error: Option<Vec<String>>,
}

fn pages(world: &World) -> Result {
    let app = DreamScape::start(world)?;
    let mut events = app.events()?;
    let folder = repository().join("tests/behaviour/parity");
    let mut files = fs::read_dir(&folder)?
        .map(|entry| Ok(entry?.path()))
        .collect::<Result<Vec<_>>>()?;
    files.sort();
    ensure!(!files.is_empty(), "no stories in {}", folder.display());
    let mut differences = Vec::new();
    for path in files {
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let story: Story = serde_json::from_slice(&fs::read(&path)?).with_context(|| name.clone())?;
        if let Err(difference) = follow(&app, &story, &app.user(&name)?, &mut events) {
            differences.push(format!("{name}: {}\n  {difference:#}", story.about));
        }
    }
    ensure!(differences.is_empty(), "{}", differences.join("\n"));
    Ok(())
}

fn follow(app: &DreamScape<'_>, story: &Story, user: &User, events: &mut Events) -> Result {
    let mut last = Value::Null;
    for (number, step) in story.steps.iter().enumerate() {
        let done = match step {
            Step::Register(fields) => register(app, user, fields),
            Step::Ask(request) => request.send(user).map(|body| last = body),
            Step::Look => look(user, &last),
        };
        done.with_context(|| format!("step {}", number + 1))?;
    }
    let told = events.of(user)?;
    for name in PUBLISHED {
        let payloads: Vec<_> = told.events(name).iter().map(sandman_tests::Seen::payload).collect();
        let expected = story.events.get(name).cloned().unwrap_or_else(|| json!([]));
        same(&expected, &json!(payloads), user).with_context(|| format!("published as {name}"))?;
    }
    Ok(())
}

fn register(app: &DreamScape<'_>, user: &User, fields: &Map<String, Value>) -> Result {
    let mut payload = json!({
        "userId": user.id, "email": user.token_email(), "createdAt": "2024-05-01T08:00:00.000Z",
    });
    for (name, value) in fields {
        payload[name] = value.clone();
    }
    app.registers(&payload).map(drop)
}

fn look(user: &User, last: &Value) -> Result {
    let address = last["avatar"].as_str().context("the last answer named no picture")?;
    let reply = user.client().get(address)?;
    ensure!(reply.status == 200, "{address} answered {}", reply.status);
    Ok(())
}

impl Request {
    /// Sends it and compares the answer, which is returned.
    fn send(&self, user: &User) -> Result<Value> {
        let (method, path) = self.to.split_once(' ').context("a method and a path")?;
        let methods = ["GET", "POST", "PUT", "DELETE"];
        let method = methods.into_iter().find(|known| *known == method);
        let path = format!("{OWN}{}", path.trim_end_matches('/').replace("<user>", &user.id));
        let mut ask = Ask::new(method.context("another method")?, &path);
        if self.token {
            ask = ask.token(&user.token());
        }
        if let Some(json) = &self.json {
            let known = json.to_string().replace("<email>", &user.token_email());
            ask = ask.body("application/json", known.as_bytes());
        }
        if let Some(file) = &self.avatar {
            let form = match file.as_str() {
                "" => Form::default(),
                "png" => Form::avatar(Form::PNG),
                "jpeg" => Form::avatar(Form::JPEG),
                "gif" => Form::avatar(Form::GIF),
                other => Form::avatar(other.as_bytes()),
            };
            ask = ask.body(&Form::media_type(), &form.bytes());
        }
        let reply = user.client().ask(&ask)?;
        self.compare(&reply, user)
            .with_context(|| format!("{} answered {} {}", self.to, reply.status, reply.text()))
    }

    fn compare(&self, reply: &Reply, user: &User) -> Result<Value> {
        let body = reply.has(self.status)?;
        match (&self.answer, &self.error) {
            (Some(answer), None) => same(answer, &body, user)?,
            (None, Some(words)) => {
                same(&json!({ "error": "<text>" }), &body, user)?;
                let error = body["error"].as_str().unwrap_or_default();
                for word in words {
                    ensure!(error.contains(word), "the error does not name {word}");
                }
            }
            _ => bail!("a request has an answer or an error"),
        }
        Ok(body)
    }
}

/// Whether two values are the same, where a text in the first may stand for what differs each time.
fn same(expected: &Value, seen: &Value, user: &User) -> Result {
    let different = || format!("expected {expected}, read {seen}");
    match (expected, seen) {
        (Value::Object(wanted), Value::Object(fields)) => {
            for name in wanted.keys().chain(fields.keys()) {
                let (Some(wanted), Some(field)) = (wanted.get(name), fields.get(name)) else {
                    bail!("the field {name} is in one of the two: {}", different());
                };
                same(wanted, field, user).with_context(|| format!("in {name}"))?;
            }
        }
        (Value::Array(wanted), Value::Array(entries)) => {
            ensure!(wanted.len() == entries.len(), different());
            for (number, (wanted, entry)) in wanted.iter().zip(entries).enumerate() {
                same(wanted, entry, user).with_context(|| format!("in entry {number}"))?;
            }
        }
        (Value::String(pattern), Value::String(text)) => {
            let fits = match pattern.as_str() {
                "<text>" => !text.is_empty(),
                "<user>" => *text == user.id,
                "<email>" => *text == user.token_email(),
                "<time>" => is_time(text),
                "<png>" => is_picture(text, ".png"),
                "<gif>" => is_picture(text, ".gif"),
                other => text == other,
            };
            ensure!(fits, different());
        }
        _ => ensure!(expected == seen, different()),
    }
    Ok(())
}

/// `2025-12-12T10:30:00.000Z`
fn is_time(text: &str) -> bool {
    let shape: String = text.chars().map(|c| if c.is_ascii_digit() { '9' } else { c }).collect();
    shape == "9999-99-99T99:99:99.999Z"
}

/// `/uploads/avatars/avatar-<milliseconds>-<random>.<ext>`
fn is_picture(text: &str, extension: &str) -> bool {
    let name = text.strip_prefix("/uploads/avatars/avatar-");
    let parts = name
        .and_then(|name| name.strip_suffix(extension))
        .and_then(|name| name.split_once('-'));
    parts.is_some_and(|(millis, random)| {
        millis.len() == 13 && millis.bytes().all(|digit| digit.is_ascii_digit()) && !random.is_empty()
    })
}
