//! DreamScape's user service as it is shipped: the repository's own `sandman.toml`, both guests, and its clients.

mod diary;
mod form;
mod told;
mod token;
mod user;

pub use diary::Diaries;
pub use form::Form;
pub use token::{SECRET, forged, signed};
pub use told::{Events, Told};
pub use user::{OWN, User};

use std::fs;
use std::path::PathBuf;

use anyhow::Context;
use sandman::guest::Language;
use serde_json::{Value, json};

use crate::Result;
use crate::client::Client;
use crate::event::Event;
use crate::guests::guest_in;
use crate::host::{Ended, Host};
use crate::keeper::keeper;
use crate::paths::repository;
use crate::wait::eventually;
use crate::world::World;

/// What the service publishes.
pub const PUBLISHED: [&str; 3] = ["user.updated", "user.profile.updated", "user.preferences.updated"];
/// The folders of the guests.
pub(crate) const GUESTS: [&str; 2] = ["guest/profile", "guest/preferences"];

/// DreamScape's user service in a world of its own.
pub struct DreamScape<'w> {
    world: &'w World,
    /// Of its host, below the world's.
    folder: String,
    environment: Vec<(String, String)>,
    host: Host,
}

impl<'w> DreamScape<'w> {
    /// Starts the service as it is shipped; only names and addresses are this world's.
    ///
    /// # Errors
    /// If it does not become ready.
    pub fn start(world: &'w World) -> Result<Self> {
        Self::start_with(world, &[])
    }

    /// The same, with more in its environment.
    ///
    /// # Errors
    /// If it does not become ready.
    pub fn start_with(world: &'w World, more: &[(&str, &str)]) -> Result<Self> {
        Self::start_in(world, "", more)
    }

    /// The same in a folder below the world's, for one of several hosts.
    ///
    /// # Errors
    /// If it does not become ready.
    pub fn start_in(world: &'w World, folder: &str, more: &[(&str, &str)]) -> Result<Self> {
        let mut environment = environment(world)?;
        environment.extend(
            more.iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned())),
        );
        let host = host(world, folder, &environment)?;
        Ok(Self {
            world,
            folder: folder.to_owned(),
            environment,
            host,
        })
    }

    /// Imports states for one of its handlers, before it is started.
    ///
    /// # Errors
    /// If the command does not end.
    pub fn import(world: &World, handler: &str, lines: &str) -> Result<Ended> {
        let shipped = fs::read_to_string(repository().join("sandman.toml")).context("no sandman.toml")?;
        fs::write(world.folder().join("states.jsonl"), lines)?;
        let environment = environment(world)?;
        let environment: Vec<_> = environment.iter().map(|(name, value)| (&**name, &**value)).collect();
        world.sandman(
            &["import", "--handler", handler, "states.jsonl"],
            &shipped,
            &environment,
        )
    }

    /// SIGKILL, and a start with the same folder.
    ///
    /// # Errors
    /// If it does not become ready again.
    pub fn kill_and_start(self) -> Result<Self> {
        self.host.kill()?;
        let host = host(self.world, &self.folder, &self.environment)?;
        Ok(Self { host, ..self })
    }

    /// SIGTERM; returns when it has ended.
    ///
    /// # Errors
    /// If it does not end.
    pub fn stop(self) -> Result<Ended> {
        self.host.terminate()
    }

    /// The host.
    pub fn host(&self) -> &Host {
        &self.host
    }

    /// A client with connections of its own.
    ///
    /// # Errors
    /// If nothing is served.
    pub fn client(&self) -> Result<Client> {
        Ok(Client::new(self.host.http()?))
    }

    /// A user with a token and with connections of their own.
    ///
    /// # Errors
    /// If nothing is served.
    pub fn user(&self, id: &str) -> Result<User> {
        Ok(User::new(id, self.client()?))
    }

    /// What is published, from the beginning.
    ///
    /// # Errors
    /// If the topics are not there in time.
    pub fn events(&self) -> Result<Events> {
        Events::open(self.world)
    }

    /// Publishes what auth-service would at a registration, and waits until it is taken in; returns the event's id.
    ///
    /// # Errors
    /// If it is not.
    pub fn registers(&self, payload: &Value) -> Result<String> {
        let key = payload["userId"].as_str().context("a registration without a userId")?;
        let topic = self.world.topic("user.created");
        let before = self.world.group_offsets("profile", &topic)?;
        let event = Event::new("user.created", key, payload);
        self.world.send(&topic, std::slice::from_ref(&event))?;
        eventually("the registration is taken in", || {
            let now = self.world.group_offsets("profile", &topic)?;
            Ok((now > before).then_some(()))
        })?;
        Ok(event.id)
    }

    /// What `/health` is to answer while Kafka is there, or is not.
    pub fn health(&self, connected: bool) -> Value {
        let mut topics = PUBLISHED.map(|name| self.world.topic(name));
        topics.sort();
        json!({
            "status": if connected { "healthy" } else { "degraded" },
            "ready": true,
            "kafka": { "connected": connected, "topics": topics },
        })
    }

    /// Waits until `/health` says that Kafka is there, or is not. It answers 200 all the time.
    ///
    /// # Errors
    /// If it does not come to say so.
    pub fn sees_kafka(&self, connected: bool) -> Result {
        let (client, expected) = (self.client()?, self.health(connected));
        eventually(&format!("/health says {expected}"), || {
            let said = client.get("/health")?.has(200)?;
            Ok((said == expected).then_some(()))
        })
    }

    /// Every file in the folder of uploads.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn uploads(&self) -> Result<Vec<PathBuf>> {
        let mut folders = vec![self.world.folder().join("data/uploads")];
        let mut files = Vec::new();
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(&folder).with_context(|| folder.display().to_string())? {
                let path = entry?.path();
                if path.is_dir() {
                    folders.push(path);
                } else {
                    files.push(path);
                }
            }
        }
        files.sort();
        Ok(files)
    }
}

