//! A Kafka in memory, with one partition for each topic.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use parking_lot::{Mutex, MutexGuard};

use sandman_core::broker::{Broker, Cursor, CursorError, PublishError, Published, Publisher, TopicsError};
use sandman_core::event::OutRecord;

/// What becomes of a transaction that no topic refuses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Fate {
    #[default]
    Through,
    /// Visible, and the publisher is spent.
    Troubled,
    Aborted,
    UnknownAborted,
    UnknownCommitted,
    /// Kafka decides to commit and forgets the end: in all partitions, or in all but the topic that was written to first.
    Unended {
        confirmed: bool,
        partly: bool,
    },
}

/// The topic of the cursor.
pub(super) const RELAY: &str = "relay";

#[derive(Default)]
pub(super) struct Cluster {
    /// Visible records by topic.
    log: BTreeMap<Arc<str>, Vec<OutRecord>>,
    cursor: Option<Cursor>,
    /// Records without an end, by topic, and a cursor.
    unended: BTreeMap<Arc<str>, Vec<OutRecord>>,
    unended_cursor: Option<Cursor>,
    pub(super) refuse: BTreeSet<Arc<str>>,
    pub(super) fate: Fate,
    /// Topics are missing, and may not be made.
    pub(super) forbidden: bool,
}

impl Cluster {
    pub(super) fn seen(&self, topic: &str) -> Vec<u64> {
        let log = self.log.get(topic).into_iter().flatten();
        let text = log.map(|record| String::from_utf8(record.value.clone().unwrap()).unwrap());
        text.map(|text| text.parse().unwrap()).collect()
    }

    /// What has no end in a partition shares the end of the next transaction there.
    fn show(&mut self, record: &OutRecord) {
        let log = self.log.entry(Arc::clone(&record.topic)).or_default();
        log.append(&mut self.unended.remove(&record.topic).unwrap_or_default());
        log.push(record.clone());
    }

    fn commit(&mut self, records: &[OutRecord], cursor: &Cursor) {
        records.iter().for_each(|record| self.show(record));
        (self.cursor, self.unended_cursor) = (Some(cursor.clone()), None);
    }

    fn forget(&mut self, records: &[OutRecord], cursor: &Cursor, partly: bool) {
        let shown = records
            .first()
            .filter(|_| partly)
            .map(|record| Arc::clone(&record.topic));
        for record in records {
            if Some(&record.topic) == shown.as_ref() {
                self.show(record);
            } else {
                self.unended
                    .entry(Arc::clone(&record.topic))
                    .or_default()
                    .push(record.clone());
            }
        }
        self.unended_cursor = Some(cursor.clone());
    }

    fn publish(&mut self, records: &[OutRecord], cursor: &Cursor) -> Result<Published, PublishError> {
        if let Some(refused) = records.iter().find(|record| self.refuse.contains(&record.topic)) {
            let topic = refused.topic.to_string();
            return Err(match &*topic {
                "t0" => PublishError::Leaderless {
                    reason: format!("nobody leads {topic}[0]"),
                    topic,
                },
                _ => PublishError::UnknownTopic { topic },
            });
        }
        if self.refuse.contains(RELAY) {
            return Err(PublishError::UnknownTopic {
                topic: RELAY.to_owned(),
            });
        }
        let reason = || "planted".to_owned();
        match std::mem::take(&mut self.fate) {
            Fate::Aborted => return Err(PublishError::Aborted { reason: reason() }),
            Fate::UnknownAborted => return Err(PublishError::Unknown { reason: reason() }),
            Fate::UnknownCommitted => {
                self.commit(records, cursor);
                return Err(PublishError::Unknown { reason: reason() });
            }
            // One that only ends another one does end, and Kafka forgets no second one before the first has its end everywhere.
            Fate::Unended { confirmed, partly } if !records.is_empty() && self.unended.is_empty() => {
                self.forget(records, cursor, partly);
                if !confirmed {
                    return Err(PublishError::Unknown { reason: reason() });
                }
                return Ok(Published::Reopen);
            }
            Fate::Through | Fate::Unended { .. } => self.commit(records, cursor),
            Fate::Troubled => {
                self.commit(records, cursor);
                return Ok(Published::Reopen);
            }
        }
        Ok(Published::Clean)
    }
}

/// The cluster, for the relay and the test.
#[derive(Clone, Default)]
pub(super) struct Shared(Arc<Mutex<Cluster>>);

impl Shared {
    pub(super) fn lock(&self) -> MutexGuard<'_, Cluster> {
        self.0.lock()
    }
}

impl Broker for Shared {
    fn address(&self) -> &'static str {
        "memory"
    }

    fn prepare(&self) -> Result<Vec<String>, TopicsError> {
        match self.lock().forbidden {
            true => Err(TopicsError::NotAllowed(vec!["t0".to_owned()])),
            false => Ok(Vec::new()),
        }
    }

    fn cursor(&self) -> Result<Option<Cursor>, CursorError> {
        Ok(self.lock().cursor.clone())
    }

    fn open_cursor(&self) -> Result<Option<Cursor>, CursorError> {
        Ok(self.lock().unended_cursor.clone())
    }

    fn any_visible(&self, records: &[OutRecord]) -> Result<bool, PublishError> {
        let cluster = self.lock();
        let mut visible = cluster.log.values().flatten();
        Ok(visible.any(|visible| records.contains(visible)))
    }

    fn largest_record(&self, _: &str) -> Option<usize> {
        None
    }

    fn publisher(&self) -> Result<Box<dyn Publisher>, PublishError> {
        Ok(Box::new(Writer(self.clone())))
    }
}

struct Writer(Shared);

impl Publisher for Writer {
    fn publish(
        &mut self,
        records: &mut dyn Iterator<Item = &OutRecord>,
        cursor: &Cursor,
    ) -> Result<Published, PublishError> {
        let records: Vec<OutRecord> = records.cloned().collect();
        self.0.lock().publish(&records, cursor)
    }

    fn withdraw(&mut self, records: &mut dyn Iterator<Item = &OutRecord>, _: &Cursor) -> Result<(), PublishError> {
        let mut cluster = self.0.lock();
        for record in records {
            if cluster.refuse.contains(&record.topic) {
                let topic = record.topic.to_string();
                return Err(PublishError::UnknownTopic { topic });
            }
            cluster.unended.remove(&record.topic);
        }
        cluster.unended_cursor = None;
        Ok(())
    }

    fn is_spent(&self) -> bool {
        false
    }
}
