//! Finds what the running host knows of an event or a key: recordings, states, and records in Kafka.

use std::collections::BTreeSet;
use std::time::Duration;

use super::control::HostControl;
use sandman_core::recording::{Recording, RecordingQuery};
use sandman_core::store::{LetterFilter, RecordingStore, StoreError};
use sandman_engine::registry::Handler;
use sandman_kafka::{ScanBounds, TopicScanner};
use sandman_operate::control::{ExplainLine, Forgotten, KeyHolder};
use sandman_operate::deploy::Refusal;
use sandman_operate::explain::{
    FoundRecord, KeyRules, LookedAt, Matcher, Question, Relation, Story, StoryInvocation, place,
};
use sandman_operate::letters::LetterLine;

/// Invocations in one story.
const INVOCATIONS: usize = 500;
/// Records in one story.
const RECORDS: usize = 1_000;
/// How long reading a topic may wait for progress.
const PATIENCE: Duration = Duration::from_secs(10);

/// Sets the gauge for the recordings of a handler to which this process has not written yet.
pub(super) fn measure_recordings(handler: &Handler, store: &(impl RecordingStore + ?Sized)) -> Result<(), StoreError> {
    let bytes = store.recordings_bytes(&handler.name)?;
    handler.meters.recording_bytes.set(bytes as f64);
    Ok(())
}

impl HostControl {
    fn serving(&self) -> impl Iterator<Item = &Handler> {
        let all = self.registry.iter().map(|(_, handler)| handler);
        all.filter(|handler| !handler.is_retired())
    }

    pub(super) fn find_recordings(
        &self,
        name: Option<&str>,
        query: &RecordingQuery,
        most: usize,
    ) -> Result<Vec<Recording>, Refusal> {
        if let Some(name) = name {
            // An unknown name is an error; a removed handler may have recordings as well.
            self.knows_handler(name)?;
            return Ok(self.recordings.find(name, query, most)?);
        }
        let mut found = Vec::new();
        for handler in self.serving() {
            found.extend(self.recordings.find(&handler.name, query, most)?);
        }
        found.sort_by_key(|recording| std::cmp::Reverse(recording.id));
        found.truncate(most);
        Ok(found)
    }

    /// The story of an event or a key.
    pub(super) fn story(&self, question: &Question, tell: &mut dyn FnMut(ExplainLine)) -> Result<Story, Refusal> {
        let query = RecordingQuery {
            event: question.event.clone(),
            key: question.key.clone(),
            failed: false,
            code: None,
        };
        let mut story = Story {
            question: question.clone(),
            ..Story::default()
        };
        let recordings = self.recordings_of_story(&query, &mut story)?;
        let mut matcher = Matcher::new(question, &recordings, self.key_rules());
        story.invocations = recordings.iter().map(StoryInvocation::of).collect();
        match question.scan {
            0 => story.looked_at.push(LookedAt {
                what: "Kafka".to_owned(),
                read: 0,
                not: "all of it, since --scan is 0".to_owned(),
            }),
            _ => self.look_at_kafka(question, &mut matcher, &mut story, tell),
        }
        self.look_at_letters(question, &matcher, &mut story)?;
        self.note_pauses(&matcher, &mut story);
        story.sort();
        Ok(story)
    }

    /// The recordings that belong to the story.
    fn recordings_of_story(&self, query: &RecordingQuery, story: &mut Story) -> Result<Vec<Recording>, Refusal> {
        let mut recordings = Vec::new();
        for name in &self.recordings.handlers()? {
            let found = self.recordings.find(name, query, INVOCATIONS)?;
            let mut not = match found.len() == INVOCATIONS {
                true => format!("older ones than the newest {INVOCATIONS}"),
                false => "invocations that are not recorded: the sample is `record` of the handler".to_owned(),
            };
            if !self.serving().any(|handler| handler.name == *name) {
                not.push_str(&format!(
                    "; and the topics of {name}, which the configuration does not name any more"
                ));
            }
            story.looked_at.push(LookedAt {
                what: format!("recordings of {name} that belong to it"),
                read: found.len() as u64,
                not,
            });
            recordings.extend(found);
        }
        Ok(recordings)
    }

