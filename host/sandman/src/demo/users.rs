//! DreamScape's users: each registers through Kafka and then sends requests, one after the other.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, Mac};
use serde_json::{Value, json};
use sha2::Sha256;
use ureq::Agent;
use uuid::Uuid;

use super::addresses::HostAddresses;
use super::check::Owed;
use sandman_core::event::iso_millis;
use sandman_engine::clock;
use sandman_kafka::Announcer;

const OWN: &str = "/api/v1/users/profile";
/// The pause between two requests of one client.
const PACE: Duration = Duration::from_millis(10);
/// Users of one client.
pub(super) const USERS: usize = 20;
/// A user uploads a picture once in this many turns.
const PICTURE_EVERY: usize = 25;
/// The first bytes of every PNG, and little else: the host looks at the signature.
const PICTURE: &[u8] = b"\x89PNG\r\n\x1A\na picture of the demo";
const BOUNDARY: &str = "sandman-demo";
/// How long a client retries if there are several hosts.
const PATIENCE: Duration = Duration::from_secs(20);

struct User {
    id: String,
    token: String,
    french: bool,
}

/// A request that was sent.
#[derive(Clone, Debug)]
pub(super) struct Request {
    /// The user.
    pub(super) user: String,
    /// The method, or a name for the action.
    pub(super) what: &'static str,
    /// When it was sent.
    pub(super) at: Instant,
    /// The time until the response.
    pub(super) took: Duration,
    /// The version of `profile` that answered, if the response shows it.
    pub(super) version: Option<u64>,
}

/// The results of one client.
#[derive(Debug, Default)]
pub(super) struct ClientTotals {
    /// The expected events.
    pub(super) owed: Vec<Owed>,
    /// Its successful requests.
    pub(super) requests: Vec<Request>,
    /// Registrations that it published.
    pub(super) registered: usize,
    /// One of the registrations.
    pub(super) registration: Option<String>,
    /// Requests that were sent again, to another host.
    pub(super) again: usize,
    /// Requests that failed, and why.
    pub(super) failed: Vec<String>,
}

impl ClientTotals {
    /// Adds the results of another client.
    pub(super) fn add(&mut self, other: Self) {
        self.owed.extend(other.owed);
        self.requests.extend(other.requests);
        self.registered += other.registered;
        self.registration = self.registration.take().or(other.registration);
        self.again += other.again;
        self.failed.extend(other.failed);
    }
}

/// Data that all clients share.
pub(super) struct DemoEnvironment {
    /// Where they send requests.
    pub(super) addresses: Arc<HostAddresses>,
    /// What their tokens are signed with.
    pub(super) secret: String,
    /// The producer for registrations.
    pub(super) kafka: Arc<Announcer>,
    /// The prefix of topics.
    pub(super) prefix: String,
}

/// A client with users of its own.
pub(super) struct DemoClient {
    number: usize,
    addresses: Arc<HostAddresses>,
    prefix: String,
    secret: String,
    agent: Agent,
    kafka: Arc<Announcer>,
    done: ClientTotals,
}

