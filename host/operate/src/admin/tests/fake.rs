//! A host that writes down what it is ordered.

use std::sync::Arc;

use parking_lot::Mutex;

use crate::control::{Control, Entry, ExplainLine, Forgotten, HandlerReport, ReloadError, Reloaded};
use crate::deploy::{Done, Order, Passed, Refusal, Report, Slot, Stage};
use crate::explain::{Question, Story};
use crate::hosts::HostLine;
use crate::letters::{
    Letters, LettersDropped, RedriveCancelled, RedriveHow, RedriveOrdered, RedriveProgress, Rehearsed, ReleaseProgress,
    ReleasedKey,
};
use sandman_config::Problem;
use sandman_core::event::{Headers, Record, TopicPartition};
use sandman_core::reason::{GivenUp, ReasonCode};
use sandman_core::recording::{Recording, RecordingId, RecordingQuery};
use sandman_core::store::{
    Action, Commit, Hold, LetterFilter, LetterStore, LetterWrite, NewLetter, Outcome, RedriveOrder, Store,
};
use sandman_store::SqliteStore;

pub(super) struct Fake {
    pub(super) ordered: Mutex<Vec<String>>,
    letters: Letters,
}

impl Default for Fake {
    /// A host with one dead letter, and one order to redrive nothing.
    fn default() -> Self {
        let store = Arc::new(SqliteStore::in_memory().expect("a store"));
        let record = Record {
            source: TopicPartition {
                topic: "t".into(),
                partition: 0,
            },
            offset: 7,
            key: Some(vec![0xff]),
            value: Some(b"secret".to_vec()),
            headers: Headers::default(),
            timestamp_millis: None,
        };
        let letter = NewLetter {
            handler: "echo".into(),
            key: Some("ada".into()),
            record,
            given_up: GivenUp {
                code: ReasonCode::Rejected,
                reason: "no".to_owned(),
                version: 1,
                digest: "d".into(),
                attempts: 1,
                state: None,
                at_millis: 0,
            },
            hold: Hold::No,
        };
        let commit = Commit {
            letters: vec![LetterWrite::Add(Box::new(letter))],
            letters_bound: u64::MAX,
            ..Commit::default()
        };
        store.commit(&commit, 0).expect("a commit");
        let nothing = LetterFilter {
            id: Some(99),
            ..LetterFilter::default()
        };
        let order = RedriveOrder {
            from: 1,
            through: None,
            most_redriven: 5,
            kept: 10,
        };
        store.order_redrive(&nothing, &order).expect("an order");
        Self {
            ordered: Mutex::default(),
            letters: Letters::new(store),
        }
    }
}

impl Fake {
    fn order(&self, order: String) {
        self.ordered.lock().push(order);
    }
}

fn done(outcome: Outcome) -> Done {
    Done {
        outcome,
        action: Action::Deploy,
        handler: "echo".to_owned(),
        version: Some(2),
        digest: None,
        previous: 1,
        stage: None,
        error: None,
        millis: 1.0,
        hosts: Vec::new(),
    }
}

impl Control for Fake {
    fn handlers(&self) -> Result<Vec<HandlerReport>, Refusal> {
        Ok(Vec::new())
    }

    fn hosts(&self) -> Result<Vec<HostLine>, Refusal> {
        Ok(Vec::new())
    }

    fn history(&self, name: &str) -> Result<Vec<Entry>, Refusal> {
        self.reserve(name).map(|_| Vec::new())
    }

    fn reserve(&self, name: &str) -> Result<Slot, Refusal> {
        match name {
            "echo" => Ok(Slot::of_nobody()),
            "busy" => Err(Refusal::Busy("busy".to_owned())),
            _ => Err(Refusal::Unknown {
                name: name.to_owned(),
                known: "echo".to_owned(),
            }),
        }
    }

    fn letters(&self) -> &Letters {
        &self.letters
    }

    fn recordings(&self, _: Option<&str>, _: &RecordingQuery, _: usize) -> Result<Vec<Recording>, Refusal> {
        Ok(Vec::new())
    }

