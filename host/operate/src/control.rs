//! The queries and commands of operators while the host runs. The admin API receives them, the binary carries them out.

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::deploy::{Done, Order, Refusal, Report, Slot};
use crate::explain::{Question, Story};
use crate::hosts::{HostLine, HostVersion};
use crate::letters::{
    Letters, LettersDropped, RedriveCancelled, RedriveHow, RedriveOrdered, RedriveProgress, Rehearsed, ReleaseProgress,
    ReleasedKey,
};
use sandman_config::Problem;
use sandman_core::recording::{Recording, RecordingId, RecordingQuery};
use sandman_core::store::{Action, LetterFilter, Outcome};
use sandman_engine::meters::Rate;

/// A host that answers queries and carries out commands; the running one, or a test in its place.
pub trait Control: Send + Sync + 'static {
    /// All handlers, with their current state.
    ///
    /// # Errors
    /// [`Refusal::Store`].
    fn handlers(&self) -> Result<Vec<HandlerReport>, Refusal>;

    /// The hosts of the deployment, by name.
    ///
    /// # Errors
    /// [`Refusal::Store`].
    fn hosts(&self) -> Result<Vec<HostLine>, Refusal>;

    /// The history of a handler's versions, the newest first.
    ///
    /// # Errors
    /// [`Refusal::Unknown`], [`Refusal::Store`].
    fn history(&self, name: &str) -> Result<Vec<Entry>, Refusal>;

    /// The right to change a handler, until it is dropped.
    ///
    /// # Errors
    /// [`Refusal::Unknown`], [`Refusal::Busy`].
    fn reserve(&self, name: &str) -> Result<Slot, Refusal>;

    /// The dead letters.
    fn letters(&self) -> &Letters;

    /// Checks that the configuration or the store has a handler of that name.
    ///
    /// # Errors
    /// [`Refusal::Unknown`] if not, [`Refusal::Store`].
    fn knows(&self, name: &str) -> Result<(), Refusal>;

    /// Drops letters, or reports what it would drop.
    ///
    /// # Errors
    /// [`Refusal::NoLetter`], [`Refusal::Store`].
    fn drop_letters(&self, filter: &LetterFilter, dry_run: bool) -> Result<LettersDropped, Refusal>;

    /// Recordings of a handler, or of all, that match the query, the newest first, at most `most`.
    ///
    /// # Errors
    /// [`Refusal::Unknown`], [`Refusal::Store`].
    fn recordings(&self, name: Option<&str>, query: &RecordingQuery, most: usize) -> Result<Vec<Recording>, Refusal>;

    /// The recording with that id.
    ///
    /// # Errors
    /// [`Refusal::Store`].
    fn recording(&self, id: RecordingId) -> Result<Option<Recording>, Refusal>;

    /// The component of a stored version.
    ///
    /// # Errors
    /// [`Refusal::Unknown`], [`Refusal::NotKept`], [`Refusal::Store`].
    fn component(&self, name: &str, number: u64) -> Result<Vec<u8>, Refusal>;

    /// Everything that is known of an event or a key; reports the progress of the search.
    ///
    /// # Errors
    /// [`Refusal::Store`].
    fn explain(&self, question: &Question, tell: &mut dyn FnMut(ExplainLine)) -> Result<Story, Refusal>;

    /// Removes the recordings of a key, and lists what else has data of it.
    ///
    /// # Errors
    /// [`Refusal::Store`].
    fn forget(&self, key: &str) -> Result<Forgotten, Refusal>;

    /// The result that a redrive of each of these letters would have.
    ///
    /// # Errors
    /// [`Refusal::Store`].
    fn rehearse(&self, filter: &LetterFilter, how: RedriveHow, tell: &mut dyn FnMut(Rehearsed)) -> Result<(), Refusal>;

    /// Redrives letters.
    ///
    /// # Errors
    /// [`Refusal::NotConfigured`], [`Refusal::Through`], [`Refusal::NoLetter`], [`Refusal::Store`].
    fn redrive(&self, filter: &LetterFilter, through: Option<u64>, force: bool) -> Result<RedriveOrdered, Refusal>;

    /// Cancels the redrive of letters.
    ///
    /// # Errors
    /// [`Refusal::Store`].
    fn cancel_redrive(&self, filter: &LetterFilter) -> Result<RedriveCancelled, Refusal>;

    /// Reports the progress of a redrive job whenever it changes, until it is finished or `tell` returns `false`.
    ///
    /// # Errors
    /// [`Refusal::NoOrder`], [`Refusal::Store`].
    fn follow_redrive(
        &self,
        job: u64,
        reads_data: bool,
        tell: &mut dyn FnMut(&RedriveProgress) -> bool,
    ) -> Result<(), Refusal>;

    /// Redrives the held letters of a key in order; with `drop`, without the letter that holds it. Returns the handlers
    /// that held the key.
    ///
    /// # Errors
    /// [`Refusal::Unknown`], [`Refusal::HeldByGone`].
    fn release(&self, handler: Option<&str>, key: &str, drop: bool) -> Result<Vec<String>, Refusal>;

    /// Tells how what was released of a key, named after its handlers, stands whenever that changes, until all of it is handled or one
    /// has failed again, or nobody hears it any more (`tell` answers `false`).
    ///
    /// # Errors
    /// [`Refusal::Store`].
    fn follow_release(
        &self,
        key: (&[String], &ReleasedKey),
        reads_data: bool,
        tell: &mut dyn FnMut(&ReleaseProgress) -> bool,
    ) -> Result<(), Refusal>;

    /// Resumes a handler. Returns whether it was paused.
    ///
    /// # Errors
    /// [`Refusal::Unknown`].
    fn resume(&self, name: &str) -> Result<bool, Refusal>;

    /// Bytes of the largest accepted component.
    fn largest_component(&self) -> usize;

    /// Deploys a component (`None`: it was larger than the limit); reports the stages and then, after releasing the
    /// slot, the end.
    fn deploy(&self, slot: Slot, order: (Order<'_>, Option<&[u8]>), tell: &mut dyn FnMut(Report));

    /// Makes an earlier version the active one.
    ///
    /// # Errors
    /// [`Refusal`] if there is no such version.
    fn rollback(&self, slot: &Slot, order: Order<'_>, to: Option<u64>) -> Result<Done, Refusal>;

    /// Reads the configuration again and applies it, on behalf of `by`.
    ///
    /// # Errors
    /// [`ReloadError`]; then nothing was changed.
    fn reload(&self, by: &str) -> Result<Reloaded, ReloadError>;
}

/// A handler, as `sandman handlers` shows it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HandlerReport {
    /// Its name.
    pub name: String,
    /// The active version.
    pub version: u64,
    /// That version's component: its SHA-256, lower-case hex.
    pub digest: String,
    /// When it became active, as in an envelope: `2025-12-12T10:30:00.000Z`.
    pub activated_at: String,
    /// Invocations per second in the last minute.
    pub rates: Rate,
    /// Records in Kafka that are still to be handled; null for a handler without topics, or before Kafka has answered.
    pub lag: Option<u64>,
    /// Triggers in memory, from intake to commit.
    pub in_flight: u64,
    /// Triggers of them that wait behind a backoff of their key.
    pub parked: u64,
    /// Why it is paused, if it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paused: Option<String>,
    /// Keys that are held behind a dead letter.
    #[serde(default)]
    pub held_keys: u64,
    /// Why it is degraded, as in `/health`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub degraded: Option<String>,
    /// Its memory and limits.
    pub memory: MemoryReport,
    /// The version that each host serves, if several share the store.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hosts: Vec<HostVersion>,
}

/// Memory of a handler, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MemoryReport {
    /// Linear memory that one invocation may use: `limits.memory`.
    pub limit: u64,
    /// The most that an invocation of the active version has used.
    pub peak: u64,
    /// Records from Kafka that wait or are being handled.
    pub records: u64,
}