    /// Adds a note for handlers that are paused at a record of the story.
    fn note_pauses(&self, matcher: &Matcher, story: &mut Story) {
        for (ix, handler) in self.registry.iter().filter(|(_, handler)| !handler.is_retired()) {
            let Some(pause) = self.pipeline.paused(ix) else {
                continue;
            };
            let at = pause
                .reason
                .rsplit_once('(')
                .map_or("", |(_, at)| at.trim_end_matches(')'));
            let is_of_it = |record: &FoundRecord| record.place == at && record.is != Relation::Effect;
            if matcher.knows(at) || story.records.iter().any(is_of_it) {
                let (name, reason) = (&handler.name, &pause.reason);
                let note = format!("{name} is paused there: {reason}; `sandman resume {name}` runs it again");
                story.notes.push(note);
            }
        }
    }

    /// The key rules for each topic, and for the topic of its dead letters.
    fn key_rules(&self) -> KeyRules {
        let config = self.config.load();
        let mut rules = KeyRules::new();
        for handler in &config.handlers {
            for topic in &handler.topics {
                for name in [topic.to_string(), config.kafka.dead_letter_topic.of(topic)] {
                    rules.entry(name).or_default().push(handler.key.clone());
                }
            }
        }
        rules
    }

    /// Letters may outlive their records in Kafka.
    fn look_at_letters(&self, question: &Question, matcher: &Matcher, story: &mut Story) -> Result<(), Refusal> {
        let filter = LetterFilter {
            key: question.key.clone(),
            ..LetterFilter::default()
        };
        let (mut after, mut read) = (0, 0);
        loop {
            let heads = self.store.letters(&filter, after, 1_000)?;
            let Some(last) = heads.last() else { break };
            after = last.id;
            for head in &heads {
                read += 1;
                let is_of_it = question.key.is_some()
                    || self.store.letter(head.id)?.is_some_and(|letter| {
                        let found = matcher.found(&letter.record);
                        found.is_some_and(|found| found.is == Relation::Itself)
                    });
                if is_of_it && story.letters.len() < RECORDS {
                    story.letters.push(LetterLine::of(head, true));
                }
            }
        }
        story.looked_at.push(LookedAt {
            what: "dead letters in the store".to_owned(),
            read,
            not: "those that were dropped, also because of store.dead_letters".to_owned(),
        });
        Ok(())
    }

    /// Adds the record at the requested place, or a note why there is none.
    fn look_at_place(&self, scanner: &TopicScanner, place: (&str, i32, i64), matcher: &mut Matcher, story: &mut Story) {
        let (topic, partition, offset) = place;
        match scanner.at(place, PATIENCE) {
            Ok(record) => {
                if let Some(found) = matcher.found(&record) {
                    matcher.learn(found.event_id.clone(), true);
                    story.records.push(found);
                }
            }
            Err(why) => story
                .notes
                .push(format!("no record at {topic}/{partition}/{offset}: {why}")),
        }
        if !self.topics().contains(topic) {
            story
                .notes
                .push(format!("no handler of this host reads or writes {topic}"));
        }
    }

    fn look_at_kafka(
        &self,
        question: &Question,
        matcher: &mut Matcher,
        story: &mut Story,
        tell: &mut dyn FnMut(ExplainLine),
    ) {
        let scanner = match TopicScanner::open(&self.settings, &self.health) {
            Ok(scanner) => scanner,
            Err(reason) => {
                let (what, not) = ("Kafka".to_owned(), format!("all of it: {reason}"));
                return story.looked_at.push(LookedAt { what, read: 0, not });
            }
        };
        if let Some(place) = question.event.as_deref().and_then(place) {
            self.look_at_place(&scanner, place, matcher, story);
        }
        let bounds = ScanBounds {
            records: i64::try_from(question.scan).unwrap_or(i64::MAX),
            patience: PATIENCE,
        };
        let topics = self.topics();
        let of = topics.len() as u64;
        for (done, topic) in (0..).zip(&topics) {
            tell(ExplainLine::Looking {
                topic: topic.clone(),
                done,
                of,
            });
            look_at_topic((&scanner, bounds), topic, matcher, story);
        }
        scanner.close();
    }

