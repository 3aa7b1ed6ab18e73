//! People who give themselves pictures again and again, and what they were told of each.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use anyhow::{Context, anyhow, bail, ensure};
use serde_json::json;

use crate::dreamscape::Form;
use crate::wait::eventually;
use crate::{Ask, Client, Reply, Result};

/// The route of a new profile.
pub(super) const PROFILE: &str = "/api/v1/users/profile/{userId}";
/// The route of its picture.
pub(super) const AVATAR: &str = "/api/v1/users/profile/{userId}/avatar";
const PEOPLE: u64 = 3;
/// The largest picture, in bytes.
const LARGEST: usize = 200_000;
const REST: Duration = Duration::from_millis(50);

/// The pictures that were accepted, and how often they were not.
#[derive(Default)]
pub(super) struct Album(Mutex<Pages>);

#[derive(Default)]
struct Pages {
    /// Where each host serves.
    hosts: BTreeMap<String, String>,
    /// Accepted pictures by their address.
    accepted: BTreeMap<String, Vec<u8>>,
    refused: usize,
    /// No answer came.
    unknown: usize,
    /// Pictures that were read while faults happened, and reads that were refused.
    read: [usize; 2],
}

impl Album {
    fn pages(&self) -> MutexGuard<'_, Pages> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The host of that name serves there from now on.
    pub(super) fn moved(&self, name: &str, address: &str) {
        self.pages().hosts.insert(name.to_owned(), address.to_owned());
    }

    /// Waits until so many more pictures were accepted.
    ///
    /// # Errors
    /// If they are not.
    pub(super) fn until_accepted(&self, more: usize) -> Result {
        let wanted = self.pages().accepted.len() + more;
        eventually("pictures are accepted", || {
            Ok((self.pages().accepted.len() >= wanted).then_some(()))
        })
    }

    /// For the report.
    pub(super) fn summary(&self) -> String {
        let pages = self.pages();
        let [read, not_read] = pages.read;
        format!(
            "{} pictures were accepted, {} refused, {} got no answer; meanwhile {read} accepted ones were read, and {not_read} times refused",
            pages.accepted.len(),
            pages.refused,
            pages.unknown
        )
    }

    /// Checks that a host serves all that were accepted, as they were.
    ///
    /// # Errors
    /// If it does not.
    pub(super) fn is_served_by(&self, address: &str) -> Result {
        let client = Client::new(address);
        for (url, content) in &self.pages().accepted {
            let served = client.get(url)?;
            ensure!(
                served.status == 200 && served.body == *content,
                "{url} was accepted and is served with {} and {} bytes instead of {}",
                served.status,
                served.body.len(),
                content.len()
            );
        }
        Ok(())
    }

    /// People are busy while `during` runs.
    ///
    /// # Errors
    /// Of `during`, or if somebody was told something wrong.
    pub(super) fn under<T>(&self, seed: u64, during: impl FnOnce() -> Result<T>) -> Result<T> {
        let done = AtomicBool::new(false);
        thread::scope(|scope| {
            let done = &done;
            let people = (0..PEOPLE).map(|number| {
                let random = fastrand::Rng::with_seed(seed.wrapping_add(number));
                scope.spawn(move || self.person(number, random, done))
            });
            let people: Vec<_> = people.collect();
            let outcome = during();
            done.store(true, Ordering::Relaxed);
            for person in people {
                person.join().map_err(|_| anyhow!("a person panicked"))??;
            }
            outcome
        })
    }

    fn person(&self, number: u64, mut random: fastrand::Rng, done: &AtomicBool) -> Result {
        let user = format!("person-{number}");
        let mut known = false;
        while !done.load(Ordering::Relaxed) {
            let addresses: Vec<_> = self.pages().hosts.values().cloned().collect();
            let address = random.choice(&addresses).context("no host")?;
            let client = Client::new(address);
            if !known {
                let name = json!({ "firstName": "Ada", "lastName": "Lovelace" });
                let made = client.ask(&Ask::new("POST", &PROFILE.replace("{userId}", &user)).json(&name));
                // A conflict: it was made, and the answer was lost.
                known = made.is_ok_and(|reply| [200, 201, 409].contains(&reply.status));
            } else {
                self.upload(&client, &user, &mut random)?;
                self.look(&client, &mut random)?;
            }
            thread::park_timeout(REST);
        }
        Ok(())
    }

    /// Sends another picture, and remembers what became of it.
    fn upload(&self, client: &Client, user: &str, random: &mut fastrand::Rng) -> Result {
        let rest = (0..random.usize(1..LARGEST)).map(|_| random.u8(..));
        let content: Vec<_> = Form::PNG.iter().copied().chain(rest).collect();
        let form = Form::avatar(&content).bytes();
        let ask = Ask::new("POST", &AVATAR.replace("{userId}", user)).body(&Form::media_type(), &form);
        let Ok(reply) = client.ask(&ask) else {
            self.pages().unknown += 1;
            return Ok(());
        };
        if reply.status == 200 {
            let body = reply.json();
            let url = body["avatar"].as_str().with_context(|| format!("no address: {body}"))?;
            let before = self.pages().accepted.insert(url.to_owned(), content);
            ensure!(before.is_none(), "{url} was given to two pictures");
            return Ok(());
        }
        refused(&reply).with_context(|| format!("a picture of {user}"))?;
        self.pages().refused += 1;
        Ok(())
    }

    /// Looks at a picture that was accepted before.
    fn look(&self, client: &Client, random: &mut fastrand::Rng) -> Result {
        let picture = {
            let pages = self.pages();
            let nth = random.usize(..pages.accepted.len().max(1));
            pages
                .accepted
                .iter()
                .nth(nth)
                .map(|(url, content)| (url.clone(), content.clone()))
        };
        let Some((url, content)) = picture else { return Ok(()) };
        // A connection that is cut in the middle of a file is none of its bytes.
        let Ok(reply) = client.get(&url) else { return Ok(()) };
        if reply.status == 200 {
            ensure!(reply.body == content, "{url} is served with other bytes");
            self.pages().read[0] += 1;
        } else {
            refused(&reply).with_context(|| format!("{url}, which was accepted"))?;
            self.pages().read[1] += 1;
        }
        Ok(())
    }
}

/// Nothing but an answer that says that it may be tried again.
fn refused(reply: &Reply) -> Result {
    let said = reply.text();
    if reply.status == 503 && said.contains("\"code\":") {
        return Ok(());
    }
    bail!(
        "the answer is neither a success nor a clear refusal: {} {said}",
        reply.status
    )
}
