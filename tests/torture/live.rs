//! Clients that read what is published while the faults happen.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};

use anyhow::{Context, anyhow};
use jiff::Timestamp;

use crate::checker::{Glimpse, Witnessed};
use crate::consumer::Reader;
use crate::harness::chain;
use crate::{Result, World, note};

use super::load::is_client;

/// What is read: the first events, the second ones, the dead letters.
#[derive(Clone, Debug)]
pub(super) struct Topics {
    pub(super) events: [String; 2],
    pub(super) dead: String,
}

impl Topics {
    fn all(&self) -> [&String; 3] {
        let [first, second] = &self.events;
        [first, second, &self.dead]
    }

    /// Reads all of them to their ends; says also when each first event was made, sorted.
    pub(super) fn read(&self, world: &World) -> Result<(Witnessed, Vec<Timestamp>)> {
        let mut all = Witnessed::default();
        let mut made = Vec::new();
        for (place, topic) in self.all().into_iter().enumerate() {
            world.reader(topic)?.each_to_end(|seen| {
                all.note(place, &seen)?;
                if place == 0 {
                    let at = seen.header("timestamp").parse();
                    made.push(at.context("an event that does not say when it was made")?);
                }
                Ok(())
            })?;
        }
        made.sort();
        Ok((all, made))
    }
}

/// Three readers, each on a thread.
pub(super) struct Live {
    counts: Arc<[AtomicUsize; 3]>,
    /// Of the second events, those of inputs that came from Kafka and not by a request.
    of_events: Arc<AtomicUsize>,
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<Result<Vec<Glimpse>>>>,
}

impl Live {
    /// Starts to read with what `reader` opens.
    pub(super) fn start(topics: &Topics, reader: impl Fn(&str) -> Result<Reader>) -> Result<Self> {
        let counts = Arc::new([const { AtomicUsize::new(0) }; 3]);
        let of_events = Arc::new(AtomicUsize::new(0));
        let stop = Arc::new(AtomicBool::new(false));
        let mut threads = Vec::new();
        for (place, topic) in topics.all().into_iter().enumerate() {
            let mut reader = reader(topic)?;
            let (counts, of_events, stop) = (Arc::clone(&counts), Arc::clone(&of_events), Arc::clone(&stop));
            let topic = topic.clone();
            threads.push(thread::spawn(move || {
                let mut all = Vec::new();
                while !stop.load(Ordering::Relaxed) {
                    // Whoever waits for what it sees would never know why nothing comes.
                    let seen = read(&mut reader, place)
                        .inspect_err(|error| note(&format!("the reader of {topic} ended: {}", chain(error))))?;
                    if place == 1 && seen.as_ref().is_some_and(|(_, of_event)| *of_event) {
                        of_events.fetch_add(1, Ordering::Relaxed);
                    }
                    all.extend(seen.map(|(glimpse, _)| glimpse));
                    counts[place].store(all.len(), Ordering::Relaxed);
                }
                Ok(all)
            }));
        }
        Ok(Self {
            counts,
            of_events,
            stop,
            threads,
        })
    }

    /// How many first events, second events and dead letters were seen.
    pub(super) fn counts(&self) -> [usize; 3] {
        [0, 1, 2].map(|place: usize| self.counts[place].load(Ordering::Relaxed))
    }

    /// How many second events were seen of inputs that came from Kafka.
    pub(super) fn of_events(&self) -> usize {
        self.of_events.load(Ordering::Relaxed)
    }

    /// Ends the readers; what each of them saw.
    pub(super) fn stop(self) -> Result<[Vec<Glimpse>; 3]> {
        self.stop.store(true, Ordering::Relaxed);
        let ended = self.threads.into_iter().map(JoinHandle::join);
        let all: Vec<_> = ended
            .map(|ended| ended.map_err(|_| anyhow!("a live reader panicked"))?)
            .collect::<Result<_>>()?;
        all.try_into().map_err(|_| anyhow!("there are three live readers"))
    }
}

/// The next record, and whether its input came from Kafka.
fn read(reader: &mut Reader, place: usize) -> Result<Option<(Glimpse, bool)>> {
    let Some(seen) = reader.poll()? else {
        return Ok(None);
    };
    let glimpse = match place {
        0 | 1 => Glimpse::of_event(&seen),
        _ => Glimpse::of_dead(&seen),
    };
    Ok(Some((glimpse?, !is_client(&seen.key_text()))))
}