    /// The topics that the handlers consume and emit to, and those of their dead letters.
    fn topics(&self) -> BTreeSet<String> {
        let config = self.config.load();
        let all = super::kafka::topics_of(&config, &*self.store)
            .into_iter()
            .map(|topic| topic.name);
        let cursor = |shard| sandman_kafka::cursor_topic(&config.host.deployment, shard);
        let cursors: Vec<String> = (0..self.store.shards()).map(cursor).collect();
        all.filter(|name| !cursors.contains(name)).collect()
    }

    /// Removes the recordings of a key, and searches for other data of it.
    pub(super) fn forget_key(&self, key: &str) -> Result<Forgotten, Refusal> {
        let mut recordings = 0;
        let mut held = Vec::new();
        // Also of handlers that the configuration does not name any more: their recordings still exist.
        for name in &self.recordings.handlers()? {
            recordings += self.recordings.forget(name, key)?;
            let Some(stored) = self.store.state(name, key)? else {
                continue;
            };
            if stored.document.is_none() {
                let what = format!("the hashes of its recent events in {name}");
                let removed_by = "they are deleted a day after the last of them".to_owned();
                held.push(KeyHolder { what, removed_by });
            } else {
                let is_served = self.serving().any(|handler| handler.name == *name);
                let removed_by = match is_served {
                    true => format!("an event or a request on which {name} deletes its state"),
                    false => format!(
                        "{name}, which the configuration does not name: configure it again, and send an event or a request on \
                         which it deletes its state"
                    ),
                };
                let what = format!("the state of {name}");
                held.push(KeyHolder { what, removed_by });
            }
        }
        held.extend(self.letters_of(key)?);
        held.extend(self.may_hold()?);
        Ok(Forgotten { recordings, held })
    }

    /// Dead letters of the key that are in the store.
    fn letters_of(&self, key: &str) -> Result<Option<KeyHolder>, Refusal> {
        let of_key = LetterFilter {
            key: Some(key.to_owned()),
            ..LetterFilter::default()
        };
        let letters = self.letters.list(&of_key, 0, false)?.count;
        Ok((letters > 0).then(|| KeyHolder {
            what: match letters {
                1 => "1 dead letter in the store".to_owned(),
                letters => format!("{letters} dead letters in the store"),
            },
            removed_by: "`sandman dlq drop --key`; the oldest are dropped because of store.dead_letters".to_owned(),
        }))
    }

    /// Data of a key that may exist and cannot be searched.
    fn may_hold(&self) -> Result<[KeyHolder; 2], Refusal> {
        let mut topics: Vec<String> = self.topics().into_iter().collect();
        let gone = self.recordings.handlers()?.into_iter();
        let gone = gone.filter(|name| !self.serving().any(|handler| handler.name == *name));
        topics.extend(gone.map(|name| format!("those of {name}, which the configuration does not name")));
        let on_kafka = KeyHolder {
            what: format!("perhaps records in Kafka, and dead letters, in: {}", topics.join(", ")),
            removed_by: "Kafka's retention; a tombstone in a topic that is compacted; `sandman explain --key` shows which there \
                         are"
                .to_owned(),
        };
        let elsewhere = KeyHolder {
            what: "perhaps events in the outbox, answers for an Idempotency-Key, and exported files".to_owned(),
            removed_by: "the outbox empties itself; answers are deleted after a day; delete exported files".to_owned(),
        };
        Ok([on_kafka, elsewhere])
    }
}

/// Searches the last records of a topic for the story.
fn look_at_topic((scanner, bounds): (&TopicScanner, ScanBounds), topic: &str, matcher: &Matcher, story: &mut Story) {
    let mut left_out = 0_u64;
    let scan = scanner.last(topic, bounds, &mut |record| {
        if let Some(found) = matcher.found(&record) {
            match story.records.len() < RECORDS {
                true => story.records.push(found),
                false => left_out += 1,
            }
        }
    });
    let mut not = Vec::new();
    if scan.before > 0 {
        not.push(format!("{} older records; --scan reads more", scan.before));
    }
    if left_out > 0 {
        not.push(format!(
            "{left_out} more records that belong to it, because a story has at most {RECORDS}"
        ));
    }
    if let Some(broken) = scan.broken {
        not.push(format!("the records after that: {broken}"));
    }
    story.looked_at.push(LookedAt {
        what: format!("records of {topic}"),
        read: scan.read,
        not: not.join("; "),
    });
}