impl DemoClient {
    /// A client of the service; its users register on Kafka.
    pub(super) fn new(number: usize, around: &DemoEnvironment) -> Self {
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(Duration::from_secs(20)))
            .proxy(None)
            .build();
        Self {
            number,
            addresses: Arc::clone(&around.addresses),
            prefix: around.prefix.clone(),
            secret: around.secret.clone(),
            agent: config.into(),
            kafka: Arc::clone(&around.kafka),
            done: ClientTotals::default(),
        }
    }

    /// Sends requests until it is told to stop.
    pub(super) fn run(mut self, stop: &AtomicBool) -> ClientTotals {
        let mut users: Vec<User> = (0..USERS).map(|user| self.user(user)).collect();
        for turn in 0.. {
            for (number, user) in users.iter_mut().enumerate() {
                if stop.load(Ordering::Relaxed) {
                    return self.done;
                }
                let began = Instant::now();
                if turn == 0 {
                    self.register(&user.id);
                }
                self.act((turn, number), user);
                std::thread::park_timeout(PACE.saturating_sub(began.elapsed()));
            }
        }
        self.done
    }

    fn user(&self, number: usize) -> User {
        let id = format!("user-{}-{number:02}", self.number);
        let token = token(&id, &self.secret);
        let french = false;
        User { id, token, french }
    }

    /// Publishes a registration like auth-service. The handlers publish nothing for it.
    fn register(&mut self, user: &str) {
        let id = Uuid::new_v4().to_string();
        let now = iso_millis(clock::wall_millis());
        let envelope = json!({
            "eventId": id, "eventType": "user.created", "timestamp": now, "version": "1.0", "source": "auth-service",
            "payload": { "userId": user, "email": format!("{user}@example.org"), "firstName": "Ada", "createdAt": now },
        })
        .to_string();
        let topic = format!("{}user.created", self.prefix);
        match self.kafka.send(&topic, user, envelope.as_bytes()) {
            Ok(()) => {
                self.done.registered += 1;
                self.done.registration.get_or_insert(envelope);
            }
            Err(error) => self.done.failed.push(error.to_string()),
        }
    }

    /// Sends a request that differs from the previous one, so that there is something to publish.
    fn act(&mut self, (turn, number): (usize, usize), user: &mut User) {
        if turn > 0 && (turn + number).is_multiple_of(PICTURE_EVERY) {
            return self.picture(user);
        }
        let name = json!({ "name": format!("Ada {turn}") });
        let mut preferences = || {
            user.french = !user.french;
            json!({ "language": if user.french { "fr" } else { "en" } })
        };
        let (body, publishes): (_, &[_]) = match turn % 4 {
            0 => (
                json!({ "profile": name, "preferences": preferences() }),
                &["user.updated", "user.preferences.updated"],
            ),
            1 => (json!({ "profile": name }), &["user.updated"]),
            2 => (json!({ "preferences": preferences() }), &["user.preferences.updated"]),
            _ => return self.get(user),
        };
        self.put(user, &body, publishes);
    }

    fn put(&mut self, user: &User, body: &Value, publishes: &[&'static str]) {
        let cause = Uuid::new_v4().to_string();
        let body = body.to_string();
        let answered = self.ask(("PUT", user), |agent, host| {
            let request = agent.put(format!("{host}{OWN}"));
            let request = request.header("Authorization", &user.token);
            let request = request
                .header("X-Correlation-Id", &cause)
                .header("Idempotency-Key", &cause);
            request.header("Content-Type", "application/json").send(&body)
        });
        if answered {
            self.owe(&cause, publishes);
        }
    }

    fn get(&mut self, user: &User) {
        self.ask(("GET", user), |agent, host| {
            let request = agent.get(format!("{host}{OWN}"));
            request.header("Authorization", &user.token).call()
        });
    }

    fn picture(&mut self, user: &User) {
        let cause = Uuid::new_v4().to_string();
        let head = format!(
            "--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"avatar\"; filename=\"me.png\"\r\n\
             Content-Type: image/png\r\n\r\n"
        );
        let body = [head.as_bytes(), PICTURE, format!("\r\n--{BOUNDARY}--\r\n").as_bytes()].concat();
        let form = format!("multipart/form-data; boundary={BOUNDARY}");
        let answered = self.ask(("avatar", user), |agent, host| {
            let request = agent.post(format!("{host}{OWN}/{}/avatar", user.id));
            let request = request.header("Authorization", &user.token);
            let request = request
                .header("X-Correlation-Id", &cause)
                .header("Idempotency-Key", &cause);
            request.header("Content-Type", &form).send(&body[..])
        });
        if answered {
            self.owe(&cause, &["user.profile.updated"]);
        }
    }

    /// Sends a request; with several hosts, to another one if a host is gone or not ready. Because of its
    /// `Idempotency-Key` it takes effect once, whatever the first host has done.
    fn ask(
        &mut self,
        (what, user): (&'static str, &User),
        send: impl Fn(&Agent, &str) -> Result<ureq::http::Response<ureq::Body>, ureq::Error>,
    ) -> bool {
        let at = Instant::now();
        let mut turn = self.number;
        loop {
            let answer = send(&self.agent, &self.addresses.host(turn));
            let read = answer.and_then(|mut response| {
                let status = response.status();
                response.body_mut().read_to_string().map(|body| (status, body))
            });
            let (passes, failure) = match read {
                Ok((status, body)) if status.is_success() => {
                    let version = (what == "PUT").then(|| 1 + u64::from(body.contains("second version")));
                    self.done.requests.push(Request {
                        user: user.id.clone(),
                        what,
                        at,
                        took: at.elapsed(),
                        version,
                    });
                    return true;
                }
                Ok((status, body)) => (status == 503, format!("{what}: {status} {body}")),
                Err(error) => (true, format!("{what}: {error}")),
            };
            if !passes || !self.addresses.has_several() || at.elapsed() > PATIENCE {
                self.done.failed.push(failure);
                return false;
            }
            self.done.again += 1;
            turn += 1;
            std::thread::park_timeout(PACE);
        }
    }

    fn owe(&mut self, cause: &str, types: &[&'static str]) {
        self.done.owed.extend(types.iter().map(|event_type| Owed {
            cause: cause.to_owned(),
            event_type,
        }));
    }
}

/// The header of a user who has logged in, as auth-service signs it.
pub(super) fn token(user: &str, secret: &str) -> String {
    let expires = clock::wall_millis() / 1000 + 86_400;
    let claims = json!({ "userId": user, "email": format!("{user}@example.org"), "type": "access", "exp": expires });
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let message = format!("{}.{}", part(&json!({ "alg": "HS256", "typ": "JWT" })), part(&claims));
    // HMAC takes a key of any length.
    let mac = <Hmac<Sha256> as Mac>::new_from_slice(secret.as_bytes());
    let signature = mac.map(|mac| mac.chain_update(&message).finalize().into_bytes().to_vec());
    format!(
        "Bearer {message}.{}",
        URL_SAFE_NO_PAD.encode(signature.unwrap_or_default())
    )
}
