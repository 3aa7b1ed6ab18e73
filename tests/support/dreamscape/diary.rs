//! Users who change their settings again and again: what was acknowledged, and whether all that is known of it agrees.
//!
//! Entry number `n` sets the name and the time zone to `n`, and the language to the `n`th of a few: one request, two
//! handlers, an event of each.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use anyhow::{Context, anyhow, ensure};
use serde_json::{Value, json};

use super::told::Events;
use super::user::User;
use super::{DreamScape, untouched};
use crate::Result;
use crate::consumer::Seen;

/// Seven, so that entries of which one in between was lost differ all the same.
const LANGUAGES: [&str; 7] = ["fr", "en", "de", "es", "it", "pt", "nl"];

/// The diaries of many users, written by some of them at once.
pub struct Diaries {
    /// Each group has a thread and a connection.
    groups: Vec<Vec<Diary>>,
    acknowledged: Arc<AtomicUsize>,
}

struct Diary {
    user: User,
    /// The number of the last entry that was sent.
    written: usize,
    /// The numbers of the entries that were answered.
    acknowledged: Vec<usize>,
}

fn language(number: usize) -> &'static str {
    LANGUAGES[number % LANGUAGES.len()]
}

fn name(number: usize) -> String {
    format!("Entry {number}")
}

impl Diary {
    fn form(number: usize) -> Value {
        json!({
            "profile": { "name": name(number) },
            "preferences": { "language": language(number), "timezone": format!("Zone/{number}") },
        })
    }

    /// Writes the next entry; says whether it was answered.
    fn write(&mut self) -> Result<bool> {
        let number = self.written + 1;
        self.written = number;
        let correlation = format!("{}:{number}", self.user.id);
        let ask = self.user.putting(&Self::form(number));
        let Ok(reply) = self.user.client().ask(&ask.header("X-Correlation-Id", &correlation)) else {
            return Ok(false);
        };
        let body = reply.has(200)?;
        let both = body["profile"]["name"] == name(number) && body["preferences"]["language"] == language(number);
        ensure!(both, "entry {number} of {} was answered with {body}", self.user.id);
        self.acknowledged.push(number);
        Ok(true)
    }

    /// Whether both handlers tell of the same entries, in order and each once, and nothing acknowledged is missing.
    fn check(&self, updated: &[&Seen], preferences: &[&Seen]) -> Result {
        let numbers = numbers(updated)?;
        ensure!(
            numbers == self::numbers(preferences)?,
            "profile told of {numbers:?}, preferences of {:?}",
            self::numbers(preferences)?
        );
        ensure!(
            numbers.is_sorted_by(|one, next| one < next),
            "out of order: {numbers:?}"
        );
        let lost: Vec<_> = self
            .acknowledged
            .iter()
            .filter(|number| !numbers.contains(number))
            .collect();
        ensure!(lost.is_empty(), "acknowledged and lost: {lost:?} of {numbers:?}");
        let mut old = Value::Null;
        for ((event, preference), number) in updated.iter().zip(preferences).zip(&numbers) {
            let change = &event.payload()["changes"]["username"];
            ensure!(
                change["old"] == old && change["new"] == name(*number),
                "entry {number} changed {change}, and the name before it was {old}"
            );
            old = change["new"].clone();
            let told = preference.payload();
            ensure!(
                told["preferences"]["language"] == language(*number),
                "entry {number}: {told}"
            );
        }
        let last = numbers.last().copied().context("nothing was told")?;
        let known = self.known()?;
        ensure!(
            known == last,
            "the last entry told is {last}, the last one known is {known}"
        );
        Ok(())
    }

    /// The number of the last entry that the host knows of; both handlers must know the same one.
    fn known(&self) -> Result<usize> {
        let state = self.user.settings()?.has(200)?;
        let text = state["profile"]["name"].as_str();
        let number = text.and_then(|text| text.rsplit(' ').next()?.parse().ok()).unwrap_or(0);
        let mut expected = untouched(Value::Null)["preferences"].take();
        if number > 0 {
            expected["language"] = json!(language(number));
            expected["timezone"] = json!(format!("Zone/{number}"));
        }
        ensure!(
            state["preferences"] == expected,
            "the two handlers know different entries: {state}"
        );
        Ok(number)
    }

    /// Whether the host still knows at least what it has acknowledged.
    fn survived(&self) -> Result {
        let (known, acknowledged) = (self.known()?, self.acknowledged.last().copied().unwrap_or(0));
        ensure!(
            (acknowledged..=self.written).contains(&known),
            "entry {known} is known, {acknowledged} was acknowledged and {} written last",
            self.written
        );
        Ok(())
    }
}

