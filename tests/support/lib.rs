//! The vocabulary of Sandman's behaviour tests: a world of one's own, a host, records, dead letters, a broker to stop.
//!
//! A behaviour reads as what a person would do and see; how it is done is in here. Nothing in here sleeps for a fixed
//! time: it waits for a line, a record, a metric or the end of a process, each with a generous deadline.

mod admin;
mod again;
mod binary;
mod bombs;
mod broker;
pub mod checker;
mod client;
mod commit_proxy;
mod transaction_pooler;
mod consumer;
mod cores;
mod database;
mod dreamscape;
mod event;
pub mod fuzz;
mod guests;
mod harness;
mod host;
mod keeper;
mod ledger;
mod letters;
mod log;
mod member;
mod metrics;
mod newcomer;
mod node;
mod paths;
mod postgres;
mod process;
mod producer;
pub mod proxy;
mod rival;
mod s3;
mod settings;
mod small_disk;
mod store;
#[path = "../torture/scenarios.rs"]
pub mod torture;
mod transaction;
mod unended;
mod wait;
mod world;

pub use admin::STAGES;
pub use bombs::{bomb, grafted, nested};
pub use broker::{Broker, Cluster, Operation, PASSWORD, Resource, USER};
pub use client::{Ask, Client, Reply};
pub use commit_proxy::CommitProxy;
pub use consumer::{Header, Reader, Seen};
pub use cores::on_cores;
pub use dreamscape::{
    Diaries, DreamScape, Events, Form, OWN, PUBLISHED, SECRET, Told, User, forged, registration, signed, untouched,
};
pub use echo::Tally;
pub use event::Event;
pub use guests::{echo, guest, guest_in, hostile, reference, rewritten, shipped_guest, stamped};
pub use harness::{Behaviour, Wanted, bench, main, say as note, torture as run_torture};
pub use host::{Ended, Host};
pub use ledger::Ledger;
pub use letters::{
    dlq, handled_once, lenient, letter_count, letters, misfit, numbers, reloaded, strict, strict_handler, until_letters,
};
pub use member::ForeignMember;
pub use metrics::Metrics;
pub use newcomer::{Newcomer, Window};
pub use paths::repository;
pub use postgres::PostgresServer;
pub use process::Process;
pub use producer::{Compression, Producer};
pub use rival::Rival;
pub use s3::{S3_SECRET, S3Server};
pub use settings::{Handler, Settings};
pub use small_disk::SmallDisk;
pub use store::{ProgressRows, StoreFile};
pub use transaction::OpenTransaction;
pub use transaction_pooler::TransactionPooler;
pub use unended::Unended;
pub use wait::{PATIENCE, eventually};
pub use world::World;

/// What a behaviour returns: nothing, or why it does not hold.
pub type Result<T = (), E = anyhow::Error> = std::result::Result<T, E>;
