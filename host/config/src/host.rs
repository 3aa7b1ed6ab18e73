//! `[host]`: the identity of the host, and its share of the machine.

use std::num::NonZero;
use std::path::PathBuf;
use std::thread::available_parallelism;
use std::time::Duration;

use super::kind::{Kind, bytes, duration, integer, kafka_name, one_of, size, text};
use super::section::{Section, resolve};
use sandman_core::limits::Allocation;

/// How logs are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// Lines for people.
    Text,
    /// One JSON object a line.
    Json,
}

/// `[host]`.
#[derive(Clone, Debug)]
pub struct HostConfig {
    /// The `source` of every event we publish.
    pub source: String,
    /// Names the relay's topic `<deployment>.relay`, its transactional id, and the default groups.
    pub deployment: String,
    /// Names this host among those of the deployment.
    pub name: String,
    /// Worker threads that run guests.
    pub workers: usize,
    /// How instances of guests are allocated.
    pub allocation: Allocation,
    /// How long a graceful stop may take.
    pub grace: Duration,
    /// Bytes of states kept in memory, for all handlers together.
    pub cache: u64,
    /// How logs are written.
    pub log: LogFormat,
    /// Triggers of one handler held in memory at once.
    pub in_flight: usize,
    /// Bytes of triggers of one handler held in memory at once.
    pub in_flight_bytes: u64,
    /// Triggers of one partition that may wait behind backoffs before the partition pauses.
    pub parked: usize,
    /// Bytes of the same.
    pub parked_bytes: u64,
    /// Units of one group commit.
    pub batch: usize,
    /// Folder of the compiled components.
    pub compiled: PathBuf,
    /// Bytes of the largest accepted component.
    pub component: usize,
    /// Versions kept of each handler; the active one is kept in any case.
    pub versions: usize,
    /// How much CPU time compiling one component may take; by the clock, ten times as much.
    pub compile_time: Duration,
    /// Bytes of memory that compiling one component may take.
    pub compile_memory: u64,
    /// Bytes of stack that a guest may use.
    pub stack: usize,
}

const LOG: &[(&str, LogFormat)] = &[("text", LogFormat::Text), ("json", LogFormat::Json)];
const ALLOCATION: &[(&str, Allocation)] = &[("pooling", Allocation::Pooling), ("on-demand", Allocation::OnDemand)];

pub(super) fn read(mut section: Section<'_>) -> HostConfig {
    // Leaves room for a handler's name or `.relay` in the 249 characters of a name in Kafka.
    let source = section.required("source", &kafka_name(180)).unwrap_or_default();
    let deployment = section.optional("deployment", &kafka_name(180));
    let in_flight = section.or("in_flight", &count(1_000_000), 10_000);
    let parked = section.or("parked", &count(1_000_000), in_flight.min(1_000));
    if parked > in_flight {
        let problem =
            format!("{parked} is more than in_flight ({in_flight}), so the partition would never pause for it");
        section.refuse("parked", problem);
    }
    let compiled = section.or("compiled", &text(), "data/compiled".to_owned());
    let config = HostConfig {
        deployment: deployment.unwrap_or_else(|| source.clone()),
        name: section.optional("name", &kafka_name(60)).unwrap_or_else(machine),
        source,
        workers: section.or("workers", &count(1_024), default_workers()),
        allocation: section.or("allocation", &one_of(ALLOCATION), Allocation::default()),
        grace: section.or(
            "grace",
            &duration(Duration::from_millis(100)..=Duration::from_secs(600)),
            Duration::from_secs(20),
        ),
        cache: section.or("cache", &size(64 << 10..=1 << 40), 64 << 20),
        log: section.or("log", &one_of(LOG), LogFormat::Text),
        in_flight,
        in_flight_bytes: section.or("in_flight_bytes", &size(1 << 20..=1 << 40), 64 << 20),
        parked,
        parked_bytes: section.or("parked_bytes", &size(64 << 10..=1 << 40), 16 << 20),
        batch: section.or("batch", &count(100_000), 5_000),
        compiled: resolve(&section.report.folder, &compiled),
        component: section.or("component", &bytes(64 << 10..=256 << 20), 32 << 20),
        versions: section.or("versions", &count(1_000), 10),
        compile_time: section.or(
            "compile_time",
            &duration(Duration::from_secs(1)..=Duration::from_secs(600)),
            Duration::from_secs(60),
        ),
        compile_memory: section.or("compile_memory", &size(128 << 20..=64 << 30), 2 << 30),
        // Guests run on threads with 2 MiB, of which the host needs some on top of a guest.
        stack: section.or("stack", &bytes(64 << 10..=1 << 20), 512 << 10),
    };
    section.finish();
    config
}

fn count(most: i64) -> Kind<usize> {
    let whole = integer(1..=most);
    Kind::value(whole.allowed.clone(), move |value| {
        usize::try_from(whole.read(value)?).ok()
    })
}

/// More workers than cores: a guest at its time limit then holds up nobody else.
fn default_workers() -> usize {
    let cores = available_parallelism().map_or(1, NonZero::get);
    cores.saturating_mul(4).clamp(8, 1_024)
}

/// The machine's name, with the characters that Kafka allows in names.
fn machine() -> String {
    let read = std::fs::read_to_string("/proc/sys/kernel/hostname");
    let plain = |letter: &char| letter.is_ascii_alphanumeric() || ['.', '_', '-'].contains(letter);
    let name: String = read.unwrap_or_default().trim().chars().filter(plain).take(60).collect();
    match name.is_empty() {
        true => "host".to_owned(),
        false => name,
    }
}