/// A line of an explanation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ExplainLine {
    /// A topic is being searched.
    Looking {
        /// The topic.
        topic: String,
        /// Topics that are done.
        done: u64,
        /// Topics in all.
        of: u64,
    },
    /// The result: the last line.
    Story(Story),
    /// The search failed: the last line.
    Error(String),
}

/// The removed data of a key, and the rest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Forgotten {
    /// Recordings that were removed.
    pub recordings: u64,
    /// Where else data of the key is, or may be.
    pub held: Vec<KeyHolder>,
}

/// Data of a key, existing or possible.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct KeyHolder {
    /// What.
    pub what: String,
    /// What removes it.
    pub removed_by: String,
}

/// An entry of a history, as `sandman history` shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// When, as in an envelope.
    pub at: String,
    /// Who: the name of the token.
    pub by: String,
    /// What was requested.
    pub action: Action,
    /// The result.
    pub outcome: Outcome,
    /// The version, if it got a number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<u64>,
    /// The component's SHA-256, if it was received.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
    /// The stage that failed, and why; empty if there is nothing to say.
    pub detail: String,
}

/// The changes of a reload. All empty if the configuration has not changed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reloaded {
    /// Handlers that are new.
    pub added: Vec<String>,
    /// Handlers that were removed.
    pub removed: Vec<String>,
    /// Handlers with other event types to emit, limits, retries, settings or instances.
    pub changed: Vec<String>,
    /// Whether the routes have changed.
    pub routes: bool,
}

/// Why a reload changed nothing.
#[derive(Debug, Error)]
pub enum ReloadError {
    /// The file has mistakes, or its handlers do.
    #[error("{} in the configuration: {}", count(.0), listed(.0))]
    Mistakes(Vec<Problem>),
    /// Keys have changed that are read only at the start.
    #[error("these keys changed and need a restart: {}", .0.join(", "))]
    NeedsRestart(Vec<String>),
    /// A deploy is in progress.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The host is stopping, or could not apply it.
    #[error("{0}")]
    Failed(String),
}

fn count(problems: &[Problem]) -> String {
    let noun = if problems.len() == 1 { "mistake" } else { "mistakes" };
    format!("{} {noun}", problems.len())
}

fn listed(problems: &[Problem]) -> String {
    let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
    lines.join("; ")
}