/// The numbers of the entries that events come from.
fn numbers(events: &[&Seen]) -> Result<Vec<usize>> {
    let number = |event: &&Seen| {
        let correlation = event.header("correlationId");
        let number = correlation.rsplit_once(':').and_then(|(_, number)| number.parse().ok());
        number.with_context(|| format!("an event of nobody's: {correlation:?}"))
    };
    events.iter().map(number).collect()
}

impl Diaries {
    /// Empty diaries of `users`, to be written by `writers` at once, with as many connections.
    ///
    /// # Errors
    /// If nothing is served.
    pub fn new(app: &DreamScape<'_>, users: usize, writers: usize) -> Result<Self> {
        let mut groups: Vec<Vec<Diary>> = Vec::new();
        groups.resize_with(writers, Vec::new);
        for (writer, group) in groups.iter_mut().enumerate() {
            let client = app.client()?;
            group.extend((writer..users).step_by(writers).map(|number| Diary {
                user: User::new(&format!("user-{number}"), client.clone()),
                written: 0,
                acknowledged: Vec::new(),
            }));
        }
        Ok(Self {
            groups,
            acknowledged: Arc::default(),
        })
    }

    /// The host was started again, listens elsewhere, and knows what its store says.
    ///
    /// # Errors
    /// If nothing is served, or not everything survived.
    pub fn go_on_with(&mut self, app: &DreamScape<'_>) -> Result {
        for group in &mut self.groups {
            let client = app.client()?;
            for diary in group {
                diary.user = User::new(&diary.user.id, client.clone());
                diary.survived().with_context(|| format!("of {}", diary.user.id))?;
            }
        }
        Ok(())
    }

    /// How many entries were acknowledged so far; follows what [`Diaries::write`] does.
    pub fn acknowledged(&self) -> Arc<AtomicUsize> {
        Arc::clone(&self.acknowledged)
    }

    /// Writes round after round, an entry for each user, while `go_on` says so; returns how many entries were not answered.
    /// A writer ends with the first of them.
    ///
    /// # Errors
    /// If an answer is another than that the entry was taken.
    pub fn write(&mut self, go_on: impl Fn(usize) -> bool + Sync) -> Result<usize> {
        let (go_on, count) = (&go_on, &self.acknowledged);
        thread::scope(|scope| {
            let writers: Vec<_> = self
                .groups
                .iter_mut()
                .map(|group| {
                    scope.spawn(move || -> Result<usize> {
                        for round in 0.. {
                            for diary in group.iter_mut() {
                                if !go_on(round) {
                                    return Ok(0);
                                }
                                if !diary.write()? {
                                    return Ok(1);
                                }
                                count.fetch_add(1, Ordering::Relaxed);
                            }
                        }
                        Ok(0)
                    })
                })
                .collect();
            let ended = writers
                .into_iter()
                .map(|writer| writer.join().map_err(|_| anyhow!("a writer panicked"))?);
            ended.sum()
        })
    }

    /// Writes one more entry for each user, waits until it is published, and checks everything.
    ///
    /// # Errors
    /// The first user of whom not all agrees.
    pub fn check(&mut self, events: &mut Events) -> Result {
        let unanswered = self.write(|round| round == 0)?;
        ensure!(unanswered == 0, "{unanswered} last entries were not answered");
        let diaries = || self.groups.iter().flatten();
        let count = diaries().map(|diary| diary.acknowledged.len()).sum();
        let last = |diary: &Diary| format!("{}:{}", diary.user.id, diary.written);
        let lasts: HashSet<String> = diaries().map(last).collect();
        for event_type in ["user.updated", "user.preferences.updated"] {
            let reader = events.reader(event_type)?;
            reader.until_count(count)?;
            reader.until("everybody's last entry", |seen| {
                let told = seen
                    .iter()
                    .filter(|event| lasts.contains(&event.header("correlationId")));
                told.count() >= lasts.len()
            })?;
        }
        let updated = by_user(events.seen("user.updated"));
        let preferences = by_user(events.seen("user.preferences.updated"));
        for diary in diaries() {
            let updated = updated.get(&diary.user.id).map_or(&[][..], Vec::as_slice);
            let preferences = preferences.get(&diary.user.id).map_or(&[][..], Vec::as_slice);
            let checked = diary.check(updated, preferences);
            checked.with_context(|| format!("of {}", diary.user.id))?;
        }
        Ok(())
    }
}

fn by_user(seen: &[Seen]) -> HashMap<String, Vec<&Seen>> {
    let mut users: HashMap<String, Vec<&Seen>> = HashMap::new();
    for event in seen {
        users.entry(event.key_text()).or_default().push(event);
    }
    users
}