    fn recording(&self, _: RecordingId) -> Result<Option<Recording>, Refusal> {
        Ok(None)
    }

    fn component(&self, name: &str, _: u64) -> Result<Vec<u8>, Refusal> {
        self.reserve(name).map(|_| Vec::new())
    }

    fn explain(&self, _: &Question, _: &mut dyn FnMut(ExplainLine)) -> Result<Story, Refusal> {
        Ok(Story::default())
    }

    fn forget(&self, key: &str) -> Result<Forgotten, Refusal> {
        self.order(format!("forget {key}"));
        Ok(Forgotten {
            recordings: 1,
            held: Vec::new(),
        })
    }

    fn knows(&self, name: &str) -> Result<(), Refusal> {
        self.reserve(name).map(drop)
    }

    fn drop_letters(&self, filter: &LetterFilter, dry_run: bool) -> Result<LettersDropped, Refusal> {
        Ok(self.letters.remove(filter, dry_run, &|_| true)?.0)
    }

    fn cancel_redrive(&self, _: &LetterFilter) -> Result<RedriveCancelled, Refusal> {
        self.order("cancel".to_owned());
        Ok(RedriveCancelled { cancelled: 1 })
    }

    fn follow_release(
        &self,
        (handlers, key): (&[String], &ReleasedKey),
        reads_data: bool,
        tell: &mut dyn FnMut(&ReleaseProgress) -> bool,
    ) -> Result<(), Refusal> {
        tell(&self.letters.released(handlers, key, reads_data)?);
        Ok(())
    }

    fn rehearse(&self, _: &LetterFilter, how: RedriveHow, _: &mut dyn FnMut(Rehearsed)) -> Result<(), Refusal> {
        let through = how.through;
        self.order(format!("rehearse through {through:?}"));
        Ok(())
    }

    fn redrive(&self, filter: &LetterFilter, through: Option<u64>, force: bool) -> Result<RedriveOrdered, Refusal> {
        self.order(format!("redrive {:?} through {through:?}, force {force}", filter.id));
        Ok(self.letters.order(filter, through, force)?)
    }

    fn follow_redrive(
        &self,
        job: u64,
        reads_data: bool,
        tell: &mut dyn FnMut(&RedriveProgress) -> bool,
    ) -> Result<(), Refusal> {
        if let Some(progress) = self.letters.progress(job, reads_data)? {
            tell(&progress);
        }
        Ok(())
    }

    fn release(&self, handler: Option<&str>, key: &str, drop: bool) -> Result<Vec<String>, Refusal> {
        self.order(format!("release of {handler:?}, drop {drop}, key {key:?}"));
        Ok(Vec::new())
    }

    fn resume(&self, name: &str) -> Result<bool, Refusal> {
        self.reserve(name).map(|_| true)
    }

    fn largest_component(&self) -> usize {
        1_000
    }

    fn deploy(&self, _: Slot, (order, component): (Order<'_>, Option<&[u8]>), tell: &mut dyn FnMut(Report)) {
        let Order { by, force, .. } = order;
        let forced = if force { " with force" } else { "" };
        self.order(format!("deploy by {by}{forced}: {:?}", component.map(<[u8]>::len)));
        if component.is_some() {
            tell(Report::Passed(Passed {
                stage: Stage::Received,
                millis: 1.0,
                detail: String::new(),
            }));
        }
        tell(Report::Done(done(Outcome::Active)));
    }

    fn rollback(&self, _: &Slot, Order { by, force, .. }: Order<'_>, to: Option<u64>) -> Result<Done, Refusal> {
        let forced = if force { " with force" } else { "" };
        self.order(format!("rollback by {by}{forced}: {to:?}"));
        Ok(done(Outcome::Refused))
    }

    fn reload(&self, by: &str) -> Result<Reloaded, ReloadError> {
        self.order(format!("reload by {by}"));
        Err(ReloadError::Mistakes(vec![Problem {
            key: "host.sorce".to_owned(),
            problem: "there is no such key".to_owned(),
            allowed: None,
            nearest: None,
            variable: None,
        }]))
    }
}
