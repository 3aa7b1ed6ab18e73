//! Clients that read what is published while the faults happen.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use anyhow::anyhow;

use crate::checker::{Sighting, Witnessed};
use crate::consumer::Reader;
use crate::harness::chain;
use crate::{Result, World, note};

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
    pub(super) fn read(&self, world: &World) -> Result<(Witnessed, Vec<String>)> {
        let mut all = Witnessed::default();
        let mut made = Vec::new();
        for (place, topic) in self.all().into_iter().enumerate() {
            world.reader(topic)?.each_to_end(|seen| {
                match all.events.get_mut(place) {
                    Some(events) => events.push(Sighting::of(&seen)?),
                    None => all.note_dead(&seen)?,
                }
                if place == 0 {
                    made.push(seen.header("timestamp"));
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
    seen: Arc<Mutex<Witnessed>>,
    counts: Arc<[AtomicUsize; 3]>,
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<Result>>,
}

impl Live {
    pub(super) fn start(world: &World, topics: &Topics) -> Result<Self> {
        let seen = Arc::new(Mutex::new(Witnessed::default()));
        let counts = Arc::new([const { AtomicUsize::new(0) }; 3]);
        let stop = Arc::new(AtomicBool::new(false));
        let mut threads = Vec::new();
        for (place, topic) in topics.all().into_iter().enumerate() {
            let mut reader = world.reader(topic)?;
            let (seen, counts, stop) = (Arc::clone(&seen), Arc::clone(&counts), Arc::clone(&stop));
            let topic = topic.clone();
            threads.push(thread::spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    // Whoever waits for what it sees would never know why nothing comes.
                    read(&mut reader, place, &seen, &counts)
                        .inspect_err(|error| note(&format!("the reader of {topic} ended: {}", chain(error))))?;
                }
                Ok(())
            }));
        }
        Ok(Self {
            seen,
            counts,
            stop,
            threads,
        })
    }

    /// How many first events, second events and dead letters were seen.
    pub(super) fn counts(&self) -> [usize; 3] {
        [0, 1, 2].map(|place: usize| self.counts[place].load(Ordering::Relaxed))
    }

    /// Ends the readers.
    pub(super) fn stop(self) -> Result<Witnessed> {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads {
            thread.join().map_err(|_| anyhow!("a live reader panicked"))??;
        }
        Ok(std::mem::take(
            &mut self.seen.lock().unwrap_or_else(PoisonError::into_inner),
        ))
    }
}

fn read(reader: &mut Reader, place: usize, all: &Mutex<Witnessed>, counts: &[AtomicUsize; 3]) -> Result {
    let Some(seen) = reader.poll()? else { return Ok(()) };
    let mut all = all.lock().unwrap_or_else(PoisonError::into_inner);
    match all.events.get_mut(place) {
        Some(events) => events.push(Sighting::of(&seen)?),
        None => all.note_dead(&seen)?,
    }
    counts[place].fetch_add(1, Ordering::Relaxed);
    Ok(())
}
