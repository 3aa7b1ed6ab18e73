//! What clients send: events by rate, and requests as fast as they are answered.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow};
use serde_json::json;
use witness::Asked;

use crate::checker::Fate;
use crate::{Ask, Client, Compression, Event, Producer, Reply, Result};

use super::run::{Run, below};

/// How often a producer sends.
const BEAT: Duration = Duration::from_millis(50);
/// Between two looks whether the host is there again.
const LOOK: Duration = Duration::from_millis(20);

/// What the keys of those begin with who send requests.
const CLIENT: &str = "client-";

/// Whether a key is of somebody who sends requests.
pub(super) fn is_client(key: &str) -> bool {
    key.starts_with(CLIENT)
}

/// What is sent.
#[derive(Clone, Debug)]
pub struct Load {
    /// Keys of events.
    pub keys: usize,
    /// Percent of the events that go to the first key alone.
    pub hot: u32,
    /// Events a second.
    pub rate: u32,
    /// Clients that send requests, each for a key of its own.
    pub clients: usize,
    /// How long a client rests between an answer and its next request.
    pub rest: Duration,
    /// How many of a thousand events fail at first, once or twice.
    pub failing: u32,
    /// How many of a thousand events are refused for good.
    pub refused: u32,
    /// Thousands of steps for each.
    pub burn: u64,
    /// Bytes of text in each event that comes out.
    pub pad: u64,
}

impl Default for Load {
    fn default() -> Self {
        Self {
            keys: 100,
            hot: 0,
            rate: 400,
            clients: 2,
            rest: Duration::ZERO,
            failing: 5,
            refused: 5,
            burn: 0,
            pad: 0,
        }
    }
}

impl Load {
    /// For faults that take time: a host that cannot keep up with what comes on a slow machine would show something else.
    pub(super) fn light() -> Self {
        Self {
            rate: 120,
            ..Self::default()
        }
    }
}

impl Run<'_> {
    /// Keeps clients busy while `during` runs, and waits until each has heard of what it sent.
    ///
    /// # Errors
    /// Of `during`, or of a client.
    pub fn under<T>(&self, load: &Load, during: impl FnOnce() -> Result<T>) -> Result<T> {
        let done = AtomicBool::new(false);
        thread::scope(|scope| {
            let mut clients = vec![scope.spawn(|| self.produce(load, &done))];
            for number in 0..load.clients {
                let done = &done;
                clients.push(scope.spawn(move || self.ask(&format!("{CLIENT}{number}"), load.rest, done)));
            }
            let outcome = during();
            done.store(true, Ordering::Relaxed);
            for client in clients {
                client.join().map_err(|_| anyhow!("a client panicked"))??;
            }
            outcome
        })
    }

    /// Sends so many events at once.
    ///
    /// # Errors
    /// If there is no broker.
    pub fn send(&self, load: &Load, count: usize) -> Result {
        self.deliver(&self.world.producer(Compression::Gzip)?, load, count)
    }

    /// Sends events that are entered, in order; returns where each landed.
    ///
    /// # Errors
    /// If one does not arrive.
    pub fn send_all(&self, inputs: &[(Arc<str>, Asked)]) -> Result<Vec<(i32, i64)>> {
        let events: Vec<_> = inputs
            .iter()
            .map(|(key, asked)| Event::new("work.asked", key, &json!(asked)))
            .collect();
        let places = self.world.send(self.input_topic(), &events)?;
        for (_, asked) in inputs {
            self.journal.hear(asked.id, Fate::Acknowledged);
        }
        Ok(places)
    }

    fn produce(&self, load: &Load, done: &AtomicBool) -> Result {
        let producer = self.world.producer(Compression::Gzip)?;
        let (began, mut sent) = (Instant::now(), 0);
        while !done.load(Ordering::Relaxed) {
            let due = began.elapsed().as_secs_f64() * f64::from(load.rate);
            // What a stopped broker held up is not made good at once.
            let count = (due as usize).saturating_sub(sent).min(5_000);
            sent = due as usize;
            self.deliver(&producer, load, count)?;
            thread::park_timeout(BEAT);
        }
        Ok(())
    }

    fn deliver(&self, producer: &Producer, load: &Load, count: usize) -> Result {
        let inputs: Vec<_> = (0..count).map(|_| self.input(load)).collect();
        let events: Vec<_> = inputs
            .iter()
            .map(|(key, asked)| Event::new("work.asked", key, &json!(asked)))
            .collect();
        let arrived = producer.deliver(self.input_topic(), &events)?;
        for ((_, asked), arrived) in inputs.iter().zip(arrived) {
            // What has not arrived in time may be on its way.
            if arrived {
                self.journal.hear(asked.id, Fate::Acknowledged);
            }
        }
        Ok(())
    }

    /// The next input of some key.
    fn input(&self, load: &Load) -> (Arc<str>, Asked) {
        let draw = |bound| below(&self.client_random, bound);
        let key = match draw(100) < u64::from(load.hot) {
            true => 0,
            false => draw(load.keys as u64),
        };
        let asked = Asked {
            refuse: draw(1000) < u64::from(load.refused),
            fails: match draw(1000) < u64::from(load.failing) {
                true => 1 + draw(2),
                false => 0,
            },
            burn: load.burn,
            pad: load.pad,
            ..Asked::default()
        };
        self.enter(&format!("user-{key}"), asked)
    }

    fn ask(&self, key: &str, rest: Duration, done: &AtomicBool) -> Result {
        while !done.load(Ordering::Relaxed) {
            let Some(address) = self.address() else {
                thread::park_timeout(LOOK);
                continue;
            };
            let client = Client::new(&address);
            while !done.load(Ordering::Relaxed) && self.ask_once(&client, key)? {
                thread::park_timeout(rest);
            }
        }
        Ok(())
    }

    /// One request; says whether the host seems to be there.
    fn ask_once(&self, client: &Client, key: &str) -> Result<bool> {
        let (key, asked) = self.enter(key, Asked::default());
        let ask = Ask::new("POST", &format!("/work/{key}")).json(&json!(asked));
        let seems_there = match client.ask(&ask) {
            Ok(reply) if reply.status == 200 => {
                let told = serde_json::from_slice(&reply.body);
                let told = told.with_context(|| format!("a client was answered {:?}", reply.text()))?;
                self.journal.answered(asked.id, told);
                true
            }
            // Nothing of it may show.
            Ok(reply) if is_refusal(&reply) => {
                self.journal.hear(asked.id, Fate::Failed);
                if reply.status >= 500 {
                    thread::park_timeout(LOOK);
                }
                true
            }
            Ok(_) | Err(_) => {
                thread::park_timeout(LOOK);
                false
            }
        };
        Ok(seems_there)
    }
}

/// Whether the answer says that nothing was done. One that came too late does not.
fn is_refusal(reply: &Reply) -> bool {
    let codes = ["busy", "unavailable", "failed"];
    match reply.status {
        400..500 => true,
        500.. => codes
            .iter()
            .any(|code| reply.text().contains(&format!("\"code\":\"{code}\""))),
        _ => false,
    }
}

/// The last number of each key.
pub(super) type Numbers = Mutex<std::collections::HashMap<String, (Arc<str>, u64)>>;

pub(super) fn next(numbers: &Numbers, key: &str) -> (Arc<str>, u64) {
    let mut numbers = numbers.lock().unwrap_or_else(PoisonError::into_inner);
    let (key, number) = numbers.entry(key.to_owned()).or_insert_with(|| (key.into(), 0));
    *number += 1;
    (Arc::clone(key), *number)
}