/// What `GET` answers of a user who never touched their settings, but for their `profile` section.
pub fn untouched(profile: Value) -> Value {
    json!({
        "profile": profile,
        "preferences": { "language": "English", "currency": "USD", "timezone": "UTC" },
        "notifications": { "dealAlerts": true, "tripReminders": true, "priceAlerts": true, "newsletter": false },
        "privacy": { "profileVisibility": "public", "dataSharing": false, "marketing": true },
        "travel": { "preferredDestinations": [], "accommodationType": [], "activities": [], "dietary": [] },
    })
}

/// A registration with both names.
pub fn registration(id: &str) -> Value {
    json!({
        "userId": id,
        "email": format!("{id}@example.com"),
        "firstName": "Ada",
        "lastName": "Lovelace",
        "createdAt": "2024-05-01T08:00:00.000Z",
    })
}

fn host(world: &World, folder: &str, environment: &[(String, String)]) -> Result<Host> {
    let shipped = fs::read_to_string(repository().join("sandman.toml")).context("no sandman.toml")?;
    let mut topics: Vec<_> = PUBLISHED.iter().map(|name| world.topic(name)).collect();
    let input = world.topic("user.created");
    topics.extend([format!("{input}.dlq"), input, format!("{}.relay", world.deployment())]);
    world.host_as_configured((folder, &shipped), environment, &topics)
}

/// What differs from the shipped file: where Kafka and the components are, and names that no other world has.
fn environment(world: &World) -> Result<Vec<(String, String)>> {
    let profile = guest_in("guest/profile");
    // DreamScape's preferences are there in two languages, and are the same.
    let preferences = guest_in(match world.language() {
        Some(Language::TypeScript) => "guest/preferences-ts",
        _ => "guest/preferences",
    });
    let component = |path: Result<PathBuf>| path.map(|path| path.to_string_lossy().into_owned());
    let of = |name: &str, value: String| (name.to_owned(), value);
    Ok(vec![
        of("KAFKA_BROKERS", world.cluster()?.brokers().to_owned()),
        of("JWT_SECRET", SECRET.to_owned()),
        of("SANDMAN_HOST__DEPLOYMENT", world.deployment().to_owned()),
        of("SANDMAN_KAFKA__TOPIC_PREFIX", world.topic("")),
        // The guests are compiled once for all worlds of a run.
        of(
            "SANDMAN_HOST__COMPILED",
            keeper()?.folder().join("compiled").to_string_lossy().into_owned(),
        ),
        of("SANDMAN_HOST__COMPILE_TIME", "10m".to_owned()),
        // A host that was killed leaves the group soon.
        of("SANDMAN_KAFKA__OPTIONS__SESSION_TIMEOUT_MS", "6000".to_owned()),
        of("SANDMAN_KAFKA__OPTIONS__HEARTBEAT_INTERVAL_MS", "500".to_owned()),
        of("SANDMAN_HTTP__LISTEN", "127.0.0.1:0".to_owned()),
        of("SANDMAN_ADMIN__LISTEN", "127.0.0.1:0".to_owned()),
        of("SANDMAN_HANDLERS__PROFILE__COMPONENT", component(profile)?),
        of("SANDMAN_HANDLERS__PREFERENCES__COMPONENT", component(preferences)?),
        of("SANDMAN_HANDLERS__PROFILE__TOPICS", world.topic("user.created")),
    ])
}
